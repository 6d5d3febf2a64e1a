"""How long jobs waited, started and ran: half and 95 of 100 of them no longer than this, and who was out of time."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_doeks.model.noun import Noun, UtcTime
from airflow_doeks.report.entry import Entry
from airflow_doeks.report.questions import KEYS
from airflow_doeks.report.totals import By

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OUT_OF_TIME = "timeout"  # the category of a job that a time budget ended
SPANS = (
    # span, from and until which of a job's times
    ("queue", "submitted", "scheduled"),
    ("start", "scheduled", "started"),
    ("run", "started", "ended"),
)
_PARTS = (0.5, 0.95)


class Waits(Noun):
    """The jobs of a line; a span is None where no job of them tells its ends, and ``unknown`` counts those per span.

    Attributes:
        out_of_time: jobs that a time budget or execution_timeout ended.
    """

    key: str
    jobs: int
    out_of_time: int
    queue_seconds_p50: float | None
    queue_seconds_p95: float | None
    start_seconds_p50: float | None
    start_seconds_p95: float | None
    run_seconds_p50: float | None
    run_seconds_p95: float | None
    unknown: dict[str, int] = {}


class Late(Noun):
    """A run whose deadline passed before its end; ``ended`` is None while it goes on."""

    dag_id: str
    run_id: str
    due: UtcTime
    ended: UtcTime | None


class Sla(Noun):
    """Waits by a key, and the deadlines that were missed: None, with why, where nobody was asked who knows them."""

    by: By
    lines: tuple[Waits, ...]
    missed_deadlines: tuple[Late, ...] | None = None
    why_unknown: str = ""


def percentile(values: Iterable[float | None], part: float) -> float | None:
    """The value that so large a part of the known ones does not exceed; None of nothing."""
    known = sorted(value for value in values if value is not None)
    return known[max(0, math.ceil(part * len(known)) - 1)] if known else None


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """How long it took; None if an end is unknown, or clocks disagree so that it would be negative."""
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()


def waits_of(key: str, entries: Sequence[Entry]) -> Waits:
    """The line of some entries."""
    figures: dict[str, float | None] = {}
    unknown = {}
    for name, since, until in SPANS:
        seconds = [seconds_between(getattr(entry, since), getattr(entry, until)) for entry in entries]
        figures |= {f"{name}_seconds_p{part * 100:.0f}": percentile(seconds, part) for part in _PARTS}
        if lacking := seconds.count(None):
            unknown[name] = lacking
    late = sum(entry.category == OUT_OF_TIME for entry in entries)
    return Waits(key=key, jobs=len(entries), out_of_time=late, unknown=unknown, **figures)


def waits_by(entries: Iterable[Entry], key: Callable[[Entry], str]) -> tuple[Waits, ...]:
    """A line a key, in the order of their names."""
    found: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[key(entry)].append(entry)
    return tuple(waits_of(name, found[name]) for name in sorted(found))


def asked_waits(database: DuckDBPyConnection, by: By) -> tuple[Waits, ...]:
    """The same of all records of the ledger's view."""
    sorts, picks = [], []
    for name, since, until in SPANS:
        seconds = f"CASE WHEN {until} >= {since} THEN (epoch_us({until}) - epoch_us({since})) / 1e6 END"
        sorts.append(f"list_sort(list({seconds}) FILTER ({until} >= {since})) AS {name}")
        picks += [f"{name}[greatest(1, CAST(ceil({part} * len({name})) AS BIGINT))]" for part in _PARTS]
        picks.append(f"jobs - coalesce(len({name}), 0)")
    rows = database.execute(
        f"""SELECT key, jobs, late, {", ".join(picks)} FROM (
            SELECT {KEYS[by]} AS key, count(*) AS jobs, count(*) FILTER (failure_category = '{OUT_OF_TIME}') AS late,
            {", ".join(sorts)} FROM records GROUP BY key) ORDER BY key"""  # noqa: S608 - texts of this package only
    ).fetchall()
    return tuple(_waits(*row) for row in rows)


def _waits(key: str, jobs: int, late: int, *figures: float | None) -> Waits:
    found: dict[str, float | None] = {}
    unknown: dict[str, int] = {}
    for number, (name, _, _) in enumerate(SPANS):
        p50, p95, lacking = figures[3 * number : 3 * number + 3]
        found |= {f"{name}_seconds_p50": p50, f"{name}_seconds_p95": p95}
        if lacking:
            unknown[name] = int(lacking)
    return Waits(key=key, jobs=jobs, out_of_time=late, unknown=unknown, **found)
