"""The shared cost of a platform's cluster on the records of its jobs: of each hour that is over, over who ran in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_DOWN, Decimal
from typing import Any

from airflow_doeks.cost.shared import Split, split_shared
from airflow_doeks.ledger import Ledger
from airflow_doeks.lifecycle.records import Settled
from airflow_doeks.lifecycle.windows import IN_WINDOWS
from airflow_doeks.model.bill import PLACES, Step, seconds
from airflow_doeks.model.lineage import Lineage
from airflow_doeks.model.minutes import Run, spread
from airflow_doeks.model.record import Cost, JobRecord

DAYS = 2  # so many days that are over are shared again: what settled late changes who ran in an hour
_HOUR = timedelta(hours=1)
_BEFORE = timedelta(days=2)  # a job may have been submitted so long before the day
_NAME = "shared"


@dataclass
class SharedDay:
    """What a day's sharing did: dollars on records, and of hours in which no job ran; ``trouble``: it was not done."""

    day: date
    platform: str
    usd: Decimal = Decimal(0)
    usd_nobody: Decimal = Decimal(0)
    jobs: int = 0
    changed: int = 0
    trouble: str | None = None
    lines: dict[str, Decimal] = field(default_factory=dict)


def share_days(
    ledger: Ledger,
    platform: str,
    split: Split,
    hourly: Callable[[date], Sequence[Decimal]],
    today: date,
    *,
    is_dry: bool = False,
) -> Iterator[SharedDay]:
    """Share the last days that are over; ``hourly`` gives the 24 hours of a day, and may raise PlatformError.

    Repeated, or killed and repeated, it finds the same: weights are what jobs cost without shared cost.
    """
    for ago in range(DAYS, 0, -1):
        day = today - timedelta(days=ago)
        jobs = {
            record.record_id: record
            for record in ledger.records(since=day - _BEFORE, until=day)
            if _is_of(record, platform)
        }
        result = SharedDay(day, platform)
        for hour, total in enumerate(hourly(day)):
            start = datetime(day.year, day.month, day.day, hour, tzinfo=timezone.utc)
            weights = {key: weight for key, job in jobs.items() if (weight := _weight(job, start)) is not None}
            parts = split_shared(total, weights, split)
            result.usd_nobody += Decimal(0) if parts else total
            for key, part in parts.items():
                result.lines[key] = result.lines.get(key, Decimal(0)) + part
        result.usd, result.jobs = sum(result.lines.values(), Decimal(0)), len(result.lines)
        for key, part in result.lines.items():
            result.changed += _take(ledger, jobs[key], day, part, is_dry=is_dry)
        yield result


def _is_of(record: JobRecord, platform: str) -> bool:
    is_priced = record.cost.usd_total is not None and record.cost != IN_WINDOWS
    return record.job.platform == platform and record.settled_by_try is not None and is_priced


def _weight(record: JobRecord, hour: datetime) -> Decimal | None:
    """Its own dollars in an hour, evenly over its life; None if it did not run then."""
    start, end = record.times.started or record.times.submitted, record.times.ended
    if start is None or end is None or start >= hour + _HOUR or end <= hour:
        return None
    held = seconds(max(start, hour), min(end, hour + _HOUR))
    return _own(record.cost) * held / max(seconds(start, end), Decimal(1))


def _own(cost: Cost) -> Decimal:
    return (cost.usd_total or Decimal(0)) - (cost.usd_shared or Decimal(0))


def _take(ledger: Ledger, record: JobRecord, day: date, part: Decimal, *, is_dry: bool) -> bool:
    """Write the record's next revision with its part of a day, beside those of other days; False if it has it."""
    detail = ledger.read_detail(record, is_needed=True) if record.detail else {}
    before: dict[str, str] = detail.get("shared") or {}
    days = before | {day.isoformat(): format(part, "f")}
    shared = _sum(days)
    if record.cost.usd_shared == shared:
        return False
    if not is_dry:
        # Who was killed before the record was written left a detail that holds more than the record.
        had = _sum(before) if before else record.cost.usd_shared or Decimal(0)
        more = _shared_detail(detail, record.cost, had, days)
        ledger.write(with_shared(record, shared), more)
    return True


def write_settled(ledger: Ledger, settled: Settled) -> JobRecord:
    """Write a settled record; one of a day, which every pass writes again, keeps the shared cost that it was given."""
    record, detail = settled.record, settled.detail
    if record.window is not None and record.cost.usd_total is not None and record.times.submitted is not None:
        known = ledger.find(record.record_id, record.times.submitted)
        is_shared = known is not None and known.cost.usd_shared not in (None, record.cost.usd_shared)
        held = ledger.read_detail(known, is_needed=True).get("shared") if known is not None and is_shared else None
        if held:
            had = record.cost.usd_shared or Decimal(0)
            detail = _shared_detail(detail, record.cost, had, held)
            record = with_shared(record, _sum(held))
    return ledger.write(record, detail)


def _sum(days: Mapping[str, str]) -> Decimal:
    return sum(map(Decimal, days.values()), Decimal(0)).quantize(PLACES)


def _shared_detail(detail: Mapping[str, Any], cost: Cost, had: Decimal, days: Mapping[str, str]) -> dict[str, Any]:
    """A detail that held the shared cost ``had``, with that of ``days``: minutes and datasets hold the new total."""
    own = _own(cost)
    runs = [Run.model_validate(run) for run in detail.get("minutes") or ()]
    more: dict[str, Any] = {"minutes": [run.model_dump(mode="json") for run in _spread(runs, own + _sum(days))]}
    if detail.get("lineage"):  # what a record has no room for is read there
        everything = Lineage.model_validate(detail["lineage"])
        before = cost.model_copy(update={"usd_total": own + had})
        more["lineage"] = _scaled(everything, before, own + _sum(days)).model_dump(mode="json")
    return {**detail, **more, "shared": dict(days)}


def _scaled(lineage: Lineage, cost: Cost, total: Decimal) -> Lineage:
    """The same with the dollars of each output in its part of another total."""
    outputs = (one.model_copy(update={"usd": _part(one.usd, cost, total)}) for one in lineage.outputs)
    return lineage.model_copy(update={"outputs": tuple(outputs)})


def _part(usd: Decimal | None, cost: Cost, total: Decimal) -> Decimal | None:
    """A part of a cost as a part of another total; None where the cost is 0, of which nothing is a part."""
    return None if usd is None or not cost.usd_total else (usd * total / cost.usd_total).quantize(PLACES, ROUND_DOWN)


def _spread(runs: Iterable[Run], total: Decimal) -> Sequence[Run]:
    """The same minutes with another total."""
    steps = [Step(run.since, run.since + timedelta(minutes=run.minutes), run.usd_per_minute * 60) for run in runs]
    return spread(steps, total)


def with_shared(record: JobRecord, shared: Decimal) -> JobRecord:
    """The record with a shared cost; waste and the dollars of datasets keep their part of the total."""
    cost, total = record.cost, _own(record.cost) + shared
    lineage = _scaled(record.lineage, cost, total)
    rest = _part(cost.usd_unattributed, cost, total)
    if cost.usd_unattributed is not None and not lineage.truncated:
        rest = total - sum((one.usd for one in lineage.outputs if one.usd is not None), Decimal(0))
    is_all_waste = cost.usd_waste is not None and record.job.state.has_failed
    update: Mapping[str, Any] = {
        "usd_shared": shared,
        "usd_total": total,
        "usd_waste": total if is_all_waste else _part(cost.usd_waste, cost, total),
        "usd_unattributed": rest,
        "unknown": tuple(name for name in cost.unknown if name != _NAME),
        "why_unknown": "; ".join(_others(cost.why_unknown)) or None,
    }
    return record.model_copy(update={"cost": cost.model_copy(update=update), "lineage": lineage})


def _others(why: str | None) -> list[str]:
    return [part for part in (why or "").split("; ") if part and not part.startswith(f"{_NAME}:")]
