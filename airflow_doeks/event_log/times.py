"""When something happened, found in the text of an event that is not parsed; all times are milliseconds since 1970."""

from __future__ import annotations

import re
from datetime import datetime, timezone

_LAUNCH = b'"Launch Time":'
_TASK_TIMES = re.compile(rb'"Launch Time":(\d{1,14}),(?:"Executor ID":"[^"]*"[^F]*"Finish Time":(\d{1,14}))?')
_TIME = re.compile(
    rb'"(?:Timestamp|time|Submission Time|Completion Time)":(\d{1,14})[,}]|"timestamp":"([0-9T:.+-]{19,32})Z?"'
)
_TIME_WITHIN = 4096  # an event tells its time early, if at all


def time_of(line: bytes) -> int | None:
    """The time that an event of any kind tells; None if it tells none."""
    time = _TIME.search(line, 0, _TIME_WITHIN)
    if time is None:
        return None
    return int(time[1]) if time[1] else _epoch_ms(time[2].decode())


def last_task_time(text: bytes, begin: int, end: int) -> int | None:
    """When the last Spark task among these lines began or ended; None if they hold none."""
    at = text.rfind(_LAUNCH, begin, end)
    times = _TASK_TIMES.match(text, at, end) if at >= 0 else None
    return None if times is None else max(map(int, times.groups(b"0")))


def _epoch_ms(text: str) -> int | None:
    """Of ``2026-11-20T12:00:00.000``, UTC."""
    try:
        return round(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
