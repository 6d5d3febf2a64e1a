"""One reading of the bill into the ledger.

Each bill is written by itself and only when it changed: a pass may be killed at any moment and repeated, and a restated
bill replaces the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from airflow_doeks.bill import charges, read_export
from airflow_doeks.ledger import Ledger
from airflow_doeks.ledger.calibration import write_calibration
from airflow_doeks.ledger.parquet import connection
from airflow_doeks.lifecycle.billing import (
    Billable,
    actual,
    beside_bill,
    bill_keys,
    billable,
    calibration,
    is_due,
    may_be_billed,
    ratios,
)
from airflow_doeks.model.billing import Calibration, Charge
from airflow_doeks.model.record import JobRecord
from airflow_doeks.model.stores import ByteStore

_READERS = 10


@dataclass
class Billed:
    """What a pass found.

    Attributes:
        deliveries: each billing period's, in a line.
        jobs: settled records of the days that were looked at.
        billed: those that the bill has in full, and of these ``changed`` had no bill, or another one.
        usd_recorded: what their records have of what the bill's rows tell: compute, idle, uplift.
        unrecorded: those of them whose record knows no cost; the bill says ``usd_unrecorded`` of them.
        partly: record id -> why the bill does not tell its whole cost.
        missing: due, and without any row.
        waiting: not due yet: the export ends less than a day after them, or lacks a billing period.
    """

    files: int = 0
    deliveries: list[str] = field(default_factory=list)
    until: str | None = None
    jobs: int = 0
    billed: int = 0
    changed: int = 0
    usd_billed: Decimal = Decimal(0)
    usd_recorded: Decimal = Decimal(0)
    unrecorded: int = 0
    usd_unrecorded: Decimal = Decimal(0)
    partly: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    waiting: int = 0
    calibration: Calibration = field(default_factory=Calibration)


def read_bill(
    ledger: Ledger, export: ByteStore, since: date, *, is_dry: bool = False, parts: Sequence[str] = ("",)
) -> Billed:
    """Hold the records submitted since a day against ``parts`` of an export; ``is_dry`` writes nothing.

    SpecError without DuckDB or for an export that cannot be used; OSError if a store is away.
    """
    records = [record for record in ledger.records(since=since) if may_be_billed(record)]

    def with_detail(record: JobRecord) -> Billable:
        return billable(record, ledger.read_detail(record, is_needed=True) if record.detail else {})

    with ThreadPoolExecutor(_READERS) as pool:
        jobs = {job.record.record_id: job for job in pool.map(with_detail, records)}
    result = Billed(jobs=len(jobs))
    with TemporaryDirectory(prefix="doeks-") as folder, connection() as database:
        keys = (key for job in jobs.values() for key in bill_keys(job))
        found = read_export(export, database, keys, Path(folder), parts)
        charged = {charge.record_id: charge for charge in charges(database)}
    result.deliveries = [str(one) for one in found.deliveries]
    result.files, result.until = found.files, found.until.isoformat() if found.until else None
    measured: dict[tuple[str, str, str], list[Decimal]] = {}
    for key, job in jobs.items():
        if not is_due(job, found):
            result.waiting += 1
        elif key not in charged:
            result.missing.append(key)
        else:
            _take(ledger, job, charged[key], result, is_dry=is_dry)
            for family, ratio in ratios(job, charged[key]):
                measured.setdefault(family, []).append(ratio)
    result.calibration = calibration(measured)
    if not is_dry and measured:
        write_calibration(ledger.store, result.calibration)
    return result


def _take(ledger: Ledger, job: Billable, charge: Charge, result: Billed, *, is_dry: bool) -> None:
    bill, record = actual(job, charge), job.record
    if "usd_total" in bill:
        result.billed += 1
        usd, said = Decimal(bill["usd_total"]), beside_bill(record)
        result.usd_billed += usd
        if said is None:
            result.unrecorded += 1
            result.usd_unrecorded += usd
        else:
            result.usd_recorded += said
    else:
        result.partly[record.record_id] = bill["why"]
    if record.actual != bill:
        result.changed += 1
        if not is_dry:
            ledger.write_bill(record, bill)
