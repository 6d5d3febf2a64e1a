"""Spark jobs on EMR on EKS: submitted under a token, followed together by one paged list, cancelled for sure.

API facts: emr-containers service model 2020-10-01, read November 2026.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from airflow_doeks.model.engine import SPARK
from airflow_doeks.model.errors import DoeksBug
from airflow_doeks.model.identity import CLOCK_SKEW, PREFIX, JobIdentity
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.quantities import MIB, gib, parse_memory
from airflow_doeks.model.record import JobFailure
from airflow_doeks.model.status import JobRef, JobStatus, Request, Scope
from airflow_doeks.model.telemetry import CapacityType, Node, Pod, Role, Telemetry
from airflow_doeks.platforms.aws_calls import AwsCalls, Pace, Refusal, Time, shared_pace
from airflow_doeks.platforms.emr_on_eks.checks import check_cost_tags, check_job
from airflow_doeks.platforms.emr_on_eks.config import Config
from airflow_doeks.platforms.emr_on_eks.explain import Sources, explain
from airflow_doeks.platforms.emr_on_eks.feed import feed
from airflow_doeks.platforms.emr_on_eks.logs import job_links
from airflow_doeks.platforms.emr_on_eks.request import all_conf, render
from airflow_doeks.platforms.emr_on_eks.states import ACTIVE, address, lost, ref_of, status_of
from airflow_doeks.platforms.spark.conf import Injection
from airflow_doeks.platforms.spark.presets import CAPACITY

__all__ = ["Config", "Platform", "check_cost_tags", "check_job", "job_links"]

log = logging.getLogger(__name__)


class Platform:
    """One virtual cluster. Clients are made when first used: ``clients[name]()`` gives a boto3 client.

    Args:
        clients: factories ``emr_containers``, ``s3``, ``logs``, ``sts`` and perhaps ``kubernetes``; switches
            ``inject_*``; ``in_thread`` that runs them for a feed; for tests a ``time``.
    """

    engines = frozenset({SPARK})

    def __init__(self, config: Config, name: str, clients: Mapping[str, Any]) -> None:
        self.config, self.name = config, name
        self._clients = clients
        self._time: Time = clients.get("time") or Time()
        self._emr = self._calls("emr_containers")
        self._s3 = self._calls("s3")
        self._logs = self._calls("logs")
        self._followed: Counter[JobRef] = Counter()

    def render(self, job: SparkJob, identity: JobIdentity) -> Request:
        """The StartJobRun and the pod templates beside it."""
        return render(self.config, self.name, job, identity, Injection.from_clients(self._clients))

    def submit(self, request: Request) -> JobRef:
        """Upload what the job needs, then StartJobRun; the token makes any number of calls one job."""
        for url, text in request.body["uploads"].items():
            bucket, key = _bucket_and_key(url)
            self._s3.patiently("put_object", Bucket=bucket, Key=key, Body=text.encode())
        answer = self._emr.patiently("start_job_run", **request.body["start_job_run"])
        return ref_of(answer["arn"])

    def find(self, identity: JobIdentity) -> list[JobStatus]:
        """This task's jobs that live, or ended since its run started: lists by name, compared by tags; newest first."""
        name, since = identity.task_name, identity.run_started - CLOCK_SKEW
        listed = [*self._list(name=name, states=ACTIVE), *self._list(name=name, createdAfter=since)]
        runs = {run["id"]: run for run in listed}.values()
        whole = [run if run.get("tags") else self._describe(run["virtualClusterId"], run["id"]) for run in runs]
        mine = [status_of(run) for run in whole if run]
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

    def observe(self, ref: JobRef) -> JobStatus:
        """One DescribeJobRun."""
        run = self._describe(*address(ref))
        return status_of(run) if run else lost(ref)

    def scope(self, ref: JobRef) -> Scope:
        """Account, region and virtual cluster, as seen through one connection."""
        endpoint = ref.authority + (f" {self.config.endpoint_url}" if self.config.endpoint_url else "")
        return Scope("emr_on_eks", endpoint, self.config.connection or "", ref.path[0])

    def follow(self, ref: JobRef) -> None:
        """The feed reports this job until it is unfollowed."""
        self._followed[ref] += 1

    def unfollow(self, ref: JobRef) -> None:
        """One follower less."""
        self._followed[ref] -= 1
        if self._followed[ref] <= 0:
            del self._followed[ref]

    def feed(self, scope: Scope) -> AsyncIterator[JobStatus]:
        """All living jobs by one paged list a cycle."""
        return feed(self._emr, scope.namespace, self._followed, self.config.list_seconds)

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
        """What the job requested and where its event log is; EMR shows neither pods nor nodes."""
        run = self._describe(*address(ref))
        if run is None:
            return Telemetry(why=("EMR no longer knows the job",))
        conf = all_conf(run)
        status = status_of(run)
        why = ["no access to the Kubernetes API: nodes are as priced_as of the platform says"]
        if not conf.get("spark.eventLog.dir"):
            why.append("no event log: set event_logs of the platform")
        node = Node(uid="assumed", instance_type=self.config.priced_as) if self.config.priced_as else None
        return Telemetry(
            requested=tuple(_requested(conf, status, CAPACITY[self.config.node_labels])),
            assumed_node=node,
            event_log=conf.get("spark.eventLog.dir"),
            submitted=status.submitted,
            ended=status.ended,
            why=tuple(why),
        )

    def explain(self, ref: JobRef) -> JobFailure:
        """From the states EMR tells, the logs in S3 or CloudWatch, and pods and events where `kubernetes` is set."""
        return explain(ref, Sources(self.config, self._emr, self._s3, self._logs, self._clients.get("kubernetes")))

    def links(self, ref: JobRef) -> dict[str, str]:
        """Where to look while it runs and after; no call is made."""
        return job_links(ref, self.config)

    def _calls(self, service: str) -> AwsCalls:
        def make() -> Any:
            if service not in self._clients:
                msg = f"platform {self.name!r} was given no client for {service}"
                raise DoeksBug(msg)
            return self._clients[service]()

        def identity() -> str:
            return str(self._clients["sts"]().get_caller_identity()["Arn"])

        rate = self.config.calls_per_second
        is_real = "time" not in self._clients
        where = f"{self.config.region} {self.config.endpoint_url or ''} {service}"
        pace = shared_pace(where, self.config.connection, rate) if is_real else Pace(rate, self._time)
        in_thread = self._clients.get("in_thread", asyncio.to_thread)
        return AwsCalls(make, identity, pace, self._time, in_thread)

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

    def _list(self, **filters: Any) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = []
        page: dict[str, Any] = {}
        while True:
            answer = self._emr.patiently(
                "list_job_runs", virtualClusterId=self.config.virtual_cluster, **filters, **page
            )
            runs += answer.get("jobRuns", ())
            if not answer.get("nextToken"):
                return runs
            page = {"nextToken": answer["nextToken"]}


def _bucket_and_key(url: str) -> tuple[str, str]:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def _requested(conf: Mapping[str, str], status: JobStatus, capacity: tuple[str, str, str]) -> list[Pod]:
    """The pods that the job's own properties ask for, from its submission on: EMR tells no start."""
    label, on_demand, spot = capacity
    kinds: dict[str, CapacityType] = {on_demand: "on_demand", spot: "spot"}

    def pod(role: Role, number: int) -> Pod:
        cpu = conf.get(f"spark.kubernetes.{role}.request.cores")
        memory = [_mib(conf.get(f"spark.{role}.{part}", "")) for part in ("memory", "memoryOverhead")]
        return Pod(
            uid=f"{role}-{number}",
            role=role,
            vcpu=Decimal(cpu.removesuffix("m")) / 1000 if cpu else None,
            memory_gib=gib(sum(memory) * MIB) if all(memory) else None,
            gpu=int(conf.get("spark.executor.resource.gpu.amount", 0)) if role == "executor" else 0,
            storage_gib=_volume_gib(conf, role),
            started=status.submitted,
            ended=status.ended,
            capacity_type=kinds.get(conf.get(f"spark.kubernetes.{role}.node.selector.{label}", "")),
            is_emr_image=True,
        )

    most = conf.get("spark.executor.instances") or conf.get("spark.dynamicAllocation.maxExecutors") or "0"
    return [pod("driver", 1), *(pod("executor", number + 1) for number in range(int(most)))]


def _volume_gib(conf: Mapping[str, str], role: Role) -> Decimal:
    """GiB of the claims that a pod makes; 0 without one."""
    claims = f"spark.kubernetes.{role}.volumes.persistentVolumeClaim."
    sizes = [value for key, value in conf.items() if key.startswith(claims) and key.endswith(".options.sizeLimit")]
    return sum((gib(parse_memory(size)) for size in sizes), Decimal(0))


def _mib(text: str) -> int:
    """MiB of ``<n>m``, the only form we render; 0 for anything else."""
    return int(text[:-1]) if text.endswith("m") and text[:-1].isdigit() else 0
