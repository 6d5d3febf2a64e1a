"""Waits for one job among a thousand: shares its scope's feed, keeps the deadlines, cancels for a killed task."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from airflow_doeks.compat import BaseTrigger, TriggerEvent, in_thread, is_killed_unheard
from airflow_doeks.hooks.platforms import connect
from airflow_doeks.lifecycle import Budgets, Clock, Followers, next_deadline
from airflow_doeks.model.errors import DoeksError
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from airflow_doeks.platforms.protocol import Platform

T = TypeVar("T")
CANCEL_WAIT_SECONDS = 60.0
# A task that comes back before Airflow's scheduler noticed that it left is failed ("finished with state success, but
# the task instance's state attribute is queued"; seen on 3.3.2 under load). A job that ends or fails faster waits.
EARLIEST = timedelta(seconds=10)
# Calls for single jobs at once: the event loop's few threads and the platform's pace are the shared feed's as well.
MOST_CALLS = 2

_turns: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = weakref.WeakKeyDictionary()


class JobTrigger(BaseTrigger):
    """Fires when the job ended or a deadline passed; a restart of the triggerer never cancels.

    Carries where the job runs, the platform's entry and absolute deadlines; never credentials. ``owns_job`` False: for
    those who wait for a job of somebody else: nothing of theirs cancels it. ``deferred``: when the task left its
    worker, if not right after ``submitted``; both are ISO 8601.

    The event is ``{"status": ...}`` of the ended job, ``{"status": ..., "overdue": budget}`` after a deadline cancelled
    it, or ``{"error": text}`` when it could not be followed, with ``overdue`` if a deadline had passed.
    """

    def __init__(
        self,
        ref: str,
        submitted: str,
        platform: dict[str, Any],
        budgets: dict[str, Any],
        *,
        owns_job: bool = True,
        deferred: str | None = None,
    ) -> None:
        super().__init__()
        self.ref = ref
        self.submitted = submitted
        self.platform = platform
        self.budgets = budgets
        self.owns_job = owns_job
        self.deferred = deferred
        self._spent: str | None = None  # the budget that was used up

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, as Airflow stores them."""
        names = ("ref", "submitted", "platform", "budgets", "owns_job", "deferred")
        return "airflow_doeks.triggers.job.JobTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields one event."""
        try:
            event = await self._watch()
            earliest = datetime.fromisoformat(self.deferred or self.submitted) + EARLIEST
            await asyncio.sleep(max(0.0, (earliest - Clock().now()).total_seconds()))
            yield TriggerEvent(event)
        except asyncio.CancelledError:  # its task was killed, or the triggerer stops: only the first ends the job
            await _to_the_end(self._end_if_killed())
            raise

    async def _end_if_killed(self) -> None:
        if await in_thread(is_killed_unheard, self.task_instance):
            await self.on_kill()

    async def _watch(self) -> dict[str, Any]:
        try:
            platform = await in_thread(connect, self.platform)
            return await self._wait(platform, JobRef(self.ref))
        except DoeksError as error:
            return {"error": str(error)} | self._overdue()

    async def _wait(self, platform: Platform, ref: JobRef) -> dict[str, Any]:
        budgets, clock = Budgets.from_json(self.budgets), Clock()
        submitted = datetime.fromisoformat(self.submitted)
        last, entered = JobStatus(ref, JobState.QUEUED, submitted=submitted), clock.now()
        told, end_until = "", clock.now()
        async with contextlib.aclosing(Followers.of_running_loop().follow(platform, ref)) as statuses:
            upcoming: asyncio.Task[JobStatus] = asyncio.ensure_future(anext(statuses))
            try:
                while not last.state.is_terminal:
                    deadline = next_deadline(last, budgets, submitted=submitted, entered=entered)
                    until = end_until if self._spent else deadline and deadline[0]
                    done, _ = await asyncio.wait({upcoming}, timeout=_seconds_to(until, clock))
                    if not done and self._spent:
                        last = await _in_turn(platform.observe, ref)
                        break
                    if not done and deadline:
                        self._spent = deadline[1]
                        self.log.warning("%s used up its %s and is cancelled", ref, self._spent)
                        await _in_turn(platform.cancel, ref)
                        end_until = clock.now() + timedelta(seconds=CANCEL_WAIT_SECONDS)
                        continue
                    status = upcoming.result()
                    if status.state is not last.state:
                        entered = clock.now()
                    if told != str(status):
                        told = str(status)
                        self.log.info("%s", told)
                    last = status
                    if not last.state.is_terminal:
                        upcoming = asyncio.ensure_future(anext(statuses))
            finally:
                upcoming.cancel()
                with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, DoeksError):
                    await upcoming
        return {"status": last.to_json()} | ({} if last.state is JobState.SUCCEEDED else self._overdue())

    def _overdue(self) -> dict[str, str]:
        return {"overdue": self._spent} if self._spent else {}

    async def on_kill(self) -> None:
        """Airflow calls this, where it can, when the deferred task is marked, cleared or killed."""
        if self.owns_job:
            self.log.info("The task no longer waits for %s: the job is cancelled", self.ref)
            await _in_turn(lambda: connect(self.platform).cancel(JobRef(self.ref)))


async def _in_turn(call: Callable[..., T], *arguments: Any) -> T:
    """What a call for one job gives; in a thread, and after those of other jobs when many are made."""
    async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(MOST_CALLS)):
        return await in_thread(call, *arguments)


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for it, whoever cancels meanwhile: Airflow cancels a trigger every second until it is gone."""
    until = asyncio.get_running_loop().time() + CANCEL_WAIT_SECONDS
    ending = asyncio.ensure_future(work)
    while not ending.done() and asyncio.get_running_loop().time() < until:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({ending}, timeout=CANCEL_WAIT_SECONDS)


def _seconds_to(moment: datetime | None, clock: Clock) -> float | None:
    return max(0.0, (moment - clock.now()).total_seconds()) if moment else None


def event_status(event: Mapping[str, Any]) -> JobStatus | None:
    """The status an event carries."""
    return JobStatus.from_json(event["status"]) if event.get("status") else None
