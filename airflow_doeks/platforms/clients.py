"""What a platform may ask its surroundings for: each by what its own configuration names, nothing by its type."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_doeks.model.errors import DoeksBug
from airflow_doeks.model.stores import ByteStore
from airflow_doeks.platforms.patience import Time


@dataclass(frozen=True)
class Injection:
    """What is added to every Spark job; each part has a switch in the `[doeks]` section."""

    event_log: bool = True
    plan_metadata: bool = True
    identity: bool = True


class MakeAws(Protocol):
    """Gives a boto3 client of a service."""

    def __call__(
        self, service: str, *, connection: str | None, region: str | None, endpoint_url: str | None = None
    ) -> Any:
        """``endpoint_url`` goes before the connection's own."""


def _nobody(*_: object, **__: object) -> Any:
    msg = "a platform asked for a client where none is given; this is a fault of airflow-doeks, report it"
    raise DoeksBug(msg)


@dataclass(frozen=True)
class Clients:
    """Makers of clients, and the rest of a platform's surroundings. To make a client is slow and blocks.

    Attributes:
        aws: see MakeAws; a client's own retries are off, `patience` repeats.
        kubernetes: connection -> a `kubernetes.client.ApiClient`.
        store: URL and AWS connection -> the place that holds bytes there.
        secret: Airflow connection -> its password.
        in_thread: runs a function in a thread from which clients may be made.
        local_dir: folder of local runs where the platform names none.
    """

    aws: MakeAws = _nobody
    kubernetes: Callable[[str], Any] = _nobody
    store: Callable[[str, str | None], ByteStore] = _nobody
    secret: Callable[[str], str] = _nobody
    in_thread: Callable[..., Awaitable[Any]] = asyncio.to_thread
    time: Time = field(default_factory=Time)
    inject: Injection = field(default_factory=Injection)
    local_dir: str = ""
