"""What a job will cost, before it runs: what it asks for by the rate card, for as long as its last runs took.

An estimate of nothing that is known is None with a why, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import NamedTuple

from airflow_doeks.cost import RateCard
from airflow_doeks.lifecycle.account import account
from airflow_doeks.model.bill import PLACES
from airflow_doeks.model.billing import Calibration
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.noun import Amount, Noun
from airflow_doeks.model.past import Past
from airflow_doeks.model.telemetry import Pod, Telemetry

_HOUR = Decimal(3600)
_AT = datetime(2999, 1, 1, tzinfo=timezone.utc)  # a run to come: the newest card, and the newest of its Spot prices
_COUNTED = frozenset({"executor", "taskmanager"})  # roles of pods whose number is between two


class TaskEstimate(Noun):
    """What one run of a task will cost.

    Attributes:
        instances: how many jobs a run has of a mapped task; None if that is known only when it runs.
        executors_min, executors_max: how many its request allows.
        usd_per_hour_min, usd_per_hour_max: with so many executors.
        usd: what is expected: the median of its last runs if it is sent as they were, else its request for their
            median time, with all executors.
        usd_min, usd_max: fewest executors for the median time, and most for the time that 95 of 100 runs took.
        unknown: what is not in it, or why it is not known, a sentence each.
    """

    task_id: str
    platform: str
    instances: int | None = 1
    executors_min: int | None = None
    executors_max: int | None = None
    usd_per_hour_min: Amount | None = None
    usd_per_hour_max: Amount | None = None
    past: Past = Past()
    usd: Amount | None = None
    usd_min: Amount | None = None
    usd_max: Amount | None = None
    unknown: tuple[str, ...] = ()


class Asked(NamedTuple):
    """What a task sends: its pods, at most, the fewest of its executors, and the hash of its work."""

    facts: Telemetry
    executors_min: int | None
    spec_hash: str


class Hourly(NamedTuple):
    """Dollars per hour of the fewest and the most pods; ``why`` is what is not in them."""

    least: Decimal | None
    most: Decimal | None
    executors: int
    why: tuple[str, ...]


def estimate_task(
    task_id: str,
    platform: str,
    asked: Asked | str,
    past: Past,
    card: RateCard,
    *,
    calibration: Calibration | None = None,
    instances: int | None = 1,
    assumed_seconds: float | None = None,
) -> TaskEstimate:
    """The estimate of a task; ``asked`` is why its pods are not known where they are not.

    ``assumed_seconds`` stands in for the time of a task that never ran.
    """
    unknown: list[str] = []
    hourly, spec_hash, least = Hourly(None, None, 0, ()), "", None
    if isinstance(asked, str):
        unknown.append(asked)
    else:
        hourly = _hourly(asked, card, calibration or Calibration())
        unknown += hourly.why
        spec_hash, least = asked.spec_hash, asked.executors_min
    p50, p95 = past.seconds_p50, past.seconds_p95
    if p50 is None and assumed_seconds is not None:
        p50 = p95 = assumed_seconds
        unknown.append(f"no run of it is known: {assumed_seconds / 60:g} minutes are assumed")
    elif p50 is None:
        unknown.append("no run of it is known, so nobody knows how long it takes; --assume-minutes says so")
    is_same = bool(past.runs) and past.spec_hash == spec_hash
    lowest, highest = _dollars(hourly.least, p50), _dollars(hourly.most, p95)
    expected = past.usd_p50 if is_same or hourly.most is None else None
    if expected is None:
        expected = _dollars(hourly.most, p50)
        if past.runs and hourly.most is not None:
            changed = "what is sent is not what its last run was (changed, or with a template's values)"
            unknown.append(f"{changed}: priced by its request for the time of those")
    if lowest is None:
        lowest, highest = past.usd_p50, past.usd_p95
    if instances is None:
        unknown.append("how many instances it has is known when it runs: this is one of them")
    count = instances or 1
    return TaskEstimate(
        task_id=task_id,
        platform=platform,
        instances=instances,
        executors_min=least,
        executors_max=hourly.executors if hourly.most is not None else None,
        usd_per_hour_min=hourly.least,
        usd_per_hour_max=hourly.most,
        past=past,
        usd=None if expected is None else expected * count,
        usd_min=None if lowest is None else lowest * count,
        usd_max=None if highest is None else max(highest, expected or highest) * count,
        unknown=tuple(unknown),
    )


def _dollars(usd_per_hour: Decimal | None, seconds: float | None) -> Decimal | None:
    if usd_per_hour is None or seconds is None:
        return None
    return (usd_per_hour * Decimal(str(seconds)) / _HOUR).quantize(PLACES)


def _hourly(asked: Asked, card: RateCard, calibration: Calibration) -> Hourly:
    pods = asked.facts.requested
    counted = [pod for pod in pods if pod.role in _COUNTED]
    if not pods:
        return Hourly(None, None, 0, asked.facts.why or ("what pods it asks for is not known",))
    whys: list[str] = []
    fewest = len(counted) if asked.executors_min is None else min(asked.executors_min, len(counted))
    others = [pod for pod in pods if pod.role not in _COUNTED]
    found = [
        _usd([*others, *counted[:number]], asked.facts, card, calibration, whys) for number in (fewest, len(counted))
    ]
    return Hourly(found[0], found[1], len(counted), tuple(dict.fromkeys([*asked.facts.why, *whys])))


def _usd(
    pods: Sequence[Pod], facts: Telemetry, card: RateCard, calibration: Calibration, whys: list[str]
) -> Decimal | None:
    """Dollars of an hour of these pods, as the bill was for such nodes where that is known."""
    hour = {"started": _AT, "ended": _AT + timedelta(hours=1)}
    held = tuple(pod.model_copy(update=hour) for pod in pods)
    found = account(facts.model_copy(update={"requested": held}), EventLogSummary(), card, now=_AT)
    usd = found.cost.usd_total
    if found.cost.unknown:
        whys.append(
            f"not in it: {', '.join(found.cost.unknown)}" + (f" ({why})" if (why := found.cost.why_unknown) else "")
        )
    if usd is None:
        return None
    for part in found.by_family:
        factor = calibration.factor(part.family, part.capacity_type, part.region)
        if factor is not None:
            usd += part.usd * (factor - 1)
            whys.append(f"{part.family} {part.capacity_type} is {factor:.4f} of the rate card, as the bill was")
    return usd.quantize(PLACES)
