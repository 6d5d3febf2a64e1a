"""`doeks cost` and `doeks lineage` on event logs that real Spark 3.5 and 4 wrote (tests/lineage/logs)."""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from airflow_doeks.cli.cost_commands import cost, lineage

CASES = sorted((Path(__file__).parents[1] / "lineage" / "cases").glob("*.zstd"))
LOGS = sorted((Path(__file__).parents[1] / "lineage" / "logs").glob("*/*.zstd"))


def run(command, log, *arguments):
    """The command's answer for one log."""
    return CliRunner().invoke(command, ["--event-log", str(log), *arguments])


@pytest.mark.parametrize("log", LOGS, ids=lambda log: f"{log.parent.name}-{log.stem}")
def test_dollars_of_a_log_add_up(log):
    """For every shape: components sum to the total, outputs and the unattributed rest too, and so do the minutes."""
    result = run(cost, log, "--json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    total = Decimal(data["cost"]["usd_total"])
    assert total > 0
    parts = [data["cost"][f"usd_{name}"] for name in ("compute", "uplift", "storage", "transfer", "shared", "idle")]
    assert sum(Decimal(part) for part in parts if part is not None) == total
    paid = [Decimal(dataset["usd"]) for dataset in data["lineage"]["outputs"] if dataset["usd"] is not None]
    assert sum(paid) + Decimal(data["cost"]["usd_unattributed"]) == total
    assert sum(run["minutes"] * Decimal(run["usd_per_minute"]) for run in data["minutes"]) == total
    assert data["cost"]["priced_as"] == "m7g.xlarge"


JOINS = [log for log in LOGS if log.stem == "join_and_aggregate"]


@pytest.mark.parametrize("log", JOINS, ids=lambda log: log.parent.name)
def test_the_tables_name_each_dataset(log):
    """The lineage of a join: what was read, what was written, and whether that is all; the cost of the result."""
    shown = run(lineage, log)
    data = json.loads(run(lineage, log, "--json").stdout)
    assert set(data) >= {"inputs", "outputs", "complete"}
    assert "Complete: yes" in shown.stdout
    priced = run(cost, log).stdout
    for dataset in data["outputs"]:
        assert dataset["name"] in shown.stdout
        assert dataset["name"] in priced
        assert f"{dataset['rows']:,}" in priced
    assert "Cost, if on m7g.xlarge" in priced


@pytest.mark.parametrize("command", [cost, lineage])
def test_a_log_that_is_not_there_is_exit_code_2(command, tmp_path):
    """A wrong path is said in one line with the path."""
    result = run(command, tmp_path / "gone")
    assert result.exit_code == 2
    assert str(tmp_path / "gone") in result.stderr


def test_a_file_that_is_no_event_log_has_no_cost(tmp_path):
    """Garbage gives unknowns with a reason, never a number."""
    path = tmp_path / "log"
    path.write_bytes(b"\x00not a log\n" * 50)
    result = run(cost, path)
    assert result.exit_code in (1, 2)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Not known" in result.stdout or str(path) in result.stderr


NUMBERS = re.compile(r"(rows|bytes|files|slot_share|usd(_\w+)?|\w+_usd|\w+_seconds)$")


def nulls(data, path=""):
    """Paths of the numbers that are null."""
    if isinstance(data, dict):
        for key, value in data.items():
            here = f"{path}.{key}" if path else key
            if value is None and NUMBERS.fullmatch(key):
                yield here
            elif key != "why_null":
                yield from nulls(value, here)
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from nulls(value, f"{path}[{index}]")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
@pytest.mark.parametrize("command", [lineage, cost], ids=lambda command: command.name)
def test_json_tells_why_for_every_number_that_is_null(command, case):
    """Each null number has its reason by path, and lineage that is not complete has its own."""
    told = json.loads(run(command, case, "--json").stdout)
    assert set(told["why_null"]) == set(nulls(told))
    assert all(told["why_null"].values())
    assert bool(told["why"]) is not told.get("lineage", told)["complete"]


def test_lineage_shows_columns():
    """What each written column was computed from, in the table and in JSON."""
    (log,) = [log for log in JOINS if log.parent.name == "4.3.0"]
    told = json.loads(run(lineage, log, "--json").stdout)
    (revenue,) = told["outputs"]
    assert [(column["name"], column["inputs"]) for column in revenue["columns"]] == [
        ("country", ["file//tmp/doeks-lake/customers:country"]),
        ("revenue", ["file//tmp/doeks-lake/orders:amount"]),
        ("orders", []),
    ]
    shown = run(lineage, log).output
    assert re.search(r"revenue:revenue .* file//tmp/doeks-lake/orders:amount", shown)
