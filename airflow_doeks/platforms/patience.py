"""How every platform asks a service: at a pace, again when it may help, and page by page. No service's words here."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import random
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_doeks.model.errors import PlatformError

if TYPE_CHECKING:
    from airflow_doeks.model.record import FailureCategory

log = logging.getLogger(__name__)

T = TypeVar("T")
SLOWEST_PER_SECOND = 0.1
# AWS meters an API by a bucket that refills at a rate and holds a burst. The numbers of EMR on EKS are not published
# per action where we could read them (developer guide, "service endpoints and quotas", November 2026): what is saved up
# is small, and a throttled call empties it and halves the rate.
BURST_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 60.0
MOST_DOUBLINGS = 6  # of a second: more than the longest pause, and 2.0**1024 is no float any more
# No credentials are found, or nobody knows them: for good, or their source (a role's token, instance metadata) or who
# checks them is away for a moment. A worker tells soon and its task is tried again; a feed holds the jobs of many and
# asks longer.
NO_CREDENTIALS = "no_credentials"
CREDENTIALS_SECONDS, FEED_CREDENTIALS_SECONDS = 15.0, 600.0
_REPEATED = frozenset({"throttled", "unavailable", NO_CREDENTIALS})
_LATER = frozenset({"quota"})  # lasts for as long as others' jobs do: who has more time than a call asks again
# Kind -> category of a job that it kept from coming to be; of others: platform.
_CATEGORIES: Mapping[str, FailureCategory] = {
    "quota": "quota",
    "denied": "permission",
    NO_CREDENTIALS: "permission",
}


class Refusal(PlatformError):
    """A call that did not succeed.

    Attributes:
        kind: ``throttled``, ``unavailable``, ``no_credentials`` may be repeated; ``denied``, ``gone``, ``refused`` not.
            ``quota`` is worth a later try, not the same call.
    """

    def __init__(self, kind: str, message: str) -> None:
        category = _CATEGORIES.get(kind, "platform")
        super().__init__(message, retryable=kind in _REPEATED | _LATER, category=category)
        self.kind = kind

    @property
    def is_repeated(self) -> bool:
        """True if the same call may succeed within seconds."""
        return self.kind in _REPEATED


def to_feed(refusal: Refusal, seconds: float) -> Refusal:
    """What a refusal is to a feed that nothing else was told for so long.

    To have no credentials for FEED_CREDENTIALS_SECONDS is for good: perhaps only this process has none.
    """
    if refusal.kind == NO_CREDENTIALS and seconds > FEED_CREDENTIALS_SECONDS:
        return Refusal(kind="denied", message=str(refusal))
    return refusal


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Time:
    """The clocks and both ways to wait; seconds, and ``now`` in aware UTC."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    asleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    now: Callable[[], datetime] = _utc_now


_until: ContextVar[float | None] = ContextVar("until", default=None)


@contextlib.contextmanager
def no_longer_than(seconds: float) -> Iterator[None]:
    """All patient calls inside, together, are repeated for so many seconds at most, whatever each may take."""
    before = _until.set(time.monotonic() + min(seconds, seconds_left(seconds)))
    try:
        yield
    finally:
        _until.reset(before)


def seconds_left(most: float) -> float:
    """``most``, or what `no_longer_than` leaves of it; never negative."""
    until = _until.get()
    return most if until is None else max(0.0, min(most, until - time.monotonic()))


class Pace:
    """A token bucket whose rate halves when the service throttles and grows back when it answers; thread-safe.

    It holds the calls of ``BURST_SECONDS``: a list of many pages after a rest goes at once, the average is the rate.
    """

    def __init__(self, per_second: float, clock: Time | None = None) -> None:
        self._most = self.per_second = per_second
        self._clock = clock or Time()
        self._tokens, self._at = self._burst(), self._clock.monotonic()
        self._refusals = 0
        self._lock = threading.Lock()

    def reserve(self) -> float:
        """Seconds to wait before the next call may go; the call is counted."""
        with self._lock:
            self._refill()
            self._tokens -= 1
            return max(0.0, -self._tokens / self.per_second)

    def answered(self) -> None:
        """The service answered: a little faster, up to the configured rate."""
        with self._lock:
            self._refusals = 0
            self.per_second = min(self._most, self.per_second + self._most / 20)

    def refused(self, *, throttled: bool) -> float:
        """Seconds to pause (full jitter) after a refusal; throttling halves the rate and spends what was saved up."""
        with self._lock:
            self._refusals += 1
            if throttled:
                self._refill()
                self.per_second = max(SLOWEST_PER_SECOND, self.per_second / 2)
                self._tokens = min(self._tokens, 0.0)
            longest = min(LONGEST_PAUSE_SECONDS, 2.0 ** min(self._refusals, MOST_DOUBLINGS))
            return random.uniform(0, longest)  # noqa: S311 - jitter

    def _refill(self) -> None:
        now = self._clock.monotonic()
        self._tokens = min(self._burst(), self._tokens + (now - self._at) * self.per_second)
        self._at = now

    def _burst(self) -> float:
        return max(1.0, self.per_second * BURST_SECONDS)


@functools.lru_cache(maxsize=64)
def shared_pace(service: str, per_second: float, clock: Time) -> Pace:  # the service is a part of the key
    """One pace for all platforms of this process that ask the same service through the same connection."""
    del service
    return Pace(per_second, clock)


class Patience:
    """Repeats what may be repeated: for a while where somebody waits, without end for a feed.

    Args:
        in_thread: runs a function of a feed in a thread from which clients may be made.
    """

    def __init__(self, pace: Pace, clock: Time, in_thread: Callable[..., Awaitable[Any]] = asyncio.to_thread) -> None:
        self.pace, self.clock, self._in_thread = pace, clock, in_thread

    def call(self, ask: Callable[[], T], seconds: float = 60.0) -> T:
        """What ``ask`` gives, which raises Refusal; repeated for about ``seconds``; blocks.

        Without credentials for CREDENTIALS_SECONDS at most; within `no_longer_than` for what that leaves.
        """
        began = self.clock.monotonic()
        seconds = seconds_left(seconds)
        while True:
            self.clock.sleep(seconds_left(self.pace.reserve()))
            try:
                answer = ask()
            except Refusal as refusal:
                pause = self.pace.refused(throttled=refusal.kind == "throttled")
                most = min(seconds, CREDENTIALS_SECONDS) if refusal.kind == NO_CREDENTIALS else seconds
                if not refusal.is_repeated or self.clock.monotonic() + pause > began + most:
                    raise
                log.info("%s, again in %.1f s", refusal, pause)
                self.clock.sleep(pause)
            else:
                self.pace.answered()
                return answer

    async def forever(self, ask: Callable[[], T]) -> T:
        """The same in a thread, repeated until the service answers or refuses for good."""
        warned, began = False, self.clock.monotonic()
        while True:
            await self.clock.asleep(self.pace.reserve())
            try:
                answer: T = await self._in_thread(ask)
            except Refusal as refusal:
                told = to_feed(refusal, self.clock.monotonic() - began)
                if not told.is_repeated:
                    raise told from None
                if not warned:
                    log.warning("%s; it is tried again until it answers", refusal)
                warned = True
                await self.clock.asleep(self.pace.refused(throttled=refusal.kind == "throttled"))
            else:
                self.pace.answered()
                return answer


@dataclass(frozen=True)
class Paging:
    """The words of a service for its paged lists: where an answer holds entries and token, and what asks for more."""

    entries: str
    token: tuple[str, ...] = ("nextToken",)  # the path of keys to it; Kubernetes: metadata, continue
    asks: str = "nextToken"

    def turn(self, answer: Mapping[str, Any]) -> dict[str, Any] | None:
        """What asks for the next page; None after the last one."""
        found: Any = answer
        for key in self.token:
            found = (found or {}).get(key)
        return {self.asks: found} if found else None


def pages(ask: Callable[..., Mapping[str, Any]], paging: Paging) -> Iterator[Any]:
    """Every entry of a paged list, page by page; ``ask`` takes the words that ask for a page."""
    page: dict[str, Any] | None = {}
    while page is not None:
        answer = ask(**page)
        yield from answer.get(paging.entries) or ()
        page = paging.turn(answer)


async def pages_of_feed(ask: Callable[..., Awaitable[Mapping[str, Any]]], paging: Paging) -> AsyncIterator[Any]:
    """The same for a feed."""
    page: dict[str, Any] | None = {}
    while page is not None:
        answer = await ask(**page)
        for entry in answer.get(paging.entries) or ():
            yield entry
        page = paging.turn(answer)
