"""`doeks cost` and `doeks lineage` on event logs that real Spark 3.5 and 4 wrote (tests/lineage/logs)."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from airflow_doeks.cli.cost_commands import cost, lineage

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
