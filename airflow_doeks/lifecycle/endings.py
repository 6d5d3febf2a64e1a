"""How a job comes to its end, and what follows: one row an ending.

Whoever ends a job, or sees that it ended, names the ending; words, category, retry and whether the job may live on are
this table's.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass

from airflow_doeks.model.record import FailureCategory, JobFailure
from airflow_doeks.model.status import BEFORE, JobState, JobStatus

# Categories that another try will not mend; `retry_on` of a task says otherwise.
MONEY = "budget_usd"  # begins the name of every budget of dollars, as no time budget's does
NOT_RETRIED: frozenset[FailureCategory] = frozenset({"user_code", "cancelled", "budget"})


class Ending(enum.Enum):
    """By whom and why a job ends, or never comes to be."""

    SUCCEEDED = "succeeded"
    UP = "up"
    FAILED = "failed"
    CANCELLED_ELSEWHERE = "cancelled elsewhere"
    LOST = "lost"
    UNENDED = "unended"
    OVER_BUDGET = "over budget"
    SPENT = "spent"
    TASK_TIMED_OUT = "task timed out"
    TASK_ENDED = "task ended"
    LEFT_BEHIND = "left behind"
    FORGOTTEN = "forgotten"
    REPLACED = "replaced"
    INTERRUPTED = "interrupted"
    UNFOLLOWED = "unfollowed"
    MISWRITTEN = "miswritten"
    UNAFFORDABLE = "unaffordable"
    REFUSED = "refused"
    UNANSWERED = "unanswered"


@dataclass(frozen=True)
class Row:
    """What follows from an ending.

    Attributes:
        category: of the failure; None: as the platform explains it, or the refusal of what never came to be says.
        words: the failure's message, ``{why}`` filled in by who names the ending; None: as the platform explains it.
        cancels: the job is ended by us, if it still lives.
        asks: the platform is asked why; not where there is no time for it, or nobody to ask.
        is_retried: another try is worth it; None: by the category and the task's ``retry_on``.
        may_outlive: a job that may outlive its task is left running.
    """

    category: FailureCategory | None = None
    words: str | None = None
    cancels: bool = False
    asks: bool = True
    is_retried: bool | None = None
    may_outlive: bool = False


_USED_UP = "used up its {why} and was cancelled"

ENDINGS: dict[Ending, Row] = {
    Ending.SUCCEEDED: Row(asks=False),
    # A job without an end of its own that ran as it should for as long as was asked.
    Ending.UP: Row(asks=False, may_outlive=True),
    Ending.FAILED: Row(),
    # A person, another tool, or a cancel of ours whose answer nobody waited for.
    Ending.CANCELLED_ELSEWHERE: Row(),
    # Gone without a verdict: its platform or machine lost it.
    Ending.LOST: Row(),
    # Cancelled, and the platform did not end it in time.
    Ending.UNENDED: Row(),
    # A time budget of the task, execution_timeout among them; who waited has cancelled it.
    Ending.OVER_BUDGET: Row("timeout", _USED_UP),
    # A budget of dollars; the same.
    Ending.SPENT: Row("budget", _USED_UP),
    # Airflow was first: it fails a deferred task of Airflow 2 before any code of the operator runs.
    Ending.TASK_TIMED_OUT: Row("timeout", _USED_UP.format(why="execution_timeout"), cancels=True),
    # The worker or the trigger was killed, or the task was marked or cleared: seconds are left.
    Ending.TASK_ENDED: Row(
        "cancelled", "the task ended before its job, which was cancelled", cancels=True, asks=False, may_outlive=True
    ),
    # The worker was lost and no try comes that would adopt.
    Ending.LEFT_BEHIND: Row(
        "cancelled",
        "its task ended without it, no try was left, and it was cancelled",
        cancels=True,
        may_outlive=True,
    ),
    # Its run or its DAG was deleted, and nothing that Airflow knows waits for it.
    Ending.FORGOTTEN: Row(
        "cancelled", "its task is gone from Airflow, and it was cancelled", cancels=True, may_outlive=True
    ),
    # A later try runs other work, or is told to restart.
    Ending.REPLACED: Row("cancelled", "try {why} runs a job of its own instead", cancels=True, asks=False),
    Ending.INTERRUPTED: Row("cancelled", "`doeks run` was interrupted", cancels=True, asks=False),
    # Its platform refuses to be asked, or does not answer for long.
    Ending.UNFOLLOWED: Row(
        "platform", "could not be followed: {why}", cancels=True, asks=False, is_retried=True, may_outlive=True
    ),
    # No job came to be: by the author's fault, for want of money, the platform's refusal, or because nobody answered.
    Ending.MISWRITTEN: Row("user_code", "{why}", asks=False, is_retried=False),
    Ending.UNAFFORDABLE: Row("budget", "{why}", asks=False, is_retried=False),
    Ending.REFUSED: Row(None, "{why}", asks=False, is_retried=False),
    Ending.UNANSWERED: Row(None, "{why}", asks=False, is_retried=True),
}

_OF_ITSELF = {
    JobState.SUCCEEDED: Ending.SUCCEEDED,
    JobState.FAILED: Ending.FAILED,
    JobState.CANCELLED: Ending.CANCELLED_ELSEWHERE,
    JobState.LOST: Ending.LOST,
}


def of_itself(status: JobStatus) -> Ending:
    """The ending of a job that nobody here ended; a state that is no end is UNENDED, never a success."""
    return _OF_ITSELF.get(status.state, Ending.UNENDED)


def over(budget: str) -> Ending:
    """The ending of a job that was cancelled because a budget was used up: of time, or of dollars."""
    return Ending.SPENT if budget.startswith(MONEY) else Ending.OVER_BUDGET


def failure_of(ending: Ending, status: JobStatus, explained: JobFailure | None, why: str = "") -> JobFailure | None:
    """Why the job did not succeed; None if it did, whatever was meant to end it."""
    if status.state is JobState.SUCCEEDED:
        return None
    row, failure = ENDINGS[ending], explained or JobFailure()
    told = failure.message if failure.category == "cancelled" else ""  # by its platform: why it never came up
    _, mark, cause = told.partition(BEFORE)
    words = row.words and row.words.format(why=why) + (f"; {mark}{cause}" if mark else "")
    update = {"category": row.category, "message": words}
    return failure.model_copy(update={key: value for key, value in update.items() if value is not None})


def is_worth_a_retry(ending: Ending, category: FailureCategory, retry_on: Collection[str] | None) -> bool:
    """True if another try of the task may mend it; ``retry_on`` None: all categories but those of NOT_RETRIED."""
    row = ENDINGS[ending]
    if row.is_retried is not None:
        return row.is_retried
    return category in retry_on if retry_on is not None else category not in NOT_RETRIED
