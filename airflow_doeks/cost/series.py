"""Cost over time: dollars per minute as runs of equal minutes, whose sum is the total to the last digit."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from airflow_doeks.cost.lines import Line, Step, seconds
from airflow_doeks.cost.price import PLACES
from airflow_doeks.model.noun import Amount, Noun, UtcTime

_MINUTE = timedelta(minutes=1)


class Run(Noun):
    """``minutes`` minutes in a row, from ``since`` on, that cost the same."""

    since: UtcTime
    minutes: int
    usd_per_minute: Amount

    @property
    def usd(self) -> Decimal:
        """Dollars of the whole run."""
        return self.minutes * self.usd_per_minute


def per_minute(lines: Iterable[Line], total: Decimal | None) -> tuple[Run, ...]:
    """A job's total over the minutes in which its pods ran, by what their compute cost then.

    ``sum(run.usd) == total``. Empty when the total or every pod's time is unknown; minutes without cost are left out.
    """
    return spread([step for line in lines for step in line.steps or ()], total)


def evenly(start: datetime | None, end: datetime | None, total: Decimal | None) -> tuple[Run, ...]:
    """A total spread over an interval at one rate, where nothing finer is known."""
    if start is None or end is None or end < start:
        return ()
    return spread([Step(start, end, Decimal(1))], total)


def spread(steps: Sequence[Step], total: Decimal | None) -> tuple[Run, ...]:
    """A total over minutes, in proportion to the steps that stood in each."""
    if total is None or not steps:
        return ()
    weights = _minutes([step for step in steps if step.end > step.start])
    weight = sum(weights.values(), Decimal(0))
    if not weight:  # every pod ran for no time at all, yet a minimum was billed
        return (Run(since=_floor(steps[0].start), minutes=1, usd_per_minute=total),)
    usd = {minute: (total * part / weight).quantize(PLACES, ROUND_DOWN) for minute, part in sorted(weights.items())}
    dearest = max(usd, key=lambda minute: usd[minute])
    usd[dearest] += total - sum(usd.values(), Decimal(0))
    return _runs(usd)


def _minutes(steps: Sequence[Step]) -> dict[datetime, Decimal]:
    """Minute -> rate x seconds in it: edges of a step by hand, whole minutes between by differences of the rate."""
    weights: defaultdict[datetime, Decimal] = defaultdict(Decimal)
    change: defaultdict[datetime, Decimal] = defaultdict(Decimal)
    for step in steps:
        first, last = _floor(step.start), _floor(step.end)
        if first == last:
            weights[first] += step.usd_per_hour * seconds(step.start, step.end)
            continue
        weights[first] += step.usd_per_hour * seconds(step.start, first + _MINUTE)
        weights[last] += step.usd_per_hour * seconds(last, step.end)
        change[first + _MINUTE] += step.usd_per_hour * 60
        change[last] -= step.usd_per_hour * 60
    rate = Decimal(0)
    for edge, following in itertools.pairwise(sorted(change)):
        rate += change[edge]
        for index in range((following - edge) // _MINUTE if rate else 0):
            weights[edge + index * _MINUTE] += rate
    return {minute: weight for minute, weight in weights.items() if weight}


def _floor(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


def _runs(usd: dict[datetime, Decimal]) -> tuple[Run, ...]:
    runs: list[Run] = []
    for minute, part in usd.items():
        last = runs[-1] if runs else None
        if last and last.usd_per_minute == part and last.since + last.minutes * _MINUTE == minute:
            runs[-1] = last.model_copy(update={"minutes": last.minutes + 1})
        elif part:
            runs.append(Run(since=minute, minutes=1, usd_per_minute=part))
    return tuple(runs)
