"""How a job came to its end: one row an ending, and what follows from it."""

from __future__ import annotations

from typing import get_args

import pytest

from airflow_doeks.lifecycle.endings import ENDINGS, Ending, failure_of, is_worth_a_retry, of_itself
from airflow_doeks.model.record import FailureCategory, JobFailure
from airflow_doeks.model.status import JobRef, JobState, JobStatus

REF = JobRef("memory://here/x")
EXPLAINED = JobFailure(category="oom_driver", message="killed for memory", evidence=("exit code 137",))


def test_every_ending_has_its_row() -> None:
    """Nobody decides beside the table."""
    assert set(ENDINGS) == set(Ending)


@pytest.mark.parametrize(
    ("state", "ending"),
    [
        (JobState.SUCCEEDED, Ending.SUCCEEDED),
        (JobState.FAILED, Ending.FAILED),
        (JobState.CANCELLED, Ending.CANCELLED_ELSEWHERE),
        (JobState.LOST, Ending.LOST),
        (JobState.QUEUED, Ending.UNENDED),
        (JobState.STARTING, Ending.UNENDED),
        (JobState.RUNNING, Ending.UNENDED),
        (JobState.STALLED, Ending.UNENDED),
    ],
)
def test_only_a_success_is_a_success(state: JobState, ending: Ending) -> None:
    """A state that is no end is a failure to end; everything but SUCCEEDED has a failure."""
    assert of_itself(JobStatus(REF, state)) is ending
    assert (failure_of(ending, JobStatus(REF, state), None) is None) is (state is JobState.SUCCEEDED)


@pytest.mark.parametrize("ending", Ending)
def test_a_job_that_succeeded_all_the_same_has_no_failure(ending: Ending) -> None:
    """Whatever was meant to end it came too late."""
    assert failure_of(ending, JobStatus(REF, JobState.SUCCEEDED), EXPLAINED, "x") is None


@pytest.mark.parametrize(
    ("ending", "why", "category", "message"),
    [
        (Ending.FAILED, "", "oom_driver", "killed for memory"),
        (Ending.LOST, "", "oom_driver", "killed for memory"),
        (Ending.OVER_BUDGET, "run_timeout", "timeout", "used up its run_timeout and was cancelled"),
        (Ending.TASK_TIMED_OUT, "", "timeout", "used up its execution_timeout and was cancelled"),
        (Ending.TASK_ENDED, "", "cancelled", "the task ended before its job, which was cancelled"),
        (Ending.REPLACED, "3", "cancelled", "try 3 runs a job of its own instead"),
        (Ending.UNFOLLOWED, "a {b} c", "platform", "could not be followed: a {b} c"),
    ],
)
def test_the_failure_says_who_ended_the_job(ending: Ending, why: str, category: str, message: str) -> None:
    """Our words where we ended it, the platform's where it ended of itself; the evidence is kept in both."""
    failure = failure_of(ending, JobStatus(REF, JobState.CANCELLED), EXPLAINED, why)
    assert failure == EXPLAINED.model_copy(update={"category": category, "message": message})


@pytest.mark.parametrize("category", get_args(FailureCategory))
def test_a_retry_is_by_category_unless_the_ending_knows_better(category: FailureCategory) -> None:
    """The author's faults and cancelled jobs are not retried; `retry_on` says otherwise, but not to a refusal."""
    assert is_worth_a_retry(Ending.FAILED, category, None) is (category not in {"user_code", "cancelled", "budget"})
    assert is_worth_a_retry(Ending.FAILED, category, [category])
    assert not is_worth_a_retry(Ending.FAILED, category, [])
    assert not is_worth_a_retry(Ending.REFUSED, category, [category])
    assert is_worth_a_retry(Ending.UNANSWERED, category, [])


def test_only_the_end_of_the_task_spares_a_job_that_may_outlive_it() -> None:
    """A budget, a later try or `doeks run` that is interrupted end it; the end of its task, good or bad, does not."""
    spared = {ending for ending, row in ENDINGS.items() if row.may_outlive}
    assert spared == {Ending.UP, Ending.TASK_ENDED, Ending.LEFT_BEHIND, Ending.FORGOTTEN, Ending.UNFOLLOWED}
