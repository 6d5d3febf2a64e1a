"""What a job costs by the hour and by the record: its dollars over its time and over the rows that are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.record import JobRecord

_HOUR, _MILLION = 3600, 10**6


class Rates(NamedTuple):
    """Dollars an hour, and a million records in and out; None where a part of it is unknown."""

    usd_per_hour: Decimal | None = None
    usd_per_million_in: Decimal | None = None
    usd_per_million_out: Decimal | None = None


UNTOLD = Rates()


def rates(usd: Decimal | None, started: datetime | None, ended: datetime | None, lineage: Lineage) -> Rates:
    """Of a job as a whole; rows of one dataset that nobody knows leave all of its side unknown."""
    seconds = Decimal((ended - started).total_seconds()) if started and ended else Decimal(0)
    if usd is None:
        return UNTOLD
    return Rates(
        usd * _HOUR / seconds if seconds > 0 else None, _per_row(usd, lineage.inputs), _per_row(usd, lineage.outputs)
    )


def rates_of(record: JobRecord, detail: Mapping[str, Any]) -> Rates:
    """Of a record; of a day, records by the mean rate of its jobs since each was started last.

    Nothing is told of a closing record whose dollars stand in the records of its days.
    """
    found = rates(record.cost.usd_total, record.times.started, record.times.ended, record.lineage)
    if record.window is None:
        return UNTOLD if record.cost.usd_total == 0 and record.usage.vcpu_seconds == 0 else found
    told = detail.get("jobs")
    jobs = [job for job in told if isinstance(job, Mapping)] if isinstance(told, list) else []
    return found._replace(
        usd_per_million_in=_by_rate(found.usd_per_hour, jobs, "records_in"),
        usd_per_million_out=_by_rate(found.usd_per_hour, jobs, "records_out"),
    )


def _per_row(usd: Decimal, datasets: Sequence[Dataset]) -> Decimal | None:
    rows = [dataset.rows for dataset in datasets]
    total = sum(count for count in rows if count is not None)
    return usd * _MILLION / total if total and None not in rows else None


def _by_rate(usd_per_hour: Decimal | None, jobs: Sequence[Mapping[str, Any]], key: str) -> Decimal | None:
    """Dollars of an hour over the records of one."""
    found = [job.get(name) for job in jobs for name in (key, "duration_ms")]
    if usd_per_hour is None or not jobs or not all(found) or not all(isinstance(one, (int, float)) for one in found):
        return None
    hourly = sum((Decimal(job[key]) * _HOUR * 1000 / Decimal(job["duration_ms"]) for job in jobs), Decimal(0))
    return usd_per_hour * _MILLION / hourly
