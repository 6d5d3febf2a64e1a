"""Submit exactly once: adopt the job of a dead worker, or submit under a token that gives the same job every time.

The token protects one submit call (a time-out after the commit, a client's retry, the same try executed again).
Finding the job that an earlier try left behind is adoption; it looks only at jobs of the same task, run and Airflow.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from airflow_doeks.lifecycle.cancellation import cancel
from airflow_doeks.lifecycle.clock import Clock
from airflow_doeks.model.engine import SPARK, Engine
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.identity import CLOCK_SKEW, LASTING, MODE, PREFIX, JobIdentity, label_value
from airflow_doeks.model.jobs import Job
from airflow_doeks.model.status import JobRef, JobState, JobStatus, Request
from airflow_doeks.platforms.protocol import Platform

log = logging.getLogger(__name__)
_COST_TAG = f"{PREFIX}tag-"


@dataclass(frozen=True)
class Submission:
    """A job that exists: what the trigger carries and the record is made from. Holds no credentials and no job text.

    Attributes:
        name, token, tags: the job's own, whoever follows it now; empty where nobody tells.
        try_number: the attempt that submitted; with ``adopted`` an earlier one than the attempt that follows it now.
        platform: the name of the entry in doeks.yaml.
        estimate_usd: what it was expected to cost before it ran.
        unknown: what a newer version carries, by key; handed on as it is.
    """

    ref: JobRef
    platform: str
    name: str
    token: str
    spec_hash: str
    try_number: int
    submitted: datetime
    adopted: bool = False
    engine: str = SPARK.name
    tags: Mapping[str, str] = field(default_factory=dict)
    estimate_usd: str | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cost_tags(self) -> dict[str, str] | None:
        """What the job itself is billed by; None if its tags are not known."""
        if not self.tags:
            return None
        return {key.removeprefix(_COST_TAG): value for key, value in self.tags.items() if key.startswith(_COST_TAG)}

    @property
    def is_lasting(self) -> bool:
        """True for a job without an end of its own, by its own tags."""
        return self.tags.get(MODE) == LASTING

    def to_json(self) -> dict[str, Any]:
        """Plain JSON for triggers and XCom."""
        plain = {**self.unknown, **vars(self), "ref": str(self.ref), "submitted": self.submitted.isoformat()}
        del plain["unknown"]
        return plain

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Submission:
        """What ``to_json`` gave, here or in another version."""
        names = {field.name for field in fields(cls)}
        known = {key: value for key, value in values.items() if key in names}
        unknown = {key: value for key, value in values.items() if key not in names}
        known |= {"ref": JobRef(values["ref"]), "submitted": datetime.fromisoformat(values["submitted"])}
        return cls(**known, unknown=unknown)


def as_sent(identity: JobIdentity, tags: Mapping[str, str]) -> JobIdentity:
    """The identity that a job's own tags tell; what they leave out is that of the attempt that looks."""

    def told(key: str) -> str:
        return tags.get(PREFIX + key, "")

    return replace(
        identity,
        dag_id=told("dag") or identity.dag_id,
        run_id=told("run") or identity.run_id,
        task_id=told("task") or identity.task_id,
        map_index=int(told("map")) if re.fullmatch(r"-?\d+", told("map")) else identity.map_index,
    )


def submission_of(status: JobStatus, identity: JobIdentity, *, engine: Engine, platform: str) -> Submission | None:
    """The submission behind a job that was found on its platform; None for one that no try of a task submitted.

    ``identity`` is that of the attempt that looks; it stands in for what the platform does not tell.
    """
    number = _try_of(status)
    if number is None:
        return None
    return Submission(
        ref=status.ref,
        platform=platform,
        name=status.name or identity.name,
        token=status.token or identity.token,
        spec_hash=status.tags.get(f"{PREFIX}spec", ""),
        try_number=number,
        submitted=status.submitted or identity.run_started,
        engine=engine.name,
        tags=dict(status.tags),
    )


def submit(
    platform: Platform,
    job: Job,
    identity: JobIdentity,
    *,
    engine: Engine = SPARK,
    base_try: int = 0,
    cancel_seconds: float = 120.0,
    clock: Clock | None = None,
    on_replaced: Callable[[JobStatus], None] = lambda _: None,
    before_new: Callable[[], None] = lambda: None,
) -> Submission:
    """The job of this attempt: an earlier try's if it may be adopted, else a new one.

    ``base_try`` is ``ti.max_tries - task.retries``: tries up to it belong to a life of the task that was cleared.
    ``on_replaced`` is told of each job of an earlier try that was ended for the new one; ``before_new`` is called when
    none was adopted, and may raise. Raises PlatformError when the
    platform refuses, or when a job that must end first does not.
    """
    clock = clock or Clock()
    request = platform.render(job, identity)
    if identity.try_number > 1:
        adopted, living = _earlier_jobs(
            platform, job, identity, engine=engine, spec_hash=request.spec_hash, base_try=base_try
        )
        for status in living:
            on_replaced(_end(platform, status, cancel_seconds, clock))
        if adopted is not None:
            log.info("Adopted %s of try %s: it is not submitted again", adopted.ref, adopted.try_number)
            return replace(adopted, platform=request.platform, spec_hash=request.spec_hash, adopted=True)
    before_new()
    ref = platform.submit(request)
    log.info("Submitted %s", ref)
    if request.is_lasting:
        return _lasting(platform.observe(ref), request, identity, engine)
    return Submission(
        ref=ref,
        platform=request.platform,
        name=request.name,
        token=request.token,
        spec_hash=request.spec_hash,
        try_number=identity.try_number,
        submitted=clock.now(),
        engine=engine.name,
        tags=identity.tags(request.spec_hash),
    )


def _lasting(status: JobStatus, request: Request, identity: JobIdentity, engine: Engine) -> Submission:
    """The submission of a job that was perhaps there before: its name, its keys, and when it came to be."""
    return Submission(
        ref=status.ref,
        platform=request.platform,
        name=status.name or request.name,
        token=status.token or request.token,
        spec_hash=request.spec_hash,
        try_number=_try_of(status) or identity.try_number,
        submitted=status.submitted or identity.run_started,
        engine=engine.name,
        tags=dict(status.tags),
    )


def _earlier_jobs(
    platform: Platform, job: Job, identity: JobIdentity, *, engine: Engine, spec_hash: str, base_try: int
) -> tuple[Submission | None, list[JobStatus]]:
    """The job to adopt, and every other living job of this task's earlier tries, which must end first.

    So must one from before the task was cleared: some Airflows (3.2) tell its trigger only when the next try waits. A
    run that is cleared after it finished has a new start; the jobs of its earlier start end, too.
    """
    adopted: Submission | None = None
    living: list[JobStatus] = []
    for status in platform.find(identity):
        number = _earlier_try(status, identity)
        if number is None:
            continue
        is_same_life = 0 <= base_try < number and _is_of_this_start(status, identity)
        if adopted is None and is_same_life and _may_adopt(status, job, spec_hash):
            adopted = submission_of(status, identity, engine=engine, platform=status.ref.type)
        elif not status.state.is_terminal:
            living.append(status)
    return adopted, living


def _earlier_try(status: JobStatus, identity: JobIdentity) -> int | None:
    """The number of the try of this very task instance that left the job; None if it is somebody else's."""
    same = _has(status, "task-key", identity.task_key[:16]) and _has(status, "instance", identity.instance)
    number = _try_of(status)
    return number if same and number is not None and number < identity.try_number else None


def _is_of_this_start(status: JobStatus, identity: JobIdentity) -> bool:
    """True unless the job comes from before the run was cleared as a whole, or deleted and made again."""
    was_before_run = status.submitted is not None and status.submitted < identity.run_started - CLOCK_SKEW
    return _has(status, "run-started", identity.run_started.isoformat()) and not was_before_run


def _has(status: JobStatus, key: str, value: str) -> bool:
    return status.tags.get(PREFIX + key) in (value, label_value(value))


def _may_adopt(status: JobStatus, job: Job, spec_hash: str) -> bool:
    lives_or_succeeded = status.state is JobState.SUCCEEDED or not status.state.is_terminal
    same_work = status.tags.get(f"{PREFIX}spec") == spec_hash[:16]
    return job.on_retry == "adopt" and lives_or_succeeded and same_work and not status.is_cancelling


def _end(platform: Platform, status: JobStatus, cancel_seconds: float, clock: Clock) -> JobStatus:
    log.info("Cancelling %s of try %s before a new job starts", status.ref, _try_of(status))
    last = cancel(platform, status.ref, wait_seconds=cancel_seconds, clock=clock)
    if not last.state.is_terminal:
        msg = (
            f"{status.ref} of an earlier try did not end within {cancel_seconds:.0f} s of being cancelled "
            f"(it is {last.state.value}); no second job is started beside it. Raise [doeks] cancel_timeout or end it "
            "by hand, then retry."
        )
        raise PlatformError(msg, retryable=True)
    return last


def _try_of(status: JobStatus) -> int | None:
    text = status.tags.get(f"{PREFIX}try", "")
    return int(text) if text.isdigit() else None
