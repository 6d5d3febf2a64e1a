"""The Flink Kubernetes Operator and its job managers played on a fake API server: jobs live as the test says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from airflow_doeks.model.flink import FlinkJob
from airflow_doeks.model.status import JobRef
from tests.fakes.api_server import ApiServer, serving
from tests.fakes.cluster import FLINK, NODES, PODS, Cluster, Json, Resource
from tests.platforms.harness_kubeflow_spark import NAMESPACE, NODE, KubeflowHarness

JOB_ID = "00000000000000000000000000000001"
MAIN = "flink-main-container"


class FlinkHarness(KubeflowHarness):
    """A namespace with an operator that does what the test says."""

    type: ClassVar[str] = "apache_flink"
    kind: ClassVar[Resource] = FLINK
    job_label: ClassVar[str] = "app"
    bigger: ClassVar[Json] = {"parallelism": 3}

    def platform(self, **entry: Any) -> Any:
        """Connected anew."""
        return self.connected({"image": "acme/flink:1.20.1", "state": "s3://acme-state/"} | self.entry | entry)

    def job(self, **changes: Any) -> Any:
        """A job whose code is already staged."""
        return FlinkJob.model_validate({"jar": "s3://acme-code/jobs/clean.jar"} | changes)

    def until_running(self, ref: JobRef) -> None:
        """The operator deploys it, its job manager and a task manager start, the job runs."""
        self.move(ref, "UPGRADING")
        self.move(ref, "DEPLOYED", "RECONCILING", "DEPLOYING")
        self.start_pod(ref, self.manager(ref), "jobmanager")
        self.start_pod(ref, f"{ref.path[1]}-taskmanager-1-1", "taskmanager")
        self.move(ref, "STABLE", "RUNNING", "READY")

    def succeed(self, ref: JobRef) -> None:
        """FINISHED; its job manager is kept for a while."""
        self.end_pod(f"{ref.path[1]}-taskmanager-1-1", 0, "Completed")
        self.move(ref, "STABLE", "FINISHED", "READY")

    def fail(self, ref: JobRef, log: str) -> None:
        """FAILED, with what its job manager printed."""
        self.server.logs[self.manager(ref)] = log
        self.move(ref, "FAILED", "FAILED", "READY")

    def manager(self, ref: JobRef) -> str:
        """The name of its job manager's pod."""
        return f"{ref.path[1]}-6d5f8c7b9-x2x9z"

    def move(self, ref: JobRef, lifecycle: str, job: str = "", manager: str = "", error: str = "", **more: Any) -> None:
        """What the operator writes after it looked at the spec as it is; ``more`` is of ``jobStatus``."""
        moment = self.cluster.moment()
        resource = self.cluster.get(self.kind, NAMESPACE, ref.path[1])
        reconciled = {"resource_metadata": {"metadata": {"generation": resource["metadata"]["generation"]}}}
        millis = str(int(self.cluster.now.timestamp() * 1000))
        begun = ((resource.get("status") or {}).get("jobStatus") or {}).get("startTime")
        status: Json = {
            "lifecycleState": lifecycle,
            "reconciliationStatus": {"lastReconciledSpec": json.dumps(reconciled), "state": "DEPLOYED"},
            "jobStatus": {"state": job or None, "jobId": JOB_ID, "startTime": begun or millis, "updateTime": millis}
            | more,
        }
        status |= {"jobManagerDeploymentStatus": manager} if manager else {}
        status |= {"error": json.dumps({"type": "x.DeploymentFailedException", "message": error}) if error else None}
        del moment
        self.cluster.update(self.kind, NAMESPACE, ref.path[1], {"status": status})

    def start_pod(self, ref: JobRef, name: str, role: str) -> None:
        """A pod of the job that runs."""
        resource = self.cluster.get(self.kind, NAMESPACE, ref.path[1])
        labels = resource["spec"].get("podTemplate", {}).get("metadata", {}).get("labels", {})
        labels = labels | {self.job_label: ref.path[1], "component": role}
        requests = {"cpu": "1", "memory": "2Gi"}
        spec = {"nodeName": "ip-10-0-0-1", "containers": [{"name": MAIN, "resources": {"requests": requests}}]}
        moment = self.cluster.moment()
        status = {
            "phase": "Running",
            "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": moment}],
            "containerStatuses": [{"name": MAIN, "state": {"running": {"startedAt": self.cluster.moment()}}}],
        }
        metadata: Json = {"name": name, "labels": labels, "ownerReferences": [{"uid": ref.path[2]}]}
        self.cluster.create(PODS, NAMESPACE, {"metadata": metadata, "spec": spec, "status": status})


@contextmanager
def harness(folder: Path) -> Iterator[FlinkHarness]:
    """A fresh cluster with one node."""
    cluster = Cluster(holds_deletion=True)
    cluster.create(NODES, "", NODE)
    with serving(ApiServer(cluster)) as server:
        yield FlinkHarness(server, folder)
