"""What all platform types share whose Spark jobs are custom resources of an operator: everything but the `spec`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlsplit

from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.priced_as import assumed
from airflow_doeks.model.record import JobFailure
from airflow_doeks.model.status import JobRef, JobStatus, Request, Scope
from airflow_doeks.model.telemetry import Node, Sighting, Telemetry
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.kubernetes.calls import KubeCalls
from airflow_doeks.platforms.kubernetes.config import KubernetesConfig
from airflow_doeks.platforms.kubernetes.eks import eks_server
from airflow_doeks.platforms.kubernetes.labels import full_values, label_forms
from airflow_doeks.platforms.kubernetes.operator import TOKEN, Operator
from airflow_doeks.platforms.kubernetes.resources import Resources
from airflow_doeks.platforms.kubernetes.server import NODES, Server, server_of
from airflow_doeks.platforms.kubernetes.sightings import life_of, node_of
from airflow_doeks.platforms.patience import Patience, Refusal, shared_pace
from airflow_doeks.platforms.spark.conf import spec_hash
from airflow_doeks.platforms.spark.pods import Requested, requested_pods
from airflow_doeks.platforms.spark.resource.failure import explain
from airflow_doeks.platforms.spark.resource.work import SparkWork, event_log_of, spark_work

if TYPE_CHECKING:
    from airflow_doeks.model.job import SparkJob

NODES_MAX = 200  # that are asked for by one telemetry


class SparkPlatform(ABC):
    """A namespace that an operator watches. Nothing is called before a method needs it.

    A platform type gives ``operator``, what its operator calls things, and ``spec``.
    """

    operator: ClassVar[Operator]

    @staticmethod
    @abstractmethod
    def spec(config: KubernetesConfig, job: SparkJob, work: SparkWork, tags: Mapping[str, str]) -> dict[str, Any]:
        """The ``spec`` of a job's resource; without tags, the work alone, whoever asks for it."""

    def __init__(self, config: KubernetesConfig, name: str, clients: Clients) -> None:
        self.config, self.name, self.clients = config, name, clients
        pace = shared_pace(f"kubernetes {self._credentials}", config.calls_per_second, clients.time)
        self.calls = KubeCalls(self._connect, Patience(pace, clients.time, clients.in_thread), clients.in_thread)
        self.resources = Resources(
            self.operator, self.calls, config.namespace, no_progress_seconds=config.no_progress_seconds
        )

    @property
    def _credentials(self) -> str:
        eks = self.config.eks
        return f"eks {eks.region} {eks.cluster} {eks.role or ''}".strip() if eks else self.config.connection

    def _connect(self) -> Server:
        config, clients = self.config, self.clients
        if config.eks is not None:
            return eks_server(config.eks, clients.aws, config.aws_connection, clients.time)
        return server_of(clients.kubernetes(config.connection))

    def render(self, job: SparkJob, identity: JobIdentity) -> Request:
        """The resource of an attempt: the body is ``{"resource": object, "event_log": URL or None}``.

        Raises SpecError for a job that the operator cannot run.
        """
        config, inject, kind = self.config, self.clients.inject, self.operator.kind
        work_hash = spec_hash(self.spec(config, job, spark_work(config, job, inject, None, {}), {}))
        tags = identity.tags(work_hash)
        labels = label_forms(tags)
        resource = {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "metadata": {
                "name": identity.name,
                "namespace": config.namespace,
                "labels": labels,
                "annotations": {**full_values(tags), TOKEN: identity.token},
            },
            "spec": self.spec(config, job, spark_work(config, job, inject, identity, labels), tags),
        }
        event_log = event_log_of(config, identity.name) if inject.event_log else None
        body = {"resource": resource, "event_log": event_log}
        return Request(self.name, self.operator.type, identity.name, identity.token, work_hash, body)

    def submit(self, request: Request) -> JobRef:
        """Make the folder of the event log, then the resource; the token makes any number of calls one job."""
        if request.body["event_log"]:
            self._make_folder(request.body["event_log"])
        return self.resources.submit(request)

    def find(self, identity: JobIdentity) -> list[JobStatus]:
        """This task's jobs by their labels, newest first."""
        return self.resources.find(identity)

    def living(self, instance: str) -> Iterator[JobStatus]:
        """Every job of this Airflow that has not ended, by its label."""
        return self.resources.living(instance)

    def observe(self, ref: JobRef) -> JobStatus:
        """One read of the resource."""
        return self.resources.observe(ref)

    def scope(self, ref: JobRef) -> Scope:
        """API server and namespace, as seen through one connection."""
        return self.resources.scope(ref, self._credentials)

    def feed(self, scope: Scope, wanted: AbstractSet[JobRef]) -> AsyncIterator[JobStatus | Sighting]:
        """All jobs of the namespace by one watch, their pods by another."""
        return self.resources.feed(scope, wanted)

    def cancel(self, ref: JobRef) -> None:
        """Delete the resource, and with it its pods."""
        self.resources.cancel(ref)

    def explain(self, ref: JobRef) -> JobFailure:
        """From the resource, its pods and events, and the driver's log."""
        return explain(ref, self.resources, self.links(ref))

    def links(self, ref: JobRef) -> dict[str, str]:
        """Where to look while it runs and after; no call is made."""
        namespace, name, _ = ref.path
        places = {
            "Spark UI": self.config.spark_ui,
            "Spark History Server": self.config.history_server,
            "Resource": self.config.kubernetes_ui,
        }
        return {
            title: url.replace("{namespace}", namespace).replace("{name}", name) for title, url in places.items() if url
        }

    def telemetry(self, ref: JobRef) -> Telemetry:
        """The pods that are still there, their nodes, and where the event log is."""
        why: list[str] = []
        (status, resource), pods, nodes = self.resources.look(ref), self.resources.pods(ref), {}
        lives = [life for pod in pods if (life := life_of(pod, is_gone=False, now=self.clients.time.now()))]
        for name in sorted({life.pod.node for life in lives if life.pod.node})[:NODES_MAX]:
            nodes[name] = self._node(name, why)
        asked = Requested((), ())
        if resource is not None:
            conf, since, until = self.resources.operator.conf(resource), status.submitted, status.ended
            asked = requested_pods(conf, since=since, until=until, node_labels=self.config.node_labels)
        driver = next((life for life in lives if life.pod.role == "driver"), None)
        if not self.config.event_logs:
            why.append("no event log: set event_logs of the platform")
        return Telemetry(
            pods=tuple(life.pod for life in lives),
            nodes=tuple(node for node in nodes.values() if node),
            requested=asked.pods,
            **assumed(self.config.priced_as),
            event_log=event_log_of(self.config, ref.path[1]),
            submitted=status.submitted,
            scheduled=driver.scheduled if driver else None,
            started=driver.started if driver else None,
            ended=status.ended or (driver.ended if driver else None),
            why=tuple(why),
        )

    def _node(self, name: str, why: list[str]) -> Node | None:
        try:
            found = self.calls.get(NODES, "", name)
        except Refusal as refusal:
            if refusal.kind != "denied":
                raise
            text = "nodes may not be read: their types are as priced_as of the platform says"
            if text not in why:
                why.append(text)
            return None
        return node_of(found) if found else None

    def _make_folder(self, url: str) -> None:
        """Spark wants the folder of its event log to exist; S3 has none but an object whose name ends in a slash."""
        if url.startswith("file:"):
            folder = Path(unquote(urlsplit(url).path))
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)  # pods write it, as whatever user their image has
            return
        parent, _, name = url.rpartition("/")
        store: Any = self.clients.store(parent, self.config.aws_connection)
        store.write(f"{name}/", b"")
