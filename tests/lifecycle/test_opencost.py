"""Cost of pods from OpenCost where it runs, and from the rate card where it does not tell all."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from airflow_doeks.cost.opencost import allocated
from airflow_doeks.hooks.opencost import ask
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.record import Cost
from airflow_doeks.model.telemetry import Node, Pod, Telemetry
from tests.fakes.memory_platform import START
from tests.fakes.opencost import Allocation, FakeOpenCost, opencost
from tests.lifecycle.test_settlement import settled
from tests.lifecycle.test_submission import FIRST

HOUR = START + timedelta(hours=1)
LABELS = {"airflow-doeks/task-key": FIRST.task_key[:16], "airflow-doeks/try": "1"}
PRICES = {"cpuCost": 0.1, "ramCost": 0.05, "pvCost": 0.002, "networkCost": 0.001, "externalCost": 7.0}
SEEN = Telemetry(
    pods=tuple(
        Pod(
            uid=name,
            role=role,
            vcpu=4,
            memory_gib=16,
            storage_gib=0,
            node="n",
            started=START,
            ended=HOUR,
            is_emr_image=True,
        )
        for name, role in (("driver", "driver"), ("one", "executor"))
    ),
    nodes=(Node(uid="n", instance_type="m7g.4xlarge", capacity_type="on_demand"),),
    started=START,
    ended=HOUR,
)
PODS = [Allocation(name, START, HOUR, PRICES, LABELS) for name in ("driver", "exec-1")]


def cost_with(fake: FakeOpenCost) -> Cost:
    """The cost of a job of two pods on a platform with this OpenCost."""
    return settled(SEEN, allocations=partial(ask, fake.url)).record.cost


def test_opencosts_numbers_go_before_those_of_the_card() -> None:
    """Its parts become ours, external cost is none, EMR's uplift is added; idle, which it does not give, is unknown."""
    other = Allocation("other", START, HOUR, {"cpuCost": 9.0}, {**LABELS, "airflow-doeks/try": "2"})
    stranger = Allocation("stranger", START, HOUR, {"cpuCost": 9.0})
    with opencost(*PODS, other, stranger) as fake:
        cost = cost_with(fake)
    assert (cost.usd_compute, cost.usd_storage, cost.usd_transfer) == (
        Decimal("0.3"),
        Decimal("0.004"),
        Decimal("0.002"),
    )
    assert cost.usd_uplift == (4 * Decimal("0.01012") + 16 * Decimal("0.00111125")) * 2
    assert cost.usd_total == Decimal("0.306") + cost.usd_uplift
    assert (cost.basis, cost.confidence, cost.unknown) == ("opencost", "medium", ("idle",))
    assert [query["aggregate"] for query in fake.asked] == [
        "namespace,pod,label:airflow_doeks_task_key,label:airflow_doeks_try"
    ]
    assert fake.asked[0]["resolution"] == "1m"


def test_adjustments_belong_to_what_they_adjust() -> None:
    """Kubecost corrects each kind by the bill: list cost and adjustment are one number."""
    with opencost(Allocation("driver", START, HOUR, PRICES, LABELS, adjustments={"cpuCost": -0.04}), PODS[1]) as fake:
        assert cost_with(fake).usd_compute == Decimal("0.26")


def test_a_pod_that_opencost_did_not_see_makes_the_card_hold() -> None:
    """One that lived for seconds between two of its samples: a sum without it would be low, and nobody would know."""
    short = Allocation("exec-1", START, START + timedelta(seconds=40), PRICES, LABELS)
    for allocations in ([PODS[0], short], []):
        with opencost(*allocations) as fake:
            cost = cost_with(fake)
        assert cost.basis == "pods"
        assert cost.usd_compute == Decimal("0.3264")  # two of four parts of an m7g.4xlarge, 0.6528 an hour
        assert f"priced by rate card: OpenCost has {len(allocations) // 2} of the job's 2 pods" in str(cost.why_unknown)


def test_minutes_that_opencost_has_not_yet_make_the_card_hold() -> None:
    """Right after a job its last minutes may not be in it: all pods are there, and their sum is low."""
    late = [Allocation(name, START, HOUR - timedelta(minutes=9), PRICES, LABELS) for name in ("driver", "exec-1")]
    with opencost(*late) as fake:
        cost = cost_with(fake)
    assert (cost.basis, cost.usd_compute) == ("pods", Decimal("0.3264"))
    assert "OpenCost has 102 of the 120 minutes that the job's pods lived" in str(cost.why_unknown)


def test_pods_that_cost_nothing_there_have_no_price() -> None:
    """An OpenCost without prices is no free cluster."""
    with opencost(*(Allocation(name, START, HOUR, {}, LABELS) for name in ("driver", "exec-1"))) as fake:
        cost = cost_with(fake)
    assert (cost.basis, "OpenCost has no price of the job's pods" in str(cost.why_unknown)) == ("pods", True)


@pytest.mark.parametrize("row", [{"cpuCost": float("nan"), "totalCost": 1}, {"cpuCost": 1.0}])
def test_what_is_no_number_is_refused(row: dict[str, float]) -> None:
    """NaN, which Python's JSON reads, and an allocation that tells no total."""
    with pytest.raises(PlatformError, match="is no list of allocations"):
        allocated({"code": 200, "data": [{"ns/p/k/1": row}]}, "k", 1)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((503, b"starting"), "could not be asked: 503"),
        ((200, b"<html>"), "could not be asked"),
        ((200, b'{"code": 400, "message": "invalid window"}'), "answered code 400: invalid window"),
        ((200, b'{"code": 200, "data": [{"a/b/c/d": 3}], "x": 1}'), "has 0 of the job's 2 pods"),
        ((200, b'{"data": []}'), "is no list of allocations"),
    ],
)
def test_an_opencost_that_does_not_answer_changes_nothing_but_the_why(answer: Any, words: str) -> None:
    """The card's prices hold; accounting fails no job."""
    with opencost() as fake:
        fake.broken = answer
        cost = cost_with(fake)
    assert (cost.basis, cost.usd_compute) == ("pods", Decimal("0.3264"))
    assert words in str(cost.why_unknown)


def test_a_total_that_its_parts_do_not_explain_is_refused() -> None:
    """A kind of cost that this version does not know is not dropped in silence."""
    row = {"cpuCost": 1.0, "ramCost": 0.5, "totalCost": 2.0, "externalCost": 0}
    with pytest.raises(PlatformError, match=r"parts add up to 1\.5 USD, its total is 2\.0"):
        allocated({"code": 200, "data": [{"ns/p/k/1": row}]}, "k", 1)


@pytest.mark.parametrize("name", ["ns/p/k/1", "ns/p/airflow_doeks_task_key=k/airflow_doeks_try=1"])
def test_names_of_labels_are_read_in_both_spellings(name: str) -> None:
    """Older versions write label=value."""
    found = allocated({"code": 200, "data": [{name: {"cpuCost": 1.0, "totalCost": 1.0}}, None]}, "k", 1)
    assert (found.pods, found.usd["compute"]) == (1, 1)
