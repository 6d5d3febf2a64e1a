"""`doeks ledger` as it is typed."""

from __future__ import annotations

import builtins
import logging
from datetime import datetime, timedelta, timezone

import pytest
from click.testing import CliRunner

from airflow_doeks.cli import main
from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.ledger import Ledger
from tests.ledger.test_compaction import record

OLD = datetime.now(timezone.utc) - timedelta(days=9)


@pytest.fixture
def ledger(tmp_path):
    """A ledger with one record that is nine days old."""
    ledger = Ledger(LocalStore(tmp_path))
    one = record("a", "1.25")
    ledger.write(one.model_copy(update={"times": one.times.model_copy(update={"submitted": OLD})}))
    return ledger


def run(*arguments):
    """Exit code and output of `doeks ...`."""
    done = CliRunner().invoke(main, list(map(str, arguments)))
    return done.exit_code, done.output


def test_compact_says_what_it_did_and_reports_are_the_same(ledger, tmp_path):
    """A line a day; afterwards the report, which asks DuckDB then, prints what it printed before."""
    pytest.importorskip("duckdb")
    before = run("report", "--ledger", tmp_path, "--by", "dataset")
    code, said = run("ledger", "compact", "--ledger", tmp_path)
    assert (code, f"{OLD.date()}: 1 records of 1 objects" in said, "1 days compacted" in said) == (0, True, True)
    assert run("report", "--ledger", tmp_path, "--by", "dataset") == before
    assert "0 days compacted" in run("ledger", "compact", "--ledger", tmp_path)[1]


def test_ddl_prints_statements_for_the_engine(ledger, tmp_path):
    """Tables over the ledger's own address."""
    code, said = run("ledger", "ddl", "--engine", "athena", "--ledger", tmp_path)
    assert code == 0
    assert f"LOCATION 'file://{tmp_path}/v2/records/'" in said


def test_without_duckdb_one_line_says_what_to_install(ledger, tmp_path, monkeypatch, caplog):
    """Nothing is written then, and a report of a ledger that somebody else compacted reads the records as before."""
    pytest.importorskip("duckdb")
    run("ledger", "compact", "--ledger", tmp_path)
    with_duckdb = run("report", "--ledger", tmp_path)
    real = builtins.__import__

    def missing(name, *rest, **more):
        if name == "duckdb":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    code, said = run("ledger", "compact", "--ledger", tmp_path)
    assert (code, "pip install 'airflow-doeks[report]'" in said) == (2, True)
    with caplog.at_level(logging.WARNING):
        assert run("report", "--ledger", tmp_path) == with_duckdb
    assert "pip install 'airflow-doeks[report]'" in caplog.text
