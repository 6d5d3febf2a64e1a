"""Days that are over as one object each, and as Parquet for engines: loose records in, nothing lost, nothing twice.

    v1/submitted=2026-11-20/part.jsonl.zst              the day's records, a line each, for whoever reads the ledger
    v2/records/day=2026-11-20/part.parquet              the same as tables (`model.tables`), for DuckDB, Athena, Trino
    v2/datasets/..., v2/minutes/...                     and Spark

Each object is written whole. Loose records are deleted last, and only those that nobody wrote anew meanwhile, so that
whoever is killed here, at any moment, leaves a day that reads the same and is compacted again. A record or a bill that
comes later stands loose beside the part until the next time. Details stay where they are.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

import zstandard

from airflow_doeks.ledger.ledger import ACTUAL, PART, Ledger, bill_of, day_folder, day_of, prefixes
from airflow_doeks.model.record import JobRecord
from airflow_doeks.model.stores import READERS
from airflow_doeks.model.tables import TABLES, Row, rows_of

log = logging.getLogger(__name__)
T = TypeVar("T")
KEEP_DAYS = 3  # a day is left loose until it ended so many days ago: its jobs may still run
_LISTED_SECONDS = 5.0  # a listing is good for so long while a day's loose objects are deleted
FIRST_DAY = date(2020, 1, 1)  # before the first record


@dataclass(frozen=True)
class Compacted:
    """A day that was compacted: its records, and how many objects it had before; ``why`` if it was left as it was."""

    day: date
    records: int = 0
    objects: int = 0
    why: str = ""


def compact(ledger: Ledger, today: date, since: date | None = None) -> Iterator[Compacted]:
    """Compact the days that have something loose, or no tables yet; lazily, a day at a time.

    Days that ended less than ``KEEP_DAYS`` before ``today`` (UTC) are left alone. SpecError without DuckDB, before
    anything is written; OSError if the store is away.
    """
    from airflow_doeks.ledger.parquet import connection

    connection().close()
    last = today - timedelta(days=KEEP_DAYS + 1)
    tables = set(ledger.store.list("v2/"))
    names = (name for prefix in prefixes(since or FIRST_DAY, last) for name in ledger.store.list(prefix))
    for folder, found in groupby(filter(day_of, names), key=day_folder):
        day = date.fromisoformat(folder.rpartition("=")[2])
        objects = [name for name in found if name.endswith((".json", PART))]
        has_tables = all(table_name(table, day) in tables for table in TABLES)
        if any(map(_is_loose, objects)) or (objects and not has_tables):
            yield _compact_day(ledger, day, is_new=not has_tables)


def _is_loose(name: str) -> bool:
    return name.endswith(".json")


def table_name(table: str, day: date) -> str:
    """Where a table's rows of a day stand."""
    return f"v2/{table}/day={day.isoformat()}/part.parquet"


def _compact_day(ledger: Ledger, day: date, *, is_new: bool) -> Compacted:
    folder = next(prefixes(day, day))
    stamps = {name: at for name, at in ledger.store.stamped(folder) if day_of(name) and name.endswith((".json", PART))}
    with ThreadPoolExecutor(READERS) as pool:
        found = _read(dict(zip(stamps, pool.map(ledger.lines, stamps), strict=True)))
        if isinstance(found, str):
            return Compacted(day, why=found)
        loose = sorted(filter(_is_loose, found.taken), key=lambda name: (name.endswith(ACTUAL), name))  # bills last
        if not loose and not is_new:
            return Compacted(day, why="what is loose there is no record")
        details = list(pool.map(partial(_detail, ledger, folder), found.records))
    for record, detail in zip(found.records, details, strict=True):
        if detail is None:  # tables without it would lack it for good
            return Compacted(day, why=f"{folder}{record.detail} cannot be read")
    contents = _tables((record, detail or {}) for record, detail in zip(found.records, details, strict=True))
    part = zstandard.compress(b"".join(record.model_dump_json().encode() + b"\n" for record in found.records))
    if dict(ledger.store.stamped(folder + PART)).get(folder + PART) != stamps.get(folder + PART):
        return Compacted(day, why="somebody else compacts it")
    ledger.store.write(folder + PART, part)
    for table, content in contents.items():
        ledger.store.write(table_name(table, day), content)
    _delete_unchanged(ledger, folder, {name: stamps[name] for name in loose})
    return Compacted(day, len(found.records), len(stamps))


def _delete_unchanged(ledger: Ledger, folder: str, stamps: Mapping[str, str]) -> None:
    """Delete the objects of a day that nobody wrote anew: these wait for the next time. A large day takes minutes."""
    now, listed = {}, -math.inf
    for name, stamp in stamps.items():
        if time.monotonic() - listed >= _LISTED_SECONDS:
            listed, now = time.monotonic(), dict(ledger.store.stamped(folder))
        if now.get(name) == stamp:
            ledger.store.delete(name)


def _detail(ledger: Ledger, folder: str, record: JobRecord) -> Mapping[str, Any] | None:
    """The detail of a record; empty if it has none or a broken one, None if it cannot be read for now."""
    if not record.detail:
        return {}
    if detail := ledger.read_detail(record):
        return detail
    try:
        with ledger.store.open(folder + record.detail) as raw:
            raw.read()
    except FileNotFoundError:
        return {}
    except OSError:
        return None
    return ledger.read_detail(record)


def _tables(details: Iterable[tuple[JobRecord, Mapping[str, Any]]]) -> dict[str, bytes]:
    """Parquet of a day by table."""
    from airflow_doeks.ledger.parquet import parquet

    rows: dict[str, list[Row]] = {table: [] for table in TABLES}
    for record, detail in details:
        for table, more in rows_of(record, detail).items():
            rows[table] += more
    return {table: parquet(table, found) for table, found in rows.items()}


@dataclass(frozen=True)
class _Day:
    """The newest revision of each record, with its bill, and the objects that are in them."""

    records: Sequence[JobRecord]
    taken: frozenset[str]


def _read(objects: Mapping[str, Sequence[bytes]]) -> _Day | str:
    """A day of its objects' lines; or why it is left as it is."""
    found: dict[str, list[JobRecord]] = {}
    taken = set()
    for name, lines in objects.items():
        if not lines:  # gone meanwhile, or unreadable for now: what is written without it would lack it
            return f"{name} cannot be read"
        if name.endswith(ACTUAL):
            continue
        records = [_parsed(JobRecord.model_validate_json, line, name) for line in lines]
        if name.endswith(PART) and None in records:
            return f"{name} holds a line that is no record"
        for record in filter(None, records):
            found.setdefault(record.record_id, []).append(record)
            taken.add(name)
    newest = {key: _newest(revisions) for key, revisions in found.items()}
    for name in filter(lambda name: name.endswith(ACTUAL), objects):
        key, bill = name.rsplit("/", 1)[1].removesuffix(ACTUAL), _parsed(bill_of, objects[name][0], name)
        if key in newest and bill is not None:
            newest[key] = newest[key].model_copy(update={"actual": bill})
            taken.add(name)
    return _Day([newest[key] for key in sorted(newest)], frozenset(taken))


def _newest(revisions: Sequence[JobRecord]) -> JobRecord:
    """The highest revision; a bill that only an earlier one has is kept."""
    ordered = sorted(revisions, key=lambda record: (record.revision, record.settled_by_try is not None))
    bills = [record.actual for record in ordered if record.actual]
    return ordered[-1].model_copy(update={"actual": bills[-1]}) if bills else ordered[-1]


def _parsed(read: Callable[[bytes], T], line: bytes, name: str) -> T | None:
    """None, with a warning, for what is no record and no bill: it stays loose."""
    try:
        return read(line)
    except ValueError as error:
        log.warning("%s is left as it is: %s", name, str(error).splitlines()[0])
        return None
