"""The statements for larger engines: what Spark answers through them is what DuckDB answers, to the last digit."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from airflow_doeks.ledger import Ledger
from airflow_doeks.ledger.compaction import compact, table_name
from airflow_doeks.ledger.ddl import ENGINES, statements
from airflow_doeks.model.tables import TABLES
from tests.ledger.test_compaction import DAY, TODAY, asked, detail, ledger, record

__all__ = ["ledger"]  # a fixture of the compaction's tests
_ALL = "SELECT {} FROM {{}}{} ORDER BY record_id, 3, 4"
QUERIES = (
    *(_ALL.format(", ".join(column.name for column in columns), table) for table, columns in TABLES.items()),
    "SELECT team, SUM(usd_total), COUNT(*), SUM(vcpu_seconds) FROM {}records GROUP BY team ORDER BY team",
    "SELECT namespace, dataset, SUM(usd), SUM(row_count) FROM {}datasets GROUP BY namespace, dataset ORDER BY dataset",
)


def shown(value: object) -> str:
    """A value as `spark_tables` writes it."""
    return str(value.normalize() if isinstance(value, Decimal) else value)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_every_table_and_view_stands_in_the_statements(engine: str) -> None:
    """Each column with its type, each table's folder, and a view that takes the newest revision."""
    text = "\n".join(statements(engine, "s3://acme/ledger/"))
    for table, columns in TABLES.items():
        assert f"s3://acme/ledger/v2/{table}/" in text
        assert f"doeks_{table} AS" in text
        assert all(f"  {column.name} " in text for column in columns)


@pytest.mark.slow
@pytest.mark.spark
def test_spark_answers_what_duckdb_answers(ledger: Ledger) -> None:
    """Every row of every view, and sums; also beside an older object that was left in a day's folder."""
    pytest.importorskip("pyspark")
    ledger.store.delete("v1/submitted=2026-11-24/d.json")  # what is loose, engines do not see
    list(compact(ledger, TODAY))
    for table in TABLES:
        with ledger.store.open(table_name(table, DAY)) as older:
            ledger.store.write(table_name(table, DAY).replace("part", "older"), older.read())
    ledger.write(record("a", "1234567890.0123456789"), detail("1234567890.0123456789"))
    list(compact(ledger, TODAY))
    text = "\n".join(statements("spark", ledger.store.url))
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    made = [statement for statement in "\n".join(lines).split(";") if statement.strip()]
    script = Path(__file__).with_name("spark_tables.py")
    told = json.dumps([made, *(query.format("doeks_") for query in QUERIES)])
    done = subprocess.run([sys.executable, str(script)], input=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    spark = json.loads(done.stdout.splitlines()[-1])
    duckdb = asked(ledger, *(query.format("") for query in QUERIES))
    for query, theirs, ours in zip(QUERIES, spark, duckdb, strict=True):
        assert theirs == [[shown(value) for value in row] for row in ours], query
    assert duckdb[3] == [("a", Decimal("1234567890.0123456790"), 3, None)]
