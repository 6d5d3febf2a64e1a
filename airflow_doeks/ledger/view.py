"""Loose and compacted days as one view: the tables of `model.tables` in DuckDB, each record once, its newest revision.

Parquet of compacted days is fetched and read by DuckDB; what stands loose becomes rows by the same function that
wrote the Parquet. The SQL that takes the newest revision is that of ``ddl``, which engines run, too.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from airflow_doeks.ledger.compaction import table_name
from airflow_doeks.ledger.ddl import newest
from airflow_doeks.ledger.ledger import PART, Ledger, day_folder, day_of, prefixes
from airflow_doeks.ledger.parquet import TYPES, connection, read_lines
from airflow_doeks.model.stores import READERS
from airflow_doeks.model.tables import TABLES, rows_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# What stands loose is newer than the same revision in Parquet: a bill came for it.
_OLDER = "p WHERE NOT EXISTS (FROM loose_records l WHERE l.record_id = p.record_id AND l.revision >= p.revision)"


@contextmanager
def open_view(
    ledger: Ledger, since: date, until: date, *, tables: Collection[str] = tuple(TABLES), memory: str | None = None
) -> Iterator[DuckDBPyConnection]:
    """A database with some views (``records``, ``datasets``, ``minutes``) of the days from ``since`` to ``until``.

    ``records`` is always among them; ``all_records`` has what stands in it in every revision, ``newest_records`` the
    newest one's number. A table that nobody asks for is not fetched, and without ``minutes`` no detail of a loose
    record is read. ``memory`` is the most that DuckDB takes; what does not fit goes to disk. SpecError without DuckDB;
    OSError if the store is away.
    """
    with TemporaryDirectory(prefix="doeks-") as text, connection() as database:
        folder = Path(text)
        wanted = [table for table in TABLES if table == "records" or table in tables]  # first: the others ask it
        if memory:
            database.execute(f"SET memory_limit = '{memory}'; SET threads = 2; SET preserve_insertion_order = false")
            database.execute(f"SET temp_directory = '{folder}/spilled'")
        compacted = _compacted(ledger, since, until)
        _loose(ledger, (since, until), compacted, wanted, folder)  # first: a compaction deletes it last
        _fetch(ledger, compacted, folder, wanted)
        for table in wanted:
            columns = TABLES[table]
            read_lines(database, f"loose_{table}", table, folder / f"{table}.jsonl")
            names = ", ".join(column.name for column in columns)
            both = f"SELECT {names} FROM loose_{table}"  # noqa: S608 - names of ours only
            if compacted:
                files = f"'{folder}/v2/{table}/*/part.parquet'"
                typed = ", ".join(f"CAST({column.name} AS {TYPES[column.kind]}) AS {column.name}" for column in columns)
                both += f" UNION ALL SELECT {typed} FROM read_parquet({files}, union_by_name=true) {_OLDER}"  # noqa: S608
            database.execute(f"CREATE VIEW all_{table} AS {both}")
        for table in wanted:
            database.execute(f"CREATE VIEW {table} AS {newest(table, 'all_{}', records='newest_records')}")
            if table == "records":  # once for all that ask for it
                database.execute("CREATE TABLE newest_records AS SELECT record_id, revision FROM records")
        yield database


def _compacted(ledger: Ledger, since: date, until: date) -> set[date]:
    """The days that have all their Parquet: of one that has some, a compaction was killed and nothing deleted."""
    names = set(ledger.store.list("v2/"))
    days = {day for name in names if (day := day_of(name)) is not None and since <= day <= until}
    return {day for day in days if all(table_name(table, day) in names for table in TABLES)}


def _fetch(ledger: Ledger, days: set[date], folder: Path, tables: Collection[str]) -> None:
    """Put the Parquet of some days into a folder, named as in the store."""
    wanted = [table_name(table, day) for day in days for table in tables]

    def copy(name: str) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with ledger.store.open(name) as content:
            path.write_bytes(content.read())

    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(copy, wanted))


def _loose(
    ledger: Ledger, days: tuple[date, date], compacted: set[date], tables: Collection[str], folder: Path
) -> None:
    """Put into files, as lines of JSON, the rows of what stands loose, or in a part without Parquet.

    Of a day to which anything came late all records are among them.
    """
    names = [name for prefix in prefixes(*days) for name in ledger.store.list(prefix)]
    by_day: dict[date, list[str]] = {}
    for name in names:
        day = day_of(name)
        is_loose = name.endswith(".json") or (name.endswith(PART) and day not in compacted)
        if is_loose and day is not None:
            by_day.setdefault(day, []).append(name)
    with ExitStack() as closing:
        files = {table: closing.enter_context((folder / f"{table}.jsonl").open("w")) for table in tables}
        for day, loose in by_day.items():
            if day in compacted:
                loose.append(
                    f"{day_folder(loose[0])}/{PART}"
                )  # what came late is a bill of its records, or has one there
            for record in ledger.read_day(loose):
                is_read = "minutes" in tables or ("datasets" in tables and record.lineage.truncated)
                detail = ledger.read_detail(record) if record.detail and is_read else {}
                rows = rows_of(record, detail)
                for table, file in files.items():
                    file.writelines(f"{json.dumps(row)}\n" for row in rows[table])
