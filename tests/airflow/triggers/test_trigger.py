"""The trigger on a platform in memory, through the same registry as every platform."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from airflow_doeks import compat
from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.lifecycle import Budgets, Clock, machine
from airflow_doeks.lifecycle.sightings import read_sightings
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.status import JobRef, JobState
from airflow_doeks.platforms.registry import TYPES
from airflow_doeks.triggers import job as triggers
from airflow_doeks.triggers.job import JobTrigger, event_status
from tests.fakes.memory_platform import MEMORY, PLACES, START, MemoryPlatform, VirtualTime
from tests.lifecycle.test_following import jobs
from tests.lifecycle.test_submission import FIRST, FOR_EVER, run

ENTRY = {"name": "memory", "type": "memory", "place": "here"}


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> MemoryPlatform:
    """A platform that the registry knows."""
    monkeypatch.setitem(TYPES, "memory", MEMORY)
    monkeypatch.setitem(PLACES, "here", MemoryPlatform())
    return PLACES["here"]


def trigger(platform: MemoryPlatform, **changes: Any) -> JobTrigger:
    """A trigger that went through Airflow's database and came back."""
    ref = str(run(platform, FIRST).ref)
    arguments: dict[str, Any] = {"ref": ref, "submitted": START.isoformat(), "platform": ENTRY, "budgets": {}}
    _, stored = JobTrigger(**{**arguments, **changes}).serialize()
    return JobTrigger(**stored)


async def fire(waiting: JobTrigger) -> dict[str, Any]:
    """The payload of the first event."""
    async with contextlib.aclosing(waiting.run()) as events:
        payload: dict[str, Any] = (await anext(events)).payload
        return payload


async def let_run() -> None:
    """Give threads and tasks time to come to rest."""
    for _ in range(10):
        await asyncio.sleep(0.01)


async def test_fires_when_the_job_ended(platform: MemoryPlatform) -> None:
    """The event carries the last status."""
    task = asyncio.create_task(fire(trigger(platform)))
    await let_run()
    platform.tick(100)
    status = event_status(await task)
    assert status is not None
    assert status.state is JobState.SUCCEEDED


async def test_a_deadline_cancels_before_it_fires(platform: MemoryPlatform) -> None:
    """An overdue job is cancelled, its end awaited, and the budget named."""
    platform.script = FOR_EVER
    platform.cancel_takes = 0
    payload = await fire(trigger(platform, budgets=Budgets(deadline=START).to_json()))
    status = event_status(payload)
    assert payload["overdue"] == "execution_timeout"
    assert status is not None
    assert status.state is JobState.CANCELLED


async def test_many_overdue_jobs_leave_the_threads_to_the_feed(platform: MemoryPlatform) -> None:
    """Cancelled jobs take their time to end; nobody sits in one of the loop's few threads until then."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(3))
    platform.script = FOR_EVER
    refs, budgets = jobs(platform, 48), Budgets(deadline=START).to_json()
    waiting = [JobTrigger(str(ref), START.isoformat(), ENTRY, budgets) for ref in refs]
    tasks = [asyncio.create_task(fire(each)) for each in waiting]
    while len(platform.cancelled) < len(refs):
        await asyncio.wait_for(compat.in_thread(lambda: None), 20)
        await asyncio.sleep(0.01)
    assert not any(task.done() for task in tasks)
    platform.tick(platform.cancel_takes)
    events = await asyncio.gather(*tasks)
    assert {event["overdue"] for event in events} == {"execution_timeout"}
    assert {event["status"]["state"] for event in events} == {"CANCELLED"}


async def test_cancels_that_wait_for_their_turn_leave_the_threads_to_the_feed(platform: MemoryPlatform) -> None:
    """A throttled service makes each cancel wait in its thread, by deadline or kill: two threads at most do."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(3))
    platform.script, throttled = FOR_EVER, threading.Event()
    platform.before_cancel = lambda: throttled.wait(60)
    refs, budgets = jobs(platform, 12), Budgets(deadline=START).to_json()
    overdue = [JobTrigger(str(ref), START.isoformat(), ENTRY, budgets) for ref in refs[:6]]
    killed = [JobTrigger(str(ref), START.isoformat(), ENTRY, {}) for ref in refs[6:]]
    tasks = [asyncio.create_task(fire(each)) for each in overdue]
    tasks += [asyncio.create_task(each.on_kill()) for each in killed]
    await let_run()
    await asyncio.wait_for(compat.in_thread(lambda: None), 20)
    throttled.set()
    while len(platform.cancelled) < len(refs):  # noqa: ASYNC110 - a count of the platform
        await asyncio.sleep(0.01)
    platform.tick(platform.cancel_takes)
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("is_kept", [True, False])
async def test_a_run_timeout_goes_on_after_a_restart_of_the_triggerer(
    platform: MemoryPlatform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_kept: bool
) -> None:
    """Where a platform tells no start, the first sight of it is kept in the ledger; without one it counts anew."""
    later = [timedelta(0)]
    monkeypatch.setattr(triggers, "Clock", lambda: Clock(lambda: datetime.now(timezone.utc) + later[0]))
    ledger = tmp_path / "ledger"
    monkeypatch.setenv("AIRFLOW__DOEKS__LEDGER_PATH", str(ledger))
    if not is_kept:
        ledger.touch()
    told = platform._now
    monkeypatch.setattr(platform, "_now", lambda job: replace(told(job), started=None))
    platform.script, platform.cancel_takes = FOR_EVER, 0
    waiting = trigger(platform, budgets=Budgets(run_timeout=100).to_json())
    platform.tick(50)
    for seconds in (0, 60):
        later[0] = timedelta(seconds=seconds)
        stopped = asyncio.create_task(fire(waiting))
        await let_run()
        await let_run()
        stopped.cancel()
        await asyncio.gather(stopped, return_exceptions=True)
    assert not platform.cancelled
    later[0] = timedelta(seconds=101)
    last = asyncio.create_task(fire(waiting))
    done, _ = await asyncio.wait({last}, timeout=10 if is_kept else 0.5)
    if is_kept:
        assert last.result()["overdue"] == "run_timeout"
        kept = [path.name for path in (ledger / "v1/sightings").rglob("*.json")]
        assert (len(kept), "running-" in kept[0]) == (1, True)
        assert read_sightings(LocalStore(ledger), waiting.ref, START) == []
    else:
        assert not done
        last.cancel()


async def test_a_job_that_does_not_end_in_time_is_looked_at_once_more(
    platform: MemoryPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for a cancelled job's end is bounded; the event carries what the platform says then."""
    monkeypatch.setattr(machine, "ENDING_SECONDS", 0.1)
    platform.script = FOR_EVER
    status = event_status(await fire(trigger(platform, budgets=Budgets(deadline=START).to_json())))
    assert status is not None
    assert (status.state, status.is_cancelling) == (JobState.RUNNING, True)


async def test_a_job_that_was_faster_than_its_deadline_succeeded(platform: MemoryPlatform) -> None:
    """A cancel that came too late: no budget is named."""
    waiting = trigger(platform, budgets=Budgets(deadline=START).to_json())
    platform.before_cancel = lambda: platform.time.sleep(100)
    payload = await fire(waiting)
    status = event_status(payload)
    assert status is not None
    assert (status.state, "overdue" in payload) == (JobState.SUCCEEDED, False)


async def test_a_refusal_is_told_at_once(platform: MemoryPlatform) -> None:
    """A platform that refuses for good fires an error with its words."""
    platform.feed_faults = [PlatformError("role/x may not ListJobRuns")]
    assert await fire(trigger(platform)) == {"error": "role/x may not ListJobRuns"}


async def test_a_cancel_that_is_refused_names_the_budget(platform: MemoryPlatform) -> None:
    """The worker is told that the job is overdue: it cancels with credentials of its own."""

    def refuse() -> None:
        msg = "role/x may not CancelJobRun"
        raise PlatformError(msg)

    platform.script, platform.before_cancel = FOR_EVER, refuse
    payload = await fire(trigger(platform, budgets=Budgets(deadline=START).to_json()))
    assert payload == {"error": "role/x may not CancelJobRun", "overdue": "execution_timeout"}


@pytest.mark.parametrize("place", ["feed", "trigger"])
async def test_whatever_breaks_is_told_to_the_worker(platform: MemoryPlatform, place: str) -> None:
    """A fault of ours, in the shared feed or beside it, fails no trigger, and so no task and no job."""
    fault = KeyError("jobRuns")
    if place == "feed":
        platform.feed_faults = [fault]
    waiting = trigger(platform)
    if place == "trigger":
        platform.scope = Mock(side_effect=fault)  # type: ignore[method-assign]
    payload = await fire(waiting)
    assert list(payload) == ["error"]
    assert "KeyError: 'jobRuns'" in payload["error"]


async def test_a_cancel_that_is_not_answered_is_asked_for_again(
    platform: MemoryPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the trigger of an overdue job and by that of a killed task, as long as there is time."""
    monkeypatch.setattr(machine, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(triggers, "AGAIN_SECONDS", 0.01)
    answers = [PlatformError("unreachable", retryable=True)] * 4

    def stutter() -> None:
        if len(answers) % 3:
            raise answers.pop()

    platform.script, platform.cancel_takes, platform.before_cancel = FOR_EVER, 0, stutter
    payload = await fire(trigger(platform, budgets=Budgets(deadline=START).to_json()))
    assert (payload["status"]["state"], payload["overdue"]) == ("CANCELLED", "execution_timeout")
    answers.pop()
    waiting = trigger(platform)
    await waiting.on_kill()
    assert JobRef(waiting.ref) in platform.cancelled
    assert not answers


async def test_a_job_that_a_killed_task_could_not_end_is_told(
    platform: MemoryPlatform, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log names the job and what to do; the triggerer goes on."""

    def refuse() -> None:
        msg = "role/x may not CancelJobRun"
        raise PlatformError(msg)

    platform.script, platform.before_cancel = FOR_EVER, refuse
    waiting = trigger(platform)
    await waiting.on_kill()
    told = caplog.text + capsys.readouterr().out  # Airflow 2 logs by one, Airflow 3 by the other
    assert f"{waiting.ref} could not be cancelled; it may still run and cost: role/x may not" in told
    assert "End it by hand" in told


async def test_a_trigger_of_a_newer_version_is_understood(platform: MemoryPlatform) -> None:
    """A worker that was redeployed first adds arguments, budgets and words: an older triggerer follows the job."""
    waiting = trigger(platform, budgets={"run_timeout": None, "checkpoint_timeout": 5}, goal="running")
    task = asyncio.create_task(fire(JobTrigger(**waiting.serialize()[1], notify="nobody")))
    await let_run()
    platform.tick(100)
    status = event_status({"status": (await task)["status"] | {"health": "good"}})
    assert status is not None
    assert status.state is JobState.SUCCEEDED


async def test_a_second_deferral_is_not_ended_before_the_scheduler_noticed_it(
    platform: MemoryPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However old its job is, an event comes no earlier than some seconds after the task left its worker."""
    monkeypatch.setattr(triggers, "EARLIEST", timedelta(seconds=0.3))
    platform.feed_faults = [PlatformError("role/x may not ListJobRuns")]
    left = datetime.now(timezone.utc)
    waiting = trigger(platform, deferred=left.isoformat())
    waiting.trigger_id = 1  # as a triggerer sets it
    await fire(waiting)
    assert datetime.now(timezone.utc) - left >= timedelta(seconds=0.3)


async def test_a_run_without_a_scheduler_holds_no_event_back(
    platform: MemoryPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`doeks run` and `DAG.test` run a trigger in the task's own process: no id, and nobody to be outrun."""
    monkeypatch.setattr(triggers, "EARLIEST", timedelta(days=1))
    platform.feed_faults = [PlatformError("role/x may not ListJobRuns")]
    assert await fire(trigger(platform, deferred=datetime.now(timezone.utc).isoformat()))


async def test_on_kill_ends_the_job(platform: MemoryPlatform) -> None:
    """Airflow >= 3.3: a marked, cleared or killed task ends its job."""
    platform.script = FOR_EVER
    waiting = trigger(platform)
    await waiting.on_kill()
    assert JobRef(waiting.ref) in platform.cancelled


async def test_a_sensor_never_cancels(platform: MemoryPlatform) -> None:
    """Who waits for a job of somebody else leaves it alone."""
    waiting = trigger(platform, owns_job=False)
    await waiting.on_kill()
    assert not platform.cancelled


@pytest.mark.parametrize(("state", "cancelled"), [("deferred", False), ("failed", True), (None, True)])
async def test_before_3_3_a_cancelled_trigger_asks_for_its_task(
    platform: MemoryPlatform, state: str | None, cancelled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Still deferred: the triggerer stops, nothing is cancelled. Anything else: the task was killed, its job ends."""
    monkeypatch.setattr(compat, "AIRFLOW_VERSION", (3, 2))
    monkeypatch.setattr(compat, "_fresh_task_state", lambda _: state)
    platform.script = FOR_EVER
    waiting = trigger(platform)
    waiting.task_instance = SimpleNamespace(task_id="job")
    task = asyncio.create_task(fire(waiting))
    await let_run()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (JobRef(waiting.ref) in platform.cancelled) is cancelled


async def test_a_trigger_that_is_cancelled_twice_still_ends_its_job(
    platform: MemoryPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow before 3.3 cancels a trigger again and again until it is gone; its job is ended all the same."""
    asked = threading.Event()

    def state(_: object) -> str:
        asked.wait(5)
        return "failed"

    monkeypatch.setattr(compat, "AIRFLOW_VERSION", (3, 2))
    monkeypatch.setattr(compat, "_fresh_task_state", state)
    platform.script = FOR_EVER
    waiting = trigger(platform)
    waiting.task_instance = SimpleNamespace(task_id="job")
    task = asyncio.create_task(fire(waiting))
    await let_run()
    for _ in range(3):
        task.cancel()
        await let_run()
    asked.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert JobRef(waiting.ref) in platform.cancelled


async def test_a_restarted_triggerer_keeps_the_deadline(platform: MemoryPlatform) -> None:
    """Rows 3 and 14: the deadline is absolute, and a job that ended meanwhile is seen at once."""
    platform.time = VirtualTime(START - timedelta(seconds=200))
    waiting = trigger(platform, budgets=Budgets(deadline=START).to_json())
    platform.time.sleep(100)
    status = event_status(await fire(JobTrigger(**waiting.serialize()[1])))
    assert status is not None
    assert status.state is JobState.SUCCEEDED
    assert not platform.cancelled


@pytest.mark.parametrize("seconds", [None, 0.02])
async def test_a_log_is_read_along_where_the_platform_is_asked_to(
    platform: MemoryPlatform, seconds: float | None
) -> None:
    """With `log_seconds` what the job printed is read while it runs, and the rest at its end; else never."""
    _, stored = trigger(platform).serialize()
    task = asyncio.create_task(fire(JobTrigger(**stored | {"platform": ENTRY | {"log_seconds": seconds}})))
    await let_run()
    platform.tick(100)
    assert event_status(await task) is not None
    assert (platform.log_reads > 1) is bool(seconds)
