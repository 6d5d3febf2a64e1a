"""Rows 1, 3, 13, 14 and 15 on EMR on EKS with real Airflow processes; the service is the fake, on real time."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.processes.running import NO_RETRY_AFTER_SIGKILL, Airflow, running_airflow, within
from tests.fakes.aws_http import FakeAws, serving
from tests.fakes.emr_containers import FakeEmr, Job, Step
from tests.fakes.s3 import FakeS3
from tests.platforms.harness_emr_on_eks import CLUSTER, ENTRY

pytestmark = [pytest.mark.airflow, pytest.mark.slow]
DAGS = Path(__file__).parent / "dags"


@dataclass
class Place:
    """A whole Airflow and the service that its tasks talk to."""

    airflow: Airflow
    emr: FakeEmr

    def jobs(self, dag_id: str) -> list[Job]:
        """Every job run of a DAG, oldest first."""
        return [job for job in self.emr.jobs.values() if job.request["tags"]["airflow-doeks/dag"] == dag_id]

    def states(self, dag_id: str) -> list[str]:
        """Their states at the service."""
        return [self.emr.step(job).state for job in self.jobs(dag_id)]

    def records(self, dag_id: str) -> list[dict[str, Any]]:
        """The ledger's records of a DAG, oldest submission first."""
        found = [json.loads(file.read_text()) for file in (self.airflow.home / "doeks" / "ledger").rglob("*.json")]
        found = [record for record in found if record["attempt"]["dag_id"] == dag_id]
        return sorted(found, key=lambda record: record["times"]["submitted"])


def script(request: dict[str, Any]) -> tuple[Step, ...]:
    """A job that takes as many seconds as its argument says, and as long as EMR would to get going.

    A task that comes back before the scheduler has noticed that it deferred is failed by Airflow itself ("finished with
    state success, but the task instance's state attribute is queued"); no real job is that short.
    """
    seconds = float(request["jobDriver"]["sparkSubmitJobDriver"]["entryPointArguments"][0])
    return (Step(0, "PENDING"), Step(10, "RUNNING"), Step(20 + seconds, "COMPLETED"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One Airflow for all stories of this file; they run side by side."""
    home = tmp_path_factory.mktemp("airflow_home")
    emr = FakeEmr(script=script, clock=lambda: datetime.now(timezone.utc), cancel_seconds=2)
    with serving(FakeAws(emr, FakeS3(tmp_path_factory.mktemp("s3")))) as aws:
        extra = {"region_name": "us-east-1", "endpoint_url": aws.url}
        connection = json.dumps({"conn_type": "aws", "login": "fake", "password": "not-a-secret", "extra": extra})
        entry = ENTRY | {"name": "lake", "connection": "aws_fake", "list_seconds": 2}
        environment = {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "BAD_DAYS_PLATFORM": json.dumps(entry)}
        environment |= {"AIRFLOW_CONN_AWS_FAKE": connection, "AIRFLOW_CONN_AWS_DEFAULT": connection}
        with running_airflow(home, DAGS, environment) as running:
            yield Place(running, emr)


@NO_RETRY_AFTER_SIGKILL
def test_row_1_a_retry_adopts_the_job_run_of_a_killed_worker(place: Place) -> None:
    """SIGKILL after StartJobRun: one job run, one record, of try 1, settled by try 2."""
    task = place.airflow.wait_for("adopt", "success", "failed", seconds=400)
    assert (task["state"], task["try_number"]) == ("success", 2)
    assert place.states("adopt") == ["COMPLETED"]
    logs = [file.read_text() for file in place.airflow.home.glob("logs/dag_id=adopt/**/*.log*")]
    assert any("is SUCCEEDED" in text for text in logs)  # RUNNING only if the retry came before the end
    (record,) = place.records("adopt")
    assert (record["attempt"]["try_number"], record["settled_by_try"]) == (1, 2)


@NO_RETRY_AFTER_SIGKILL
def test_restart_cancels_the_job_run_of_a_killed_worker(place: Place) -> None:
    """`on_retry: restart`: the first job run is cancelled and has ended before the second starts."""
    task = place.airflow.wait_for("restart", "success", "failed", seconds=400)
    assert task["state"] == "success"
    assert place.states("restart") == ["CANCELLED", "COMPLETED"]
    first, second = place.jobs("restart")
    assert first.cancelled is not None
    assert second.created > first.cancelled


def test_row_14_execution_timeout_cancels_a_deferred_job_run(place: Place) -> None:
    """At execution_timeout the job run is cancelled, the task fails, and the record says why."""
    place.airflow.wait_for("overdue", "failed", seconds=400)
    assert place.states("overdue") == ["CANCELLED"]
    (record,) = place.records("overdue")
    assert record["failure"]["category"] == "timeout"
    assert float(record["cost"]["usd_total"]) > 0


def test_the_links_of_a_deferred_task_lead_to_its_job(place: Place) -> None:
    """While the job runs the UI has its console, log and Spark UI, and where its record will stand."""
    place.airflow.wait_for("overdue", "deferred", "failed", seconds=400)
    if not place.airflow.is_airflow_3:
        pytest.skip("Airflow 2 computes links in its web server, which is not started here")
    links = place.airflow.links("overdue")
    job_run = place.jobs("overdue")[0].id
    assert job_run in links["Driver log"]
    assert CLUSTER in links["Job console"]
    assert CLUSTER in links["Spark UI"]
    assert links["Cost and lineage"].startswith(("/doeks/task?dag_id=overdue&run_id=", "/dags/overdue/runs/"))


@pytest.mark.parametrize(("dag_id", "state"), [("marked", "failed"), ("marked_success", "success")])
def test_row_13_marking_a_deferred_task_cancels_its_job_run(place: Place, dag_id: str, state: str) -> None:
    """Mark failed or success while deferred: the job run ends."""
    place.airflow.wait_for(dag_id, "deferred", seconds=400)
    place.airflow.mark(dag_id, state)
    assert within(60, lambda: place.states(dag_id) == ["CANCELLED"])


def test_row_13_clearing_a_deferred_task_cancels_its_job_run(place: Place) -> None:
    """Clear while deferred: the job run ends, and the task has another one."""
    place.airflow.wait_for("cleared_waiting", "deferred", seconds=400)
    place.airflow.clear("cleared_waiting")
    assert within(120, lambda: place.states("cleared_waiting")[0] == "CANCELLED")
    place.airflow.wait_for("cleared_waiting", "success", seconds=400)
    assert place.states("cleared_waiting") == ["CANCELLED", "COMPLETED"]


def test_row_15_a_cleared_task_starts_a_second_job_run(place: Place) -> None:
    """Clearing a task that succeeded really runs it again, with a record of its own."""
    place.airflow.wait_for("cleared", "success", seconds=400)
    place.airflow.finish("cleared")
    place.airflow.clear("cleared")
    place.airflow.wait_for("cleared", "scheduled", "queued", "running", "deferred", seconds=120)
    place.airflow.wait_for("cleared", "success", seconds=400)
    assert place.states("cleared") == ["COMPLETED", "COMPLETED"]
    assert [record["attempt"]["try_number"] for record in place.records("cleared")] == [1, 2]


def test_row_3_a_job_run_that_ends_while_no_triggerer_lives_is_noticed(place: Place) -> None:
    """The triggerer is killed mid-run and the job ends meanwhile: seen after the restart, nothing cancelled."""
    place.airflow.trigger("unwatched")
    place.airflow.wait_for("unwatched", "deferred", seconds=400)
    place.airflow.stop_one("triggerer", signal.SIGKILL)
    assert within(60, lambda: place.states("unwatched") == ["COMPLETED"])
    place.airflow.start_one("triggerer")
    place.airflow.wait_for("unwatched", "success", seconds=400)
    (record,) = place.records("unwatched")
    assert (record["job"]["state"], record["attempt"]["try_number"]) == ("SUCCEEDED", 1)


def test_no_secret_of_the_connection_is_in_airflows_logs_or_database(place: Place) -> None:
    """The connection's password stands in no task log, rendered field, XCom, trigger or record."""
    for file in place.airflow.home.rglob("*"):
        if file.is_file() and file.suffix in (".log", ".json", ".db", ".out"):
            assert b"not-a-secret" not in file.read_bytes(), file
