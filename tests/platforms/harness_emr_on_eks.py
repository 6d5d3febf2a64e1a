"""The EMR platform on a fake AWS, with virtual time: what the EMR tests and the conformance suite stand on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config as BotoConfig

from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.platforms.emr_calls import Time
from airflow_doeks.platforms.emr_on_eks import Config, Platform
from tests.fakes.aws_http import FakeAws, serving
from tests.fakes.emr_containers import FakeEmr
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
        return Time(self.monotonic, self.sleep, self.asleep)

    def monotonic(self) -> float:
        """Virtual seconds so far."""
        return (self.emr.now - self.started).total_seconds()

    def make(self, service: str, session: str = "session") -> Any:
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

    def platform(self, *, tokens: Iterator[str] | None = None, **entry: Any) -> Platform:
        """A platform as a worker or triggerer would make it; ``tokens``: the session token of each new client."""
        names = {"emr_containers": "emr-containers", "s3": "s3", "logs": "logs", "sts": "sts"}

        def factory(service: str) -> Callable[[], Any]:
            return lambda: self.make(service, next(tokens) if tokens else "session")

        clients: dict[str, Any] = {name: factory(service) for name, service in names.items()}
        return Platform(Config.model_validate(ENTRY | entry), "lake", clients | {"time": self.time})

    def identity(self, **changes: Any) -> JobIdentity:
        """A first try of `orders.clean`; ``changes`` as JobIdentity's fields."""
        values: dict[str, Any] = {
            "instance": "prod-eu",
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
