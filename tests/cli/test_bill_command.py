"""`doeks reconcile --cur` as it is typed; what it finds is in tests/lifecycle/test_billing.py."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from airflow_doeks.cli import main
from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.ledger import Ledger
from tests.fakes.cur import write_cur
from tests.lifecycle.test_billing import made

pytest.importorskip("duckdb", reason="the extra `report` is not installed")


def run(*arguments):
    """Exit code and output of `doeks reconcile ...`."""
    done = CliRunner().invoke(main, ["reconcile", *map(str, arguments)])
    return done.exit_code, done.output


@pytest.fixture
def bill(tmp_path):
    """Ledger and export of 24 jobs."""
    rows, _ = made(Ledger(LocalStore(tmp_path / "ledger")), 24)
    write_cur(tmp_path / "cur", rows)
    return "--cur", tmp_path / "cur", "--ledger", tmp_path / "ledger", "--since", "2026-11-01"


def test_the_factor_of_each_family_is_shown(bill):
    """A line a family, and how much was billed and recorded."""
    code, said = run(*bill)
    assert code == 0
    lines = [line.strip("│ ").split() for line in said.splitlines() if "us-east-1" in line]
    assert [(line[0], line[2], line[6], line[12], line[14]) for line in lines] == [
        ("c5", "spot", "0.9000", "6", "yes"),
        ("m5", "on_demand", "0.7200", "6", "yes"),
        ("m5", "spot", "1.2500", "6", "yes"),
        ("r6i", "on_demand", "1.0000", "6", "yes"),
    ]
    assert "24 of 24 jobs on the bill, 24 written" in said
    report = CliRunner().invoke(main, ["report", "--ledger", str(bill[3]), "--since", "2026-11-01"]).output
    assert "Compute on the bill, as last read: c5 spot us-east-1 x 0.9000, m5 on_demand us-east-1 x 0.7200" in report


def test_json_has_every_figure(bill):
    """Dollars are text; a dry run says so and finds the same again."""
    code, said = run(*bill, "--dry-run", "--json")
    found = json.loads(said)
    assert (code, found["dry_run"], found["billed"], found["changed"], found["missing"]) == (0, True, 24, 24, [])
    assert {one["family"]: one["factor"] for one in found["calibration"]}["r6i"] == "1.000000"
    assert json.loads(run(*bill, "--dry-run", "--json")[1]) == found


def test_a_place_without_an_export_is_one_line(tmp_path, bill):
    """Exit code 2, and what to name instead."""
    code, said = run("--cur", tmp_path / "nothing", *bill[2:])
    assert (code, "no .parquet file; give the export's folder `data/`" in said) == (2, True)
