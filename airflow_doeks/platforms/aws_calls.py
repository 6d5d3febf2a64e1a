"""Calls to AWS through one client a service, made anew when its credentials ended; errors named by what helps.

botocore's own retries are off for these clients (hooks/clients.py): two loops that know nothing of each other multiply.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.patience import Paging, Patience, Refusal, Time, pages, pages_of_feed, shared_pace

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
        # What botocore 1.44 repeats beside these (retries/standard.py), read November 2026: here its retries are off.
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
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
# STS could not reach the identity provider, "often a transient error" (botocore's STS model, read November 2026); a
# service did not get the whole request in time, which it says with 400.
OUTAGES = frozenset({"IDPCommunicationError", "RequestTimeout", "RequestTimeoutException"})
GONE = frozenset({"ResourceNotFoundException", "NoSuchKey", "NoSuchBucket", "404"})


class AwsCalls:
    """One service's client, made when first needed and made anew when its credentials expired, changed or are missing.

    Args:
        make: gives a boto3 client; slow, never called on the event loop.
        identity: gives the caller's ARN for the message of a denial; may raise.
    """

    def __init__(self, make: Callable[[], Any], identity: Callable[[], str], patience: Patience) -> None:
        self._make, self._identity, self.patience = make, identity, patience
        self._client: Any = None
        self._lock = threading.Lock()

    @property
    def clock(self) -> Time:
        """The clock that its waits go by."""
        return self.patience.clock

    def once(self, action: str, **parameters: Any) -> dict[str, Any]:
        """One call, not paced; raises Refusal. Expired and replaced credentials are renewed once."""
        for is_last in (False, True):
            try:
                answer: dict[str, Any] = getattr(self._connected(), action)(**parameters)
            except Exception as error:  # noqa: BLE001 - whatever it is, raised as a Refusal
                code = error_code(error)
                if code in RENEWED and not is_last:
                    self._client = None
                    continue
                refusal = self._refusal(action, error, code)
                if refusal.kind == "no_credentials":
                    self._client = None  # a client looks for them only when it is made
                raise refusal from None  # a traceback would tell what AWS said unmasked
            return answer
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def patiently(self, action: str, seconds: float = 60.0, **parameters: Any) -> dict[str, Any]:
        """One paced call, repeated while the service throttles or is away, for about ``seconds``; blocks."""
        return self.patience.call(partial(self.once, action, **parameters), seconds)

    async def forever(self, action: str, **parameters: Any) -> dict[str, Any]:
        """One paced call in a thread, repeated until the service answers or refuses for good."""
        return await self.patience.forever(partial(self.once, action, **parameters))

    def pages(self, action: str, entries: str, **parameters: Any) -> Iterator[Any]:
        """The ``entries`` of all pages of a list, patiently."""
        return pages(partial(self.patiently, action, **parameters), Paging(entries))

    def pages_of_feed(self, action: str, entries: str, **parameters: Any) -> AsyncIterator[Any]:
        """The same for a feed."""
        return pages_of_feed(partial(self.forever, action, **parameters), Paging(entries))

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


def aws_calls(
    clients: Clients,
    service: str,
    *,
    connection: str | None,
    region: str | None,
    per_second: float,
    endpoint_url: str | None = None,
) -> AwsCalls:
    """Paced calls of a service through one connection; nothing is made yet."""

    def identity() -> str:
        return str(clients.aws("sts", connection=connection, region=region).get_caller_identity()["Arn"])

    pace = shared_pace(f"{service} {region} {endpoint_url} {connection}", per_second, clients.time)
    make = partial(clients.aws, service, connection=connection, region=region, endpoint_url=endpoint_url)
    return AwsCalls(make, identity, Patience(pace, clients.time, clients.in_thread))


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
