"""The Apache Spark Kubernetes Operator played on a fake API server: jobs live as the test says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from airflow_doeks.model.status import JobRef
from tests.fakes.api_server import ApiServer, serving
from tests.fakes.cluster import APACHE, NODES, Cluster, Json, Resource, at
from tests.platforms.harness_kubeflow_spark import NAMESPACE, NODE, KubeflowHarness


class ApacheHarness(KubeflowHarness):
    """A namespace with an operator that does what the test says."""

    type: ClassVar[str] = "apache_spark"
    kind: ClassVar[Resource] = APACHE
    job_label: ClassVar[str] = "spark.operator/spark-app-name"

    def until_running(self, ref: JobRef) -> None:
        """The operator asks for its driver, which runs."""
        self.move(ref, "Submitted")
        self.move(ref, "DriverRequested")
        self.start_driver(ref)
        self.move(ref, "RunningHealthy")

    def succeed(self, ref: JobRef) -> None:
        """Succeeded, then its pods are gone."""
        self.end_driver(ref, 0, "Completed")
        self.move(ref, "Succeeded")
        self.move(ref, "ResourceReleased")

    def fail(self, ref: JobRef, log: str) -> None:
        """Failed, with what its driver printed; a failed job's pods are kept."""
        self.server.logs[f"{ref.path[1]}-driver"] = log
        self.end_driver(ref, 1, "Error")
        self.move(ref, "Failed", "Driver exited with 1")
        self.move(ref, "TerminatedWithoutReleaseResources")

    def move(self, ref: JobRef, word: str, error: str = "", *, driver: Json | None = None) -> None:
        """What the operator writes: the present state, and a history of all."""
        resource = self.cluster.get(APACHE, NAMESPACE, ref.path[1])
        history = at(resource, ("status", "stateTransitionHistory")) or {}
        state: Json = {"currentStateSummary": word, "lastTransitionTime": self.cluster.moment()}
        state |= ({"message": error} if error else {}) | ({"lastObservedDriverStatus": driver} if driver else {})
        status = {"currentState": state, "stateTransitionHistory": {**history, str(len(history)): state}}
        status["currentAttemptSummary"] = {"attemptInfo": {"id": 0}}
        self.cluster.update(APACHE, NAMESPACE, ref.path[1], {"status": status})


@contextmanager
def harness(folder: Path) -> Iterator[ApacheHarness]:
    """A fresh cluster with one node."""
    cluster = Cluster(holds_deletion=True)
    cluster.create(NODES, "", NODE)
    with serving(ApiServer(cluster)) as server:
        yield ApacheHarness(server, folder)
