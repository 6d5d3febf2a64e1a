"""`doeks estimate`: what a pipeline will cost before it runs, on real plans, requests and ledgers."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from airflow_doeks.cli import main
from airflow_doeks.cli.explain import plan_of
from airflow_doeks.cli.render import request_of
from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.ledger import Ledger
from airflow_doeks.ledger.compaction import compact
from airflow_doeks.ledger.estimates import expected_usd, write_estimates
from airflow_doeks.lifecycle.windows import closing
from airflow_doeks.model.billing import Calibration, Factor
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobRecord, Times
from airflow_doeks.model.status import JobState

PROJECT = """
platforms:
  lake:
    type: emr_on_eks
    region: us-east-1
    virtual_cluster: abcdef0123456789abcdef012
    execution_role: arn:aws:iam::123456789012:role/sales-jobs
    release: emr-7.9.0-latest
    priced_as: m5.xlarge
rate_card: {file: card.yaml}
"""
# m5.xlarge at 0.52: 9 x 4 vCPU + 16 GiB are 52 units of 0.01; EMR asks 0.01 a vCPU-hour and nothing for memory.
CARD = """
region: us-east-1
as_of: 2026-11-01
instances: {m5.xlarge: {usd_per_hour: 0.52, vcpu: 4, memory_gib: 16}}
emr_on_eks: {usd_per_vcpu_hour: 0.01, usd_per_gib_hour: 0}
"""
PIPELINE = """
schedule: "@daily"
start_date: 2026-01-01
tasks:
  clean:
    spark:
      main: s3://code/a.py
      driver: {cpu: 1, memory: 1Gi}
      executors: {min: 2, max: 10, cpu: 1, memory: 1Gi}
  say: {uses: empty}
"""
# A pod of 1 vCPU and 1 GiB: 10 units of 0.01 = 0.10, and 0.01 for EMR.
POD = Decimal("0.11")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one pipeline with one Spark task of 2 to 10 executors."""
    for name, text in (("doeks.yaml", PROJECT), ("card.yaml", CARD), ("orders.yaml", PIPELINE)):
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def book(project: Path) -> Ledger:
    """An empty ledger beside it."""
    (project / "ledger").mkdir()
    return Ledger(LocalStore(project / "ledger"))


def ran(
    book: Ledger, minutes: float, usd: str | None, *, spec_hash: str = "other", state: str = "SUCCEEDED"
) -> JobRecord:
    """A record of the task's job, an hour after the last one."""
    number = sum(1 for _ in book.records())
    at = datetime.now(timezone.utc) - timedelta(days=5) + timedelta(hours=number)
    record = JobRecord(
        record_id=f"{number:032x}",
        attempt=Attempt(dag_id="orders", run_id=f"r{number}", task_id="clean", try_number=1),
        settled_by_try=1,
        spec_hash=spec_hash,
        job=JobFacts(ref=f"x://{number}", platform="lake", type="t", engine="spark", name="n", state=JobState(state)),
        times=Times(submitted=at, started=at, ended=at + timedelta(minutes=minutes)),
        cost=Cost(usd_total=usd),
    )
    return book.write(record)


def doeks(project: Path, *more: str) -> Result:
    """The command on the pipeline."""
    arguments = ["estimate", str(project / "orders.yaml"), *more]
    return CliRunner().invoke(main, arguments, env={"DOEKS_LEDGER": None, "AIRFLOW_HOME": str(project / "none")})


def told(project: Path, *more: str) -> dict[str, Any]:
    """Its JSON of the one pipeline."""
    result = doeks(project, "--json", *more)
    assert result.exit_code == 0, result.output
    (one,) = json.loads(result.stdout)["estimates"]
    return dict(one)


def test_without_a_run_only_dollars_per_hour_are_known(project: Path) -> None:
    """3 to 11 pods by the rate card; no dollars of a run, and why. A task that runs no job is not in it."""
    one = told(project)
    (task,) = one["tasks"]
    assert [Decimal(task[f"usd_per_hour_{end}"]) for end in ("min", "max")] == [3 * POD, 11 * POD]
    assert (task["executors_min"], task["executors_max"]) == (2, 10)
    assert (task["usd"], one["usd"], one["usd_per_month"]) == (None, None, None)
    assert "no run of it is known, so nobody knows how long it takes; --assume-minutes says so" in task["unknown"]
    assert one["unknown"][0].startswith("no ledger")
    assert "clean: its dollars are not known and not in the sum" in one["unknown"]


def test_the_newest_card_of_a_folder_and_its_newest_spot_price_hold(project: Path) -> None:
    """A run that is to come is priced by neither the oldest card nor the oldest Spot price."""
    (project / "rates").mkdir()
    for day, usd in (("2025-12-01", "9.99"), ("2026-11-01", "0.52")):
        card = CARD.replace("2026-11-01", day).replace("0.52", usd)
        (project / "rates" / f"us-east-1.{day}.yaml").write_text(card)
    doeks_yaml = PROJECT.replace("file: card.yaml", "file: rates, region: us-east-1")
    (project / "doeks.yaml").write_text(doeks_yaml.replace("    release", "    code: s3://acme-code/\n    release"))
    (task,) = told(project)["tasks"]
    assert Decimal(task["usd_per_hour_min"]) == 3 * POD
    steps = ((11, "0.78"), (12, "0.26"))
    spot = [f'{{since: "2026-11-01T{hour}:00:00Z", usd_per_hour: {usd}}}' for hour, usd in steps]
    with (project / "rates" / "us-east-1.2026-11-01.yaml").open("a") as card:
        card.write(f"spot: {{m5.xlarge: {{us-east-1a: [{', '.join(spot)}]}}}}\n")
    (project / "orders.yaml").write_text(PIPELINE.replace("max: 10,", "max: 10, capacity: spot,"))
    (task,) = told(project)["tasks"]
    assert Decimal(task["usd_per_hour_min"]) == POD + 2 * (Decimal("0.05") + Decimal("0.01"))


def test_minutes_may_be_assumed(project: Path) -> None:
    """Half an hour of it, from fewest to most executors; 30 runs a month."""
    one = told(project, "--assume-minutes", "30")
    assert [Decimal(one[name]) for name in ("usd_min", "usd", "usd_max")] == [POD * 3 / 2, POD * 11 / 2, POD * 11 / 2]
    assert one["runs_per_month"] == 30
    assert Decimal(one["usd_per_month"]) == POD * 11 / 2 * 30
    assert "no run of it is known: 30 minutes are assumed" in one["tasks"][0]["unknown"]


def test_the_last_runs_say_what_is_expected_of_the_same_work(project: Path, book: Ledger) -> None:
    """Median of what it cost, as long as what is sent is the same; failed jobs and others' do not count."""
    plan = plan_of(str(project / "orders.yaml"), None)
    same = request_of(plan, plan.tasks[0])[1].spec_hash
    for minutes, usd in ((60, "0.5"), (60, "0.6"), (120, "0.9")):
        ran(book, minutes, usd, spec_hash=same)
    ran(book, 600, "9", spec_hash=same, state="FAILED")
    one = told(project, "--ledger", str(project / "ledger"))
    (task,) = one["tasks"]
    assert (task["past"]["runs"], task["past"]["seconds_p50"], task["past"]["seconds_p95"]) == (3, 3600, 7200)
    assert Decimal(one["usd"]) == Decimal("0.6")
    assert [Decimal(one[name]) for name in ("usd_min", "usd_max")] == [3 * POD, 2 * 11 * POD]
    assert not [why for why in task["unknown"] if "changed" in why]


def test_runs_from_before_a_change_do_not_count_once_it_ran(project: Path, book: Ledger) -> None:
    """Three dear runs of other work and one of this: what this cost and took is expected."""
    plan = plan_of(str(project / "orders.yaml"), None)
    for _ in range(3):
        ran(book, 600, "9")
    ran(book, 60, "0.5", spec_hash=request_of(plan, plan.tasks[0])[1].spec_hash)
    (task,) = told(project, "--ledger", str(project / "ledger"))["tasks"]
    assert (Decimal(task["usd"]), task["past"]["runs"], task["past"]["seconds_p95"]) == (Decimal("0.5"), 1, 3600)


@pytest.mark.parametrize("is_compacted", [False, True])
def test_the_closing_record_of_a_stream_is_no_run_that_cost_nothing(
    project: Path, book: Ledger, is_compacted: bool
) -> None:
    """Its dollars stand in the records of its days."""
    ran(book, 60, "0", spec_hash="s")
    (record,) = book.records()
    book.write(closing(record))
    if is_compacted:
        pytest.importorskip("duckdb", reason="the extra `report` is not installed")
        assert list(compact(book, datetime.now(timezone.utc).date()))
    (task,) = told(project, "--ledger", str(project / "ledger"))["tasks"]
    assert (task["past"]["runs"], task["usd"]) == (0, None)


def test_changed_work_is_priced_by_its_request(project: Path, book: Ledger) -> None:
    """What ran before was something else: its median time, with all the executors that are asked for now."""
    ran(book, 60, "0.01")
    one = told(project, "--ledger", str(project / "ledger"))
    assert Decimal(one["usd"]) == 11 * POD
    assert any("is not what its last run was" in why for why in one["tasks"][0]["unknown"])


def test_what_the_bill_taught_is_used_and_told(project: Path, book: Ledger) -> None:
    """Nodes of m5 cost half of the card on the bill: EMR's part stays as it is."""
    factor = Factor(
        family="m5", capacity_type="on_demand", region="us-east-1", factor="0.5", lowest=0, highest=1, jobs=9
    )
    book.store.write("v1/calibration.json", Calibration(factors=(factor,)).model_dump_json().encode())
    (task,) = told(project, "--ledger", str(project / "ledger"))["tasks"]
    assert Decimal(task["usd_per_hour_max"]) == 11 * (Decimal("0.05") + Decimal("0.01"))
    assert "m5 on_demand is 0.5000 of the rate card, as the bill was" in task["unknown"]


@pytest.mark.parametrize(("budget", "code"), [("0.6", 3), ("0.7", 0)])
def test_a_budget_that_is_exceeded_is_exit_code_3(project: Path, budget: str, code: int) -> None:
    """0.605 dollars are expected."""
    result = doeks(project, "--assume-minutes", "30", "--budget", budget)
    assert result.exit_code == code
    assert f"Budget {budget}000 USD: {'over' if code else 'not over'}." in result.stdout


def test_what_is_unknown_exceeds_no_budget(project: Path) -> None:
    """No dollars are known: exit code 0, and said."""
    result = doeks(project, "--budget", "0.01")
    assert result.exit_code == 0
    assert "clean: its dollars are not known" in result.stdout
    assert "Budget 0.0100 USD: not over by what is known; 1 task is not, or not wholly, in the sum." in result.stdout
    assert json.loads(doeks(project, "--budget", "0.01", "--json").stdout)["is_over_budget"] is None


def test_markdown_is_a_table_for_a_pull_request(project: Path) -> None:
    """A row a task, the sum, a month, and what is not known."""
    lines = doeks(project, "--assume-minutes", "30", "--budget", "5", "--markdown").stdout.splitlines()
    assert lines[0] == "### Estimated cost"
    assert lines[2] == "**orders**, rate card us-east-1 2026-11-01"
    assert "| `clean` | 2 to 10 | 0.3300 to 1.21 | ? | 0.1650 | 0.6050 | 0.6050 |" in lines
    assert "| **one run** | | | | 0.1650 | **0.6050** | 0.6050 |" in lines
    assert "30 runs in 30 days: 18.15 USD expected, 18.15 at most." in lines
    assert lines[-1] == "Budget of 5.00 USD for one run: not over."


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--budget", "cheap"), "--budget 'cheap': expected US dollars above 0"),
        (("--markdown", "--json"), "--markdown and --json: give one of them"),
        (("--ledger", "/nowhere"), "no ledger: there is no folder /nowhere"),
    ],
)
def test_wrong_arguments_are_exit_code_2(project: Path, arguments: tuple[str, ...], words: str) -> None:
    """In one line, with what was expected."""
    result = doeks(project, *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_starting_jobs_read_one_small_object(book: Ledger) -> None:
    """What `doeks reconcile` wrote of the last runs: the median of a task; None of one that never succeeded."""
    for usd in ("1", "5", "2"):
        ran(book, 10, usd)
    write_estimates(book.store, book.records(), now=datetime.now(timezone.utc))
    assert expected_usd(book.store, "orders", "clean") == 2
    assert expected_usd(book.store, "orders", "other") is None
