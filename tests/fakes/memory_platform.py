"""A platform in memory with the semantics of a real one: tokens, tags, scripted states, a virtual clock, faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from airflow_doeks.model.engine import SPARK
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.identity import JobIdentity, digest, label_value
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.quantities import gib, parse_cpu, parse_memory
from airflow_doeks.model.record import JobFailure
from airflow_doeks.model.status import JobRef, JobState, JobStatus, Request, Scope
from airflow_doeks.model.telemetry import Node, Pod, Sighting, Telemetry
from airflow_doeks.platforms.protocol import Finding, JobValues, LogPart, NodesFound
from airflow_doeks.platforms.registry import PlatformType
from airflow_doeks.platforms.root_cause import root_cause

START = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


@dataclass
class VirtualTime:
    """Moves only when somebody sleeps."""

    moment: datetime = START

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@dataclass
class MemoryPlatform:
    """Jobs by token; ``script``: a new job's states by age in seconds, ``cancel_takes``: how long a cancel pends."""

    time: VirtualTime = field(default_factory=VirtualTime)
    script: tuple[tuple[float, JobState], ...] = (
        (0, JobState.QUEUED),
        (10, JobState.RUNNING),
        (60, JobState.SUCCEEDED),
    )
    cancel_takes: float = 5.0

    def __post_init__(self) -> None:
        self.sent: dict[str, JobStatus] = {}
        self.scripts: dict[JobRef, tuple[tuple[float, JobState], ...]] = {}
        self.cancelled: dict[JobRef, datetime] = {}
        self.logs: dict[JobRef, str] = {}
        self.sizes: dict[JobRef, SparkJob] = {}
        self.submits = 0
        self.feeds = 0
        self.wanted: AbstractSet[JobRef] = frozenset()
        self.fail_submit_after_commit = False
        self.feed_faults: list[Exception] = []
        self.log_reads = 0
        self.sightings: list[Sighting] = []
        self.changed = asyncio.Event()
        self.before_cancel: Callable[[], object] = lambda: None
        self.loop: asyncio.AbstractEventLoop | None = None

    def render(self, job: SparkJob, identity: JobIdentity) -> Request:
        body = job.model_dump(mode="json")
        spec_hash = digest(body)
        return Request(
            "memory", "memory", identity.name, identity.token, spec_hash, {**body, "tags": identity.tags(spec_hash)}
        )

    def submit(self, request: Request) -> JobRef:
        self.submits += 1
        known = self.sent.get(request.token)
        if known is None:
            ref = JobRef(f"memory://here/{request.name}")
            names = {"name": request.name, "token": request.token}
            known = JobStatus(ref, JobState.QUEUED, tags=request.body["tags"], submitted=self.time.now(), **names)
            self.sent[request.token] = known
            self.scripts[ref] = self.script
            work = {key: value for key, value in request.body.items() if key != "tags"}
            self.sizes[ref] = SparkJob.model_validate(work)
        if self.fail_submit_after_commit:
            self.fail_submit_after_commit = False
            msg = "timed out"
            raise PlatformError(msg, retryable=True)
        return known.ref

    def find(self, identity: JobIdentity) -> list[JobStatus]:
        key = identity.task_key[:16]
        found = [self._now(job) for job in self.sent.values() if job.tags["airflow-doeks/task-key"] == key]
        return sorted(found, key=lambda job: job.submitted or START, reverse=True)

    def living(self, instance: str) -> Iterator[JobStatus]:
        for job in map(self._now, self.sent.values()):
            if not job.state.is_terminal and job.tags["airflow-doeks/instance"] == label_value(instance):
                yield job

    def observe(self, ref: JobRef) -> JobStatus:
        for job in self.sent.values():
            if job.ref == ref:
                return self._now(job)
        return JobStatus(ref, JobState.LOST, reason="it is not in this memory")

    def scope(self, ref: JobRef) -> Scope:
        return Scope("memory", ref.authority, "me", "default")

    async def feed(self, scope: Scope, wanted: AbstractSet[JobRef]) -> AsyncIterator[JobStatus | Sighting]:
        del scope
        self.wanted = wanted
        self.loop = asyncio.get_running_loop()
        self.feeds += 1
        while True:
            if self.feed_faults:
                raise self.feed_faults.pop(0)
            for sighting in self.sightings:
                yield sighting
            for job in list(self.sent.values()):
                yield self._now(job)
            self.changed.clear()
            await self.changed.wait()

    def tick(self, seconds: float) -> None:
        """Let time pass and tell the feed."""
        self.time.sleep(seconds)
        self.wake()

    def wake(self) -> None:
        """From any thread."""
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.changed.set)

    def cancel(self, ref: JobRef) -> None:
        self.before_cancel()
        if not self.observe(ref).state.is_terminal:
            self.cancelled.setdefault(ref, self.time.now())
        self.wake()

    def links(self, ref: JobRef) -> dict[str, str]:
        return {"Job console": f"https://console.example/{ref.path[-1]}"}

    def telemetry(self, ref: JobRef) -> Telemetry:
        status, job = self.observe(ref), self.sizes.get(ref)
        if job is None:
            return Telemetry(why=(status.reason,))
        size = job.driver
        driver = Pod(uid="driver", role="driver", vcpu=parse_cpu(size.cpu), memory_gib=gib(parse_memory(size.memory)))
        node = Node(uid="assumed", instance_type="m7g.xlarge")
        times = {"submitted": status.submitted, "started": status.started, "ended": status.ended}
        return Telemetry(requested=(driver,), assumed_node=node, why=("memory keeps no event log",), **times)

    def log(self, ref: JobRef, upto: str = "") -> LogPart:
        self.log_reads += 1
        lines = self.logs.get(ref, "").splitlines()
        return LogPart(tuple(lines[int(upto or 0) :]), str(len(lines)))

    def nodes(self, pods: Sequence[Pod]) -> NodesFound:
        del pods
        return NodesFound({})

    def release(self, ref: JobRef) -> None:
        """Nothing is kept that costs."""

    def explain(self, ref: JobRef) -> JobFailure:
        status, lines = self.observe(ref), self.logs.get(ref, "").splitlines()
        category, message = root_cause(lines)
        if status.state is JobState.CANCELLED:
            category, message = "cancelled", "it was cancelled"
        evidence = (f"memory: {status.state.value}",)
        return JobFailure(
            category=category, message=message or f"{ref} failed", evidence=evidence, log_tail=tuple(lines)
        )

    def _now(self, job: JobStatus) -> JobStatus:
        now, submitted = self.time.now(), job.submitted or START
        asked = self.cancelled.get(job.ref)
        if asked is not None:
            over = now >= asked + timedelta(seconds=self.cancel_takes)
            return replace(job, state=JobState.CANCELLED if over else JobState.RUNNING, is_cancelling=not over)
        age = (now - submitted).total_seconds()
        at, state = [(start, state) for start, state in self.scripts[job.ref] if start <= age][-1]
        started = next(
            (start for start, word in self.scripts[job.ref] if word is JobState.RUNNING and start <= age), None
        )
        return replace(
            job,
            state=state,
            started=None if started is None else submitted + timedelta(seconds=started),
            ended=submitted + timedelta(seconds=at) if state.is_terminal else None,
        )


class Config(BaseModel):
    """The entry of doeks.yaml: which of the platforms in memory is meant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["memory"] = Field(description="Jobs in the memory of a test.")
    place: str = Field(description="Which memory.", examples=["here"])
    log_seconds: float | None = Field(default=None, description="How often a job's log is read.", examples=[30])


MEMORY = PlatformType(  # its row of the registry, in tests
    module=__name__,
    checks=__name__,
    engines=frozenset({SPARK}),
    ref="memory://<host>/<name>",
)


def check_job(config: object, job: JobValues) -> list[Finding]:
    """Memory holds no secrets."""
    del config
    return [Finding(f"secrets.{name}", "memory has no secrets", "use `env`") for name in job["secrets"]]


PLACES: dict[str, MemoryPlatform] = {}


def Platform(config: Config, name: str, clients: object) -> MemoryPlatform:  # noqa: N802 - the protocol's name
    """The platform a test put in its place."""
    del name, clients
    return PLACES[config.place]
