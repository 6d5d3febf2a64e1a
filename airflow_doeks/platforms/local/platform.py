"""Platform type ``local``: real Spark and Flink on this machine, one run directory and one supervisor process a job.

Whoever submits, follows or cancels talks to the job through files of ``<local_dir>/<name>`` and looks at no process,
so worker and triggerer may be different containers that share ``local_dir`` (and a clock).

What a job of an engine asks for, how it is run and what it occupied is told by ``spark_job`` and ``flink_job``; it
is priced on a node of the type ``priced_as``. Image, release, presets and GPUs of a job mean
nothing here and are left out.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from airflow_doeks.model.engine import FLINK, SPARK
from airflow_doeks.model.errors import PlatformError, SpecError
from airflow_doeks.model.identity import PREFIX, JobIdentity, label_value, slug
from airflow_doeks.model.jobs import Job, engine_of
from airflow_doeks.model.record import JobFailure
from airflow_doeks.model.status import JobRef, JobState, JobStatus, Request, Scope
from airflow_doeks.model.telemetry import Node, Pod, Sighting, Telemetry
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.local import flink_job, launch, runs, spark_job, streams
from airflow_doeks.platforms.local.checks import NO_SECRETS, SAY_WHERE, check_job
from airflow_doeks.platforms.local.config import Config
from airflow_doeks.platforms.local.machine import refuse_short_lived
from airflow_doeks.platforms.protocol import LogPart, NodesFound
from airflow_doeks.platforms.root_cause import last_words
from airflow_doeks.platforms.spark.conf import spec_hash

__all__ = ["Config", "Platform", "check_job"]

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
_KINDS: Mapping[str, Any] = {SPARK.name: spark_job, FLINK.name: flink_job}  # modules of one shape
_LOOKS_UNTIL_LOST = 3
_LOG_TAIL_LINES = 200
_KILLED = "ended by SIGKILL"  # by a person, or by the kernel for want of memory


class Platform:
    """This machine."""

    def __init__(self, config: Config, name: str, clients: Clients) -> None:
        self.config = config
        self.name = name
        self.local_dir = Path(config.local_dir or clients.local_dir).expanduser().absolute()
        self._injection = replace(clients.inject, event_log=clients.inject.event_log and config.event_log)
        self._time, self._in_thread, self._secret = clients.time, clients.in_thread, clients.secret
        self._unread: set[Path] = set()
        self.streams = streams.Streams(self.local_dir, self._time, self._start)

    def render(self, job: Job, identity: JobIdentity) -> Request:
        """What the job asks for; the machine's limits, its Java and its engine are looked up at submit."""
        for name, secret in job.secrets.items():
            if not secret.here:
                msg = f"secrets.{name}: {NO_SECRETS}; {SAY_WHERE}"
                raise SpecError(msg)
        act = next((act for act in engine_of(job).acts if getattr(job, act) is not None), None)
        if act is not None:
            target = getattr(job, act)
            stream = identity.of_task(target)
            asked = {act: {"name": stream.lasting_name, "instance": label_value(stream.instance)}}
            hashed, is_lasting = spec_hash([act, target]), True
            return Request(self.name, "local", identity.name, identity.token, hashed, asked, is_lasting)
        kind, is_lasting = _KINDS[engine_of(job).name], engine_of(job).may_outlive(job.plain())
        work = kind.work(job, self._injection)
        name, hashed = identity.lasting_name if is_lasting else identity.name, spec_hash(work)
        run, tags = self.local_dir / name, identity.lasting_tags(hashed) if is_lasting else identity.tags(hashed)
        more = kind.for_run(work, run, identity, self._injection)
        body = {"run_dir": str(run), **work, **more, "identity": tags}
        return Request(self.name, "local", name, identity.token, hashed, body, is_lasting)

    def submit(self, request: Request) -> JobRef:
        """Make the run directory, whole, and have a supervisor claim it; a second call finishes what a first began."""
        refuse_short_lived(os.environ)
        self._secrets(request.body)
        if (stop := request.body.get("stop")) is not None:
            return self.streams.stop(stop["name"], stop["instance"], request.token)
        kind = _KINDS[request.body.get("engine", SPARK.name)]
        if request.is_lasting:
            return self.streams.deploy(request, partial(kind.plan, java=self.config.java))
        run = Path(request.body["run_dir"])
        if not run.exists():
            plan = kind.plan(request.body, self.config.java)
            runs.create(run, request, plan, self._time.now())
        made = runs.read_request(run)
        if made is None or made["token"] != request.token:
            msg = f"{run} belongs to another job; give each Airflow its own [doeks] local_dir, or remove the folder."
            raise PlatformError(msg)
        if not (run / "state.json").exists():
            self._start(run)
        return JobRef(made["ref"])

    def save(self, request: Request, seconds: float) -> str:
        """Take the savepoint that a rendered request asks for; the same token takes one."""
        asked = request.body["savepoint"]
        return self.streams.save(asked["name"], asked["instance"], request.token, seconds)

    def checkpoints(self, ref: JobRef) -> int:
        """How many checkpoints a stream completed since it was started last."""
        return streams.checkpoints(self._run(ref))

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
        return self._look(self._run(ref), ref)

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
        """Put ``cancel`` into the run directory; a job that nobody claimed yet ends at once and never starts.

        A stream that runs well is left as it is; one that does not come up is ended, and its last state is kept.
        """
        request = runs.read_request(self._run(ref))
        if request and streams.is_stream(request):
            status = self.observe(ref)
            if status.state is JobState.RUNNING and status.is_well:
                log.warning("%s is a stream and is left as it is; a task that stops it ends it", ref)
                return
        runs.cancel(self._run(ref))

    def links(self, ref: JobRef) -> dict[str, str]:
        """The log of the driver or job manager on this machine, and what a job says of itself there."""
        run = self._run(ref)
        log, request = run / runs.LOG, runs.read_request(run)
        own = _kind_of(request).links(run) if request else {}
        return {**({"Driver log": log.as_uri()} if log.exists() else {}), **own}

    def telemetry(self, ref: JobRef) -> Telemetry:
        """One pod, the size the job was granted; the node is an assumed one of type ``priced_as``."""
        run, status = self._run(ref), self.observe(ref)
        request = runs.read_request(run)
        if request is None:
            return Telemetry(why=(status.reason,))
        kind = _kind_of(request)
        event_log, why = kind.event_log(run)
        pods = kind.pods(run, request, status)
        return Telemetry(
            **({"pods": pods} if streams.is_stream(request) else {"requested": pods}),
            assumed_node=Node(uid="local", instance_type=self.config.priced_as, capacity_type="on_demand"),
            event_log=event_log,
            submitted=status.submitted,
            scheduled=status.started,
            started=status.started,
            ended=status.ended,
            why=(*request["launch"]["why"], *why),
        )

    def log(self, ref: JobRef, upto: str = "") -> LogPart:  # noqa: ARG002 - the protocol's
        """Nothing: the log is a file of this machine."""
        return LogPart((), upto)

    def nodes(self, pods: Sequence[Pod]) -> NodesFound:  # noqa: ARG002 - the protocol's
        """None: this machine is priced as `priced_as` says."""
        return NodesFound({})

    def release(self, ref: JobRef) -> None:
        """Nothing is kept that costs."""

    def explain(self, ref: JobRef) -> JobFailure:
        """What ended the job from outside, as its supervisor saw it; else the root cause in the driver's log."""
        run = self._run(ref)
        log = run / runs.LOG
        lines = runs.tail(log)
        try:
            status, request = self.observe(ref), runs.read_request(run)
        except PlatformError as error:
            return JobFailure(category="platform", message=str(error))
        category, message = (_kind_of(request) if request else spark_job).root_cause(lines)
        evidence = [f"{status.native_state}: {status.reason}" if status.reason else status.native_state]
        if status.state is JobState.CANCELLED:
            category, message = "cancelled", "it was cancelled"
        elif status.state is JobState.LOST:
            category, message = "platform", status.reason
        elif status.state is JobState.FAILED and status.reason:  # what its log holds, it had survived till then
            evidence += [f"the log says: {message}"] if message else []
            category = "unknown" if status.native_state == _KILLED else "platform"
            message = ": ".join(part for part in (status.reason, last_words(lines)) if part)
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
        made = runs.read_request(run) or {"body": {}}
        launch.start_supervisor(run, self.config.pass_env, self._secrets(made["body"]))

    def _secrets(self, body: Mapping[str, Any]) -> dict[str, str]:
        """Variable of the job -> the secret, looked up now; SpecError for one that is not where the job says."""
        found = {}
        for name, where in (body.get("secrets") or {}).items():
            if "env" in where and where["env"] in os.environ:
                found[name] = os.environ[where["env"]]
            elif "connection" in where:
                found[name] = self._secret(where["connection"])
            else:
                msg = f"secrets.{name}: the worker's environment has no variable {where['env']}"
                raise SpecError(msg)
        return found

    def _run(self, ref: JobRef) -> Path:
        return self.local_dir / ref.path[0]

    def _look_all(self, refs: tuple[JobRef, ...]) -> list[JobStatus]:
        return [status for status in (self._legible(self._run(ref), ref) for ref in refs) if status]

    def _look(self, run: Path, ref: JobRef) -> JobStatus:
        status, request = runs.look(run, ref, self._time.now()), runs.read_request(run)
        return streams.seen(run, request, status) if request and streams.is_stream(request) else status

    def _legible(self, run: Path, ref: JobRef | None = None) -> JobStatus | None:
        """One of many jobs; None, with one warning, where its files cannot be read: the others go on."""
        try:
            request = runs.read_request(run) if ref is None else None
            ref = JobRef(request["ref"]) if request else ref
            status = self._look(run, ref) if ref else None
        except PlatformError as error:
            if run not in self._unread:
                log.warning("%s is passed over until it can be read: %s", run, error)
            self._unread.add(run)
            return None
        self._unread.discard(run)
        return status


def _kind_of(request: Mapping[str, Any]) -> Any:
    """The module of a job's engine; a request of an earlier version is Spark's."""
    return _KINDS[request["body"].get("engine", SPARK.name)]
