"""The callback of a task that could not settle its job: what it finds by tags, ends and writes, mapped or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_doeks.attempt.identity import read_context
from airflow_doeks.attempt.orphans import settle_again
from airflow_doeks.compat import DAG, AirflowFailException
from airflow_doeks.hooks.platforms import connect
from airflow_doeks.hooks.settings import load_settings
from airflow_doeks.lifecycle import submit
from airflow_doeks.model.job import SparkJob
from airflow_doeks.operators.job import SparkJobOperator
from tests.fakes.emr_containers import Step
from tests.platforms.harness_emr_on_eks import ENTRY, World, world

LAKE = ENTRY | {"name": "lake", "connection": "aws_fake"}
JOB = {"main": "s3://acme-code/clean.py"}


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A fake AWS whose jobs run until they are cancelled; a cancel takes two of its calls."""
    with world(tmp_path / "s3") as fresh:
        fresh.emr.now = datetime.now(timezone.utc)
        fresh.emr.script, fresh.emr.answer_seconds = lambda _: (Step(0, "PENDING"), Step(20, "RUNNING")), 30
        extra = {"region_name": "us-east-1", "endpoint_url": fresh.aws.url}
        connection = {"conn_type": "aws", "login": "AKIAEXAMPLEEXAMPLE00", "password": "x", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_FAKE", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW__DOEKS__LEDGER_PATH", str(tmp_path / "ledger"))
        yield fresh


def context_of(task: Any, try_number: int, *, map_index: int = -1, retries: int = 0, **more: Any) -> dict[str, Any]:
    """What Airflow's DAG processor hands to a callback: nothing is rendered, and there is no XCom."""
    started = datetime.now(timezone.utc) - timedelta(minutes=1)
    names = {"dag_id": "orders", "run_id": "r", "task_id": "clean", "map_index": map_index, "try_number": try_number}
    ti = SimpleNamespace(
        **names, id=str(try_number), max_tries=retries, state=None, start_date=None, xcom_pull=lambda **_: None
    )
    run = SimpleNamespace(start_date=started, queued_at=started, run_after=started)
    return {"ti": ti, "task": task, "dag_run": run, **more}


def submitted(context: dict[str, Any]) -> Any:
    """The job as the worker sent it: cost tags rendered."""
    facts = read_context(context, instance=load_settings().instance, cost_tags={"team": "orders"})
    return submit(connect(LAKE), SparkJob.model_validate(JOB), facts.identity).ref


def records(tmp_path: Path) -> list[dict[str, Any]]:
    """What the ledger has."""
    return [json.loads(place.read_text()) for place in (tmp_path / "ledger").rglob("*.json")]


@pytest.mark.parametrize(
    ("case", "job_try", "last_try"), [("plain", 1, 1), ("mapped", 1, 1), ("left by an earlier try", 1, 2)]
)
def test_the_job_of_a_lost_task_ends_and_is_accounted_for(aws, tmp_path, case, job_try, last_try):
    """No try is left: the job is found by its tags, cancelled, and its record has the cost tags that the job has."""
    common = {"task_id": "clean", "platform": LAKE, "job": JOB, "cost_tags": {"team": "{{ dag.dag_id }}"}}
    common |= {"writes": ["s3://lake/{{ ds }}", "s3://lake/all"], "retries": last_try - 1}
    with DAG("orders", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)) as dag:
        if case == "mapped":
            SparkJobOperator.partial(**common).expand(item=[1, 2])
        else:
            SparkJobOperator(**common)
    where = {"map_index": 0 if case == "mapped" else -1, "retries": last_try - 1}
    context = context_of(dag.get_task("clean"), last_try, **where)
    first = context_of(dag.get_task("clean"), job_try, **where) | {"dag_run": context["dag_run"]}
    ref = submitted(first)

    settle_again(context)

    assert connect(LAKE).observe(ref).native_state == "CANCELLED"
    (record,) = records(tmp_path)
    assert (record["attempt"]["try_number"], record["settled_by_try"]) == (job_try, last_try)
    assert record["attempt"]["map_index"] == where["map_index"]
    assert record["job"]["platform"] == "lake"
    assert record["failure"]["category"] == "cancelled"
    assert record["cost_tags"] == {"team": "orders"}
    assert [out["name"] for out in record["lineage"]["outputs"]] == ["all"]


@pytest.mark.parametrize(
    ("error", "state"), [(AirflowFailException("the YAML is wrong"), "CANCELLED"), (ValueError("odd"), "RUNNING")]
)
def test_a_job_lives_on_only_for_a_try_that_comes(aws, tmp_path, error, state):
    """A try that is left adopts the job; a task that says that no try will help ends it."""
    with DAG("orders", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)):
        task = SparkJobOperator(task_id="clean", platform=LAKE, job=JOB, retries=3)
    context = context_of(task, 2, retries=3, exception=error)
    ref = submitted(context_of(task, 1, retries=3) | {"dag_run": context["dag_run"]})

    settle_again(context)

    assert connect(LAKE).observe(ref).native_state == state


def test_on_kill_ends_the_job_of_a_resumed_task(aws):
    """A task that resumed and waits on its worker knows which job to end."""
    with DAG("orders", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)):
        task = SparkJobOperator(task_id="clean", platform=LAKE, job=JOB)
    context = context_of(task, 1)
    facts = read_context(context, instance=load_settings().instance, cost_tags={})
    submission = submit(connect(LAKE), SparkJob.model_validate(JOB), facts.identity)
    task.attempt(context).resume(submission.to_json())

    task.on_kill()

    assert connect(LAKE).observe(submission.ref).native_state in {"CANCEL_PENDING", "CANCELLED"}
