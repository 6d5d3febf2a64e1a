"""Waits for one job among a thousand: shares its scope's feed, keeps the deadlines, cancels for a killed task."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from airflow_doeks.compat import HAS_TRIGGER_ON_KILL, BaseTrigger, TriggerEvent, fresh_task_state
from airflow_doeks.hooks.platforms import connect
from airflow_doeks.lifecycle import Budgets, Clock, Followers, Submission, cancel, next_deadline
from airflow_doeks.model.errors import DoeksError
from airflow_doeks.model.status import JobState, JobStatus
from airflow_doeks.platforms.protocol import Platform

CANCEL_WAIT_SECONDS = 60.0
# The word Airflow >= 3.3 cancels a trigger's coroutine with before it calls on_kill.
_USER_ACTION = "__airflow_user_action__"


class JobTrigger(BaseTrigger):
    """Fires when the job ended or a deadline passed; a restart of the triggerer never cancels.

    Carries the submission, the platform's entry and absolute deadlines; never credentials.

    The event is ``{"status": ...}`` of the ended job, ``{"status": ..., "overdue": budget}`` after a deadline cancelled
    it, or ``{"error": text}`` when it could not be followed.
    """

    def __init__(self, submission: dict[str, Any], platform: dict[str, Any], budgets: dict[str, Any]) -> None:
        super().__init__()
        self.submission = submission
        self.platform = platform
        self.budgets = budgets

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, as Airflow stores them."""
        arguments = {"submission": self.submission, "platform": self.platform, "budgets": self.budgets}
        return "airflow_doeks.triggers.job.JobTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields one event."""
        submission = Submission.from_json(self.submission)
        try:
            platform = await asyncio.to_thread(connect, self.platform)
            yield TriggerEvent(await self._wait(platform, submission))
        except DoeksError as error:
            yield TriggerEvent({"error": str(error)})
        except asyncio.CancelledError as reason:
            if not HAS_TRIGGER_ON_KILL and _USER_ACTION not in reason.args:
                await self._cancel_if_killed()
            raise

    async def _wait(self, platform: Platform, submission: Submission) -> dict[str, Any]:
        budgets, clock = Budgets.from_json(self.budgets), Clock()
        last = JobStatus(submission.ref, JobState.QUEUED, submitted=submission.submitted)
        entered = clock.now()
        async with contextlib.aclosing(Followers.of_running_loop().follow(platform, submission.ref)) as statuses:
            upcoming: asyncio.Task[JobStatus] = asyncio.ensure_future(anext(statuses))
            try:
                while not last.state.is_terminal:
                    deadline = next_deadline(last, budgets, submitted=submission.submitted, entered=entered)
                    done, _ = await asyncio.wait({upcoming}, timeout=_seconds_to(deadline, clock))
                    if not done and deadline:
                        return await self._overdue(platform, submission, deadline[1])
                    status = upcoming.result()
                    if status.state is not last.state:
                        entered = clock.now()
                        self.log.info("%s is %s%s", status.ref, status.state.value, _because(status))
                    last = status
                    if not last.state.is_terminal:
                        upcoming = asyncio.ensure_future(anext(statuses))
            finally:
                upcoming.cancel()
                with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, DoeksError):
                    await upcoming
        return {"status": last.to_json()}

    async def _overdue(self, platform: Platform, submission: Submission, budget: str) -> dict[str, Any]:
        self.log.warning("%s used up its %s and is cancelled", submission.ref, budget)
        status = await asyncio.to_thread(cancel, platform, submission.ref, wait_seconds=CANCEL_WAIT_SECONDS)
        if status.state is JobState.SUCCEEDED:
            return {"status": status.to_json()}
        return {"status": status.to_json(), "overdue": budget}

    async def on_kill(self) -> None:
        """Airflow >= 3.3 calls this when the deferred task is marked, cleared or killed."""
        await asyncio.to_thread(self._cancel)

    async def _cancel_if_killed(self) -> None:
        """A trigger is cancelled when its task is killed and when the triggerer stops; only the first ends the job."""
        state = await asyncio.to_thread(fresh_task_state, self.task_instance)
        if state != "deferred":
            await asyncio.to_thread(self._cancel)

    def _cancel(self) -> None:
        ref = Submission.from_json(self.submission).ref
        self.log.info("The task no longer waits for %s: the job is cancelled", ref)
        cancel(connect(self.platform), ref)


def _seconds_to(deadline: tuple[datetime, str] | None, clock: Clock) -> float | None:
    return max(0.0, (deadline[0] - clock.now()).total_seconds()) if deadline else None


def _because(status: JobStatus) -> str:
    return f": {status.reason}" if status.reason else ""


def event_status(event: Mapping[str, Any]) -> JobStatus | None:
    """The status an event carries."""
    return JobStatus.from_json(event["status"]) if event.get("status") else None
