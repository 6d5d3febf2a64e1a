"""What the jobs of a UTC month cost by cost tag, in one small object that every starting job can read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from airflow_doeks.model.record import JobRecord
from airflow_doeks.model.stores import ByteStore


def write_month(store: ByteStore, records: Iterable[JobRecord], keys: Iterable[str], *, now: datetime) -> None:
    """Add up the dollars of this month's records by cost tag and value; other months' do not count."""
    usd: dict[str, dict[str, Decimal]] = {key: {} for key in keys}
    unpriced = 0
    for record in records:
        if record.times.submitted is None or record.times.submitted.strftime("%Y-%m") != now.strftime("%Y-%m"):
            continue
        unpriced += record.cost.usd_total is None and record.job.ref is not None
        for key, sums in usd.items():
            if (value := record.cost_tags.get(key)) is not None:
                sums[value] = sums.get(value, Decimal(0)) + (record.cost.usd_total or Decimal(0))
    plain = {key: {value: f"{sum_:f}" for value, sum_ in sorted(sums.items())} for key, sums in usd.items()}
    content = {"as_of": now.isoformat(), "jobs_without_cost": unpriced, "usd": plain}
    store.write(_name(now.date()), json.dumps(content, indent=1).encode())


def read_month(store: ByteStore, month: date) -> Mapping[str, Mapping[str, Decimal]] | None:
    """Cost tag -> value -> dollars; None if nobody has added the month up yet. May raise OSError, ValueError."""
    try:
        with store.open(_name(month)) as file:
            found: dict[str, Any] = json.loads(file.read())
    except FileNotFoundError:
        return None
    return {key: {value: Decimal(usd) for value, usd in sums.items()} for key, sums in found["usd"].items()}


def _name(month: date) -> str:
    return f"v1/months/{month.strftime('%Y-%m')}.json"
