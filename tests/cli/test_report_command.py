"""`doeks report` on a real ledger in a folder."""

import json
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
import zstandard
from click.testing import CliRunner

from airflow_doeks.cli import main
from airflow_doeks.hooks.stores import open_store
from airflow_doeks.ledger import Ledger
from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobRecord, Times, Usage
from airflow_doeks.model.status import JobState
from tests.cli.test_init import clean_environment

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
    assert [line.split("│")[8].strip() for line in lines] == ["75.0%", "25.0%", "?", ""]
    assert "1 of 3 jobs have no known cost and are not in the sum." in result.stdout


def test_json_is_the_report(doeks):
    """`--json` has the same lines with exact money, and the days since the one that was asked for."""
    data = json.loads(doeks("--by", "day", "--since", "2026-10-21", "--json").stdout)
    assert [(line["key"], line["usd"]) for line in data["lines"]] == [("2026-10-21", "2"), ("2026-10-22", None)]
    assert data["total"]["vcpu_hours"] == "2"


def test_minutes_come_from_the_detail_where_it_has_them(doeks):
    """The first job spent all in its first minute, as its detail says; the second lies evenly over its two."""
    data = json.loads(doeks("--by", "minute", "--json").stdout)
    assert [(line["key"], line["usd"] and Decimal(line["usd"])) for line in data["lines"]] == [
        ("(time unknown)", None),
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
    lines = [(line["key"], line["usd"] and Decimal(line["usd"])) for line in json.loads(result.stdout)["lines"]]
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


def test_json_and_csv_have_no_dollars_that_nobody_knows(doeks):
    """A line and a day of no known cost have null for dollars and share, and how many jobs that are."""
    lines = json.loads(doeks("--json").stdout)["lines"]
    assert [(line["key"], line["usd"], line["share"], line["unpriced"]) for line in lines[1:]] == [
        ("growth.clicks", "2", 0.25, 0),
        ("flights", None, None, 1),
    ]
    assert doeks("--csv").stdout.splitlines()[3] == "flights,1,0,1,1,2,,,,,"
    assert json.loads(doeks("--since", "2026-10-22", "--json").stdout)["total"]["usd"] is None


def test_a_line_that_is_priced_in_part_says_of_how_many_jobs(doeks):
    """The platform's three jobs cost 8 dollars as far as that is known; one of them is not in the sum."""
    rows = [line.split("│") for line in doeks("--by", "platform").stdout.splitlines() if line.startswith("│")]
    assert [[row[6].strip(), row[9].strip()] for row in rows] == [["8.00", "1"], ["8.00", "1"]]


def test_two_ranges_stand_beside_each_other(doeks):
    """`--compare` names other days; a pipeline that was not there then is new, one whose cost is unknown a question."""
    days = ("--since", "2026-10-21", "--until", "2026-10-22", "--compare", "2026-10-20..2026-10-20")
    rows = [line.split("│") for line in doeks(*days).stdout.splitlines() if line.startswith("│")]
    told = {row[1].strip(): [cell.strip() for cell in row[2:-1]] for row in rows}
    assert told == {
        "sales.orders": ["1", "0", "6.00", "0.00", "-6.00", "0.00"],
        "growth.clicks": ["0", "1", "0.00", "2.00", "+2.00", "new"],
        "flights": ["0", "1", "0.00", "?", "?", "?"],
        "Total": ["1", "2", "6.00", "2.00", "-4.00", "0.33"],
    }
    lacking = "0 of 1 jobs then and 1 of 2 jobs now have no known cost and are not in the sums."
    assert lacking in doeks(*days).stdout
    data = json.loads(doeks(*days, "--json").stdout)
    assert data["before"] == {"since": "2026-10-20", "until": "2026-10-20"}
    assert (data["total"]["usd_change"], data["total"]["unpriced"]) == ("-4", 1)


def test_previous_is_as_many_days_before(doeks):
    """Two days are compared with the two before them."""
    data = json.loads(doeks("--since", "2026-10-21", "--until", "2026-10-22", "--compare", "previous", "--json").stdout)
    assert data["before"] == {"since": "2026-10-19", "until": "2026-10-20"}
    told = json.loads(doeks("--since", "7d", "--compare", "previous", "--json").stdout)
    before, now = (
        date.fromisoformat(told[name]["until"]) - date.fromisoformat(told[name]["since"]) for name in ("before", "now")
    )
    assert before == now


def test_waits_are_told_and_what_no_job_tells_is_unknown(doeks):
    """No job here says when it was scheduled; each ran for two minutes; nobody asked Airflow for deadlines."""
    result = doeks("--sla", "--by", "team")
    (row,) = [line.split("│") for line in result.stdout.splitlines() if line.startswith("│")]
    assert [cell.strip() for cell in row[1:-1]] == ["sales", "3", "0", "?", "?", "?", "?", "2 min", "2 min"]
    assert "Not known, and in no figure: queue of 3, start of 3 of 3 jobs." in result.stdout
    assert "Missed deadlines are not known: deadlines are kept by Airflow: give --airflow" in result.stdout
    data = json.loads(doeks("--sla", "--by", "team", "--json").stdout)
    assert data["missed_deadlines"] is None
    assert data["lines"][0]["unknown"] == {"queue": 3, "start": 3}


@pytest.fixture
def mart(doeks, folder):
    """The first job read of the second what a third reader shares."""
    book = Ledger(open_store(str(folder)))
    one, two, three = sorted(book.records(), key=lambda record: record.record_id)

    def wrote(record, name, usd, **read):
        inputs = tuple(Dataset(namespace="file", name=name, bytes=size) for name, size in read.items())
        outputs = (Dataset(namespace="file", name=name, usd=usd),)
        lineage = Lineage(inputs=inputs, outputs=outputs, complete=True)
        book.write(record.model_copy(update={"lineage": lineage}))

    wrote(two, "=raw", Decimal(2))
    wrote(one, "mart", Decimal(6), **{"=raw": 75})
    wrote(three, "other", None, **{"=raw": 25})
    return doeks


def test_a_dataset_is_told_with_everything_upstream(mart):
    """The mart cost 6 itself and three quarters of the raw data's 2."""
    result = mart("--upstream", "mart")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines() if line[0] == "│"]
    assert rows == [
        ["mart", "6.00", "100.0%", "6.00"],
        ["=raw", "2.00", "75.0%", "1.50"],
        ["Total", "", "", "7.50"],
    ]
    data = json.loads(mart("--upstream", "mart", "--json").stdout)
    assert Decimal(data["usd"]) == Decimal("7.5")
    assert [Decimal(one["usd_share"]) for one in data["sources"]] == [6, Decimal("1.5")]


def test_all_datasets_as_csv_with_names_that_no_spreadsheet_runs(mart):
    """`--upstream` alone lists each dataset; dollars have all their digits, what is unknown is empty."""
    lines = mart("--upstream", "--csv").stdout.splitlines()
    assert lines[0] == "dataset,usd_own,usd,unknown"
    assert lines[1] == "mart,6,7.5000000000,"
    assert lines[2] == "'=raw,2,2.0000000000,"
    assert lines[3].startswith("other,,0.5000000000,other: 1 of 1 writes have no known cost")


def test_csv_has_every_line_of_the_report(doeks):
    """A head of names, a line a pipeline, exact numbers; what is unknown is empty."""
    lines = doeks("--csv").stdout.splitlines()
    assert lines[0] == (
        "key,jobs,failed,unpriced,vcpu_hours,memory_gib_hours,usd,usd_waste,share,estimate_usd,usd_of_estimated"
    )
    assert lines[1] == "sales.orders,1,0,0,1,2,6,,0.75,,"


def test_estimates_stand_beside_what_jobs_cost(doeks, folder):
    """One of two priced jobs was estimated, at 4.5 where it cost 6; one without an estimate has no part in it."""
    book = Ledger(open_store(str(folder)))
    (one,) = [record for record in book.records() if record.attempt.dag_id == "sales.orders"]
    book.write(one.model_copy(update={"cost": one.cost.model_copy(update={"estimate_usd": Decimal("4.5")})}))
    rows = [line.split("│") for line in doeks().stdout.splitlines() if line.startswith("│")]
    assert [row[9].strip() for row in rows] == ["0.75", "?", "?", "0.75"]


def test_the_page_goes_to_standard_output(doeks, tmp_path, monkeypatch):
    """`--html -` prints the page and nothing beside it; there is no file of that name afterwards."""
    monkeypatch.chdir(tmp_path)
    result = doeks("--html", "-")
    assert result.exit_code == 0, result.output
    assert result.stdout.lower().startswith("<!doctype html>")
    assert result.stdout.rstrip().endswith("</html>")
    assert not (tmp_path / "-").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--html", "-", "--json"), "--json and --html -: give one of them"),
        (("--sla", "--upstream", "x"), "--sla and --upstream are different questions"),
        (("--csv", "--json"), "--csv and --json: give one of them"),
        (("--sla", "--by", "dataset"), "--sla counts whole jobs: --by dataset splits them; give one of team"),
        (("--airflow",), "--airflow belongs to --sla"),
        (("--compare", "previous"), "--compare previous: give --since"),
        (("--compare", "october"), "--compare 'october': expected two days such as 2026-10-01..2026-10-31"),
        (("--until", "x"), "--until 'x': expected a day"),
        (("--since", "2026-11-02", "--until", "2026-11-01"), "2026-11-02 is after 2026-11-01"),
        (("--compare", "2026-11-02..2026-11-01"), "--compare: 2026-11-02 is after 2026-11-01"),
    ],
)
def test_questions_that_do_not_fit_are_exit_code_2(doeks, arguments, words):
    """Two questions at once, or half of one."""
    result = doeks(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr


@pytest.mark.airflow
def test_a_bucket_without_credentials_is_one_line(tmp_path):
    """What is wrong with the ledger that was asked for; nothing of how Airflow searched, no name of ours below it."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("doeks")), "report", "--ledger", "s3://acme/ledger/"],
        env={name: value for name, value in clean_environment().items() if not name.startswith("AWS_")}
        | {name: str(tmp_path / "none") for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")}
        | {"AWS_EC2_METADATA_DISABLED": "true", "AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    usage, line = done.stderr.split("\n\n")
    assert usage.startswith("Usage: doeks report")
    assert line == "Error: the ledger s3://acme/ledger/ cannot be read: Unable to locate credentials\n"


def test_datasets_that_a_record_had_no_room_for_are_read_in_its_detail(doeks, folder):
    """Whether its day was compacted or not, what each dataset cost is told."""
    book = Ledger(open_store(str(folder)))
    (one,) = (found for found in book.records() if found.cost.usd_total == 2)
    outputs = [{"namespace": "s3://lake", "name": name, "usd": "1"} for name in ("a", "b")]
    book.write(
        one.model_copy(update={"lineage": Lineage(truncated=True, complete=True), "detail": "there"}),
        {"lineage": {"outputs": outputs, "complete": True}},
    )
    lines = json.loads(doeks("--by", "dataset", "--json").stdout)["lines"]
    assert {line["key"]: line["usd"] for line in lines if "s3" in line["key"]} == {
        "s3://lake/a": "1",
        "s3://lake/b": "1",
    }
    told = json.loads(doeks("--upstream", "s3://lake/a", "--json").stdout)
    assert (told["usd"], told["unknown"]) == ("1.0000000000", [])
    assert "s3://lake/a" in doeks("--html", "-").stdout
