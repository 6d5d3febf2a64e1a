"""Pods that properties ask for, whoever wrote them: ours, a job template's, a person's in the console."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal

import pytest

from airflow_doeks.platforms.spark.pods import Requested, requested_pods

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
DRIVER = {
    "spark.kubernetes.driver.request.cores": "500m",
    "spark.driver.memory": "1638m",
    "spark.driver.memoryOverhead": "410m",
}
EXECUTORS = {
    "spark.executor.instances": "2",
    "spark.kubernetes.executor.request.cores": "2",
    "spark.executor.memory": "4g",
    "spark.executor.memoryOverhead": "1024",
    "spark.executor.resource.gpu.amount": "1",
}


def requested(**changes: str) -> Requested:
    """What the properties above ask for, with these changes; dots are written as double underscores."""
    conf = DRIVER | EXECUTORS | {key.replace("__", "."): value for key, value in changes.items()}
    return requested_pods(conf, since=NOON, until=None, node_labels="karpenter")


def test_sizes_in_every_form_that_spark_takes() -> None:
    """`2` cores are two, `4g` are 4 GiB, a bare overhead is MiB: the whole pod is heap and overhead together."""
    driver, *executors = requested().pods
    assert (driver.vcpu, driver.memory_gib, driver.gpu, driver.started) == (Decimal("0.5"), Decimal(2), 0, NOON)
    assert [(pod.vcpu, pod.memory_gib, pod.gpu) for pod in executors] == [(2, 5, 1)] * 2


def test_cores_are_requested_where_no_request_is_said() -> None:
    """Spark requests an executor's cores unless it is told otherwise."""
    asked = requested(spark__kubernetes__executor__request__cores="", spark__executor__cores="3")
    assert [pod.vcpu for pod in asked.pods] == [Decimal("0.5"), 3, 3]


@pytest.mark.parametrize("most", ["infinity", "2147483647.5", "${executors}"])
def test_executors_without_an_end_are_not_counted(most: str) -> None:
    """Where nobody says how many executors there may be, no pods are given: a driver alone would look whole."""
    asked = requested(spark__executor__instances="", spark__dynamicAllocation__maxExecutors=most)
    assert asked == Requested(
        (), (f"how many executors it asked for is not known: spark.dynamicAllocation.maxExecutors is {most!r}",)
    )


def test_a_size_that_is_none_is_unknown_and_told() -> None:
    """A part of a GPU, a template's parameter, a heap without overhead: null with a why, and nothing raises."""
    asked = requested(
        spark__executor__resource__gpu__amount="0.5",
        spark__kubernetes__executor__request__cores="${cores}",
        spark__executor__memoryOverhead="",
    )
    assert [(pod.vcpu, pod.memory_gib) for pod in asked.pods[1:]] == [(None, None)] * 2
    assert [line.split(":")[0] for line in asked.why] == [
        "spark.kubernetes.executor.request.cores",
        "spark.executor.resource.gpu.amount",
    ]
