"""Entries added up: by any key, over time, and for a dataset with everything upstream of it.

An entry whose cost is unknown adds no dollars and is counted as unpriced, so a sum never passes for the whole.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from airflow_doeks.report.entry import Entry, Flow

UNATTRIBUTED = "(no dataset)"
NO_TEAM = "(no team)"
OTHERS = "others"
ZERO = Decimal(0)


@dataclass
class Sum:
    """What of some entries is known, added up; ``waste`` and the hours are None while nothing is known."""

    key: str
    jobs: int = 0
    failed: int = 0
    unpriced: int = 0
    usd: Decimal = ZERO
    waste: Decimal | None = None
    vcpu_seconds: Decimal | None = None
    rows: int | None = None

    @property
    def spent(self) -> Decimal | None:
        """Dollars; None where no job of them has a price."""
        return None if self.jobs and self.jobs == self.unpriced else self.usd


@dataclass
class Total:
    """The sum of all, and a sum a key, dearest first."""

    whole: Sum
    by_key: list[Sum] = field(default_factory=list)


def total_by(entries: Iterable[Entry], key: Callable[[Entry], str]) -> Total:
    """Sums by a key that every entry has one of."""
    sums: dict[str, Sum] = {}
    for entry in entries:
        name = key(entry)
        one = sums.get(name)
        if one is None:
            one = sums[name] = Sum(name)
        _add(one, entry)
    return Total(_together(sums.values()), sorted(sums.values(), key=lambda one: (-one.usd, one.key)))


def total_by_dataset(entries: Iterable[Entry]) -> Total:
    """Sums by written dataset: each takes its part of a job's dollars, and what none claims stands by itself."""
    sums: dict[str, Sum] = {}
    whole = Sum("total")
    for entry in entries:
        _add(whole, entry)
        for label, usd, rows in parts_by_dataset(entry):
            one = sums.setdefault(label, Sum(label))
            one.jobs += 1
            one.failed += entry.has_failed
            one.unpriced += usd is None
            one.usd += usd or ZERO
            one.rows = _more(one.rows, rows)
            if usd is None or not entry.usd:
                continue
            if entry.usd_waste is not None:
                one.waste = (one.waste or ZERO) + entry.usd_waste * usd / entry.usd
            if entry.vcpu_seconds is not None:
                one.vcpu_seconds = (one.vcpu_seconds or ZERO) + entry.vcpu_seconds * usd / entry.usd
    return Total(whole, sorted(sums.values(), key=lambda one: (-one.usd, one.key)))


def parts_by_dataset(entry: Entry) -> Iterator[tuple[str, Decimal | None, int | None]]:
    """Label, dollars and rows of what a job wrote, then its dollars that no dataset claims; they sum to its cost."""
    rest = entry.usd
    for flow in entry.outputs:
        yield flow.label, flow.usd, flow.rows
        if rest is not None and flow.usd is not None:
            rest -= flow.usd
    if rest or not entry.outputs:
        yield UNATTRIBUTED, rest, None


@dataclass(frozen=True)
class OverTime:
    """Dollars by key and span of so many hours: ``values[key][n]`` belongs to the one that starts at ``times[n]``."""

    hours: int
    times: Sequence[datetime]
    values: Mapping[str, Sequence[Decimal]]


def over_time(
    entries: Iterable[Entry], parts: Callable[[Entry], Iterable[tuple[str, Decimal | None]]], *, hours: int, most: int
) -> OverTime:
    """Dollars by span of so many hours (UTC) and by the ``most`` dearest keys; the rest together as others."""
    cells: defaultdict[str, defaultdict[datetime, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for entry in entries:
        if entry.at is None or not entry.usd:
            continue
        span = floor(entry.at, hours)
        for key, usd in parts(entry):
            if usd:
                cells[key][span] += usd
    if not cells:
        return OverTime(hours, (), {})
    dearest = sorted(cells, key=lambda key: (-sum(cells[key].values()), key))
    spans = {span for found in cells.values() for span in found}
    first, last = min(spans), max(spans)
    step = timedelta(hours=hours)
    times = [first + number * step for number in range((last - first) // step + 1)]
    values = {key: [cells[key].get(at, ZERO) for at in times] for key in dearest[:most]}
    if rest := dearest[most:]:
        values[OTHERS] = [sum((cells[key].get(at, ZERO) for key in rest), ZERO) for at in times]
    return OverTime(hours, times, values)


def floor(at: datetime, hours: int) -> datetime:
    """The start of the span of so many hours that a moment lies in; spans start at midnight UTC."""
    at = at.astimezone(timezone.utc)
    return at.replace(hour=at.hour - at.hour % hours, minute=0, second=0, microsecond=0)


def percentile(values: Iterable[float | None], part: float) -> float | None:
    """The value that so large a part of the known ones does not exceed; None of nothing."""
    known = sorted(value for value in values if value is not None)
    return known[max(0, math.ceil(part * len(known)) - 1)] if known else None


@dataclass(frozen=True)
class Upstream:
    """What a dataset cost with all that it was made from: a line a dataset, the asked one first."""

    datasets: Mapping[str, Decimal | None]  # None for what no job of these wrote

    @property
    def usd(self) -> Decimal:
        """The sum of all that jobs of these wrote."""
        return sum(filter(None, self.datasets.values()), ZERO)


def upstream(entries: Sequence[Entry], label: str) -> Upstream:
    """Dollars of a dataset and of every dataset that it was, through any number of jobs, made from.

    Each is counted once, whole, also where other data is made from it, too; circles (a job that reads what it writes)
    end where they close. A job's unclaimed dollars belong to none.
    """
    cost: defaultdict[str, Decimal] = defaultdict(Decimal)
    sources: defaultdict[str, set[str]] = defaultdict(set)
    for entry in entries:
        for flow in entry.outputs:
            cost[flow.label] += flow.usd or ZERO
            sources[flow.label].update(one.label for one in entry.inputs)
    found: dict[str, Decimal | None] = {}
    waiting = [label]
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = cost.get(name)
            waiting += sorted(sources.get(name, ()))
    return Upstream(found)


def links_of(entries: Iterable[Entry], label: str) -> tuple[list[tuple[Entry, Flow]], list[tuple[Entry, Flow]]]:
    """The entries that wrote a dataset and those that read it, each with what of it."""
    writers, readers = [], []
    for entry in entries:
        writers += [(entry, flow) for flow in entry.outputs if flow.label == label]
        readers += [(entry, flow) for flow in entry.inputs if flow.label == label]
    return writers, readers


def _add(one: Sum, entry: Entry) -> None:
    one.jobs += 1
    one.failed += entry.has_failed
    if entry.usd is None:
        one.unpriced += 1
    else:
        one.usd += entry.usd
    if entry.usd_waste is not None:
        one.waste = (one.waste or ZERO) + entry.usd_waste
    if entry.vcpu_seconds is not None:
        one.vcpu_seconds = (one.vcpu_seconds or ZERO) + entry.vcpu_seconds
    for flow in entry.outputs:
        one.rows = _more(one.rows, flow.rows)


def _together(sums: Iterable[Sum]) -> Sum:
    """The sum of sums that share no entry."""
    whole = Sum("total")
    for one in sums:
        whole.jobs += one.jobs
        whole.failed += one.failed
        whole.unpriced += one.unpriced
        whole.usd += one.usd
        whole.rows = _more(whole.rows, one.rows)
        if one.waste is not None:
            whole.waste = (whole.waste or ZERO) + one.waste
        if one.vcpu_seconds is not None:
            whole.vcpu_seconds = (whole.vcpu_seconds or ZERO) + one.vcpu_seconds
    return whole


def _more(known: int | None, number: int | None) -> int | None:
    return known if number is None else (known or 0) + number
