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
from airflow_doeks.hooks.settings import load_settings, open_ledger
from airflow_doeks.lifecycle import Budgets, Clock, Followers, machine
from airflow_doeks.lifecycle.budget import Judgement
from airflow_doeks.lifecycle.cancellation import NOT_CANCELLED
from airflow_doeks.lifecycle.deadlines import rests_on_entry
from airflow_doeks.lifecycle.machine import AGAIN_SECONDS, Do
from airflow_doeks.lifecycle.sightings import Keeper
from airflow_doeks.model.errors import DoeksError, PlatformError
from airflow_doeks.model.status import JobRef, JobStatus
from airflow_doeks.platforms.protocol import Platform
from airflow_doeks.triggers.job_log import telling
from airflow_doeks.triggers.purse import Purse

T = TypeVar("T")
KILL_SECONDS = 60.0  # for the cancel of a killed task's job
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
    worker, if not right after ``submitted``; both are ISO 8601. ``stable_for``: seconds that the job must run well, if
    not its end is waited for. ``money``: what a `Purse` is opened with. What a worker of a newer version adds is
    ignored.

    The event is ``{"status": ...}`` of the ended job, ``{"status": ..., "overdue": budget}`` after a deadline cancelled
    it, ``{"status": ..., "told": {budget: words}}`` when a worker is to tell of budgets of dollars, or
    ``{"error": text}`` when it could not be followed, with ``overdue`` if a deadline had passed.
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
        stable_for: float | None = None,
        money: dict[str, Any] | None = None,
        **_newer: Any,
    ) -> None:
        super().__init__()
        self.ref = ref
        self.submitted = submitted
        self.platform = platform
        self.budgets = budgets
        self.owns_job = owns_job
        self.deferred = deferred
        self.stable_for = stable_for
        self.money = money
        self._spent: str | None = None  # the budget that was used up

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, as Airflow stores them."""
        names = ("ref", "submitted", "platform", "budgets", "owns_job", "deferred", "stable_for", "money")
        return "airflow_doeks.triggers.job.JobTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields one event."""
        try:
            event = await self._watch()
            if self.trigger_id is not None:  # in a triggerer; `doeks run` and `DAG.test` have no scheduler to be outrun
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
        """What the event tells. A border: whatever goes wrong here is told to the worker, and fails no job."""
        try:
            platform = await in_thread(connect, self.platform)
            return await self._wait(platform, JobRef(self.ref))
        except DoeksError as error:
            return {"error": str(error)} | self._overdue()
        except Exception as error:
            self.log.exception("%s cannot be followed here: its task's worker looks", self.ref)
            return {"error": f"{type(error).__name__}: {error}"} | self._overdue()

    async def _wait(self, platform: Platform, ref: JobRef) -> dict[str, Any]:
        clock = Clock()
        submitted = datetime.fromisoformat(self.submitted)
        budgets, goal = Budgets.from_json(self.budgets), machine.Goal(self.stable_for)
        watch = machine.watch(ref, submitted, budgets, now=clock.now(), goal=goal)
        step = machine.step(watch, None, clock.now())
        keeper = Keeper.of_running_loop(lambda: open_ledger(load_settings()).store, in_thread)
        following = Followers.of_running_loop().follow(platform, ref, sink=keeper.take)
        purse = Purse.open(self.money, platform, ref, keeper)
        printed = telling(lambda upto: _in_turn(platform.log, ref, upto), self.platform.get("log_seconds"), self.log)
        async with keeper.keeping(ref, submitted), contextlib.aclosing(following) as statuses, printed:
            upcoming: asyncio.Task[JobStatus] = asyncio.ensure_future(anext(statuses))
            goes_on = False
            try:
                while step.do is not Do.DONE:
                    if step.do is Do.CANCEL:
                        step = await self._cancel(platform, step.watch, clock)
                        continue
                    seen = None
                    if step.do is Do.LOOK:
                        seen = await _in_turn(platform.observe, ref)
                    elif (await asyncio.wait({upcoming}, timeout=purse.seconds(_seconds_to(step.until, clock))))[0]:
                        seen = upcoming.result()
                        upcoming = asyncio.ensure_future(anext(statuses))
                    step = await self._follow(step.watch, seen, keeper, clock)
                    if step.is_news:
                        self.log.info("%s", step.watch.last)
                    judged = await purse.look(step.watch.last, clock.now()) if step.do is Do.WAIT else Judgement()
                    if judged.spent:
                        step = machine.spend(step.watch, judged.spent, clock.now())
                    elif judged.told:
                        goes_on = True
                        return {"status": step.watch.last.to_json(), "told": dict(judged.told)}
            finally:
                if not goes_on:
                    purse.close()
                upcoming.cancel()
                with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, DoeksError):
                    await upcoming
        return {"status": step.watch.last.to_json()} | ({"overdue": step.overdue} if step.overdue else {})

    async def _follow(self, watch: machine.Watch, seen: JobStatus | None, keeper: Keeper, clock: Clock) -> machine.Step:
        """The next step; a time-out that counts from when a state was first seen outlives this trigger."""
        step = machine.step(watch, seen, clock.now())
        is_new = step.watch.entered is not watch.entered and rests_on_entry(step.watch.last, step.watch.budgets)
        if not is_new:
            return step
        told = step.watch
        entered = await keeper.first_seen(self.ref, told.submitted, told.last.state, told.entered)
        return machine.entered_at(step, entered, clock.now())

    async def _cancel(self, platform: Platform, watch: machine.Watch, clock: Clock) -> machine.Step:
        """Cancel an overdue job; a platform that does not answer is asked again, its refusal raises."""
        if self._spent is None:
            self.log.warning("%s used up its %s and is cancelled", self.ref, watch.spent)
        self._spent = watch.spent
        try:
            await _in_turn(platform.cancel, JobRef(self.ref))
        except PlatformError as error:
            step = machine.step(watch, error, clock.now())
            if step.do is Do.GIVE_UP:
                raise
            return step
        return machine.step(machine.accepted(watch, clock.now()), None, clock.now())

    def _overdue(self) -> dict[str, str]:
        return {"overdue": self._spent} if self._spent else {}

    async def on_kill(self) -> None:
        """Airflow calls this, where it can, when the deferred task is marked, cleared or killed."""
        if not self.owns_job:
            return
        self.log.info("The task no longer waits for %s: the job is cancelled", self.ref)
        loop = asyncio.get_running_loop()
        until = loop.time() + KILL_SECONDS - AGAIN_SECONDS
        while (error := await self._try_to_cancel()) is not None:
            if not (isinstance(error, PlatformError) and error.retryable and loop.time() < until):
                self.log.error(NOT_CANCELLED, self.ref, error, exc_info=not isinstance(error, DoeksError) and error)
                return
            self.log.warning("%s was not cancelled yet, trying again: %s", self.ref, error)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _try_to_cancel(self) -> Exception | None:
        """None once the platform took it. A border, as above: nobody else would tell what went wrong."""
        try:
            await _in_turn(lambda: connect(self.platform).cancel(JobRef(self.ref)))
        except Exception as error:  # noqa: BLE001 - told by the caller
            return error
        return None


async def _in_turn(call: Callable[..., T], *arguments: Any) -> T:
    """What a call for one job gives; in a thread, and after those of other jobs when many are made."""
    async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(MOST_CALLS)):
        return await in_thread(call, *arguments)


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for it, whoever cancels meanwhile: Airflow cancels a trigger every second until it is gone."""
    until = asyncio.get_running_loop().time() + KILL_SECONDS
    ending = asyncio.ensure_future(work)
    while not ending.done() and asyncio.get_running_loop().time() < until:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({ending}, timeout=KILL_SECONDS)


def _seconds_to(moment: datetime | None, clock: Clock) -> float | None:
    return max(0.0, (moment - clock.now()).total_seconds()) if moment else None


def event_status(event: Mapping[str, Any]) -> JobStatus | None:
    """The status an event carries."""
    return JobStatus.from_json(event["status"]) if event.get("status") else None
