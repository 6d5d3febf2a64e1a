"""What to do next with a job: a table of moments, and what holds whatever is seen and whenever."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_doeks.lifecycle import Budgets
from airflow_doeks.lifecycle.deadlines import next_deadline
from airflow_doeks.lifecycle.machine import (
    AGAIN_SECONDS,
    ENDING_SECONDS,
    FINISHED,
    OUTAGE_SECONDS,
    Do,
    Goal,
    Step,
    Watch,
    accepted,
    step,
    watch,
)
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from tests.fakes.memory_platform import START

REF = JobRef("memory://here/x")
HOUR = Budgets(queue_timeout=3600, startup_timeout=3600, run_timeout=3600)
QUEUED = JobStatus(REF, JobState.QUEUED, submitted=START)
STARTING = JobStatus(REF, JobState.STARTING, submitted=START, scheduled=START + timedelta(hours=2))
RUNNING = JobStatus(REF, JobState.RUNNING, submitted=START, started=START + timedelta(hours=3))
AWAY = PlatformError("unreachable", retryable=True)
DENIED = PlatformError("denied")


def after(hours: float) -> datetime:
    """So long after submission."""
    return START + timedelta(hours=hours)


def a_watch(budgets: Budgets = HOUR, goal: Goal = FINISHED, now: datetime = START) -> Watch:
    """The wait for a job of which nothing was seen."""
    return watch(REF, START, budgets, now=now, goal=goal)


@pytest.mark.parametrize(
    ("seen", "hours", "do", "until"),
    [
        # seen, hours after submission -> what to do, and until how many hours after submission
        (None, 0.9, Do.WAIT, 1),
        (QUEUED, 0.9, Do.WAIT, 1),
        (QUEUED, 1.0, Do.CANCEL, None),
        (STARTING, 2.9, Do.WAIT, 3),  # two hours in a queue do not count
        (STARTING, 3.0, Do.CANCEL, None),
        (RUNNING, 3.9, Do.WAIT, 4),
        (RUNNING, 4.0, Do.CANCEL, None),
        # a platform that tells no times: queueing counts from our submission, the rest from when it was first seen
        (JobStatus(REF, JobState.QUEUED), 1.0, Do.CANCEL, None),
        (JobStatus(REF, JobState.STARTING), 2.0, Do.WAIT, 3),
        (JobStatus(REF, JobState.RUNNING), 2.5, Do.WAIT, 3.5),
        # a job that no operator takes up waits to be scheduled; one whose end no operator tells may have ended well
        (JobStatus(REF, JobState.STALLED), 0.9, Do.WAIT, 1),
        (JobStatus(REF, JobState.STALLED), 1.0, Do.CANCEL, None),
        (replace(RUNNING, state=JobState.STALLED, scheduled=START), 99.0, Do.WAIT, None),
        # a job that ended is done, overdue or not
        (JobStatus(REF, JobState.SUCCEEDED), 99.0, Do.DONE, None),
        (JobStatus(REF, JobState.FAILED), 0.0, Do.DONE, None),
        (JobStatus(REF, JobState.LOST), 99.0, Do.DONE, None),
        (JobStatus(REF, JobState.CANCELLED), 99.0, Do.DONE, None),
        (AWAY, 0.0, Do.WAIT, AGAIN_SECONDS / 3600),
        (AWAY, 1.0, Do.CANCEL, None),  # overdue, seen or not
        (DENIED, 0.0, Do.GIVE_UP, None),
    ],
)
def test_what_follows_from_what_is_seen(
    seen: JobStatus | PlatformError | None, hours: float, do: Do, until: float | None
) -> None:
    """Each time budget counts from its own start; an hour each."""
    found = step(a_watch(), seen, after(hours))
    assert (found.do, found.until) == (do, None if until is None else after(until))


@pytest.mark.parametrize(
    ("budget", "seen"), [("queue_timeout", QUEUED), ("startup_timeout", STARTING), ("run_timeout", RUNNING)]
)
def test_the_budget_that_is_used_up_is_named(budget: str, seen: JobStatus) -> None:
    """Also when the cancelled job does not end; not when it succeeded all the same."""
    cancelling = step(a_watch(), seen, after(9))
    assert cancelling.overdue == budget
    done = step(accepted(cancelling.watch, after(9)), JobStatus(REF, JobState.SUCCEEDED), after(9))
    assert (done.do, done.overdue) == (Do.DONE, None)


def test_execution_timeout_is_absolute() -> None:
    """The deadline holds in every state and survives JSON, so a restarted triggerer keeps it."""
    budgets = Budgets.from_json(Budgets(deadline=after(5)).to_json())
    assert step(a_watch(budgets), QUEUED, after(4)).until == after(5)
    assert step(a_watch(budgets), RUNNING, after(5)).overdue == "execution_timeout"


def test_budgets_of_a_newer_version_are_read() -> None:
    """A worker may be newer than the triggerer: what the older does not know limits nothing."""
    assert Budgets.from_json({**HOUR.to_json(), "checkpoint_timeout": 5}) == HOUR


def test_the_end_of_a_cancelled_job_is_awaited_then_looked_at_once() -> None:
    """For a minute; what the platform says then is the last word."""
    waiting = step(accepted(step(a_watch(), QUEUED, after(1)).watch, after(1)), None, after(1))
    end = after(1) + timedelta(seconds=ENDING_SECONDS)
    assert (waiting.do, waiting.until) == (Do.WAIT, end)
    looking = step(waiting.watch, None, end)
    assert looking.do is Do.LOOK
    assert step(looking.watch, RUNNING, end).do is Do.DONE


def test_a_cancel_that_is_not_answered_is_asked_for_again() -> None:
    """After a pause; at last the platform is given up."""
    cancelling, now = step(a_watch(), QUEUED, after(1)).watch, after(1)
    for _ in range(int(OUTAGE_SECONDS / AGAIN_SECONDS)):
        waiting = step(cancelling, AWAY, now)
        assert (waiting.do, waiting.until) == (Do.WAIT, now + timedelta(seconds=AGAIN_SECONDS))
        now += timedelta(seconds=AGAIN_SECONDS)
        seen = step(waiting.watch, QUEUED, now)
        assert seen.do is Do.CANCEL
        cancelling = seen.watch
    assert step(cancelling, AWAY, now).do is Do.GIVE_UP


@pytest.mark.parametrize(
    ("seen", "is_news"),
    [
        ([QUEUED], [True]),
        ([QUEUED, QUEUED], [True, False]),
        ([QUEUED, RUNNING, RUNNING], [True, True, False]),
        ([QUEUED, AWAY, QUEUED], [True, False, False]),
        ([QUEUED, None], [True, False]),
        ([QUEUED, JobStatus(REF, JobState.QUEUED, reason="no node fits")], [True, True]),
    ],
)
def test_each_change_is_news_once(seen: list[JobStatus], is_news: list[bool]) -> None:
    """The first status, another state, another reason; never an outage."""
    now, found = a_watch(Budgets()), []
    for one in seen:
        following = step(now, one, START)
        found.append(following.is_news)
        now = following.watch
    assert found == is_news


@pytest.mark.parametrize(
    ("goal", "budgets", "minutes", "do"),
    [
        (Goal(60), Budgets(), 0.5, Do.WAIT),
        (Goal(60), Budgets(), 1, Do.DONE),
        (Goal(60), Budgets(run_timeout=30), 1, Do.CANCEL),  # the budget was used up before
        (Goal(60), Budgets(run_timeout=60), 1, Do.DONE),
        (FINISHED, Budgets(), 1, Do.WAIT),
    ],
)
def test_a_goal_of_running_is_reached_by_running_on_end(goal: Goal, budgets: Budgets, minutes: float, do: Do) -> None:
    """Seconds count from when it was first seen running."""
    running = step(a_watch(budgets, goal), JobStatus(REF, JobState.RUNNING, started=START), START)
    assert step(running.watch, None, START + timedelta(minutes=minutes)).do is do


def test_a_restart_counts_anew() -> None:
    """A job that falls back to starting is not healthy; its seconds of running begin again."""
    running = step(a_watch(Budgets(), Goal(60)), JobStatus(REF, JobState.RUNNING, started=START), START)
    fallen = step(running.watch, JobStatus(REF, JobState.STARTING), START + timedelta(seconds=50))
    again = step(fallen.watch, JobStatus(REF, JobState.RUNNING, started=START), START + timedelta(seconds=55))
    assert (again.do, again.until) == (Do.WAIT, START + timedelta(seconds=115))


def test_only_running_well_counts_for_a_goal() -> None:
    """A restart, or a spec that is not taken up yet, begins the time anew although the job is RUNNING all the while."""
    well = JobStatus(REF, JobState.RUNNING, started=START)
    waits = step(a_watch(Budgets(), Goal(60)), well, after(0))
    waits = step(waits.watch, JobStatus(REF, JobState.RUNNING, is_well=False), after(0.01))
    assert (waits.do, waits.until) == (Do.WAIT, None)
    waits = step(waits.watch, well, after(0.02))
    assert waits.until == after(0.02) + timedelta(seconds=60)
    assert step(waits.watch, None, after(0.02) + timedelta(seconds=60)).do is Do.DONE


def test_what_was_sent_again_waits_from_then_on() -> None:
    """The queue time of a job that is sent more than once counts from when it was sent last."""
    queued = JobStatus(REF, JobState.QUEUED, submitted=START, changed=after(48))
    assert step(a_watch(), queued, after(48.9)).do is Do.WAIT
    assert step(a_watch(), queued, after(49)).do is Do.CANCEL


SECONDS = st.floats(0.001, 100_000)
MOMENTS = SECONDS.map(lambda seconds: START + timedelta(seconds=seconds))
STATUSES = st.builds(
    JobStatus,
    ref=st.just(REF),
    state=st.sampled_from(JobState),
    reason=st.sampled_from(["", "no node fits"]),
    submitted=st.none() | MOMENTS,
    scheduled=st.none() | MOMENTS,
    started=st.none() | MOMENTS,
)
SEEN = st.none() | STATUSES | st.sampled_from([AWAY, DENIED])
BUDGETS = st.builds(
    Budgets,
    queue_timeout=st.none() | SECONDS,
    startup_timeout=st.none() | SECONDS,
    run_timeout=st.none() | SECONDS,
    deadline=st.none() | MOMENTS,
)
GOALS = st.just(FINISHED) | SECONDS.map(Goal)
STORIES = st.lists(st.tuples(SEEN, SECONDS), max_size=12)


def told(
    budgets: Budgets, goal: Goal, story: list[tuple[JobStatus | PlatformError | None, float]]
) -> list[tuple[JobStatus | PlatformError | None, datetime, Step]]:
    """Every step of a story of what was seen and the seconds in between; each cancel is accepted."""
    now, waiting, steps = START, watch(REF, START, budgets, now=START, goal=goal), []
    for seen, seconds in story:
        now += timedelta(seconds=seconds)
        found = step(waiting, seen, now)
        steps.append((seen, now, found))
        if found.do in {Do.DONE, Do.GIVE_UP}:
            break
        waiting = accepted(found.watch, now) if found.do is Do.CANCEL else found.watch
    return steps


@given(BUDGETS, GOALS, STORIES)
@settings(max_examples=300)
def test_no_step_waits_for_ever_while_the_job_is_overdue(budgets: Budgets, goal: Goal, story: list) -> None:
    """A wait ends in the future, at the job's deadline at the latest; without a moment nothing limits the job."""
    for _, now, found in told(budgets, goal, story):
        if found.do is not Do.WAIT:
            continue
        last, entered = found.watch.last, found.watch.entered
        deadline = next_deadline(last, budgets, submitted=START, entered=entered)
        assert found.until is None or found.until > now
        assert deadline is None or found.until is not None
        if deadline and not found.watch.spent:
            assert deadline[0] > now
            assert found.until is not None
            assert found.until <= deadline[0]


@given(BUDGETS, GOALS, STORIES)
@settings(max_examples=300)
def test_a_job_that_ended_is_done_whatever_the_clock(budgets: Budgets, goal: Goal, story: list) -> None:
    """And nothing else is, but a goal that was reached or a cancelled job that would not end."""
    for seen, _, found in told(budgets, goal, story):
        last = found.watch.last
        if isinstance(seen, JobStatus) and seen.state.is_terminal:
            assert found.do is Do.DONE
        if found.do is Do.DONE and not last.state.is_terminal:
            is_goal = goal != FINISHED and last.state is JobState.RUNNING and not found.watch.spent
            assert is_goal or found.watch.is_last_look
        if found.do is Do.GIVE_UP:
            assert isinstance(seen, PlatformError)


@given(BUDGETS, GOALS, STORIES)
@settings(max_examples=300)
def test_a_job_is_cancelled_for_a_budget_and_once(budgets: Budgets, goal: Goal, story: list) -> None:
    """Never without naming the budget, and never again once its platform took the cancel."""
    cancels = [found for _, _, found in told(budgets, goal, story) if found.do is Do.CANCEL]
    assert len(cancels) <= 1
    assert all(found.watch.spent for found in cancels)


@given(BUDGETS, GOALS, STATUSES.filter(lambda status: not status.state.is_terminal))
@settings(max_examples=300)
def test_a_limited_wait_comes_to_an_end(budgets: Budgets, goal: Goal, status: JobStatus) -> None:
    """Waking at each moment that a step names, a job that never changes is done within a few steps."""
    now, found = START, step(watch(REF, START, budgets, now=START, goal=goal), status, START)
    for _ in range(6):
        if found.do is Do.DONE or (found.until is None and found.do is Do.WAIT):
            return
        waiting = accepted(found.watch, now) if found.do is Do.CANCEL else found.watch
        now = found.until or now
        found = step(waiting, status if found.do is Do.LOOK else None, now)
    assert found.do is Do.DONE
