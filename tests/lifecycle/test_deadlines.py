"""Time budgets: what counts from where, and that a job is cancelled before its task fails."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_doeks.lifecycle import Budgets, Clock, cancel, overdue, wait
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from tests.fakes.memory_platform import START, MemoryPlatform
from tests.lifecycle.test_submission import FIRST, FOR_EVER, run

REF = JobRef("memory://here/x")
QUEUED = JobStatus(REF, JobState.QUEUED, submitted=START)
STARTING = JobStatus(REF, JobState.STARTING, submitted=START, scheduled=START + timedelta(hours=2))
RUNNING = JobStatus(REF, JobState.RUNNING, submitted=START, started=START + timedelta(hours=3))


@pytest.mark.parametrize(
    ("status", "hours", "expected"),
    [
        (QUEUED, 0.9, None),
        (QUEUED, 1.0, "queue_timeout"),
        (STARTING, 2.9, None),  # two hours in a queue do not count
        (STARTING, 3.0, "startup_timeout"),
        (RUNNING, 3.9, None),
        (RUNNING, 4.0, "run_timeout"),
        (JobStatus(REF, JobState.SUCCEEDED), 99.0, None),
    ],
)
def test_each_budget_counts_from_its_own_start(status: JobStatus, hours: float, expected: str | None) -> None:
    """Queue from submission, startup from scheduling, run from the start."""
    budgets = Budgets(queue_timeout=3600, startup_timeout=3600, run_timeout=3600)
    now = START + timedelta(hours=hours)
    assert overdue(status, budgets, submitted=START, entered=START, now=now) == expected


@pytest.mark.parametrize(
    ("state", "hours", "expected"),
    [
        (JobState.QUEUED, 1.0, "queue_timeout"),
        (JobState.STARTING, 2.9, None),
        (JobState.STARTING, 3.0, "startup_timeout"),
        (JobState.RUNNING, 2.9, None),
        (JobState.RUNNING, 3.0, "run_timeout"),
    ],
)
def test_a_platform_that_tells_no_times_is_timed_by_what_was_seen(
    state: JobState, hours: float, expected: str | None
) -> None:
    """Queueing counts from our own submission, the rest from when the state was first seen."""
    budgets = Budgets(queue_timeout=3600, startup_timeout=3600, run_timeout=3600)
    seen, now = START + timedelta(hours=2), START + timedelta(hours=hours)
    assert overdue(JobStatus(REF, state), budgets, submitted=START, entered=seen, now=now) == expected


def test_execution_timeout_is_absolute() -> None:
    """The deadline holds in every state and survives JSON, so a restarted triggerer keeps it."""
    budgets = Budgets.from_json(Budgets(deadline=START + timedelta(hours=5)).to_json())
    assert (
        overdue(QUEUED, budgets, submitted=START, entered=START, now=START + timedelta(hours=5)) == "execution_timeout"
    )


def test_a_waiting_task_cancels_its_job_when_the_budget_is_spent() -> None:
    """Row 14: at the deadline the job is cancelled, and its end is awaited."""
    platform = MemoryPlatform(script=FOR_EVER)
    submission = run(platform, FIRST)
    clock = Clock(platform.time.now, platform.time.sleep)
    status, spent = wait(platform, submission, Budgets(run_timeout=100), clock=clock)
    assert (status.state, spent) == (JobState.CANCELLED, "run_timeout")


def test_a_job_may_queue_for_hours() -> None:
    """Row 11: without a queue budget an unscheduled job stays queued; nothing is deleted."""
    platform = MemoryPlatform(script=((0, JobState.QUEUED), (7200, JobState.RUNNING), (7300, JobState.SUCCEEDED)))
    submission = run(platform, FIRST)
    clock = Clock(platform.time.now, platform.time.sleep)
    seen: list[JobState] = []
    status, spent = wait(
        platform,
        submission,
        Budgets(startup_timeout=600, run_timeout=600),
        on_change=lambda change: seen.append(change.state),
        clock=clock,
    )
    assert (status.state, spent) == (JobState.SUCCEEDED, None)
    assert seen == [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED]


def test_a_refusing_platform_ends_the_wait() -> None:
    """A platform that refuses for good fails the task at once, one that stutters does not."""
    platform = MemoryPlatform()
    submission = run(platform, FIRST)
    answers = [PlatformError("throttled", retryable=True), PlatformError("denied")]

    class Refusing(MemoryPlatform):
        def observe(self, ref: JobRef) -> JobStatus:
            raise answers.pop(0)

    with pytest.raises(PlatformError, match="denied"):
        wait(Refusing(), submission, Budgets(), clock=Clock(platform.time.now, platform.time.sleep))


@pytest.mark.parametrize(
    ("outages", "ended"),
    [
        ([60], JobState.SUCCEEDED),  # five minutes at a look every 5 s
        ([60, 60, 60], JobState.SUCCEEDED),  # an answer in between forgives the outage before it
        ([61], None),
    ],
)
def test_an_outage_is_endured_for_five_minutes(outages: list[int], ended: JobState | None) -> None:
    """A platform that does not answer is asked again 60 times in a row; then its error fails the task."""
    platform = MemoryPlatform()
    submission = run(platform, FIRST)
    fault = PlatformError("unreachable", retryable=True)
    answers = [answer for count in outages for answer in (*[fault] * count, JobState.RUNNING)]

    class Unreachable(MemoryPlatform):
        def observe(self, ref: JobRef) -> JobStatus:
            answer = answers.pop(0) if answers else JobState.SUCCEEDED
            if isinstance(answer, PlatformError):
                raise answer
            return JobStatus(ref, answer)

    clock = Clock(platform.time.now, platform.time.sleep)
    if ended is None:
        with pytest.raises(PlatformError, match="unreachable"):
            wait(Unreachable(), submission, Budgets(), clock=clock)
    else:
        assert wait(Unreachable(), submission, Budgets(), clock=clock)[0].state is ended


def test_cancel_may_be_called_any_number_of_times() -> None:
    """Cancelling an ended, a cancelled or an unknown job is fine."""
    platform = MemoryPlatform(script=FOR_EVER)
    clock = Clock(platform.time.now, platform.time.sleep)
    submission = run(platform, FIRST)
    assert not cancel(platform, submission.ref, clock=clock).state.is_terminal
    assert cancel(platform, submission.ref, wait_seconds=60, clock=clock).state is JobState.CANCELLED
    assert cancel(platform, submission.ref, clock=clock).state is JobState.CANCELLED
    assert cancel(platform, REF, clock=clock).state is JobState.LOST
