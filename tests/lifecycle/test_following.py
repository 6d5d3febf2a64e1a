"""A thousand followers, one feed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet

import pytest

from airflow_doeks.lifecycle import Followers, following
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.status import JobRef, JobState, JobStatus, Scope
from airflow_doeks.model.telemetry import Pod, Sighting
from tests.fakes.memory_platform import START, MemoryPlatform
from tests.lifecycle.test_submission import later_try


def jobs(platform: MemoryPlatform, count: int) -> list[JobRef]:
    """So many submitted jobs."""
    job = SparkJob(main="jobs/clean.py")
    return [platform.submit(platform.render(job, later_try(number))) for number in range(1, count + 1)]


async def states(platform: MemoryPlatform, ref: JobRef) -> list[JobState]:
    """Every state one follower sees until the job's end."""
    async with contextlib.aclosing(Followers.of_running_loop().follow(platform, ref)) as statuses:
        return [status.state async for status in statuses]


async def settle_loop() -> None:
    """Let everything that can run without time passing run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_thousand_followers_share_one_feed() -> None:
    """All jobs of a scope are followed through one feed, which ends with the last follower."""
    platform = MemoryPlatform()
    tasks = [asyncio.create_task(states(platform, ref)) for ref in jobs(platform, 1000)]
    await settle_loop()
    assert Followers.of_running_loop().feeds == 1
    platform.tick(30)
    await settle_loop()
    platform.tick(60)
    assert await asyncio.gather(*tasks) == [[JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED]] * 1000
    assert (platform.feeds, Followers.of_running_loop().feeds, platform.wanted) == (1, 0, set())


async def test_a_late_follower_is_given_the_last_state() -> None:
    """Who comes late does not wait for the next change."""
    platform = MemoryPlatform()
    (ref,) = jobs(platform, 1)
    first = asyncio.create_task(states(platform, ref))
    await settle_loop()
    second = asyncio.create_task(states(platform, ref))
    await settle_loop()
    platform.tick(100)
    assert await first == await second == [JobState.QUEUED, JobState.SUCCEEDED]
    assert platform.feeds == 1


async def test_a_follower_sees_only_its_own_changes() -> None:
    """A feed may tell of jobs that nobody follows, and the same twice: a follower sees each change of its own once."""
    platform = MemoryPlatform()
    ref, other = jobs(platform, 2)
    task = asyncio.create_task(states(platform, ref))
    await settle_loop()
    assert platform.wanted == {ref}
    for _ in range(3):
        platform.tick(1)
        await settle_loop()
    platform.tick(100)
    assert await task == [JobState.QUEUED, JobState.SUCCEEDED]
    assert platform.observe(other).state is JobState.SUCCEEDED


async def test_a_passing_fault_interrupts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Throttling, a 5xx or a cut watch: the feed begins again, no follower notices."""
    monkeypatch.setattr(following, "_FIRST_PAUSE_SECONDS", 0.0)
    platform = MemoryPlatform()
    platform.feed_faults = [PlatformError("throttled", retryable=True)] * 3
    (ref,) = jobs(platform, 1)
    platform.tick(100)
    assert await states(platform, ref) == [JobState.SUCCEEDED]
    assert platform.feeds == 4


async def test_a_refusal_reaches_every_follower_at_once() -> None:
    """Access denied does not wait and does not retry."""
    platform = MemoryPlatform()
    platform.feed_faults = [PlatformError("arn:aws:iam::1:role/x may not ListJobRuns")]
    tasks = [asyncio.create_task(states(platform, ref)) for ref in jobs(platform, 3)]
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, PlatformError)
        assert "role/x may not ListJobRuns" in str(result)


async def test_a_fault_of_ours_in_a_feed_says_nothing_of_the_jobs() -> None:
    """An exception that nobody expected reaches the followers as a request that a worker looks, and the log whole."""
    platform = MemoryPlatform()
    platform.feed_faults = [KeyError("arn")]
    tasks = [asyncio.create_task(states(platform, ref)) for ref in jobs(platform, 3)]
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, PlatformError)
        assert str(result) == "the feed of here broke (KeyError: 'arn'); a worker must look"
        assert not result.retryable
    assert Followers.of_running_loop().feeds == 0


async def test_who_comes_late_is_told_an_end_that_nobody_followed() -> None:
    """A job may end between its submission and its trigger's start: the feed told it once, and once is enough."""
    platform = MemoryPlatform()
    ref, other = jobs(platform, 2)
    platform.scripts[other] = ((0, JobState.RUNNING),)
    first = asyncio.create_task(states(platform, other))
    await settle_loop()
    platform.tick(100)
    await settle_loop()
    platform.sent.clear()  # the feed has nothing more to tell of it
    assert await asyncio.wait_for(states(platform, ref), 30) == [JobState.SUCCEEDED]
    first.cancel()


async def test_a_feed_remembers_no_more_than_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    """Last states of jobs that nobody follows are kept for a while only, those of followed jobs as long as needed."""
    monkeypatch.setattr(following, "_REMEMBERED", 10)
    platform = MemoryPlatform()
    ref, *others = jobs(platform, 100)
    task = asyncio.create_task(states(platform, ref))
    await settle_loop()
    (feed,) = Followers.of_running_loop()._feeds.values()
    assert len(feed.last) <= 1 + 10
    assert {ref, others[-1]} <= feed.last.keys()
    platform.tick(100)
    assert await task == [JobState.QUEUED, JobState.SUCCEEDED]


async def test_sightings_go_where_they_are_wanted(caplog: pytest.LogCaptureFixture) -> None:
    """Pods that a feed saw are handed on; without somebody who takes them, or when that fails, jobs are followed."""
    platform = MemoryPlatform()
    one, two, three = jobs(platform, 3)
    seen: list[Sighting] = []

    async def end_of(ref: JobRef, sink: Callable[[Sighting], object] | None) -> JobState:
        platform.sightings = [
            Sighting(ref=ref, seen=START, pod=Pod(uid="p", role="driver", vcpu=None, memory_gib=None))
        ]
        async with contextlib.aclosing(Followers.of_running_loop().follow(platform, ref, sink=sink)) as statuses:
            return [status.state async for status in statuses][-1]

    platform.tick(100)
    assert await end_of(one, seen.append) is JobState.SUCCEEDED
    assert await end_of(two, None) is JobState.SUCCEEDED
    assert await end_of(three, {}.__getitem__) is JobState.SUCCEEDED
    assert [sighting.ref for sighting in seen] == [one]
    assert "A sighting of" in caplog.text


async def test_a_feed_that_broke_starts_again_for_the_next_follower() -> None:
    """A refusal ends the feed, not the followers that come after it."""
    platform = MemoryPlatform()
    platform.feed_faults = [PlatformError("denied")]
    (ref,) = jobs(platform, 1)
    with pytest.raises(PlatformError):
        await states(platform, ref)
    platform.tick(100)
    assert await states(platform, ref) == [JobState.SUCCEEDED]


async def test_a_follower_that_leaves_ends_its_feed() -> None:
    """Nothing is listed for nobody."""
    platform = MemoryPlatform()
    (ref,) = jobs(platform, 1)
    task = asyncio.create_task(states(platform, ref))
    await settle_loop()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert Followers.of_running_loop().feeds == 0


class LosesACancellation(MemoryPlatform):
    """Its feed goes on after the first one, as `asyncio.wait_for` may before Python 3.12."""

    lost = False

    async def feed(self, scope: Scope, wanted: AbstractSet[JobRef]) -> AsyncIterator[JobStatus | Sighting]:
        told = super().feed(scope, wanted)
        while True:
            coming = asyncio.ensure_future(anext(told))
            try:
                yield await asyncio.shield(coming)
            except asyncio.CancelledError:
                if self.lost:
                    raise
                self.lost = True
                yield await coming


async def test_the_last_follower_leaves_though_its_feed_lost_a_cancellation() -> None:
    """The feed is cancelled again, and nobody hangs."""
    platform = LosesACancellation()
    (ref,) = jobs(platform, 1)
    watching = asyncio.create_task(states(platform, ref))
    await settle_loop()
    platform.tick(100)
    done, _ = await asyncio.wait({watching}, timeout=20)
    assert done, "the last follower hangs"
    assert (watching.result()[-1], platform.lost) == (JobState.SUCCEEDED, True)
