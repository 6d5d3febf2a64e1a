"""One feed for all jobs of a scope: a thousand triggers in one event loop share one watch or one paged list.

A follower that comes late is given the last state at once; one that is slow holds up nobody; when the last one leaves,
the feed ends. Feeds are shared per event loop, never across loops: clients and locks belong to a loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import weakref
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.status import JobRef, JobStatus, Scope
from airflow_doeks.platforms.protocol import Platform

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0

_of_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Followers] = weakref.WeakKeyDictionary()


@dataclass
class _Feed:
    platform: Platform
    scope: Scope
    last: dict[JobRef, JobStatus] = field(default_factory=dict)
    inboxes: dict[JobRef, list[asyncio.Queue[JobStatus | BaseException]]] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                async for status in self.platform.feed(self.scope):
                    pause = _FIRST_PAUSE_SECONDS
                    self.deliver(status)
            except PlatformError as error:
                if not error.retryable:
                    self.fail(error)
                    return
                log.warning("Following %s is interrupted, trying again: %s", self.scope.endpoint, error)
            except Exception as error:
                self.fail(error)
                raise
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - jitter, not a secret
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def deliver(self, status: JobStatus) -> None:
        if status.ref not in self.inboxes or self.last.get(status.ref) == status:
            return
        self.last[status.ref] = status
        for inbox in self.inboxes[status.ref]:
            inbox.put_nowait(status)

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

    async def follow(self, platform: Platform, ref: JobRef) -> AsyncGenerator[JobStatus, None]:
        """Every change of one job, its present state first; ends after a terminal state.

        Raises PlatformError when the feed cannot go on, for example without permission.
        """
        feed = self._join(platform, ref)
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
        if ref not in feed.inboxes:
            feed.platform.follow(ref)
        if feed.task is None or feed.task.done():
            feed.task = asyncio.create_task(feed.run(), name=f"doeks feed {scope.endpoint}")
        return feed

    async def _leave(self, feed: _Feed, ref: JobRef, inbox: asyncio.Queue[JobStatus | BaseException]) -> None:
        feed.inboxes[ref].remove(inbox)
        if not feed.inboxes[ref]:
            del feed.inboxes[ref]
            feed.last.pop(ref, None)
            feed.platform.unfollow(ref)
        if feed.inboxes or self._feeds.get(feed.scope) is not feed:
            return
        del self._feeds[feed.scope]
        if feed.task is not None and feed.task is not asyncio.current_task():
            feed.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await feed.task
