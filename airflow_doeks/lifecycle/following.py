"""One feed for all jobs of a scope: a thousand triggers in one event loop share one watch or one paged list.

A follower that comes late is given the last state at once, the end of its job included, unless the job is one that is
sent more than once; one that is slow holds up nobody; when the last one leaves, the feed ends. Whatever goes wrong in a
feed tells its followers that a worker must look, and says nothing of their jobs. Feeds are shared per event loop, never
across loops: clients and locks belong to a loop.
"""

from __future__ import annotations

import asyncio
import logging
import random
import weakref
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.status import JobRef, JobStatus, Scope
from airflow_doeks.model.telemetry import Sighting
from airflow_doeks.platforms.protocol import Platform

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 1.0
_CANCEL_AGAIN_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 60.0
_REMEMBERED = 2000  # last states kept of jobs that nobody follows: of who left, or has not come yet

Sink = Callable[[Sighting], object]

_of_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Followers] = weakref.WeakKeyDictionary()


@dataclass
class _Feed:
    platform: Platform
    scope: Scope
    sink: Sink | None = None
    last: OrderedDict[JobRef, JobStatus] = field(default_factory=OrderedDict)
    wanted: set[JobRef] = field(default_factory=set)
    inboxes: dict[JobRef, list[asyncio.Queue[JobStatus | BaseException]]] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                async for told in self.platform.feed(self.scope, self.wanted):
                    pause = _FIRST_PAUSE_SECONDS
                    if isinstance(told, Sighting):
                        self.hand_over(told)
                    else:
                        self.deliver(told)
            except PlatformError as error:
                if not error.retryable:
                    self.fail(error)
                    return
                log.warning("Following %s is interrupted, trying again: %s", self.scope.endpoint, error)
            except Exception as error:
                log.exception("The feed of %s broke; report this", self.scope.endpoint)
                text = f"the feed of {self.scope.endpoint} broke ({type(error).__name__}: {error}); a worker must look"
                self.fail(PlatformError(text))
                return
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - jitter, not a secret
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def deliver(self, status: JobStatus) -> None:
        if self.last.get(status.ref) == status:
            return
        self.last[status.ref] = status
        self.last.move_to_end(status.ref)
        for inbox in self.inboxes.get(status.ref, ()):
            inbox.put_nowait(status)
        if len(self.last) > len(self.wanted) + _REMEMBERED:
            self.forget()

    def forget(self) -> None:
        """The older half of what is remembered of jobs that nobody follows."""
        unwanted = [ref for ref in self.last if ref not in self.wanted]
        for ref in unwanted[: len(unwanted) // 2]:
            del self.last[ref]

    def hand_over(self, sighting: Sighting) -> None:
        if self.sink is None:
            return
        try:
            self.sink(sighting)
        except Exception:
            log.exception("A sighting of %s was not kept; its cost will rest on less", sighting.ref)

    def fail(self, error: BaseException) -> None:
        for inboxes in self.inboxes.values():
            for inbox in inboxes:
                inbox.put_nowait(error)


class Followers:
    """All feeds of one event loop, by scope, counted by reference."""

    def __init__(self) -> None:
        self._feeds: dict[Scope, _Feed] = {}

    @staticmethod
    def of_running_loop() -> Followers:
        """The one of the event loop that runs now."""
        return _of_loop.setdefault(asyncio.get_running_loop(), Followers())

    @property
    def feeds(self) -> int:
        """How many feeds are open."""
        return len(self._feeds)

    async def follow(
        self, platform: Platform, ref: JobRef, *, sink: Sink | None = None
    ) -> AsyncGenerator[JobStatus, None]:
        """Every change of one job, its present state first; ends after a terminal state.

        ``sink`` is given the sightings of the whole feed, on the event loop: it must not block. Raises PlatformError
        when the feed cannot go on, for example without permission: a worker must look, the job may be well.
        """
        feed = self._join(platform, ref)
        feed.sink = feed.sink or sink
        inbox: asyncio.Queue[JobStatus | BaseException] = asyncio.Queue()
        feed.inboxes.setdefault(ref, []).append(inbox)
        if ref in feed.last:
            inbox.put_nowait(feed.last[ref])
        try:
            while True:
                status = await inbox.get()
                if isinstance(status, BaseException):
                    raise status
                yield status
                if status.state.is_terminal:
                    return
        finally:
            await self._leave(feed, ref, inbox)

    def _join(self, platform: Platform, ref: JobRef) -> _Feed:
        scope = platform.scope(ref)
        feed = self._feeds.get(scope)
        if feed is None:
            feed = self._feeds[scope] = _Feed(platform, scope)
        known = feed.last.get(ref)
        if known is not None and known.changed and ref not in feed.wanted:  # it may have been sent again since
            del feed.last[ref]
        feed.wanted.add(ref)
        if feed.task is None or feed.task.done():
            feed.task = asyncio.create_task(feed.run(), name=f"doeks feed {scope.endpoint}")
        return feed

    async def _leave(self, feed: _Feed, ref: JobRef, inbox: asyncio.Queue[JobStatus | BaseException]) -> None:
        feed.inboxes[ref].remove(inbox)
        if not feed.inboxes[ref]:
            del feed.inboxes[ref]
            feed.wanted.discard(ref)
        if feed.inboxes or self._feeds.get(feed.scope) is not feed:
            return
        del self._feeds[feed.scope]
        if feed.task is not None and feed.task is not asyncio.current_task():
            while not feed.task.done():  # one cancellation may get lost: `asyncio.wait_for` had such a race until 3.12
                feed.task.cancel()
                await asyncio.wait({feed.task}, timeout=_CANCEL_AGAIN_SECONDS)
