"""Workers and triggerers that are killed, tasks that are marked, cleared and overdue: real Airflow, real Kubernetes.

In each story: one job, no orphan, one record; the DAGs name their platform, as a hand-written DAG does. On another
Airflow: `make test-all ARGS="2.11 --tests tests/kube/test_interrupted_tasks.py"`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.airflow.processes.running import NO_RETRY_AFTER_SIGKILL, Airflow, running_airflow, within
from tests.airflow.processes.test_lost_worker import SOON
from tests.kube.conftest import DONE, NAMESPACE, OPERATORS, ROOT, entry, instance_of, kubectl, listed, mounts, said_of

pytestmark = [pytest.mark.airflow, pytest.mark.slow]
DAGS = ROOT / "tests" / "airflow" / "processes" / "dags"
SECONDS = 900  # a job on a small lab takes minutes
# DAG -> how each of its jobs ends in the ledger, and the category of its failure, in the order of submission.
ENDINGS: dict[str, list[tuple[str, str | None]]] = {
    "adopt": [("SUCCEEDED", None)],
    "lost": [("CANCELLED", "cancelled")],
    "marked": [("CANCELLED", "cancelled")],
    "marked_success": [("CANCELLED", "cancelled")],
    "cleared_waiting": [("CANCELLED", "cancelled"), ("SUCCEEDED", None)],
    "overdue": [("CANCELLED", "timeout")],
    "unwatched": [("SUCCEEDED", None)],
}
# What runs side by side, wave after wave: more spark-submits at once than this and a small lab's time out.
WAVES = (("adopt", "overdue", "lost"), ("marked", "marked_success", "cleared_waiting"), ("unwatched",))


@dataclass
class Place:
    """A whole Airflow whose jobs run on the cluster."""

    airflow: Airflow
    instance: str
    project: Path
    kind: str
    started: set[str] = field(default_factory=set)

    def start(self, dag_id: str) -> None:
        """Trigger a DAG and those of its wave, once."""
        for one in next(wave for wave in WAVES if dag_id in wave):
            if one not in self.started:
                self.started.add(one)
                self.airflow.trigger(one)

    def wait_for(self, dag_id: str, *states: str) -> dict[str, Any]:
        """The task of a DAG, started if it was not, once it is in one of these states."""
        self.start(dag_id)
        return self.airflow.wait_for(dag_id, *states, seconds=SECONDS)

    def resources(self, dag_id: str = "") -> list[dict[str, Any]]:
        """The SparkApplications of a DAG, or of all."""
        return listed(self.kind, self._selector(dag_id))

    def pods(self, dag_id: str = "") -> list[dict[str, Any]]:
        """Their pods that have not ended."""
        found = listed("pods", self._selector(dag_id))
        return [pod for pod in found if pod["status"]["phase"] not in ("Succeeded", "Failed")]

    def is_followed(self, dag_id: str) -> bool:
        """True once the triggerer has its trigger: one that it has not is dropped without a word to us."""
        return bool(self.pods(dag_id)) and any(self.airflow.home.glob(f"logs/dag_id={dag_id}/*/*/*.trigger.*.log"))

    def states(self, dag_id: str = "") -> list[str]:
        """The operator's word for each resource, empty before it has one."""
        return [said_of(item) for item in self.resources(dag_id)]

    def _selector(self, dag_id: str) -> str:
        mine = f"airflow-doeks/instance={self.instance}"
        return f"{mine},airflow-doeks/dag={dag_id}" if dag_id else mine

    def records(self, dag_id: str) -> list[dict[str, Any]]:
        """The ledger's records of a DAG, oldest submission first."""
        found = [
            json.loads(file.read_text())
            for file in (self.airflow.home / "doeks" / "ledger" / "v1").glob("submitted=*/*.json")
        ]
        mine = [record for record in found if record["attempt"]["dag_id"] == dag_id]
        return sorted(mine, key=lambda record: str(record["times"]["submitted"]))

    def reconcile(self) -> dict[str, Any]:
        """One pass of `doeks reconcile`; who is told to ask the REST API on Airflow 3, the database on Airflow 2."""
        settings, arguments = {}, ["reconcile", str(self.project), "--orphans-after", "0s", "--json"]
        if self.airflow.is_airflow_3:
            arguments += ["--airflow-url", f"http://127.0.0.1:{self.airflow.port}"]
            settings["DOEKS_AIRFLOW_TOKEN"] = self.airflow.token()
        done = self.airflow.doeks(*arguments, **settings)
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def place(operator: str, shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One Airflow for all stories of this file; they run side by side."""
    home = tmp_path_factory.mktemp("airflow_home")
    dags = tmp_path_factory.mktemp("dags")
    shutil.copytree(DAGS, dags, dirs_exist_ok=True)
    (dags / "doeks.yaml").write_text(yaml.safe_dump({"platforms": {"lab": entry(shared_folder, type=operator)}}))
    extra = {"kube_config_path": os.environ["KUBECONFIG"]}
    instance = instance_of(home)
    environment = SOON | {
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "BAD_DAYS_BY_HAND": "1",
        "BAD_DAYS_PLATFORM": '"lab"',
        "BAD_DAYS_CONF": json.dumps(mounts(shared_folder)),
        "AIRFLOW_CONN_KUBE_LAB": json.dumps({"conn_type": "kubernetes", "extra": extra}),
        "AIRFLOW__DOEKS__INSTANCE": instance,
    }
    with running_airflow(home, dags, environment) as airflow:
        try:
            yield Place(airflow, instance, dags, OPERATORS[operator])
        finally:  # of a story whose test was not run
            kubectl("-n", NAMESPACE, "delete", OPERATORS[operator], "-l", f"airflow-doeks/instance={instance}")


def test_row_14_execution_timeout_removes_the_resource(place: Place) -> None:
    """At execution_timeout the job ends: resource and pods are gone, the task fails, the record says why."""
    place.wait_for("overdue", "failed")
    assert within(120, lambda: not place.resources("overdue") and not place.pods("overdue"))
    (record,) = place.records("overdue")
    assert (record["job"]["state"], record["failure"]["category"]) == ("CANCELLED", "timeout")
    assert "execution_timeout" in record["failure"]["message"]


def test_the_job_of_a_lost_worker_is_no_orphan(place: Place) -> None:
    """Task and supervisor are SIGKILLed right after submit, without a try left: the resource goes, with one record."""
    place.wait_for("lost", "failed")
    assert within(SECONDS, lambda: not place.resources("lost") and not place.pods("lost"))
    assert within(120, lambda: [record["job"]["state"] for record in place.records("lost")] == ["CANCELLED"])


@NO_RETRY_AFTER_SIGKILL
def test_row_1_a_retry_adopts_the_job_of_a_killed_worker(place: Place) -> None:
    """SIGKILL after the resource was made: one SparkApplication, one record, of try 1, settled by try 2."""
    task = place.wait_for("adopt", "success", "failed")
    assert (task["state"], task["try_number"]) == ("success", 2), place.airflow.log("adopt")
    (resource,) = place.resources("adopt")
    assert said_of(resource) in DONE
    (record,) = place.records("adopt")
    assert (record["attempt"]["try_number"], record["settled_by_try"]) == (1, 2)


@pytest.mark.parametrize(("dag_id", "state"), [("marked", "failed"), ("marked_success", "success")])
def test_row_13_marking_a_deferred_task_removes_its_resource(place: Place, dag_id: str, state: str) -> None:
    """Mark failed or success while deferred: resource and pods are gone, and nothing starts again."""
    place.wait_for(dag_id, "deferred")
    assert within(SECONDS, lambda: place.is_followed(dag_id))
    place.airflow.mark(dag_id, state)
    assert within(SECONDS, lambda: not place.resources(dag_id))
    assert within(120, lambda: not place.pods(dag_id))
    assert place.airflow.task(dag_id)["state"] == state


def test_row_13_clearing_a_deferred_task_removes_its_resource(place: Place) -> None:
    """Clear while deferred: the waiting job goes before another starts, which ends as the task does."""
    place.wait_for("cleared_waiting", "deferred")
    assert within(SECONDS, lambda: place.is_followed("cleared_waiting"))
    (first,) = place.resources("cleared_waiting")
    place.airflow.clear("cleared_waiting")
    assert within(SECONDS, lambda: first["metadata"]["uid"] not in _uids(place.resources("cleared_waiting")))
    task = place.wait_for("cleared_waiting", "success", "failed")
    assert task["state"] == "success", place.airflow.log("cleared_waiting")
    assert [state in DONE for state in place.states("cleared_waiting")] == [True]


def _uids(resources: list[dict[str, Any]]) -> set[str]:
    return {item["metadata"]["uid"] for item in resources}


def test_row_3_a_job_that_ends_while_no_triggerer_lives_is_noticed(place: Place) -> None:
    """The triggerer is killed mid-run and the job ends meanwhile: seen after the restart, nothing cancelled."""
    place.wait_for("unwatched", "deferred")
    assert within(SECONDS, lambda: place.pods("unwatched"))
    place.airflow.stop_one("triggerer", signal.SIGKILL)

    assert within(SECONDS, lambda: [state in DONE for state in place.states("unwatched")] == [True])
    place.airflow.start_one("triggerer")
    place.wait_for("unwatched", "success")
    (record,) = place.records("unwatched")
    assert (record["job"]["state"], record["attempt"]["try_number"]) == ("SUCCEEDED", 1)


def test_every_job_has_one_record_and_nothing_is_left(place: Place) -> None:
    """After one pass of reconcile; of all stories the cluster holds what time-to-live keeps: ended resources."""
    place.reconcile()
    played = [dag_id for dag_id in ENDINGS if dag_id in place.started]
    for dag_id in played:
        records = place.records(dag_id)
        ends = [(record["job"]["state"], (record["failure"] or {}).get("category")) for record in records]
        assert ends == ENDINGS[dag_id], (dag_id, records)
        assert all(record["settled_by_try"] for record in records), dag_id
    assert (place.pods(), set(place.states()) - DONE) == ([], set())
    ended = [end for dag_id in played for end in ENDINGS[dag_id] if end[0] == "SUCCEEDED"]
    assert len(place.resources()) == len(ended)
