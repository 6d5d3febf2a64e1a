"""Questions to a ledger: by DuckDB where days are compacted, else, and without the extra, record by record."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date, datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from airflow_doeks.ledger import Ledger
from airflow_doeks.ledger.compaction import FIRST_DAY
from airflow_doeks.ledger.parquet import NEEDED
from airflow_doeks.ledger.view import open_view
from airflow_doeks.model.minutes import Run
from airflow_doeks.model.past import PastRun, run_of
from airflow_doeks.model.record import JobRecord
from airflow_doeks.model.tables import told_runs, whole_lineage
from airflow_doeks.report import By, Report, report
from airflow_doeks.report.comparison import Days
from airflow_doeks.report.entry import entry_of
from airflow_doeks.report.flows import asked_flows, flows_of
from airflow_doeks.report.past import asked_past
from airflow_doeks.report.questions import report_of, tables_of
from airflow_doeks.report.sla import Sla, asked_waits, waits_of
from airflow_doeks.report.totals import key_of
from airflow_doeks.report.upstream import Lines

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")
_MEMORY = "144MB"  # enough for 100,000 jobs


def ask_report(book: Ledger, by: By, days: Days) -> Report:
    """What was spent."""

    def added(records: Iterator[JobRecord]) -> Report:
        return report(records, by, minutes=partial(minutes_of, book))

    return _asked(book, days, tables_of(by), lambda database: report_of(database, by), added)


def ask_waits(book: Ledger, by: By, days: Days) -> Sla:
    """How long jobs waited, started and ran."""

    def added(records: Iterator[JobRecord]) -> Sla:
        found = defaultdict(list)
        for record in records:
            found[key_of(record, by)].append(entry_of(record))
        return Sla(by=by, lines=tuple(waits_of(key, found[key]) for key in sorted(found)))

    return _asked(book, days, (), lambda database: Sla(by=by, lines=asked_waits(database, by)), added)


def ask_upstream(book: Ledger, days: Days) -> Lines:
    """What flows from dataset to dataset, to be asked for each."""

    def added(records: Iterator[JobRecord]) -> Lines:
        return Lines(flows_of(entry_of(record) for record in records))

    return _asked(book, days, ("datasets",), lambda database: Lines(asked_flows(database)), added)


def ask_past(book: Ledger, dag_id: str, days: Days) -> list[tuple[str, PastRun]]:
    """Task and figures of each job of a pipeline that succeeded."""

    def added(records: Iterator[JobRecord]) -> list[tuple[str, PastRun]]:
        own = (record for record in records if record.attempt.dag_id == dag_id)
        return [(record.attempt.task_id, run) for record in own if (run := run_of(record)) is not None]

    return _asked(book, days, (), lambda database: asked_past(database, dag_id), added)


def _asked(
    book: Ledger,
    days: Days,
    tables: Collection[str],
    by_sql: Callable[[DuckDBPyConnection], Answer],
    by_record: Callable[[Iterator[JobRecord]], Answer],
) -> Answer:
    if any(book.store.list("v2/")):
        first = days.since or FIRST_DAY
        try:
            from duckdb import OutOfMemoryException
        except ImportError:
            log.warning("%s; until then every record is read, which takes longer", NEEDED)
        else:
            try:
                with open_view(book, first, days.until, tables=tables, memory=_MEMORY) as database:
                    return by_sql(database)
            except OutOfMemoryException:  # not everything can go to disk: once more, with what the machine has
                with open_view(book, first, days.until, tables=tables) as database:
                    return by_sql(database)
    records = book.records(since=days.since, until=days.until)
    return by_record(map(partial(whole, book), records) if "datasets" in tables else records)


def minutes_of(book: Ledger, record: JobRecord) -> Sequence[Run]:
    """The cost per minute of a record's detail; none, with a warning, where it cannot be read."""
    return told_runs(record, book.read_detail(record))


def whole(book: Ledger, record: JobRecord) -> JobRecord:
    """The record with the datasets that it had no room for."""
    if not record.lineage.truncated:
        return record
    return record.model_copy(update={"lineage": whole_lineage(record, book.read_detail(record))})


def tomorrow() -> date:
    """The last day that a record may stand in: a clock may be ahead."""
    return datetime.now(timezone.utc).date() + timedelta(days=1)
