"""The Kubeflow Spark Operator and a kubelet played on a fake API server: jobs live as the test says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, ClassVar

from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.status import JobRef
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.patience import Time
from airflow_doeks.platforms.registry import TYPES
from airflow_doeks.platforms.spark.resource.platform import SparkPlatform
from tests.fakes.api_server import ApiServer, serving
from tests.fakes.cluster import EVENTS, KUBEFLOW, NODES, PODS, Cluster, Json, Resource

NAMESPACE = "sales"
ENTRY = {
    "connection": "kubernetes_default",
    "namespace": NAMESPACE,
    "image": "acme/spark:3.5.9",
    "priced_as": "m7g.4xlarge",
}
NODE = {
    "metadata": {
        "name": "ip-10-0-0-1",
        "labels": {
            "karpenter.sh/capacity-type": "spot",
            "node.kubernetes.io/instance-type": "m7g.4xlarge",
            "topology.kubernetes.io/zone": "us-east-1a",
        },
    },
    "status": {"capacity": {"cpu": "16", "memory": "64Gi"}},
}


@dataclass
class KubeflowHarness:
    """A namespace with an operator that does what the test says."""

    server: ApiServer
    folder: Path
    type: ClassVar[str] = "kubeflow_spark"
    kind: ClassVar[Resource] = KUBEFLOW
    job_label: ClassVar[str] = "sparkoperator.k8s.io/app-name"
    bigger: ClassVar[Json] = {"executors": {"max": 3}}
    entry: Json = field(default_factory=dict)
    aws: Any = None  # makes clients of AWS, where a platform asks for them
    clock: Time = field(default_factory=lambda: Time(sleep=lambda _: None))
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def cluster(self) -> Cluster:
        """What the API server keeps."""
        return self.server.cluster

    def kubernetes(self, connection: str = "") -> Any:
        """The official client of this API server, as the hook makes it."""
        from kubernetes.config import new_client_from_config_dict

        del connection
        return new_client_from_config_dict(kubeconfig(self.server.url))

    def platform(self, **entry: Any) -> SparkPlatform:
        """Connected anew."""
        logs = {"event_logs": (self.folder / "events").as_uri()}
        found: SparkPlatform = self.connected(logs | self.entry | entry)
        return found

    def connected(self, entry: Json) -> Any:
        """A platform of this type, connected anew."""
        module = TYPES[self.type].load()
        config = module.Config.model_validate(ENTRY | {"type": self.type} | entry)
        return module.Platform(config, "sales_k8s", self.clients())

    def clients(self) -> Clients:
        """What the platform may ask for."""
        given = Clients(kubernetes=self.kubernetes, time=self.clock)
        return replace(given, aws=self.aws) if self.aws is not None else given

    def job(self, **changes: Any) -> SparkJob:
        """A job whose code is already staged."""
        return SparkJob.model_validate({"main": "s3://acme-code/jobs/clean.py"} | changes)

    def identity(self, **changes: Any) -> JobIdentity:
        """A first try of `orders.clean`."""
        values: Json = {
            "instance": "prod",
            "dag_id": "orders",
            "run_id": "manual__2026-11-20",
            "task_id": "clean",
            "map_index": -1,
            "try_number": 1,
            "run_started": self.started,
            "cost_tags": {"team": "sales"},
        }
        values |= {"attempt_id": f"attempt-{changes.get('try_number', 1)}"} | changes
        return JobIdentity(**values)

    def applications(self) -> int:
        """Resources that were ever made."""
        return sum(change.type == "ADDED" for change in self.cluster.history.get(self.kind, ()))

    def until_running(self, ref: JobRef) -> None:
        """The operator submits it and its driver runs."""
        self.move(ref, "SUBMITTED")
        self.start_driver(ref)
        self.move(ref, "RUNNING")

    def succeed(self, ref: JobRef) -> None:
        """COMPLETED."""
        self.end_driver(ref, 0, "Completed")
        self.move(ref, "COMPLETED")
        self.tell(ref, "SparkApplicationCompleted")

    def fail(self, ref: JobRef, log: str) -> None:
        """FAILED, with what its driver printed."""
        self.server.logs[f"{ref.path[1]}-driver"] = log
        self.end_driver(ref, 1, "Error")
        self.move(ref, "FAILED", "driver container failed with ExitCode: 1, Reason: Error")

    def lose(self, ref: JobRef) -> None:
        """Somebody deletes the resource."""
        self.cluster.remove(self.kind, NAMESPACE, ref.path[1])

    def let_cancel_happen(self, ref: JobRef) -> None:
        """Its pods end, and the deletion with them."""
        del ref
        self.cluster.finish_deletions()

    def unknown(self) -> JobRef:
        """No such resource."""
        host = self.server.url.removeprefix("http://")
        return JobRef(f"{self.type}://{host}/{NAMESPACE}/never-was-0123456789ab/00000000-0000-0000-0000-000000000000")

    def move(self, ref: JobRef, word: str, error: str = "") -> None:
        """What the operator writes."""
        status: Json = {"applicationState": {"state": word} | ({"errorMessage": error} if error else {})}
        status["executionAttempts"] = 1
        if word in ("COMPLETED", "FAILED"):
            status["terminationTime"] = self.cluster.moment()
        self.cluster.update(self.kind, NAMESPACE, ref.path[1], {"status": status})

    def tell(self, ref: JobRef, reason: str, message: str = "") -> None:
        """An event about the resource."""
        about = {"kind": "SparkApplication", "namespace": NAMESPACE, "name": ref.path[1], "uid": ref.path[2]}
        event = {"metadata": {"generateName": ref.path[1]}, "involvedObject": about, "reason": reason}
        self.cluster.create(EVENTS, NAMESPACE, event | {"message": message, "lastTimestamp": self.cluster.moment()})

    def start_driver(self, ref: JobRef) -> None:
        """The driver's pod is on a node and runs."""
        self.start_pod(ref, f"{ref.path[1]}-driver", "driver")

    def start_pod(self, ref: JobRef, name: str, role: str) -> None:
        """A pod of the job that runs."""
        resource = self.cluster.get(self.kind, NAMESPACE, ref.path[1])
        labels = resource["metadata"]["labels"] | {self.job_label: ref.path[1], "spark-role": role}
        container = f"spark-kubernetes-{role}"
        metadata: Json = {"name": name, "labels": labels}
        if role == "driver":
            metadata["ownerReferences"] = [{"uid": ref.path[2]}]
        requests = {"cpu": "1", "memory": "2Gi"}
        spec = {"nodeName": "ip-10-0-0-1", "containers": [{"name": container, "resources": {"requests": requests}}]}
        moment = self.cluster.moment()
        status = {
            "phase": "Running",
            "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": moment}],
            "containerStatuses": [{"name": container, "state": {"running": {"startedAt": self.cluster.moment()}}}],
        }
        self.cluster.create(PODS, NAMESPACE, {"metadata": metadata, "spec": spec, "status": status})

    def end_driver(self, ref: JobRef, code: int, reason: str, message: str = "") -> None:
        """The driver's container ends."""
        self.end_pod(f"{ref.path[1]}-driver", code, reason, message)

    def end_pod(self, name: str, code: int, reason: str, message: str = "") -> None:
        """A pod's container ends."""
        if (PODS, NAMESPACE, name) not in self.cluster.objects:
            return
        [entry] = self.cluster.get(PODS, NAMESPACE, name)["status"]["containerStatuses"]
        ended: Json = {"exitCode": code, "reason": reason, "startedAt": entry["state"]["running"]["startedAt"]}
        ended |= {"finishedAt": self.cluster.moment()} | ({"message": message} if message else {})
        status: Json = {"phase": "Failed" if code else "Succeeded"}
        status["containerStatuses"] = [entry | {"state": {"terminated": ended}}]
        self.cluster.update(PODS, NAMESPACE, name, {"status": status})


def kubeconfig(url: str) -> Json:
    """A kubeconfig of the fake."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": {"server": url}}],
        "users": [{"name": "doeks", "user": {"token": "a-canary-token"}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "doeks"}}],
        "current-context": "fake",
    }


@contextmanager
def harness(folder: Path) -> Iterator[KubeflowHarness]:
    """A fresh cluster with one node."""
    cluster = Cluster(holds_deletion=True)
    cluster.create(NODES, "", NODE)
    with serving(ApiServer(cluster)) as server:
        yield KubeflowHarness(server, folder)
