"""Tasks of a stream that are cleared, marked, killed, deleted or run twice: real Airflow, real Flink on Kubernetes.

Whatever happens to the task, there is one stream, the same one; nobody but `flink: {stop: ...}` ends it, and it has
counted each number once.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_doeks.lifecycle import Budgets, submit, wait
from airflow_doeks.model.engine import FLINK
from airflow_doeks.model.flink import FlinkJob
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.status import JobState
from tests.airflow.processes.running import NO_RETRY_AFTER_SIGKILL, Airflow, running_airflow
from tests.kube import test_flink
from tests.kube.conftest import instance_of, kubectl
from tests.kube.test_flink import DEPLOYMENTS, NAMESPACE, SECONDS, Lab, things, until

pytestmark = [pytest.mark.airflow, pytest.mark.slow]
lab = test_flink.lab
DAGS = Path(__file__).with_name("dags")
ENDED = ("success", "failed")


@dataclass(frozen=True)
class Place:
    """A whole Airflow whose streams run on the cluster."""

    lab: Lab
    airflow: Airflow
    instance: str

    def start(self, dag_id: str) -> None:
        """Trigger the DAG; its task waits for the stream to run well."""
        self.airflow.trigger(dag_id)
        self.wait_for(dag_id, "deferred")

    def wait_for(self, dag_id: str, *states: str) -> dict[str, Any]:
        """The newest task of the DAG once it is in one of these states."""
        return self.airflow.wait_for(dag_id, *states, seconds=SECONDS)

    def stream(self, dag_id: str) -> tuple[str, int, str]:
        """The only resource of the DAG, uid and generation, and the Flink job that it runs."""
        (found,) = things(DEPLOYMENTS, self.selector(dag_id))
        metadata, job = found["metadata"], found["status"]["jobStatus"]
        assert job["state"] == "RUNNING"
        return metadata["uid"], metadata["generation"], job["jobId"]

    def selector(self, dag_id: str) -> str:
        return f"airflow-doeks/instance={self.instance},airflow-doeks/dag={dag_id}"

    def goes_on(self, dag_id: str) -> None:
        """It counts."""
        last = max(self.lab.numbers(f"out/{dag_id}")[0], default=0)
        until(lambda: max(self.lab.numbers(f"out/{dag_id}")[0], default=0) > last, 90, "another number")

    def stop(self, dag_id: str) -> None:
        """As a task of the DAG does that stops the stream."""
        platform, now = self.lab.platform(), datetime.now(timezone.utc)
        identity = JobIdentity(self.instance, dag_id, "last", "stop", -1, 1, now, "last")
        submission = submit(platform, FlinkJob(stop="job"), identity, engine=FLINK)
        status, _ = wait(platform, submission, Budgets(), poll_seconds=1)
        assert status.state is JobState.SUCCEEDED, status


@pytest.fixture(scope="module")
def place(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One Airflow for all stories of this file."""
    home, dags = tmp_path_factory.mktemp("airflow_home"), tmp_path_factory.mktemp("dags")
    shutil.copytree(DAGS, dags, dirs_exist_ok=True)
    shutil.copy(lab.folder / "counting.jar", dags)
    platform = lab.platform(connection="kube_lab", code=(lab.folder / "code").as_uri()).config.model_dump(
        mode="json", exclude_unset=True
    )
    (dags / "doeks.yaml").write_text(yaml.safe_dump({"platforms": {"lab": platform}}))
    job = lab.job("out", jar="counting.jar", mode="streaming", stable_for="40s").model_dump(
        mode="json", by_alias=True, exclude_unset=True
    )
    extra, instance = {"kube_config_path": os.environ["KUBECONFIG"]}, instance_of(home)
    environment = {
        "STREAMS_JOB": json.dumps(job),
        "STREAMS_OUT": (lab.folder / "out").as_uri(),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "AIRFLOW_CONN_KUBE_LAB": json.dumps({"conn_type": "kubernetes", "extra": extra}),
        "AIRFLOW__DOEKS__INSTANCE": instance,
    }
    with running_airflow(home, dags, environment) as airflow:
        try:
            yield Place(lab, airflow, instance)
        finally:
            selector = f"airflow-doeks/instance={instance}"
            kubectl("-n", NAMESPACE, "delete", DEPLOYMENTS, "-l", selector, "--wait=false")
            until(lambda: not things("pods", selector), 120)


def test_whatever_happens_to_its_task_a_stream_runs_on(place: Place) -> None:
    """Two runs at once, a clear, a mark and a deleted run: one resource, the same Flink job, never sent again."""
    place.start("interrupted")
    place.airflow.trigger("interrupted")  # while the first still waits
    place.wait_for("interrupted", *ENDED)
    first = place.stream("interrupted")
    ends = place.airflow.rows("select state from task_instance where dag_id = 'interrupted'")
    assert {row["state"] for row in ends} == {"success"}, place.airflow.log("interrupted")

    place.start("interrupted")
    place.airflow.clear("interrupted")
    task = place.wait_for("interrupted", *ENDED)
    assert (task["state"], place.stream("interrupted")) == ("success", first), place.airflow.log("interrupted")

    for state in ("failed", "success"):
        place.start("interrupted")
        place.airflow.mark("interrupted", state)
        place.goes_on("interrupted")
        assert place.airflow.task("interrupted")["state"] == state
        assert place.stream("interrupted") == first

    place.start("interrupted")
    place.airflow.delete_run("interrupted")
    place.goes_on("interrupted")
    assert place.stream("interrupted") == first


@NO_RETRY_AFTER_SIGKILL
def test_a_retry_finds_the_stream_of_a_killed_worker(place: Place) -> None:
    """SIGKILL after the stream was sent: the next try waits for that one."""
    place.airflow.trigger("killed")
    until(lambda: things(DEPLOYMENTS, place.selector("killed")), SECONDS, "the stream")
    (sent,) = things(DEPLOYMENTS, place.selector("killed"))
    task = place.wait_for("killed", *ENDED)
    assert (task["state"], task["try_number"]) == ("success", 2), place.airflow.log("killed")
    uid, generation, _ = place.stream("killed")
    assert (uid, generation) == (sent["metadata"]["uid"], sent["metadata"]["generation"])


def test_each_number_was_counted_once(place: Place) -> None:
    """After all of that, and a stop with a savepoint."""
    for dag_id in ("interrupted", "killed"):
        if not things(DEPLOYMENTS, place.selector(dag_id)):
            continue  # its story was not told
        place.goes_on(dag_id)
        place.stop(dag_id)
        counted, _ = place.lab.numbers(f"out/{dag_id}")
        assert counted == Counter(range(1, max(counted) + 1)), dag_id
