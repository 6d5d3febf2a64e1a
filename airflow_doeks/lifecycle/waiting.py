"""Waiting for a job on a worker, for tasks that do not defer: a loop around `machine.step` that asks the platform."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from airflow_doeks.lifecycle import machine
from airflow_doeks.lifecycle.clock import Clock
from airflow_doeks.lifecycle.deadlines import Budgets
from airflow_doeks.lifecycle.machine import FINISHED, Do, Goal
from airflow_doeks.lifecycle.submission import Submission
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from airflow_doeks.platforms.protocol import Platform

POLL_SECONDS = 5.0


def wait(
    platform: Platform,
    submission: Submission,
    budgets: Budgets,
    *,
    goal: Goal = FINISHED,
    on_change: Callable[[JobStatus], None] = lambda _: None,
    spent: Callable[[JobStatus, datetime], str | None] = lambda *_: None,
    poll_seconds: float = POLL_SECONDS,
    clock: Clock | None = None,
) -> tuple[JobStatus, str | None]:
    """The last status of the job, and the budget it used up if a deadline ended it.

    ``spent`` names the budget of dollars that the job used up by now. A platform that does not answer for a while is
    asked again; raises its PlatformError when it refuses for good.
    """
    clock, ref = clock or Clock(), submission.ref
    watch = machine.watch(ref, submission.submitted, budgets, now=clock.now(), goal=goal)
    while True:
        seen = _seen(platform, ref, clock, poll_seconds)
        step = machine.step(watch, seen, clock.now())
        if step.is_news:
            on_change(step.watch.last)
        if step.do is Do.WAIT and (budget := spent(step.watch.last, clock.now())) is not None:
            step = machine.spend(step.watch, budget, clock.now())
        if step.do is Do.CANCEL:
            try:
                platform.cancel(ref)
                step = machine.step(machine.accepted(step.watch, clock.now()), None, clock.now())
            except PlatformError as error:
                seen = error
                step = machine.step(step.watch, error, clock.now())
        if step.do is Do.GIVE_UP and isinstance(seen, PlatformError):
            raise seen
        if step.do is Do.DONE:
            return step.watch.last, step.overdue
        if step.do is Do.WAIT:
            clock.sleep(_seconds(step.until, clock.now(), poll_seconds))
        watch = step.watch


def _seen(platform: Platform, ref: JobRef, clock: Clock, seconds: float) -> JobStatus | PlatformError:
    """What a look gives; a job is lost if a second one says so, too.

    A machine that slept wakes with signs of life as old as its sleep.
    """
    try:
        seen = platform.observe(ref)
        if seen.state is JobState.LOST:
            clock.sleep(seconds)
            seen = platform.observe(ref)
    except PlatformError as error:
        return error
    return seen


def _seconds(until: datetime | None, now: datetime, poll_seconds: float) -> float:
    """To the next look: at most ``poll_seconds``, and no later than the step's moment."""
    return poll_seconds if until is None else min(poll_seconds, max(0.0, (until - now).total_seconds()))
