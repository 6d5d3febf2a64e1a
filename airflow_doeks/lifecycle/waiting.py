"""Waiting for a job on a worker, for tasks that do not defer."""

from __future__ import annotations

from collections.abc import Callable

from airflow_doeks.lifecycle.cancellation import cancel
from airflow_doeks.lifecycle.clock import Clock
from airflow_doeks.lifecycle.deadlines import Budgets, overdue
from airflow_doeks.lifecycle.submission import Submission
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.status import JobState, JobStatus
from airflow_doeks.platforms.protocol import Platform

POLL_SECONDS = 5.0
CANCEL_WAIT_SECONDS = 60.0
LONGEST_OUTAGE = 60  # looks in a row that a platform may leave unanswered


def wait(
    platform: Platform,
    submission: Submission,
    budgets: Budgets,
    *,
    on_change: Callable[[JobStatus], None] = lambda _: None,
    poll_seconds: float = POLL_SECONDS,
    clock: Clock | None = None,
) -> tuple[JobStatus, str | None]:
    """The last status of the job, and the budget it used up if a deadline ended it.

    A platform that does not answer for a while is asked again; raises its PlatformError when it refuses for good.
    """
    clock = clock or Clock()
    last = JobStatus(submission.ref, JobState.QUEUED, submitted=submission.submitted)
    entered, unanswered, told = clock.now(), 0, ""
    while True:
        try:
            status, unanswered = platform.observe(submission.ref), 0
        except PlatformError as error:
            unanswered += 1
            if not error.retryable or unanswered > LONGEST_OUTAGE:
                raise
            status = last
        if status.state is not last.state:
            entered = clock.now()
        if told != str(status) and not unanswered:
            told = str(status)
            on_change(status)
        last = status
        if status.state.is_terminal:
            return status, None
        spent = overdue(status, budgets, submitted=submission.submitted, entered=entered, now=clock.now())
        if spent:
            status = cancel(platform, submission.ref, wait_seconds=CANCEL_WAIT_SECONDS, clock=clock)
            return status, None if status.state is JobState.SUCCEEDED else spent
        clock.sleep(poll_seconds)
