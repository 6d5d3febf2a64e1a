"""What a job needs whose task may be over: nothing, its record, or its end. Pure: who asks and acts stands above.

A job is touched only when it is told to be of this Airflow, and when Airflow says that its task is over or gone: a task
that still runs, waits or will be tried again follows, adopts or ends its job itself. What is done twice, or by two at
once, leaves the same record.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_doeks.lifecycle.endings import Ending, of_itself
from airflow_doeks.lifecycle.submission import Submission, submission_of
from airflow_doeks.model.engine import Engine
from airflow_doeks.model.identity import LASTING, MODE, PREFIX, JobIdentity, label_value
from airflow_doeks.model.record import Attempt, JobRecord
from airflow_doeks.model.status import JobRef, JobStatus

ORPHAN_AFTER = timedelta(minutes=10)  # since its task was over: callback, trigger and worker go first
_OVER = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
_AT_WORK = frozenset({"running", "deferred", "restarting"})
_RUN_OVER = frozenset({"success", "failed"})


@dataclass(frozen=True)
class TaskNow:
    """What Airflow says of a task instance now, in its own words; ``state`` None: it has none yet, or was cleared.

    ``ended`` None and ``run_state`` None: Airflow was not asked, or does not tell.
    """

    state: str | None
    ended: datetime | None = None
    run_state: str | None = None

    @property
    def is_over(self) -> bool:
        """True if nobody will follow or adopt a job of this task any more."""
        return self.state in _OVER or (self.run_state in _RUN_OVER and not self.is_at_work)

    @property
    def is_at_work(self) -> bool:
        """True while a worker or a trigger follows its job."""
        return self.state in _AT_WORK


TaskStates = Callable[[Attempt], "TaskNow | None"]  # None: Airflow has no such task instance (any more)


class Need(enum.Enum):
    """What is to be done with a job."""

    NOTHING = "leave"
    SETTLE = "settle"
    CANCEL = "cancel"
    DAYS = "days"  # the records of the days that a job without an end of its own lived through


@dataclass(frozen=True)
class Unsettled:
    """A job without a settled record; ``known`` is what the ledger has of it."""

    submission: Submission
    identity: JobIdentity
    status: JobStatus
    known: JobRecord | None = None


@dataclass(frozen=True)
class Decision:
    """What a job needs and why, in a reader's words; ``ending`` goes with SETTLE and CANCEL."""

    need: Need
    why: str
    ending: Ending | None = None


def from_tags(status: JobStatus, instance: str, platform: str, engine: Engine) -> Unsettled | None:
    """A job that its platform showed, by its own tags; None unless they tell, in full, a task of this Airflow."""
    tags = {key.removeprefix(PREFIX): value for key, value in status.tags.items()}
    try:
        identity = JobIdentity(
            instance=instance,
            dag_id=tags["dag"],
            run_id=tags["run"],
            task_id=tags["task"],
            map_index=int(tags["map"]),
            try_number=int(tags["try"]),
            run_started=datetime.fromisoformat(tags["run-started"]),
            attempt_id="",
            cost_tags={key.removeprefix("tag-"): value for key, value in tags.items() if key.startswith("tag-")},
        )
    except (KeyError, ValueError):
        return None
    submission = submission_of(status, identity, engine=engine, platform=platform)
    # A label may hold a shortened value: only the whole names give the task's key.
    if submission is None or tags.get("task-key") != _task_key(submission, identity)[:16]:
        return None
    return Unsettled(submission, identity, status)


def _task_key(submission: Submission, identity: JobIdentity) -> str:
    return identity.lasting_key if submission.is_lasting else identity.task_key


def from_record(record: JobRecord, status: JobStatus, instance: str, *, has_days: bool = False) -> Unsettled | None:
    """A job that the ledger has as running; None for one that is not told to be of this Airflow.

    Airflows may share a ledger: the job's tags decide, where its platform still has them, else the record.
    ``has_days``: there are records of its days, so it has no end of its own, whatever its platform still tells.
    """
    attempt, submitted = record.attempt, record.times.submitted
    if record.job.ref is None or submitted is None:
        return None
    told = status.tags.get(f"{PREFIX}instance") or attempt.instance
    if told is None or label_value(told) != label_value(instance):
        return None
    submission = Submission(
        ref=JobRef(record.job.ref),
        platform=record.job.platform,
        name=record.job.name,
        token=status.token,
        spec_hash=record.spec_hash or "",
        try_number=attempt.try_number,
        submitted=submitted,
        engine=record.job.engine,
        tags={**status.tags, **({MODE: LASTING} if has_days else {})},
        estimate_usd=None if record.cost.estimate_usd is None else f"{record.cost.estimate_usd:f}",
    )
    identity = JobIdentity(
        instance=instance,
        dag_id=attempt.dag_id,
        run_id=attempt.run_id,
        task_id=attempt.task_id,
        map_index=attempt.map_index,
        try_number=attempt.try_number,
        run_started=submitted,
        attempt_id="",
        cost_tags=dict(record.cost_tags),
    )
    return Unsettled(submission, identity, status, record)


def decide(job: Unsettled, task: TaskNow | None, *, now: datetime, orphan_after: timedelta = ORPHAN_AFTER) -> Decision:
    """What to do with a job whose task Airflow has in this state, or no longer has (None)."""
    if job.submission.is_lasting and not job.status.state.is_terminal:
        return Decision(Need.DAYS, "it has no end of its own: its days are written while it lives")
    if task is not None and not task.is_over:
        return Decision(Need.NOTHING, f"its task is {task.state or 'to be run again'} and looks after it")
    whose = "its task is gone from Airflow" if task is None else f"its task is {task.state or 'over with its run'}"
    status = job.status
    if status.state.is_terminal:
        return Decision(Need.SETTLE, f"it is {status.state.value} and {whose}", of_itself(status))
    if job.known is not None and job.known.settled_by_try is not None and status.is_cancelling:
        return Decision(Need.NOTHING, "it is settled and about to end")
    over_since = task.ended if task is not None and task.ended is not None else job.submission.submitted
    left = orphan_after - (now - over_since)
    if left > timedelta(0):
        return Decision(Need.NOTHING, f"{whose}: it is cancelled in {left.total_seconds():.0f} s if it still runs")
    ending = Ending.FORGOTTEN if task is None else Ending.LEFT_BEHIND
    return Decision(Need.CANCEL, f"{whose}, and it still runs", ending)
