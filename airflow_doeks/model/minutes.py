"""Cost over time: dollars per minute as runs of equal minutes, whose sum is the total to the last digit."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import ROUND_DOWN, Decimal
from typing import Annotated, Any, NamedTuple

from pydantic import Field, model_validator

from airflow_doeks.model.bill import LONGEST_LIFE, PLACES, Line, Step, seconds
from airflow_doeks.model.noun import Amount, Noun, UtcTime

_MINUTE = timedelta(minutes=1)
_LAST = datetime.max.replace(tzinfo=timezone.utc) - timedelta(days=1)
_MOST = 10 * LONGEST_LIFE // _MINUTE  # minutes of a run; more are the work of a broken number


class Run(Noun):
    """``minutes`` minutes in a row, from ``since`` on, that cost the same."""

    since: UtcTime
    minutes: Annotated[int, Field(ge=1, le=_MOST)]
    usd_per_minute: Amount

    @model_validator(mode="after")
    def _is_on_the_calendar(self) -> Run:
        if self.minutes * _MINUTE > _LAST - self.since:
            msg = f"{self.minutes} minutes from {self.since.isoformat()} on are on no calendar"
            raise ValueError(msg)
        return self

    @property
    def usd(self) -> Decimal:
        """Dollars of the whole run."""
        return self.minutes * self.usd_per_minute


def runs_of(detail: Mapping[str, Any]) -> tuple[Run, ...]:
    """The runs that a record's detail holds, whatever else another version wrote; ValueError for another shape."""
    found = detail.get("minutes") or ()
    if not isinstance(found, Sequence) or not all(isinstance(run, Mapping) for run in found):
        msg = f"minutes are no list of runs: {str(found)[:40]}"
        raise ValueError(msg)
    return tuple(Run.model_validate({name: run.get(name) for name in Run.model_fields}) for run in found)


def per_minute(lines: Iterable[Line], total: Decimal | None) -> tuple[Run, ...]:
    """A job's total over the minutes in which its pods ran, by what their compute cost then.

    ``sum(run.usd) == total``. Empty when the total or every pod's time is unknown; minutes without cost are left out.
    """
    return spread([step for line in lines for step in line.steps or ()], total)


def evenly(start: datetime | None, end: datetime | None, total: Decimal | None) -> tuple[Run, ...]:
    """A total spread over an interval at one rate, where nothing finer is known; nothing if it is impossibly long."""
    if start is None or end is None or not start <= end <= start + LONGEST_LIFE:
        return ()
    return spread([Step(start, end, Decimal(1))], total)


def spread(steps: Sequence[Step], total: Decimal | None) -> tuple[Run, ...]:
    """A total over minutes, in proportion to the steps that stood in each; in memory by steps, not by minutes."""
    if total is None or not steps:
        return ()
    pieces = _pieces([step for step in steps if step.end > step.start])
    weight = sum((piece.minutes * piece.weight for piece in pieces), Decimal(0))
    if not weight:  # every pod ran for no time at all, yet a minimum was billed
        return (Run(since=_floor(steps[0].start), minutes=1, usd_per_minute=total),)
    usd = [(total * piece.weight / weight).quantize(PLACES, ROUND_DOWN) for piece in pieces]
    rest = total - sum((piece.minutes * part for piece, part in zip(pieces, usd, strict=True)), Decimal(0))
    dearest = max(range(len(pieces)), key=lambda index: usd[index])
    runs: list[Run] = []
    for index, ((since, minutes, _), part) in enumerate(zip(pieces, usd, strict=True)):
        first = int(index == dearest)  # its first minute takes what rounding left
        _append(runs, since, first, part + rest)
        _append(runs, since + first * _MINUTE, minutes - first, part)
    return tuple(runs)


class _Piece(NamedTuple):
    """Minutes in a row of the same weight each: rate x seconds, of all steps together."""

    since: datetime
    minutes: int
    weight: Decimal


def _pieces(steps: Sequence[Step]) -> list[_Piece]:
    """The minutes that have a weight, by time: edges of a step one by one, whole minutes between as one piece."""
    edges: defaultdict[datetime, Decimal] = defaultdict(Decimal)  # minute -> weight
    change: defaultdict[datetime, Decimal] = defaultdict(Decimal)  # of the weight of whole minutes, from a minute on
    for step in steps:
        first, last = _floor(step.start), _floor(step.end)
        if first == last:
            edges[first] += step.usd_per_hour * seconds(step.start, step.end)
            continue
        edges[first] += step.usd_per_hour * seconds(step.start, first + _MINUTE)
        edges[last] += step.usd_per_hour * seconds(last, step.end)
        change[first + _MINUTE] += step.usd_per_hour * 60
        change[last] -= step.usd_per_hour * 60
    pieces = []
    rate = Decimal(0)
    for since, until in itertools.pairwise(sorted({*change, *edges, *(edge + _MINUTE for edge in edges)})):
        rate += change.get(since, Decimal(0))
        weight = rate + edges.get(since, Decimal(0))
        if weight:
            pieces.append(_Piece(since, (until - since) // _MINUTE, weight))
    return pieces


def _floor(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


def _append(runs: list[Run], since: datetime, minutes: int, usd: Decimal) -> None:
    """Minutes more: part of the last run if they follow it at the same price; those without a price are left out."""
    last = runs[-1] if runs else None
    if not minutes or not usd:
        return
    if last and last.usd_per_minute == usd and last.since + last.minutes * _MINUTE == since:
        runs[-1] = last.model_copy(update={"minutes": last.minutes + minutes})
    else:
        runs.append(Run(since=since, minutes=minutes, usd_per_minute=usd))
