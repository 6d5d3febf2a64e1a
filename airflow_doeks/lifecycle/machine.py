"""What to do next with a job that somebody waits for: a pure step over what was seen and what time it is.

Whoever waits (`waiting` on a worker, the trigger in a triggerer) looks at the job in a way of its own and does what the
step says. Rules:

* a job that ended is done, whatever the clock says;
* a job that is overdue is cancelled once the platform takes it, and its end is awaited for a while;
* a platform that does not answer is asked again for ``OUTAGE_SECONDS``, one that refuses for good is given up;
* a wait has a moment at which it ends, unless nothing limits the job.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from airflow_doeks.lifecycle.deadlines import Budgets, next_deadline
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.status import JobRef, JobState, JobStatus

ENDING_SECONDS = 60.0  # that a cancelled job may take to end before its task goes on without it
OUTAGE_SECONDS = 300.0  # that a platform may leave unanswered
AGAIN_SECONDS = 5.0  # between two calls that were not answered


class Do(enum.Enum):
    """What the one who waits does next."""

    WAIT = "wait"  # for news of the job, or until the step's moment
    LOOK = "look"  # ask the platform itself, once more: news may be late
    CANCEL = "cancel"  # ask the platform for the job's end
    DONE = "done"  # the job ended, reached the goal, or did not end though it was cancelled
    GIVE_UP = "give up"  # the platform refuses, or has not answered for too long


@dataclass(frozen=True)
class Goal:
    """What is waited for: the job's end, or that it has been running for so many seconds on end."""

    running_seconds: float | None = None


FINISHED = Goal()


@dataclass(frozen=True)
class Watch:
    """What is known of one wait; a step gives the next.

    Attributes:
        last: the last status seen.
        entered: when its state was first seen.
        well_since: since when it runs as it should; None while it does not.
        told: the status that was last called news.
        spent: the budget for which the job is ended.
        end_until: until when the end of a cancelled job is awaited; None while no cancel was accepted.
        silent_since: the first of the calls in a row that were not answered.
        is_last_look: the next status is the last one, whatever it says.
    """

    submitted: datetime
    budgets: Budgets
    last: JobStatus
    entered: datetime
    goal: Goal = FINISHED
    well_since: datetime | None = None
    told: str = ""
    spent: str | None = None
    end_until: datetime | None = None
    silent_since: datetime | None = None
    is_last_look: bool = False


@dataclass(frozen=True)
class Step:
    """The watch after what was seen, and what to do. ``until`` belongs to WAIT, None for as long as it takes.

    ``is_news``: the last status reads differently from the one before.
    """

    watch: Watch
    do: Do
    until: datetime | None = None
    is_news: bool = False

    @property
    def overdue(self) -> str | None:
        """The budget that the job used up; None if it succeeded all the same."""
        return None if self.watch.last.state is JobState.SUCCEEDED else self.watch.spent


def watch(ref: JobRef, submitted: datetime, budgets: Budgets, *, now: datetime, goal: Goal = FINISHED) -> Watch:
    """The wait for a job of which nothing was seen yet."""
    return Watch(submitted, budgets, JobStatus(ref, JobState.QUEUED, submitted=submitted), now, goal)


def spend(before: Watch, budget: str, now: datetime) -> Step:
    """A budget of dollars is used up: the job is ended as one that is overdue, if it is not already."""
    return _next(before if before.spent else replace(before, spent=budget), now)


def accepted(before: Watch, now: datetime) -> Watch:
    """The platform took the cancel."""
    return replace(before, end_until=now + timedelta(seconds=ENDING_SECONDS), silent_since=None)


def step(before: Watch, seen: JobStatus | PlatformError | None, now: datetime) -> Step:
    """What follows from a status, from a call that failed, or from None: nothing new, time went by."""
    if isinstance(seen, PlatformError):
        return _unanswered(before, seen, now)
    if seen is None:
        return _next(before, now)
    entered = before.entered if seen.state is before.last.state else now
    is_cancel_open = before.spent is not None and before.end_until is None  # who answers a look has not taken a cancel
    silent_since = before.silent_since if is_cancel_open else None
    is_well = seen.state is JobState.RUNNING and seen.is_well
    well_since = (before.well_since or now) if is_well else None
    after = replace(
        before, last=seen, entered=entered, well_since=well_since, told=str(seen), silent_since=silent_since
    )
    return replace(_next(after, now), is_news=before.told != after.told)


def entered_at(before: Step, moment: datetime, now: datetime) -> Step:
    """The step where the present state is known to have been entered at an earlier moment."""
    watch = replace(before.watch, entered=min(moment, before.watch.entered))
    return replace(_next(watch, now), is_news=before.is_news)


def _unanswered(before: Watch, error: PlatformError, now: datetime) -> Step:
    after = replace(before, silent_since=before.silent_since or now)
    if not error.retryable or now - (after.silent_since or now) >= timedelta(seconds=OUTAGE_SECONDS):
        return Step(after, Do.GIVE_UP)
    again = now + timedelta(seconds=AGAIN_SECONDS)
    following = _next(after, now)
    if following.do is Do.WAIT:
        return replace(following, until=min(following.until or again, again))
    was_cancel = following.do is Do.CANCEL and before.spent is not None
    return Step(after, Do.WAIT, again) if was_cancel else following


def _next(after: Watch, now: datetime) -> Step:
    if after.last.state.is_terminal or after.is_last_look:
        return Step(after, Do.DONE)
    if after.end_until is not None:
        is_over = after.end_until <= now
        return Step(replace(after, is_last_look=True), Do.LOOK) if is_over else Step(after, Do.WAIT, after.end_until)
    if after.spent is not None:
        return Step(after, Do.CANCEL)
    reached = _reached(after)
    deadline = next_deadline(after.last, after.budgets, submitted=after.submitted, entered=after.entered)
    if reached is not None and reached <= now and (deadline is None or reached <= deadline[0]):
        return Step(after, Do.DONE)
    if deadline is not None and deadline[0] <= now:
        return Step(replace(after, spent=deadline[1]), Do.CANCEL)
    moments = [moment for moment in (reached, deadline and deadline[0]) if moment is not None]
    return Step(after, Do.WAIT, min(moments, default=None))


def _reached(after: Watch) -> datetime | None:
    """When the goal is reached if the job goes on as it does; None if that is its end."""
    seconds = after.goal.running_seconds
    if seconds is None or after.well_since is None:
        return None
    return after.well_since + timedelta(seconds=seconds)
