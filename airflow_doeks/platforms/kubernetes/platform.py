"""What all platform types share whose jobs are custom resources of an operator, whatever the engine.

A type gives what its operator calls things, and ``render``.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Generic, TypeVar

from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.record import JobFailure
from airflow_doeks.model.redaction import redacted
from airflow_doeks.model.status import JobRef, JobStatus, Request, Scope
from airflow_doeks.model.telemetry import Node, Pod, Sighting
from airflow_doeks.platforms.aws_calls import aws_calls
from airflow_doeks.platforms.aws_nodes import Ec2Nodes
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.kubernetes.calls import KubeCalls
from airflow_doeks.platforms.kubernetes.config import KubernetesConfig
from airflow_doeks.platforms.kubernetes.eks import eks_server
from airflow_doeks.platforms.kubernetes.failure import SECONDS as EXPLAIN_SECONDS
from airflow_doeks.platforms.kubernetes.labels import full_values, label_forms
from airflow_doeks.platforms.kubernetes.operator import TOKEN, Operator
from airflow_doeks.platforms.kubernetes.pod_log import read_log
from airflow_doeks.platforms.kubernetes.resources import Resources
from airflow_doeks.platforms.kubernetes.server import NODES, Server, server_of
from airflow_doeks.platforms.kubernetes.sightings import PodLife, life_of, node_of
from airflow_doeks.platforms.patience import Patience, Refusal, shared_pace
from airflow_doeks.platforms.protocol import LogPart, NodesFound

log = logging.getLogger(__name__)

AnyConfig = TypeVar("AnyConfig", bound=KubernetesConfig)
CAUSE_SECONDS = 5.0  # for the cause of a job that is cancelled: who cancels may have seconds left
NODES_MAX = 200  # that are asked for at once


class KubernetesPlatform(ABC, Generic[AnyConfig]):
    """A namespace that an operator watches. Nothing is called before a method needs it."""

    operator: Operator

    def __init__(self, config: AnyConfig, name: str, clients: Clients) -> None:
        self.config, self.name, self.clients = config, name, clients
        pace = shared_pace(f"kubernetes {self._credentials}", config.calls_per_second, clients.time)
        self.calls = KubeCalls(self._connect, Patience(pace, clients.time, clients.in_thread), clients.in_thread)
        self.resources = Resources(
            self.operator, self.calls, config.namespace, no_progress_seconds=config.no_progress_seconds
        )
        self._ec2 = self._asks_ec2()

    @property
    def _credentials(self) -> str:
        eks = self.config.eks
        return f"eks {eks.region} {eks.cluster} {eks.role or ''}".strip() if eks else self.config.connection

    def _connect(self) -> Server:
        config, clients = self.config, self.clients
        if config.eks is not None:
            return eks_server(config.eks, clients, config.aws_connection, config.calls_per_second)
        return server_of(clients.kubernetes(config.connection))

    def resource(self, name: str, token: str, tags: Mapping[str, str], spec: Mapping[str, Any]) -> dict[str, Any]:
        """A job's resource: its keys are labels, and annotations where a label cuts the value."""
        kind = self.operator.kind
        return {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "metadata": {
                "name": name,
                "namespace": self.config.namespace,
                "labels": label_forms(tags),
                "annotations": {**full_values(tags), TOKEN: token},
            },
            "spec": spec,
        }

    @abstractmethod
    def submit(self, request: Request) -> JobRef:
        """Make the resource; the token makes any number of calls one job."""

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

    @abstractmethod
    def explain(self, ref: JobRef, seconds: float = EXPLAIN_SECONDS) -> JobFailure:
        """Why a job failed, or does not come up; never raises, and takes no longer than ``seconds``."""

    def cancel(self, ref: JobRef) -> None:
        """Delete the resource, and with it its pods; its event keeps why it had not come up."""
        self.resources.cancel(ref, lambda: self._why_not_up(ref))

    def _why_not_up(self, ref: JobRef) -> str:
        """What keeps a job from coming up; nothing where nobody tells."""
        failure = self.explain(ref, CAUSE_SECONDS)
        is_known = failure.category not in ("unknown", "cancelled")
        return redacted(f"{failure.category}: {failure.message}") if is_known else ""

    def release(self, ref: JobRef) -> None:
        """Nothing: an ended resource has no pods, and goes by the time-to-live that it was sent with."""

    def _links(self, ref: JobRef, places: Mapping[str, str | None]) -> dict[str, str]:
        namespace, name, _ = ref.path
        return {
            title: url.replace("{namespace}", namespace).replace("{name}", name) for title, url in places.items() if url
        }

    def _lives(self, pods: Iterable[Mapping[str, Any]]) -> list[PodLife]:
        """What pods that are still there tell."""
        now, names = self.clients.time.now(), self.operator.pods
        return [life for pod in pods if (life := life_of(pod, names, is_gone=False, now=now))]

    def _lives_of(self, ref: JobRef) -> tuple[list[PodLife], tuple[str, ...]]:
        """The same of a job's pods; nothing, and why, where they may not be listed: its event log tells the rest."""
        try:
            return self._lives(self.resources.pods(ref)), ()
        except Refusal as refusal:
            if refusal.kind != "denied":
                raise
            log.warning("What its pods would tell of %s is unknown: %s", ref, refusal)
            return [], ("its pods may not be listed",)

    def log(self, ref: JobRef, upto: str = "") -> LogPart:
        """Of the pod that leads the job, by the kubelet."""
        return read_log(ref, self.resources, upto)

    def nodes(self, pods: Sequence[Pod]) -> NodesFound:
        """As the API server knows them, where it tells and they are still there; else as EC2 does."""
        found: dict[str, Node] = {}
        try:
            for name in sorted({pod.node for pod in pods if pod.node})[:NODES_MAX]:
                node = self.calls.get(NODES, "", name)
                found |= {name: node_of(node)} if node else {}
        except Refusal as refusal:
            if refusal.kind != "denied":
                raise
            if self._ec2 is None:
                return NodesFound(found, ("nodes may not be read: they are as priced_as of the platform says",))
        left = [pod for pod in pods if (pod.node or pod.ip) not in found]
        if not left or self._ec2 is None:
            gone = f"of {len(pods)} pods the nodes of {len(left)} are gone: they are as priced_as of the platform says"
            return NodesFound(found, (gone,) if left else ())
        more = self._ec2.find(left)
        return NodesFound(found | dict(more.nodes), more.why)

    def _asks_ec2(self) -> Ec2Nodes | None:
        """EC2 of the account that the cluster's nodes run in; None where no AWS is named."""
        config, eks = self.config, self.config.eks
        if config.aws_connection is None and eks is None:
            return None
        region, pace = eks.region if eks else None, config.calls_per_second
        calls = aws_calls(self.clients, "ec2", connection=config.aws_connection, region=region, per_second=pace)
        return Ec2Nodes(calls)
