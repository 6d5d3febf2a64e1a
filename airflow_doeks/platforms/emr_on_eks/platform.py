"""Spark jobs on EMR on EKS: submitted under a token, followed together by one paged list, cancelled for sure.

API facts: emr-containers service model 2020-10-01, read November 2026.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timezone
from typing import Any

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.identity import CLOCK_SKEW, PREFIX, JobIdentity, label_value
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.priced_as import assumed
from airflow_doeks.model.record import JobFailure
from airflow_doeks.model.status import JobRef, JobStatus, Request, Scope
from airflow_doeks.model.stores import ByteStore
from airflow_doeks.model.telemetry import Pod, Sighting, Telemetry
from airflow_doeks.platforms.aws_calls import AwsCalls, aws_calls
from airflow_doeks.platforms.aws_nodes import Ec2Nodes
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.emr_on_eks.checks import check_cost_tags, check_job
from airflow_doeks.platforms.emr_on_eks.config import Config
from airflow_doeks.platforms.emr_on_eks.explain import Sources, explain
from airflow_doeks.platforms.emr_on_eks.feed import feed
from airflow_doeks.platforms.emr_on_eks.logs import job_links
from airflow_doeks.platforms.emr_on_eks.request import all_conf, render
from airflow_doeks.platforms.emr_on_eks.states import ACTIVE, address, legible, lost, ref_of, status_of
from airflow_doeks.platforms.patience import Refusal
from airflow_doeks.platforms.protocol import LogPart, NodesFound
from airflow_doeks.platforms.spark.pods import requested_pods

__all__ = ["Config", "Platform", "check_cost_tags", "check_job", "job_links"]

log = logging.getLogger(__name__)


class Platform:
    """One virtual cluster; clients are made when first used."""

    def __init__(self, config: Config, name: str, clients: Clients) -> None:
        self.config, self.name = config, name
        self._clients = clients
        self._emr = self._calls("emr-containers", endpoint_url=config.endpoint_url)
        self._logs = self._calls("logs")
        self._ec2 = Ec2Nodes(self._calls("ec2"))

    def render(self, job: SparkJob, identity: JobIdentity) -> Request:
        """The StartJobRun and the pod templates beside it."""
        return render(self.config, self.name, job, identity, self._clients.inject)

    def submit(self, request: Request) -> JobRef:
        """Upload what the job needs, then StartJobRun; the token makes any number of calls one job."""
        self._upload(request.body["uploads"])
        answer = self._emr.patiently("start_job_run", **request.body["start_job_run"])
        return ref_of(answer["arn"])

    def find(self, identity: JobIdentity) -> list[JobStatus]:
        """This task's jobs that live, or ended since its run started: lists by name, compared by tags; newest first."""
        name, since = identity.task_name, identity.run_started - CLOCK_SKEW
        listed = [*self._list(name=name, states=ACTIVE), *self._list(name=name, createdAfter=since)]
        mine = map(status_of, self._with_tags({run["id"]: run for run in listed}.values()))
        key, instance = identity.task_key[:16], identity.instance
        return sorted(
            (
                status
                for status in mine
                if status.tags.get(f"{PREFIX}task-key") == key and status.tags.get(f"{PREFIX}instance") == instance
            ),
            key=lambda status: status.submitted or datetime.min.replace(tzinfo=timezone.utc),
            reverse=True,
        )

    def living(self, instance: str) -> Iterator[JobStatus]:
        """The virtual cluster's living jobs that carry this instance's tag: one paged list."""
        wanted = label_value(instance)
        for status in legible(self._with_tags(self._list(states=ACTIVE))):
            if status.tags.get(f"{PREFIX}instance") == wanted:
                yield status

    def observe(self, ref: JobRef) -> JobStatus:
        """One DescribeJobRun."""
        run = self._describe(*address(ref))
        return status_of(run) if run else lost(ref)

    def scope(self, ref: JobRef) -> Scope:
        """Account, region and virtual cluster, as seen through one connection."""
        endpoint = ref.authority + (f" {self.config.endpoint_url}" if self.config.endpoint_url else "")
        return Scope("emr_on_eks", endpoint, self.config.connection or "", ref.path[0])

    def feed(self, scope: Scope, wanted: AbstractSet[JobRef]) -> AsyncIterator[JobStatus | Sighting]:
        """All living jobs by one paged list a cycle."""
        return feed(self._emr, scope.namespace, wanted, self.config.list_seconds)

    def cancel(self, ref: JobRef) -> None:
        """CancelJobRun; a job that ended, is being cancelled or is unknown is fine."""
        cluster, job_run = address(ref)
        try:
            self._emr.patiently("cancel_job_run", virtualClusterId=cluster, id=job_run)
        except Refusal as refusal:
            if refusal.kind == "gone":
                return
            status = None if refusal.kind == "denied" else self.observe(ref)
            if status is None or not (status.state.is_terminal or status.is_cancelling):
                raise

    def telemetry(self, ref: JobRef) -> Telemetry:
        """What the job requested and where its event log is, which tells of nodes; EMR shows neither pods nor nodes."""
        run = self._describe(*address(ref))
        if run is None:
            return Telemetry(why=("EMR no longer knows the job",))
        conf = all_conf(run)
        status = status_of(run)
        why: list[str] = []
        if not conf.get("spark.eventLog.dir"):
            why.append("no event log: set event_logs of the platform")
        asked = requested_pods(
            conf,
            since=status.submitted,  # EMR tells no start
            until=status.ended,
            node_labels=self.config.node_labels,
            is_emr_image=True,
        )
        return Telemetry(
            requested=asked.pods,
            **assumed(self.config.priced_as),
            event_log=conf.get("spark.eventLog.dir"),
            submitted=status.submitted,
            ended=status.ended,
            why=(*why, *asked.why),
        )

    def asks(self, request: Request) -> Telemetry:
        """The pods of its Spark properties; a job template of EMR's has its own, which nobody sees here."""
        conf, labels = all_conf(request.body["start_job_run"]), self.config.node_labels
        asked = requested_pods(conf, since=None, until=None, node_labels=labels, is_emr_image=True)
        return Telemetry(requested=asked.pods, **assumed(self.config.priced_as), why=asked.why)

    def log(self, ref: JobRef, upto: str = "") -> LogPart:  # noqa: ARG002 - the protocol's
        """Nothing: EMR copies logs to S3 and CloudWatch in its own time."""
        return LogPart((), upto)

    def nodes(self, pods: Sequence[Pod]) -> NodesFound:
        """As EC2 knows them, by the names that executors write into their event log and by the driver's address."""
        return self._ec2.find(pods)

    def release(self, ref: JobRef) -> None:
        """Nothing is kept that costs."""

    def explain(self, ref: JobRef) -> JobFailure:
        """From the states EMR tells, the logs in S3 or CloudWatch, and pods and events where `kubernetes` is set."""
        return explain(ref, Sources(self.config, self._clients, self._emr, self._logs))

    def links(self, ref: JobRef) -> dict[str, str]:
        """Where to look while it runs and after; no call is made."""
        return job_links(ref, self.config)

    def _upload(self, uploads: Mapping[str, str]) -> None:
        stores: dict[str, ByteStore] = {}
        for url, text in uploads.items():
            bucket, _, key = url.removeprefix("s3://").partition("/")
            if bucket not in stores:
                stores[bucket] = self._clients.store(f"s3://{bucket}", self.config.connection)
            try:
                stores[bucket].write(key, text.encode())
            except OSError as error:
                msg = f"{url} could not be written: {error}"
                raise PlatformError(msg, retryable=not isinstance(error, PermissionError)) from error

    def _calls(self, service: str, endpoint_url: str | None = None) -> AwsCalls:
        config = self.config
        where: dict[str, Any] = {"connection": config.connection, "region": config.region, "endpoint_url": endpoint_url}
        return aws_calls(self._clients, service, per_second=config.calls_per_second, **where)

    def _describe(self, cluster: str, job_run: str) -> dict[str, Any] | None:
        try:
            run: dict[str, Any] = self._emr.patiently("describe_job_run", virtualClusterId=cluster, id=job_run)[
                "jobRun"
            ]
        except Refusal as refusal:
            if refusal.kind != "gone":
                raise
            return None
        return run

    def _list(self, **filters: Any) -> Iterator[dict[str, Any]]:
        return self._emr.pages("list_job_runs", "jobRuns", virtualClusterId=self.config.virtual_cluster, **filters)

    def _with_tags(self, runs: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """The runs, described one by one where a list leaves tags out."""
        for run in runs:
            whole = run if run.get("tags") else self._describe(run["virtualClusterId"], run["id"])
            if whole:
                yield whole
