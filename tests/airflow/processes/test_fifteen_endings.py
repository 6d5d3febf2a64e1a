"""Whatever becomes of a task, its job has exactly one record after at most one `doeks reconcile`; real processes.

The service is the fake EMR on real time, which plays failures that Spark here could not; `doeks run` that is
interrupted, the fifteenth ending, is a story of tests/e2e.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.ledger import Ledger
from airflow_doeks.report import GROUPINGS, report
from tests.airflow.processes.postgresql import postgresql
from tests.airflow.processes.running import Airflow, running_airflow, within
from tests.airflow.processes.test_interrupted_tasks import DAGS
from tests.airflow.processes.test_lost_worker import SOON
from tests.fakes.aws_http import FakeAws, serving
from tests.fakes.emr_containers import INVALID, Dropped, FakeEmr, Job, ServiceError, Step
from tests.fakes.s3 import FakeS3
from tests.platforms.harness_emr_on_eks import CLUSTER, ENTRY

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

# DAG -> how its jobs end at the service, and state and failure category of each record; a record without a job is last.
ENDINGS: dict[str, tuple[list[str], list[tuple[str, str | None]]]] = {
    "dateless": (["COMPLETED"], [("SUCCEEDED", None)]),
    "user_failure": (["FAILED"], [("FAILED", "user_code")]),
    "driver_oom": (["FAILED"], [("FAILED", "oom_driver")]),
    "executors_lost": (["FAILED"], [("FAILED", "spot_loss")]),
    "over_run_timeout": (["CANCELLED"], [("CANCELLED", "timeout")]),
    "marked": (["CANCELLED"], [("CANCELLED", "cancelled")]),
    "cleared_waiting": (["CANCELLED", "COMPLETED"], [("CANCELLED", "cancelled"), ("SUCCEEDED", None)]),
    "deleted": (["CANCELLED"], [("CANCELLED", "cancelled")]),
    "overdue": (["CANCELLED"], [("CANCELLED", "timeout")]),
    "lost_once": (["COMPLETED"], [("SUCCEEDED", None)]),
    "lost": (["CANCELLED"], [("CANCELLED", "cancelled")]),
    "unwatched": (["COMPLETED"], [("SUCCEEDED", None)]),
    "refused": ([], [("FAILED", "platform")]),
    "unanswered": (["CANCELLED"], [("CANCELLED", "cancelled")]),
}
FINAL = ("success", "failed")
TRACEBACK = "Traceback (most recent call last):\n  File 'j.py', line 1\nZeroDivisionError: division by zero\n"
PLAYED = {  # by the job's argument
    "user_failure": ("exit code 1", "USER_ERROR"),
    "driver_oom": ("Driver OOMKilled", "USER_ERROR"),
    "executors_lost": ("node ip-10-0-0-1 was terminated", "USER_ERROR"),
}


def _argument(request: dict[str, Any]) -> str:
    return str(request["jobDriver"]["sparkSubmitJobDriver"]["entryPointArguments"][0])


def script(request: dict[str, Any]) -> tuple[Step, ...]:
    """A job that fails as its argument says, or takes as many seconds."""
    argument = _argument(request)
    if argument in PLAYED:
        return (Step(0, "PENDING"), Step(10, "RUNNING"), Step(15, "FAILED", *PLAYED[argument]))
    seconds = 600.0 if argument == "unanswered" else float(argument)
    return (Step(0, "PENDING"), Step(10, "RUNNING"), Step(20 + seconds, "COMPLETED"))


class PlayingEmr(FakeEmr):
    """Refuses one job, answers nobody who starts another, and writes the log of a third."""

    logs: Path

    def _start_job_run(self, request: dict[str, Any]) -> dict[str, Any]:
        argument = _argument(request)
        if argument == "refused":
            raise ServiceError(INVALID, "the release label is not supported")
        answer = super()._start_job_run(request)
        if argument == "unanswered":
            raise Dropped
        if argument == "user_failure":
            log = self.logs / f"{CLUSTER}/jobs/{answer['id']}/containers/spark-1/spark-000-driver/stdout.gz"
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_bytes(gzip.compress(TRACEBACK.encode()))
        return answer


@dataclass
class Place:
    """A whole Airflow, the service that its tasks talk to, and the project that reconcile is given."""

    airflow: Airflow
    emr: FakeEmr
    project: Path

    @property
    def ledger(self) -> Ledger:
        """What all its tasks wrote."""
        return Ledger(LocalStore(self.airflow.home / "doeks" / "ledger"))

    def jobs(self, dag_id: str) -> list[Job]:
        """Every job run of a DAG, oldest first."""
        return [job for job in self.emr.jobs.values() if job.request["tags"]["airflow-doeks/dag"] == dag_id]

    def reconcile(self) -> dict[str, Any]:
        """One pass, by each of the three ways to ask: a task of this Airflow, its database, its REST API."""
        airflow = self.airflow
        if not airflow.database:
            return self._reconcile_in_a_task()
        settings, arguments = {}, ["reconcile", str(self.project), "--orphans-after", "0s", "--json"]
        if airflow.is_airflow_3:
            arguments += ["--airflow-url", f"http://127.0.0.1:{airflow.port}"]
            settings["DOEKS_AIRFLOW_TOKEN"] = airflow.token()
        done = airflow.doeks(*arguments, **settings)
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _reconcile_in_a_task(self) -> dict[str, Any]:
        done = "select run_id from task_instance where dag_id = 'reconcile_all' and state in ('success', 'failed')"
        before = len(self.airflow.rows(done))
        self.airflow.trigger("reconcile_all")
        assert within(200, lambda: len(self.airflow.rows(done)) > before), self.airflow.log("reconcile_all")
        assert self.airflow.task("reconcile_all")["state"] == "success", self.airflow.log("reconcile_all")
        found: dict[str, Any] = self.airflow.xcom("reconcile_all", "return_value")
        return found


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One Airflow on each database, all its endings lived through."""
    home, project = tmp_path_factory.mktemp("airflow_home"), tmp_path_factory.mktemp("project")
    s3 = tmp_path_factory.mktemp("s3")
    emr = PlayingEmr(script=script, clock=lambda: datetime.now(timezone.utc), cancel_seconds=2)
    emr.logs = s3 / "acme-logs" / "emr"
    with serving(FakeAws(emr, FakeS3(s3))) as aws:
        extra = {"region_name": "us-east-1", "endpoint_url": aws.url}
        connection = json.dumps({"conn_type": "aws", "login": "fake", "password": "not-a-secret", "extra": extra})
        entry = ENTRY | {"connection": "aws_fake", "list_seconds": 2}
        (project / "doeks.yaml").write_text(json.dumps({"platforms": {"lake": entry}}))
        settings = {
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "BAD_DAYS_PLATFORM": json.dumps(entry | {"name": "lake"}),
            "BAD_DAYS_BY_HAND": "yes",
            "AIRFLOW_CONN_AWS_FAKE": connection,
            "AIRFLOW_CONN_AWS_DEFAULT": connection,
            "AIRFLOW__CORE__PARALLELISM": "3",
        }
        if request.param == "sqlite":
            with running_airflow(home, DAGS, SOON | settings) as airflow:
                yield _lived_through(Place(airflow, emr, project))
        else:
            with postgresql() as url, running_airflow(home, DAGS, SOON | settings, database=url) as airflow:
                yield _lived_through(Place(airflow, emr, project))


def _lived_through(place: Place) -> Place:
    airflow = place.airflow
    for dag_id in ENDINGS:
        airflow.trigger(dag_id)
    for dag_id, act in (("marked", lambda dag_id: airflow.mark(dag_id, "failed")), ("cleared_waiting", airflow.clear)):
        airflow.wait_for(dag_id, "deferred", seconds=300)
        act(dag_id)
    airflow.wait_for("over_run_timeout", *FINAL, seconds=300)  # who cancelled it must live to tell why
    airflow.wait_for("unwatched", "deferred", *FINAL, seconds=300)
    airflow.stop_one("triggerer", signal.SIGKILL)
    assert within(120, lambda: [place.emr.step(job).state for job in place.jobs("unwatched")] == ["COMPLETED"])
    airflow.start_one("triggerer")
    for dag_id in ENDINGS:
        airflow.wait_for(dag_id, "deferred" if dag_id == "deleted" else "success", *FINAL, seconds=400)
    airflow.stop_one("scheduler")  # the last act: a scheduler of 3.3 may die of a run that is deleted under it
    airflow.delete_run("deleted")
    airflow.start_one("scheduler")
    return place


def test_every_ending_leaves_exactly_one_record_per_job(place: Place) -> None:
    """Jobs at the service are records with a ref; nothing is recorded twice, and each says how it ended."""
    place.reconcile()
    found: dict[str, list[Any]] = {dag_id: [] for dag_id in ENDINGS}
    for record in place.ledger.records():
        found[record.attempt.dag_id].append(record)
    for dag_id, (states, told) in ENDINGS.items():
        records = sorted(found[dag_id], key=lambda record: (record.job.ref is None, record.times.submitted))
        assert [place.emr.step(job).state for job in place.jobs(dag_id)] == states, dag_id
        refs = [record.job.ref.rpartition("/")[2] for record in records if record.job.ref]
        assert refs == [job.id for job in place.jobs(dag_id)], dag_id
        ends = [(record.job.state.value, record.failure and record.failure.category) for record in records]
        assert ends == told, (dag_id, records)
        assert all(record.settled_by_try for record in records), dag_id


def test_the_sums_are_equal(place: Place) -> None:
    """Of the records, and of every grouping of the report."""
    records = list(place.ledger.records())
    total = sum((record.cost.usd_total or Decimal(0) for record in records), Decimal(0))
    assert total > 0
    for by in GROUPINGS:
        lines = report(records, by)
        assert lines.total.jobs == len(records) if by != "dataset" else True
        assert abs(lines.total.usd - total) < Decimal("1e-9"), by


def test_another_pass_changes_nothing(place: Place) -> None:
    """No object of the ledger is written anew, no job is touched."""
    folder = place.airflow.home / "doeks" / "ledger"
    before = {file: file.read_bytes() for file in folder.rglob("*.json*")}
    calls = Counter(place.emr.calls)
    tally = place.reconcile()
    assert (tally["settle"], tally["cancel"], tally["trouble"]) == (0, 0, 0)
    assert {file: file.read_bytes() for file in folder.rglob("*.json*")} == before
    assert place.emr.calls["CancelJobRun"] == calls["CancelJobRun"]


def test_no_log_tells_of_an_xcom_that_nobody_wrote(place: Place) -> None:
    """No error of Airflow stands beside the cause in a task log, though a task looks for what may not be there."""
    logs = list(place.airflow.home.glob("logs/dag_id=*/**/*.log"))
    assert len(logs) > len(ENDINGS)
    assert [str(file) for file in logs if "XCom not found" in file.read_text(errors="replace")] == []
