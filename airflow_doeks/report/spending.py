"""Entries added up: by any key, and over time.

An entry whose cost is unknown adds no dollars and is counted as unpriced, so a sum never passes for the whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
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
    return totals_by(entries, lambda entry: (key(entry),))[0]


def totals_by(entries: Iterable[Entry], keys: Callable[[Entry], tuple[str, ...]]) -> list[Total]:
    """The same for several keys at once: entries are added up by all of them together, those sums by each."""
    sums: dict[tuple[str, ...], Sum] = {}
    for entry in entries:
        names = keys(entry)
        one = sums.get(names)
        if one is None:
            one = sums[names] = Sum("")
        _add(one, entry)
    whole = _together("total", sums.values())
    totals = []
    for number in range(len(next(iter(sums), ("",)))):
        found: defaultdict[str, list[Sum]] = defaultdict(list)
        for names, one in sums.items():
            found[names[number]].append(one)
        totals.append(Total(whole, _dearest(_together(name, parts) for name, parts in found.items())))
    return totals


def total_by_dataset(entries: Iterable[Entry], whole: Sum) -> Total:
    """Sums by written dataset: each takes its part of a job's dollars, and what none claims stands by itself.

    ``whole`` is the sum of the entries, which every other total of them has, too.
    """
    sums: dict[str, Sum] = {}
    for entry in entries:
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
    return Total(whole, _dearest(sums.values()))


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
    cells: defaultdict[str, defaultdict[int, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    seconds = hours * 3600  # of a span; the first begins with 1970, so spans of a day begin at midnight UTC
    for entry in entries:
        at = entry.submitted or entry.at
        if at is None or not entry.usd:
            continue
        span = int(at.timestamp() // seconds)
        for key, usd in parts(entry):
            if usd:
                cells[key][span] += usd
    if not cells:
        return OverTime(hours, (), {})
    dearest = sorted(cells, key=lambda key: (-sum(cells[key].values()), key))
    found = {span for by_span in cells.values() for span in by_span}
    spans = range(min(found), max(found) + 1)
    values = {key: [cells[key].get(span, ZERO) for span in spans] for key in dearest[:most]}
    if rest := dearest[most:]:
        values[OTHERS] = [sum((cells[key].get(span, ZERO) for key in rest), ZERO) for span in spans]
    return OverTime(hours, [datetime.fromtimestamp(span * seconds, timezone.utc) for span in spans], values)


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


def _dearest(sums: Iterable[Sum]) -> list[Sum]:
    return sorted(sums, key=lambda one: (-one.usd, one.key))


def _together(key: str, sums: Iterable[Sum]) -> Sum:
    """The sum of sums that share no entry."""
    whole = Sum(key)
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
