"""What Airflow's Assets page and schedules learn of a job: declared outlets, and what else it was seen to write."""

from __future__ import annotations

from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_doeks import compat
from airflow_doeks.attempt.asset_events import announce_seen, extend_outlets
from airflow_doeks.hooks.aliases import seen_alias
from airflow_doeks.hooks.assets import asset_of, assets_of
from airflow_doeks.operators.job import SparkJobOperator

ENTRY = {"type": "local", "name": "laptop"}


def written(namespace: str, name: str, source: str = "observed") -> dict[str, Any]:
    """An output of a record."""
    return {"namespace": namespace, "name": name, "rows": 3, "source": source}


def context_of(*outputs: dict[str, Any], mapped: bool = False, **more: Any) -> dict[str, Any]:
    """What ``execute`` has of a task whose job wrote something, and its record."""
    common = {"task_id": "clean", "platform": ENTRY, "job": {"main": "s3://acme-code/clean.py"}, **more}
    with compat.DAG("orders", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)) as dag:
        if mapped:
            SparkJobOperator.partial(**common).expand(item=[1])
        else:
            SparkJobOperator(**common)
    ti = SimpleNamespace(dag_id="orders", task_id="clean")
    record = {"record_id": "r1", "cost": {"usd_total": "0.5"}, "lineage": {"outputs": list(outputs)}}
    task = dag.get_task("clean")
    if mapped:
        task = task.unmap({"item": 1})
    return {"ti": ti, "task": task, "outlet_events": empty_events(), "record": record}


def empty_events() -> Any:
    """Airflow's own collection of a task's events."""
    if compat.IS_AIRFLOW_3:
        from airflow.sdk.execution_time.context import OutletEventAccessors
    else:
        from airflow.utils.context import OutletEventAccessors
    return OutletEventAccessors()


@pytest.fixture(autouse=True)
def metadata(aliases_are_known: None) -> None:
    """Airflow 2 keeps aliases there."""


def announced(context: dict[str, Any]) -> dict[str, Any]:
    """URI -> extra of each event that comes through the task's alias."""
    announce_seen(context, context["record"])
    accessor = context["outlet_events"][seen_alias("orders", "clean")]
    if compat.IS_AIRFLOW_3:
        return {one.dest_asset_key.uri: one.extra for one in accessor.asset_alias_events}
    return {one["dest_dataset_uri"]: one["extra"] for one in accessor.dataset_alias_events}


def test_what_was_seen_is_announced_with_its_rows_and_cost():
    """One event a dataset, named as people write it under `schedule`."""
    found = announced(context_of(written("s3://mart", "orders"), written("file", "/data/x")))
    assert set(found) == {"s3://mart/orders", "file:///data/x"}
    assert found["s3://mart/orders"] == {
        "doeks_record_id": "r1",
        "usd_total": "0.5",
        "rows": 3,
    }


def test_declared_outlets_are_not_announced_twice():
    """What lies in an outlet has its event already; what was only declared was never seen."""
    outlets = [compat.Asset("s3://mart/orders")]
    seen = [
        written("s3://mart", "orders/2026", "both"),
        written("s3://mart", "orders_eu"),
        written("s3://a", "b", "declared"),
    ]
    context = context_of(*seen, outlets=outlets)
    assert set(announced(context)) == {"s3://mart/orders_eu"}
    extend_outlets(context, context["record"])
    assert context["outlet_events"][outlets[0]].extra["rows"]["s3://mart/orders_eu"] == 3


def test_the_setting_turns_it_off(monkeypatch: pytest.MonkeyPatch):
    """Then a task has no alias among its outlets, and nothing is announced."""
    monkeypatch.setenv("AIRFLOW__DOEKS__ASSET_EVENTS", "False")
    context = context_of(written("s3://mart", "orders"))
    assert (context["task"].outlets, announced(context)) == ([], {})


def test_every_instance_of_a_mapped_task_announces():
    """Airflow makes each of them with the task's outlets and ours."""
    found = announced(context_of(written("s3://mart", "orders"), mapped=True))
    assert set(found) == {"s3://mart/orders"}


@pytest.mark.parametrize(
    ("namespace", "name", "uri"),
    [
        ("s3://mart", "/", "s3://mart"),
        ("hdfs://nn:8020", "/data/x", "hdfs://nn:8020/data/x"),
        ("kafka://broker:9092", "orders.v1", "kafka://broker:9092/orders.v1"),
        ("spark", "default.orders", None),
        ("airflow://x", "y", None),
    ],
)
def test_the_asset_of_a_dataset(namespace: str, name: str, uri: str | None):
    """Where a dataset has an address that Airflow takes; a table without a server has none."""
    found = asset_of(namespace, name)
    assert (found and found.uri) == uri


@pytest.mark.parametrize(
    "place", ["s3a://AKIAIOSFODNN7EXAMPLE:se/cret@", "hdfs://ann:hunter2@", "mysql://ann:hunter2@"]
)
def test_an_asset_lets_nobody_in_and_fits_the_metadata(place: str):
    """Keys before a host are no part of a name; a name that no row could hold would fail the task that ended well."""
    scheme = place.partition(":")[0]
    assert [one.uri for one in assets_of([f"{place}mart/db/orders"])] == [f"{scheme}://mart/db/orders"]
    assert assets_of([f"{scheme}://mart/db/{'x' * 1500}"]) == []
