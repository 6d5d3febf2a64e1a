"""Workers that die, deadlines, marks and clears, with real Airflow processes and real Spark."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.processes.running import NO_RETRY_AFTER_SIGKILL, Airflow, running_airflow, within

pytestmark = [pytest.mark.airflow, pytest.mark.spark, pytest.mark.slow]
DAGS = Path(__file__).parent / "dags"


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """One Airflow for all stories of this file; they run side by side."""
    home = tmp_path_factory.mktemp("airflow_home")
    transport = json.dumps({"type": "file", "log_file_path": str(home / "openlineage.jsonl"), "append": True})
    settings = {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "AIRFLOW__OPENLINEAGE__TRANSPORT": transport}
    with running_airflow(home, DAGS, settings) as running:
        yield running


def run_dirs(airflow: Airflow, dag_id: str) -> list[dict[str, Any]]:
    """Every job that a DAG ever started on platform `local`: its request and its last state, oldest first."""
    found = []
    for place in (airflow.home / "doeks" / "local").glob("*/request.json"):
        request = json.loads(place.read_text())
        if f'"{dag_id}"' in json.dumps(request):
            state = place.with_name("state.json")
            found.append({"dir": place.parent, "state": json.loads(state.read_text()) if state.exists() else {}})
    return sorted(found, key=lambda job: job["dir"].stat().st_mtime)


def event_logs(job: dict[str, Any]) -> int:
    """How many Spark applications wrote an event log in this run directory."""
    events = job["dir"] / "events"
    return len(list(events.iterdir())) if events.is_dir() else 0


def records(airflow: Airflow, dag_id: str) -> list[dict[str, Any]]:
    """The ledger's records of a DAG."""
    found = [json.loads(place.read_text()) for place in (airflow.home / "doeks" / "ledger").rglob("*.json")]
    return [record for record in found if record["attempt"]["dag_id"] == dag_id]


def ended(job: dict[str, Any]) -> bool:
    """True once the supervisor wrote the job's end."""
    state = job["dir"] / "state.json"
    return state.exists() and "exit" in json.loads(state.read_text() or "{}")


def ends(job: dict[str, Any], seconds: float) -> bool:
    """True once the job ended."""
    return within(seconds, lambda: ended(job))


@NO_RETRY_AFTER_SIGKILL
def test_a_retry_adopts_the_job_of_a_killed_worker(airflow: Airflow) -> None:
    """Row 1: SIGKILL between submit and deferral: one Spark application, one record, of try 1, settled by try 2."""
    task = airflow.wait_for("adopt", "success", "failed", seconds=300)
    assert (task["state"], task["try_number"]) == ("success", 2), airflow.log("adopt")
    jobs = run_dirs(airflow, "adopt")
    assert (len(jobs), event_logs(jobs[0])) == (1, 1)
    (record,) = records(airflow, "adopt")
    assert (record["attempt"]["try_number"], record["settled_by_try"]) == (1, 2)
    assert record["job"]["state"] == "SUCCEEDED"
    assert airflow.xcom("adopt", "doeks_record")["record_id"] == record["record_id"]


@NO_RETRY_AFTER_SIGKILL
def test_restart_cancels_the_job_of_a_killed_worker(airflow: Airflow) -> None:
    """`on_retry: restart`: two Spark applications, the first cancelled."""
    task = airflow.wait_for("restart", "success", "failed", seconds=300)
    assert (task["state"], task["try_number"]) == ("success", 2), airflow.log("restart")
    jobs = run_dirs(airflow, "restart")
    assert len(jobs) == 2
    states = [json.loads((job["dir"] / "state.json").read_text()) for job in jobs]
    assert [state["exit"]["is_cancelled"] for state in states] == [True, False]
    assert event_logs(jobs[1]) == 1  # the first may be cancelled before its Spark began to write


def test_a_deadline_cancels_a_deferred_job(airflow: Airflow) -> None:
    """Row 14: at execution_timeout the job ends, the task fails and says why, and the record has a cost."""
    airflow.wait_for("overdue", "failed", seconds=300)
    (job,) = run_dirs(airflow, "overdue")
    assert ended(job)
    (record,) = records(airflow, "overdue")
    assert record["failure"]["category"] == "timeout"
    assert "execution_timeout" in record["failure"]["message"]
    assert float(record["cost"]["usd_total"]) > 0


def test_a_budget_of_dollars_ends_a_deferred_job(airflow: Airflow) -> None:
    """At 80 % somebody is told, at 100 % the job is cancelled; what it cost is little above its budget."""
    airflow.trigger("over_usd")
    task = airflow.wait_for("over_usd", "failed", "success", seconds=300)
    assert task["state"] == "failed", airflow.log("over_usd")
    (job,) = run_dirs(airflow, "over_usd")
    assert job["state"]["exit"]["is_cancelled"]
    assert "budget_usd of 0.001 USD" in (airflow.home / "told.json").read_text()
    (record,) = records(airflow, "over_usd")
    assert (record["failure"]["category"], record["job"]["state"]) == ("budget", "CANCELLED")
    assert record["failure"]["message"].startswith("used up its budget_usd of 0.001 USD (0.00")
    assert 0.001 <= float(record["cost"]["usd_total"]) < 0.01


@pytest.mark.parametrize(("dag_id", "state"), [("marked", "failed"), ("marked_success", "success")])
def test_marking_a_deferred_task_ends_its_job(airflow: Airflow, dag_id: str, state: str) -> None:
    """Row 13: mark failed or success while deferred: the job is gone within seconds."""
    airflow.wait_for(dag_id, "deferred", seconds=300)
    (job,) = run_dirs(airflow, dag_id)
    airflow.mark(dag_id, state)
    assert ends(job, 60), airflow.log(dag_id)


def test_clearing_a_deferred_task_ends_its_job_and_starts_another(airflow: Airflow) -> None:
    """Row 13: clear while deferred: the waiting job ends, and the task runs from the start with a job of its own."""
    airflow.wait_for("cleared_waiting", "deferred", seconds=300)
    (first,) = run_dirs(airflow, "cleared_waiting")
    airflow.clear("cleared_waiting")
    assert ends(first, 120), airflow.log("cleared_waiting")
    airflow.wait_for("cleared_waiting", "success", seconds=300)
    jobs = run_dirs(airflow, "cleared_waiting")
    states = [json.loads((job["dir"] / "state.json").read_text()) for job in jobs]
    assert [state["exit"]["is_cancelled"] for state in states] == [True, False]


def test_a_cleared_task_runs_again(airflow: Airflow) -> None:
    """Row 15: clearing a task that succeeded starts a second job, with its own record."""
    airflow.wait_for("cleared", "success", seconds=300)
    airflow.finish("cleared")
    airflow.clear("cleared")
    airflow.wait_for("cleared", "scheduled", "queued", "running", "deferred", seconds=120)
    airflow.wait_for("cleared", "success", seconds=300)
    assert len(run_dirs(airflow, "cleared")) == 2
    first, second = sorted(records(airflow, "cleared"), key=lambda record: record["times"]["submitted"])
    assert (first["attempt"]["try_number"], second["attempt"]["try_number"]) == (1, 2)


def test_a_job_that_ends_while_no_triggerer_lives_is_noticed(airflow: Airflow) -> None:
    """Row 3: the triggerer is killed mid-run and the job ends meanwhile: seen after the restart, nothing cancelled."""
    airflow.trigger("unwatched")
    airflow.wait_for("unwatched", "deferred", seconds=300)
    airflow.stop_one("triggerer", signal.SIGKILL)
    (job,) = run_dirs(airflow, "unwatched")
    assert ends(job, 120)
    airflow.start_one("triggerer")
    airflow.wait_for("unwatched", "success", seconds=300)
    (record,) = records(airflow, "unwatched")
    assert (record["job"]["state"], record["attempt"]["try_number"]) == ("SUCCEEDED", 1)


def test_a_triggerer_that_is_stopped_cancels_nothing(airflow: Airflow) -> None:
    """A deployment ends the triggerer with SIGTERM, which cancels every trigger: the jobs go on, and are waited for."""
    dag_ids = ("redeployed", "redeployed_mapped")
    for dag_id in dag_ids:
        airflow.trigger(dag_id)
    for dag_id in dag_ids:
        airflow.wait_for(dag_id, "deferred", seconds=300)
    airflow.stop_one("triggerer")
    for dag_id in dag_ids:
        (job,) = run_dirs(airflow, dag_id)
        assert not ended(job) or job["state"]["exit"]["code"] == 0, dag_id
    airflow.start_one("triggerer")
    for dag_id in dag_ids:
        airflow.wait_for(dag_id, "success", seconds=300)
        (record,) = records(airflow, dag_id)
        assert (record["job"]["state"], record["attempt"]["try_number"]) == ("SUCCEEDED", 1)


def test_a_run_without_a_logical_date_leaves_its_record(airflow: Airflow) -> None:
    """A run that was triggered on Airflow 3 may have no date; nothing of ours needs one."""
    airflow.trigger("dateless")
    airflow.wait_for("dateless", "success", seconds=300)
    if airflow.is_airflow_3:
        assert airflow.rows("select logical_date from dag_run where dag_id = 'dateless'") == [{"logical_date": None}]
    (record,) = records(airflow, "dateless")
    assert record["job"]["state"] == "SUCCEEDED"


def test_openlineage_hears_what_a_task_wrote_and_cost(airflow: Airflow) -> None:
    """The event of the finished task has its DAG run as parent, the dataset with its rows, and our cost facet."""
    pytest.importorskip("airflow.providers.openlineage", reason="the extra `openlineage` is not installed")
    airflow.wait_for("cleared", "success", seconds=300)
    (event, *_) = within(60, lambda: completed(airflow, "cleared.job"))
    parent = event["run"]["facets"]["parent"]
    assert (parent["job"]["name"], parent["run"]["runId"] != event["run"]["runId"]) == ("cleared", True)
    (written,) = event["outputs"]
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 10
    cost = event["run"]["facets"]["doeks_costRun"]
    assert cost["record_id"] in {record["record_id"] for record in records(airflow, "cleared")}
    assert float(cost["cost"]["usd_total"]) > 0


def completed(airflow: Airflow, job: str) -> list[dict[str, Any]]:
    """OpenLineage's COMPLETE events of a task."""
    file = airflow.home / "openlineage.jsonl"
    events = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [event for event in events if event["eventType"] == "COMPLETE" and event["job"]["name"] == job]
