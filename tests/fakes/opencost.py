"""OpenCost's allocation API over pods of known price: window, resolution, aggregation, __unallocated__, five places."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fakes.aws_http import serving

_UNITS = {"m": 60, "h": 3600}


@dataclass(frozen=True)
class Allocation:
    """A pod that OpenCost saw, and what an hour of it costs by kind (``cpuCost``, ``ramCost``, ...)."""

    pod: str
    start: datetime
    end: datetime
    usd_per_hour: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "spark"
    adjustments: Mapping[str, float] = field(default_factory=dict)


@dataclass
class FakeOpenCost:
    """What the endpoint serves; ``broken`` is its answer instead, ``asked`` the queries."""

    allocations: list[Allocation] = field(default_factory=list)
    broken: tuple[int, bytes] | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    open_most: int = 0
    url: str = ""

    def answer(self, handler: BaseHTTPRequestHandler, _body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request."""
        parts = urlsplit(handler.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.asked.append(query)
        if self.broken is not None:
            return self.broken[0], {"Content-Type": "application/json"}, self.broken[1]
        if handler.command != "GET" or parts.path != "/allocation":
            return 404, {}, b""
        start, end = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in query["window"].split(","))
        whole = query.get("accumulate") == "true"
        length = end - start if whole else _duration(query["step"])
        resolution = _duration(query.get("resolution", "1m"))
        data = [
            self._window(start + number * length, length, resolution, query["aggregate"])
            for number in range((end - start) // length)
        ]
        return 200, {"Content-Type": "application/json"}, json.dumps({"code": 200, "data": data}).encode()

    def _window(self, start: datetime, length: timedelta, resolution: timedelta, aggregate: str) -> dict[str, Any]:
        """The allocations of one window by name; what lived for less than the resolution is not seen."""
        found: dict[str, Any] = {}
        for one in self.allocations:
            since, until = max(one.start, start), min(one.end, start + length)
            steps = (until - since) // resolution
            if steps > 0:
                name = "/".join(_value(one, by) for by in aggregate.split(","))
                found[name] = _added(found.get(name), _row(one, name, steps * resolution, since))
        return found


def _duration(text: str) -> timedelta:
    number, unit = re.fullmatch(r"(\d+)([mh])", text).groups()  # type: ignore[union-attr]
    return timedelta(seconds=int(number) * _UNITS[unit])


def _value(one: Allocation, by: str) -> str:
    if by.startswith("label:"):
        sanitized = {re.sub(r"[^A-Za-z0-9_]", "_", key): value for key, value in one.labels.items()}
        return sanitized.get(by.removeprefix("label:"), "__unallocated__")
    return str(getattr(one, by))


def _row(one: Allocation, name: str, held: timedelta, since: datetime) -> dict[str, Any]:
    hours = held / timedelta(hours=1)
    kinds = ("cpuCost", "gpuCost", "ramCost", "pvCost", "networkCost", "loadBalancerCost", "sharedCost", "externalCost")
    costs = {kind: round(one.usd_per_hour.get(kind, 0) * hours, 5) for kind in kinds}
    adjusted = {f"{kind}Adjustment": one.adjustments.get(kind, 0) for kind in kinds[:6]}
    return {
        "name": name,
        "properties": {"cluster": "lake", "namespace": one.namespace, "pod": one.pod},
        "start": since.isoformat(),
        "minutes": held / timedelta(minutes=1),
        **costs,
        **adjusted,
        "totalCost": round(sum(costs.values()) + sum(adjusted.values()), 5),
    }


def _added(before: Mapping[str, Any] | None, row: dict[str, Any]) -> dict[str, Any]:
    if before is None:
        return row
    return {key: before[key] + value if key.endswith(("Cost", "Adjustment")) else value for key, value in row.items()}


@contextmanager
def opencost(*allocations: Allocation) -> Iterator[FakeOpenCost]:
    """The endpoint, at ``url`` while the block runs."""
    with serving(FakeOpenCost(list(allocations))) as fake:
        yield fake
