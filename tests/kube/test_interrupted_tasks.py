"""Rows 1, 3 and 13 with real Airflow processes on a real Kubernetes: one job, no orphan, one record."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.processes.running import NO_RETRY_AFTER_SIGKILL, Airflow, running_airflow, within
from tests.kube.conftest import ROOT, entry, instance_of, listed, mounts

pytestmark = [pytest.mark.airflow, pytest.mark.slow]
DAGS = ROOT / "tests" / "airflow" / "processes" / "dags"
RESOURCE = "sparkapplications.sparkoperator.k8s.io"
SECONDS = 900  # a job on a small lab takes minutes


@dataclass
class Place:
    """A whole Airflow whose jobs run on the cluster."""

    airflow: Airflow
    instance: str

    def resources(self, dag_id: str) -> list[dict[str, Any]]:
        """The SparkApplications of a DAG."""
        return listed(RESOURCE, f"airflow-doeks/instance={self.instance},airflow-doeks/dag={dag_id}")

    def pods(self, dag_id: str) -> list[dict[str, Any]]:
        """Its pods that have not ended."""
        found = listed("pods", f"airflow-doeks/instance={self.instance},airflow-doeks/dag={dag_id}")
        return [pod for pod in found if pod["status"]["phase"] not in ("Succeeded", "Failed")]

    def records(self, dag_id: str) -> list[dict[str, Any]]:
        """The ledger's records of a DAG."""
        found = [
            json.loads(file.read_text())
            for file in (self.airflow.home / "doeks" / "ledger" / "v1").glob("submitted=*/*.json")
        ]
        return [record for record in found if record["attempt"]["dag_id"] == dag_id]


@pytest.fixture(scope="module")
def place(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One Airflow for all stories of this file; they run side by side."""
    home = tmp_path_factory.mktemp("airflow_home")
    dags = tmp_path_factory.mktemp("dags")
    shutil.copytree(DAGS, dags, dirs_exist_ok=True)
    extra = {"kube_config_path": os.environ["KUBECONFIG"]}
    instance = instance_of(home)
    environment = {
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "BAD_DAYS_BY_HAND": "1",
        "BAD_DAYS_PLATFORM": json.dumps(entry(shared_folder, name="lab")),
        "BAD_DAYS_CONF": json.dumps(mounts(shared_folder)),
        "AIRFLOW_CONN_KUBE_LAB": json.dumps({"conn_type": "kubernetes", "extra": extra}),
        "AIRFLOW__DOEKS__INSTANCE": instance,
    }
    with running_airflow(home, dags, environment) as airflow:
        for dag_id in ("adopt", "marked"):
            airflow.trigger(dag_id)
        yield Place(airflow, instance)


def test_row_13_marking_a_deferred_task_removes_its_resource(place: Place) -> None:
    """Mark failed while deferred: resource and pods are gone, and nothing starts again."""
    place.airflow.wait_for("marked", "deferred", seconds=SECONDS)
    assert within(SECONDS, lambda: place.pods("marked"))
    place.airflow.mark("marked", "failed")
    assert within(SECONDS, lambda: not place.resources("marked"))
    assert within(120, lambda: not place.pods("marked"))


@NO_RETRY_AFTER_SIGKILL
def test_row_1_a_retry_adopts_the_job_of_a_killed_worker(place: Place) -> None:
    """SIGKILL after the resource was made: one SparkApplication, one record, of try 1, settled by try 2."""
    task = place.airflow.wait_for("adopt", "success", "failed", seconds=SECONDS)
    assert (task["state"], task["try_number"]) == ("success", 2), place.airflow.log("adopt")
    (resource,) = place.resources("adopt")
    assert resource["status"]["applicationState"]["state"] == "COMPLETED"
    (record,) = place.records("adopt")
    assert (record["attempt"]["try_number"], record["settled_by_try"]) == (1, 2)


def test_row_3_a_job_that_ends_while_no_triggerer_lives_is_noticed(place: Place) -> None:
    """The triggerer is killed mid-run and the job ends meanwhile: seen after the restart, nothing cancelled."""
    place.airflow.trigger("unwatched")
    place.airflow.wait_for("unwatched", "deferred", seconds=SECONDS)
    assert within(SECONDS, lambda: place.pods("unwatched"))
    place.airflow.stop_one("triggerer", signal.SIGKILL)

    def states() -> list[str]:
        found = [(item.get("status") or {}).get("applicationState") or {} for item in place.resources("unwatched")]
        return [state.get("state", "") for state in found]

    assert within(SECONDS, lambda: states() == ["COMPLETED"])
    place.airflow.start_one("triggerer")
    place.airflow.wait_for("unwatched", "success", seconds=SECONDS)
    (record,) = place.records("unwatched")
    assert (record["job"]["state"], record["attempt"]["try_number"]) == ("SUCCEEDED", 1)
