"""`doeks report` on a real ledger in a folder."""

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
import zstandard
from click.testing import CliRunner

from airflow_doeks.cli import main
from airflow_doeks.hooks.stores import open_store
from airflow_doeks.ledger import Ledger
from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobRecord, Times, Usage
from airflow_doeks.model.status import JobState

NOON = datetime(2026, 10, 20, 12, tzinfo=timezone.utc)


@pytest.fixture
def folder(tmp_path):
    """A ledger of two priced jobs a day apart, and one whose cost is unknown; the first knows its minutes."""
    book = Ledger(open_store(str(tmp_path / "ledger")))
    for number, (dag, usd) in enumerate(
        [("sales.orders", Decimal(6)), ("growth.clicks", Decimal(2)), ("flights", None)]
    ):
        moment = NOON + timedelta(days=number)
        record = JobRecord(
            record_id=f"{number:032x}",
            attempt=Attempt(dag_id=dag, run_id="r", task_id="t", try_number=1),
            settled_by_try=1,
            job=JobFacts(
                ref=f"local://h/{number}",
                platform="lake",
                type="local",
                engine="spark",
                name="n",
                state=JobState.SUCCEEDED,
            ),
            times=Times(submitted=moment, started=moment, ended=moment + timedelta(minutes=2)),
            usage=Usage(vcpu_seconds=3600, memory_gib_seconds=7200),
            cost=Cost(usd_total=usd),
            cost_tags={"team": "sales"},
        )
        run = {"since": moment.isoformat(), "minutes": 1, "usd_per_minute": "6"}
        book.write(record, {"minutes": [run]} if number == 0 else None)
    return tmp_path / "ledger"


@pytest.fixture
def doeks(folder):
    """The command on that ledger."""

    def run(*arguments, ledger=folder, env=None):
        where = [] if ledger is None else ["--ledger", str(ledger)]
        return CliRunner().invoke(main, ["report", *where, *arguments], env=env or {"DOEKS_LEDGER": None})

    return run


def test_pipelines_stand_by_cost_and_unknown_ones_are_told(doeks):
    """By default a line per pipeline, the dearest first; a job without a known cost is not in the sum and said so."""
    result = doeks()
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if line.startswith("│")]
    assert [line.split("│")[1].strip() for line in lines] == ["sales.orders", "growth.clicks", "flights", "Total"]
    assert [line.split("│")[6].strip() for line in lines] == ["6.00", "2.00", "?", "8.00"]
    assert "1 of 3 jobs have no known cost and are not in the sum." in result.stdout


def test_json_is_the_report(doeks):
    """`--json` has the same lines with exact money, and the days since the one that was asked for."""
    data = json.loads(doeks("--by", "day", "--since", "2026-10-21", "--json").stdout)
    assert [(line["key"], line["usd"]) for line in data["lines"]] == [("2026-10-21", "2"), ("2026-10-22", "0")]
    assert data["total"]["vcpu_hours"] == "2"


def test_minutes_come_from_the_detail_where_it_has_them(doeks):
    """The first job spent all in its first minute, as its detail says; the second lies evenly over its two."""
    data = json.loads(doeks("--by", "minute", "--json").stdout)
    assert [(line["key"], Decimal(line["usd"])) for line in data["lines"]] == [
        ("(time unknown)", 0),
        ("2026-10-20T12:00Z", 6),
        ("2026-10-21T12:00Z", 1),
        ("2026-10-21T12:01Z", 1),
    ]


@pytest.mark.parametrize(
    "detail",
    [
        b"no zstd",
        zstandard.compress(b'{"minutes": [{"since'),
        zstandard.compress(b'{"minutes": 7}'),
        zstandard.compress(b'{"minutes": [{"since": "x"}]}'),
    ],
)
def test_a_broken_detail_falls_back_to_the_even_spread(detail, doeks, folder, caplog):
    """A detail that cannot be read is named in a warning; the job's cost lies evenly over its life."""
    (place,) = folder.rglob("*.detail.json.zst")
    place.write_bytes(detail)
    result = doeks("--by", "minute", "--json")
    assert result.exit_code == 0, result.output
    lines = [(line["key"], Decimal(line["usd"])) for line in json.loads(result.stdout)["lines"]]
    assert lines[1:3] == [("2026-10-20T12:00Z", 3), ("2026-10-20T12:01Z", 3)]
    assert place.name[:32] in caplog.text


def test_unknown_waste_is_a_question_mark(doeks):
    """No job of this ledger knows its waste: ? in the table, null in JSON."""
    rows = [line.split("│") for line in doeks().stdout.splitlines() if line.startswith("│")]
    assert {row[7].strip() for row in rows} == {"?"}
    assert json.loads(doeks("--json").stdout)["total"]["usd_waste"] is None


def test_the_page_is_written_beside_the_table(doeks, tmp_path):
    """`--html` writes the page and still prints the table."""
    result = doeks("--by", "team", "--html", str(tmp_path / "report.html"))
    assert "sales" in result.stdout
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_the_ledger_may_come_from_the_environment(doeks, folder, tmp_path):
    """DOEKS_LEDGER, else the ledger below AIRFLOW_HOME."""
    assert doeks(ledger=None, env={"DOEKS_LEDGER": str(folder)}).exit_code == 0
    home = tmp_path / "home"
    (home / "doeks").mkdir(parents=True)
    folder.rename(home / "doeks" / "ledger")
    result = doeks(ledger=None, env={"DOEKS_LEDGER": None, "AIRFLOW_HOME": str(home)})
    assert f"Ledger: {home}/doeks/ledger" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--ledger", "/nowhere"), "no ledger: there is no folder /nowhere"),
        (("--ledger", "gopher://x/y"), "gopher:// is not a place for records"),
        (("--since", "yesterday"), "--since 'yesterday': expected a day such as 2026-11-01"),
        (("--by", "colour"), "'colour' is not one of"),
    ],
)
def test_wrong_arguments_are_exit_code_2(doeks, arguments, words):
    """What cannot be read is said in one line, with what was expected."""
    result = doeks(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_brackets_in_a_name_are_text(doeks, folder):
    """A dataset below `[a]`, `[/b]` or `:cat:` is shown as it is called."""
    book = Ledger(open_store(str(folder)))
    (one, *_) = book.records()
    output = Dataset(namespace="file", name="/data/[a]/[/b]/:cat:", usd=Decimal(6))
    book.write(one.model_copy(update={"lineage": Lineage(outputs=(output,)), "revision": 2}))
    result = doeks("--by", "dataset")
    assert "/data/[a]/[/b]/:cat:" in result.stdout
