"""Calls to AWS that pace themselves: a token bucket, full jitter, one retry loop, errors named by what helps.

botocore's own retries are off for these clients (hooks/emr.py): two loops that know nothing of each other multiply.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from airflow_doeks.model.errors import PlatformError

log = logging.getLogger(__name__)

# Error codes; emr-containers service model 2020-10-01 and botocore's retry handler, read November 2026.
THROTTLES = frozenset(
    {
        "EKSRequestThrottledException",  # HTTP 429, in the model; botocore does not retry it
        "RequestThrottledException",  # HTTP 400, in the model
        "ThrottlingException",
        "ThrottledException",
        "Throttling",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",  # S3
    }
)
DENIALS = frozenset(
    {
        "AccessDeniedException",
        "AccessDenied",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
    }
)
EXPIRIES = frozenset({"ExpiredTokenException", "ExpiredToken", "RequestExpired"})
# Also of a key that was replaced: the connection may hold the new one.
RENEWED = EXPIRIES | {"UnrecognizedClientException", "InvalidClientTokenId"}
# STS could not reach the identity provider, "often a transient error"; botocore's STS model, read November 2026.
OUTAGES = frozenset({"IDPCommunicationError"})
GONE = frozenset({"ResourceNotFoundException", "NoSuchKey", "NoSuchBucket", "404"})

SLOWEST_PER_SECOND = 0.1
# AWS meters an API by a bucket that refills at a rate and holds a burst. The numbers of EMR on EKS are not published
# per action where we could read them (developer guide, "service endpoints and quotas", November 2026): what is saved up
# is small, and a throttled call empties it and halves the rate.
BURST_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 60.0
MOST_DOUBLINGS = 6  # of a second: more than the longest pause, and 2.0**1024 is no float any more
# No credentials are found: for good, or their source (a role's token, instance metadata) is away for a moment. A worker
# tells soon and its task is tried again; a feed holds the jobs of many and asks longer.
CREDENTIALS_SECONDS, FEED_CREDENTIALS_SECONDS = 15.0, 600.0


class Refusal(PlatformError):
    """A call that did not succeed.

    Attributes:
        kind: ``throttled``, ``unavailable``, ``no_credentials`` may be repeated; ``denied``, ``gone``, ``refused`` not.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message, retryable=kind in {"throttled", "unavailable", "no_credentials"})
        self.kind = kind


@dataclass(frozen=True)
class Time:
    """The clock and both ways to wait; seconds."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    asleep: Callable[[float], Awaitable[None]] = asyncio.sleep


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
def shared_pace(region: str, connection: str | None, per_second: float) -> Pace:  # noqa: ARG001 - the key
    """One pace for all platforms of this process that share an account and region."""
    return Pace(per_second)


class AwsCalls:
    """One service's client, made when first needed and made anew when its credentials expired, changed or are missing.

    Args:
        make: gives a boto3 client; slow, never called on the event loop.
        identity: gives the caller's ARN for the message of a denial; may raise.
        in_thread: runs a function in a thread from which ``make`` may be called.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        identity: Callable[[], str],
        pace: Pace,
        clock: Time,
        in_thread: Callable[..., Awaitable[dict[str, Any]]] = asyncio.to_thread,
    ) -> None:
        self._make, self._identity, self._pace, self.clock = make, identity, pace, clock
        self._in_thread = in_thread
        self._client: Any = None
        self._lock = threading.Lock()

    def once(self, action: str, **parameters: Any) -> dict[str, Any]:
        """One call, not paced; raises Refusal. Expired and replaced credentials are renewed once."""
        for is_last in (False, True):
            try:
                answer: dict[str, Any] = getattr(self._connected(), action)(**parameters)
            except Exception as error:
                code = error_code(error)
                if code in RENEWED and not is_last:
                    self._client = None
                    continue
                refusal = self._refusal(action, error, code)
                if refusal.kind == "no_credentials":
                    self._client = None  # a client looks for them only when it is made
                raise refusal from error
            return answer
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def patiently(self, action: str, seconds: float = 60.0, **parameters: Any) -> dict[str, Any]:
        """One paced call, repeated while the service throttles or is away, for about ``seconds``; blocks.

        Without credentials it is repeated for CREDENTIALS_SECONDS at most.
        """
        began = self.clock.monotonic()
        while True:
            self.clock.sleep(self._pace.reserve())
            try:
                answer = self.once(action, **parameters)
            except Refusal as refusal:
                pause = self._pace.refused(throttled=refusal.kind == "throttled")
                most = min(seconds, CREDENTIALS_SECONDS) if refusal.kind == "no_credentials" else seconds
                if not refusal.retryable or self.clock.monotonic() + pause > began + most:
                    raise
                log.info("%s, again in %.1f s", refusal, pause)
                self.clock.sleep(pause)
            else:
                self._pace.answered()
                return answer

    async def forever(self, action: str, **parameters: Any) -> dict[str, Any]:
        """One paced call in a thread, repeated until the service answers or refuses for good.

        To have no credentials for FEED_CREDENTIALS_SECONDS is for good: perhaps only this process has none.
        """
        warned, began = False, self.clock.monotonic()
        while True:
            await self.clock.asleep(self._pace.reserve())
            try:
                answer = await self._in_thread(self.once, action, **parameters)
            except Refusal as refusal:
                if not refusal.retryable:
                    raise
                if refusal.kind == "no_credentials" and self.clock.monotonic() - began > FEED_CREDENTIALS_SECONDS:
                    raise Refusal(kind="denied", message=str(refusal)) from refusal
                if not warned:
                    log.warning("%s; it is tried again until it answers", refusal)
                warned = True
                await self.clock.asleep(self._pace.refused(throttled=refusal.kind == "throttled"))
            else:
                self._pace.answered()
                return answer

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._make()
            return self._client

    def _refusal(self, action: str, error: Exception, code: str | None) -> Refusal:
        kind = _kind(error, code)
        name = "".join(word.capitalize() for word in action.split("_"))
        text = f"{name} failed: {error}"
        if kind == "denied":
            text += f"\nAsked as {self._who()}. Allow it the action (docs/platforms.md lists all), then clear the task."
        if kind == "no_credentials":
            text += "\nNeither the platform's `connection` nor this machine gives AWS credentials (docs/platforms.md)."
        return Refusal(kind, text)

    def _who(self) -> str:
        try:
            return self._identity()
        except Exception as error:  # noqa: BLE001 - a denial must be told whatever else fails
            return f"an identity that could not be asked for ({type(error).__name__})"


def error_code(error: Exception) -> str | None:
    """The service's error code; None for an error that is not the service's."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else None


def _kind(error: Exception, code: str | None) -> str:
    if code is None:
        return _kind_without_answer(error)
    status = getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in THROTTLES or status == 429:  # noqa: PLR2004 - HTTP's number
        return "throttled"
    if code in DENIALS or code in EXPIRIES:
        return "denied"
    if code in GONE:
        return "gone"
    return "unavailable" if status >= 500 or code in OUTAGES else "refused"  # noqa: PLR2004 - HTTP's number


def _kind_without_answer(error: Exception) -> str:
    from botocore import exceptions

    missing = (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.CredentialRetrievalError)
    if isinstance(error, (*missing, exceptions.MetadataRetrievalError)):
        return "no_credentials"
    if isinstance(error, (exceptions.HTTPClientError, exceptions.ConnectionError, OSError)):
        return "unavailable"
    if isinstance(error, exceptions.BotoCoreError):
        return "refused"
    raise error
