"""Waiting on a worker: a job is cancelled before its task fails, and an outage is endured."""

from __future__ import annotations

import logging

import pytest

from airflow_doeks.lifecycle import Budgets, Clock, cancel, end, wait
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from tests.fakes.memory_platform import MemoryPlatform
from tests.lifecycle.test_submission import FIRST, FOR_EVER, run

REF = JobRef("memory://here/x")


def test_a_waiting_task_cancels_its_job_when_the_budget_is_spent() -> None:
    """Row 14: at the deadline the job is cancelled, and its end is awaited."""
    platform = MemoryPlatform(script=FOR_EVER)
    submission = run(platform, FIRST)
    clock = Clock(platform.time.now, platform.time.sleep)
    status, spent = wait(platform, submission, Budgets(run_timeout=100), clock=clock)
    assert (status.state, spent) == (JobState.CANCELLED, "run_timeout")


@pytest.mark.parametrize(("losses", "state"), [(1, JobState.SUCCEEDED), (2, JobState.LOST)])
def test_a_job_is_lost_if_two_looks_say_so(losses: int, state: JobState) -> None:
    """One look may come just after the machine slept, before the job shows that it lives: it is not given up."""
    platform = MemoryPlatform()
    submission = run(platform, FIRST)
    left = [JobStatus(submission.ref, JobState.LOST)] * losses

    class Woken(MemoryPlatform):
        def observe(self, ref: JobRef) -> JobStatus:
            return left.pop() if left else platform.observe(ref)

    status, _ = wait(Woken(), submission, Budgets(), clock=Clock(platform.time.now, platform.time.sleep))
    assert status.state is state


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


def refusals(platform: MemoryPlatform, *errors: PlatformError) -> None:
    """The platform answers so many cancels with an error."""
    left = list(errors)

    def refuse() -> None:
        if left:
            raise left.pop(0)

    platform.before_cancel = refuse


def test_an_overdue_job_is_cancelled_when_its_platform_answers_again() -> None:
    """A cancel that was not answered is asked for again, and the budget is still named."""
    platform = MemoryPlatform(script=FOR_EVER)
    submission = run(platform, FIRST)
    refusals(platform, *[PlatformError("unreachable", retryable=True)] * 3)
    clock = Clock(platform.time.now, platform.time.sleep)
    status, spent = wait(platform, submission, Budgets(run_timeout=100), clock=clock)
    assert (status.state, spent) == (JobState.CANCELLED, "run_timeout")


def test_a_job_that_can_be_seen_but_not_cancelled_is_given_up_after_five_minutes() -> None:
    """Looks that are answered do not excuse cancels that are not."""
    platform = MemoryPlatform(script=FOR_EVER)
    submission = run(platform, FIRST)
    refusals(platform, *[PlatformError("unreachable", retryable=True)] * 1000)
    began, clock = platform.time.now(), Clock(platform.time.now, platform.time.sleep)
    with pytest.raises(PlatformError, match="unreachable"):
        wait(platform, submission, Budgets(queue_timeout=5), clock=clock)
    assert (platform.time.now() - began).total_seconds() < 400


def test_a_cancel_that_is_not_answered_is_tried_again_within_its_time(caplog: pytest.LogCaptureFixture) -> None:
    """Who cannot come back for a job asks for its end as long as there is time."""
    platform = MemoryPlatform(script=FOR_EVER)
    ref = run(platform, FIRST).ref
    refusals(platform, *[PlatformError("unreachable", retryable=True)] * 2)
    status = end(platform, ref, seconds=60, clock=Clock(platform.time.now, platform.time.sleep))
    assert status.state is JobState.CANCELLED
    assert "could not be cancelled" not in caplog.text


@pytest.mark.parametrize("retryable", [True, False])
def test_a_job_that_could_not_be_cancelled_is_told_with_what_to_do(
    retryable: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the job, what its platform said and the next step; nothing is claimed about the job's end."""
    platform = MemoryPlatform(script=FOR_EVER)
    ref = run(platform, FIRST).ref
    refusals(platform, *[PlatformError("not today", retryable=retryable)] * 1000)
    with caplog.at_level(logging.ERROR):
        status = end(platform, ref, seconds=10, clock=Clock(platform.time.now, platform.time.sleep))
    assert (status.state, status.reason) == (JobState.LOST, "not today")
    assert f"{ref} could not be cancelled; it may still run and cost: not today" in caplog.text
    assert "End it by hand" in caplog.text
