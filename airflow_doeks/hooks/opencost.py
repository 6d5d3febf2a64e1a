"""Asks OpenCost what the pods of a job cost."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from airflow_doeks.cost.opencost import Allocated, allocated, by_hour
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.redaction import public_uri, redacted

_HOURS = 24
_SECONDS = 5.0  # a task ends on it
# Labels as Prometheus has them: all but letters, digits and _ is _.
_BY = "namespace,pod,label:airflow_doeks_task_key,label:airflow_doeks_try"
_FORM = "%Y-%m-%dT%H:%M:%SZ"


def shared_by_hour(entry: Mapping[str, Any], day: date) -> list[Decimal]:
    """What a platform's ``shared`` costs in each hour of a UTC day: its price, and what its namespaces cost.

    PlatformError where namespaces are named and OpenCost cannot tell.
    """
    shared, source = entry["shared"], entry.get("cost_source")
    fixed = Decimal(str(shared.get("usd_per_hour") or 0))
    if not shared.get("namespaces"):
        return [fixed] * _HOURS
    if not source:
        msg = "shared.namespaces needs cost_source: {opencost: URL} on the same platform"
        raise PlatformError(msg)
    return [fixed + usd for usd in hourly(source["opencost"], shared["namespaces"], day)]


def hourly(url: str, namespaces: Collection[str], day: date) -> list[Decimal]:
    """What these namespaces cost in each of a UTC day's 24 hours; ``__idle__`` is one.

    PlatformError if OpenCost cannot be asked, is not understood, or has not all hours.
    """
    start = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    window = f"{start.strftime(_FORM)},{(start + timedelta(days=1)).strftime(_FORM)}"
    asked = {"window": window, "aggregate": "namespace", "accumulate": "false", "step": "1h", "includeIdle": "true"}
    found = by_hour(_get(url, asked), namespaces)
    if len(found) != _HOURS:
        msg = f"{public_uri(url)} has {len(found)} of the {_HOURS} hours of {day}"
        raise PlatformError(msg)
    return found


def ask(url: str, task_key: str, try_number: int, start: datetime, end: datetime) -> Allocated:
    """What OpenCost has for the pods of a try, in whole minutes around its time.

    PlatformError if it cannot be asked or is not understood.
    """
    since, until = (at.astimezone(timezone.utc).replace(second=0, microsecond=0) for at in (start, end))
    window = f"{since.strftime(_FORM)},{(until + timedelta(minutes=1)).strftime(_FORM)}"
    asked = {"window": window, "aggregate": _BY, "accumulate": "true", "resolution": "1m", "includeIdle": "false"}
    return allocated(_get(url, asked), task_key, try_number)


def _get(url: str, asked: Mapping[str, str]) -> Any:
    import requests

    try:
        answer = requests.get(f"{url.rstrip('/')}/allocation", params=asked, timeout=_SECONDS)
        answer.raise_for_status()
        return answer.json()
    except (requests.RequestException, ValueError) as error:
        msg = f"{public_uri(url)} could not be asked: {redacted(str(error))}"
        raise PlatformError(msg) from None
