"""Who a job belongs to, read from Airflow's own task contexts."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_doeks.attempt.identity import read_context
from airflow_doeks.compat import IS_AIRFLOW_3, runs_in_dag_processor
from airflow_doeks.model.identity import JobIdentity

STARTED = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


def context(**changes: Any) -> dict[str, Any]:
    """A context as Airflow builds it, reduced to what is read."""
    ti = {
        "dag_id": "sales.daily",
        "run_id": "manual__1",
        "task_id": "clean",
        "map_index": -1,
        "try_number": 1,
        "max_tries": 2,
        "start_date": STARTED,
    }
    run = {"start_date": STARTED, "queued_at": STARTED - timedelta(seconds=1)}
    run |= {key: changes.pop(key) for key in list(changes) if key in run and key != "start_date"}
    run["start_date"] = changes.pop("run_started", STARTED)
    task = SimpleNamespace(retries=2)
    return {"ti": SimpleNamespace(**{**ti, **changes}), "dag_run": SimpleNamespace(**run), "task": task}


def identity(**changes: Any) -> JobIdentity:
    """The identity of such a context."""
    return read_context(context(**changes), instance="prod", cost_tags={"team": "sales"}).identity


def test_a_resumed_attempt_is_the_same_attempt() -> None:
    """Reading the same attempt twice gives the same token."""
    assert identity(id="018f").token == identity(id="018f").token


@pytest.mark.parametrize(
    "change",
    [
        {"try_number": 2},
        {"run_started": STARTED + timedelta(seconds=1)},
        {"queued_at": STARTED},
        {"run_id": "manual__2"},
        {"map_index": 1},
        {"task_id": "other"},
    ],
)
def test_every_new_attempt_of_airflow_2_has_a_new_token(change: dict[str, Any]) -> None:
    """A retry, a run deleted and made again, a reset database: each starts a new job where tries have no UUID."""
    assert identity(**change).token != identity().token


def test_a_try_of_airflow_3_is_its_uuid() -> None:
    """The same run and try number with another task-instance id is another attempt."""
    assert identity(id="018f").token != identity(id="0190").token


@pytest.mark.parametrize(("max_tries", "base"), [(2, 0), (3, 1), (1, -1)])
def test_the_base_try_tells_lives_apart(max_tries: int, base: int) -> None:
    """Clearing raises max_tries; editing retries down makes the lives impossible to tell apart."""
    facts = read_context(context(max_tries=max_tries), instance="prod", cost_tags={})
    assert facts.base_try == base


@pytest.mark.skipif(not IS_AIRFLOW_3, reason="Airflow 2 pushes XComs from the DAG processor without harm")
def test_a_callback_in_the_dag_processor_is_told_apart() -> None:
    """There a task instance has neither state nor start; an XCom push would hang for 50 seconds."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    there = RuntimeTaskInstance.model_construct(dag_id="d", run_id="r", task_id="t", try_number=1, map_index=-1)
    here = RuntimeTaskInstance.model_construct(
        dag_id="d", run_id="r", task_id="t", try_number=1, map_index=-1, start_date=STARTED
    )
    assert runs_in_dag_processor(there)
    assert not runs_in_dag_processor(here)
