"""The EMR platform on a fake AWS, with virtual time: what the EMR tests and the conformance suite stand on."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import boto3
from botocore.config import Config as BotoConfig
from kubernetes.client import ApiClient
from kubernetes.config import new_client_from_config_dict

from airflow_doeks.hooks.stores import S3Store
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.status import JobRef
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.emr_on_eks.platform import Config, Platform
from airflow_doeks.platforms.patience import Time
from tests.fakes.aws_http import FakeAws, serving
from tests.fakes.emr_containers import FakeEmr, Step
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.s3 import FakeS3

CLUSTER = "abcdef0123456789abcdef012"
ENTRY = {
    "type": "emr_on_eks",
    "region": "us-east-1",
    "virtual_cluster": CLUSTER,
    "execution_role": "arn:aws:iam::123456789012:role/sales-jobs",
    "release": "emr-7.9.0-latest",
    "code": "s3://acme-code/",
    "logs": "s3://acme-logs/emr/",
    "event_logs": "s3://acme-logs/spark-events/",
    "priced_as": "m7g.4xlarge",
}


@dataclass
class World:
    """A fake AWS and platforms on it; sleeping moves the service's clock instead of waiting."""

    aws: FakeAws
    folder: Path
    kubernetes: FakeKubernetes | None = None
    started: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.emr.now

    @property
    def emr(self) -> FakeEmr:
        """The service."""
        return self.aws.emr

    def sleep(self, seconds: float) -> None:
        """Virtual."""
        self.emr.advance(seconds)

    async def asleep(self, seconds: float) -> None:
        """Virtual; lets others run first."""
        await asyncio.sleep(0)
        self.emr.advance(seconds)

    @property
    def time(self) -> Time:
        """The platform's clock."""
        return Time(self.monotonic, self.sleep, self.asleep, lambda: self.emr.now)

    def monotonic(self) -> float:
        """Virtual seconds so far."""
        return (self.emr.now - self.started).total_seconds()

    def make(self, service: str, session: str | None = "session") -> Any:
        """A real boto3 client of this AWS."""
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.aws.url,
            aws_access_key_id="AKIAEXAMPLEEXAMPLE00",
            aws_secret_access_key="x" * 8,
            aws_session_token=session,
            config=BotoConfig(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=5),
        )

    def api_client(self, connection: str) -> ApiClient:
        """The real Kubernetes client of this world's cluster."""
        del connection
        assert self.kubernetes is not None
        return new_client_from_config_dict(self.kubernetes.kube_config())

    def clients(self, *, tokens: Iterator[str] | None = None) -> Clients:
        """What a platform may ask for here; ``tokens``: the session token of each new client."""

        def aws(service: str, **_: Any) -> Any:
            return self.make(service, next(tokens) if tokens else "session")

        def store(url: str, connection: str | None) -> S3Store:
            del connection
            return S3Store(url, client=self.make("s3"))

        return Clients(aws=aws, kubernetes=self.api_client, store=store, time=self.time)

    def platform(self, *, tokens: Iterator[str] | None = None, **entry: Any) -> Platform:
        """A platform as a worker or triggerer would make it; ``tokens``: the session token of each new client."""
        return Platform(Config.model_validate(ENTRY | entry), "lake", self.clients(tokens=tokens))

    def identity(self, **changes: Any) -> JobIdentity:
        """A first try of `orders.clean`; ``changes`` as JobIdentity's fields."""
        values: dict[str, Any] = {
            "instance": "prod",
            "dag_id": "orders",
            "run_id": "manual__2026-11-20",
            "task_id": "clean",
            "map_index": -1,
            "try_number": 1,
            "run_started": self.started - timedelta(minutes=1),
            "cost_tags": {"team": "sales"},
        }
        values |= {"attempt_id": f"attempt-{changes.get('try_number', 1)}"} | changes
        return JobIdentity(**values)


@contextmanager
def world(folder: Path, **service: Any) -> Iterator[World]:
    """A fresh AWS whose S3 is the folder."""
    with serving(FakeAws(FakeEmr(**service), FakeS3(folder))) as aws:
        yield World(aws, folder)


class EmrHarness:
    """The conformance suite's hand on the fake service: a job runs until the test says how it ends."""

    bigger: ClassVar[dict[str, Any]] = {"executors": {"max": 3}}

    def __init__(self, aws: World) -> None:
        self.aws = aws
        aws.emr.page_size = 1  # a list is never read by its first page only
        aws.emr.script = lambda _: (Step(0, "PENDING"),)

    def platform(self) -> Platform:
        """Connected anew."""
        return self.aws.platform()

    def job(self, **changes: Any) -> SparkJob:
        """A job whose code is already staged."""
        return SparkJob.model_validate({"main": "s3://acme-code/jobs/clean.py"} | changes)

    def identity(self, **changes: Any) -> JobIdentity:
        """A first try of `orders.clean`."""
        return self.aws.identity(**changes)

    def applications(self) -> int:
        """Job runs that the service made."""
        return len(self.aws.emr.jobs)

    def until_running(self, ref: JobRef) -> None:
        """A while later its driver runs; the next job is submitted after it."""
        self._then(ref, Step(1, "RUNNING"))

    def succeed(self, ref: JobRef) -> None:
        """COMPLETED."""
        self._then(ref, Step(2, "COMPLETED"))

    def fail(self, ref: JobRef, log: str) -> None:
        """FAILED, its driver's output in S3."""
        cluster, job_run = ref.path
        pod = f"{cluster}/jobs/{job_run}/containers/spark-1/spark-{job_run}-driver"
        file = self.aws.folder / "acme-logs" / "emr" / pod / "stdout.gz"
        file.parent.mkdir(parents=True)
        file.write_bytes(gzip.compress(log.encode()))
        self._then(ref, Step(2, "FAILED", "Job failed with exit code 1", "USER_ERROR"))

    def lose(self, ref: JobRef) -> None:
        """EMR forgets it."""
        del self.aws.emr.jobs[ref.path[1]]

    def let_cancel_happen(self, ref: JobRef) -> None:
        """CANCEL_PENDING takes a while."""
        assert self.platform().observe(ref).is_cancelling
        self.aws.sleep(self.aws.emr.cancel_seconds)

    def unknown(self) -> JobRef:
        """No such job run."""
        return JobRef(f"emr_on_eks://123456789012.us-east-1/{CLUSTER}/9999999999999999999")

    def _then(self, ref: JobRef, step: Step) -> None:
        job = self.aws.emr.jobs[ref.path[1]]
        job.steps += (step,)
        self.aws.sleep(1)


@contextmanager
def harness(folder: Path) -> Iterator[EmrHarness]:
    """A fresh AWS."""
    with world(folder) as aws:
        yield EmrHarness(aws)
