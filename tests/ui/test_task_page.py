"""The page of a task instance, as values."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

from airflow_doeks.model.lineage import Lineage
from airflow_doeks.model.record import Cost, FailureCategory, JobFailure
from airflow_doeks.model.status import JobState
from airflow_doeks.ui.blocks import Chart, Facts, Notice
from airflow_doeks.ui.pages.failures import HELPS
from airflow_doeks.ui.pages.task import TaskPlace, shown_record, task_page

PLACE = TaskPlace("sales", "r1", "clean", state="failed")


def texts(table):
    """The rows of a table as text."""
    return [[cell.text for cell in row] for row in table.rows]


def notices(page):
    """Titles and lines of what a page tells in sentences."""
    return {block.title: list(block.lines) for block in page.blocks if isinstance(block, Notice)}


def facts(page, title):
    """Names and texts of the figures below a title."""
    found = next(block for block in page.blocks if isinstance(block, Facts) and block.title == title)
    return {fact.name: fact.cell.text for fact in found.facts}


def test_a_job_with_its_cost_and_its_data(record):
    """State and times, dollars by component with what is unknown, and each dataset with rows, bytes and dollars."""
    page = task_page(PLACE, [record("a")], {})
    assert facts(page, "Job") == {
        "State": "succeeded",
        "Queued for": "20.0 s",
        "Started in": "10.0 s",
        "Ran for": "1 min",
        "Submitted": "2026-11-20 12:00:00 UTC",
        "Ended": "2026-11-20 12:01:30 UTC",
        "Platform": "lake (local, spark)",
        "Billed by": "team=a",
        "Job": "local://h/a",
    }
    assert facts(page, "Cost")["Cost, USD"] == "1.50"
    assert [row[:3] for row in texts(page.table("cost"))][:2] == [["compute", "1.50", "100.0%"], ["uplift", "?", "?"]]
    assert page.table("cost").hint == "Unknown: idle. Why: idle: nobody looked."
    assert texts(page.table("data")) == [
        ["read", "s3://lake/raw", "100", "2.0 KiB", "2", "", "", "", "observed"],
        ["wrote", "s3://lake/clean", "90", "?", "?", "", "100.0%", "1.50", "observed"],
    ]
    assert texts(page.table("usage")) == [["spot", "2.00", "8.00", "0.0000"]]
    assert notices(page) == {}


def test_a_failure_stands_on_top_with_its_cause_and_what_follows(record):
    """The root cause is the first thing on the page, with what usually helps and whether Airflow tries again."""
    page = task_page(PLACE, [record("a", state=JobState.FAILED)], {})
    first = page.blocks[0]
    assert isinstance(first, Notice)
    assert (first.tone, first.title) == ("bad", "ValueError: no such month")
    assert first.lines[0] == "Category: user_code (the job's own code or SQL)."
    assert first.lines[-2:] == (
        "What usually helps: Read the root cause: a retry runs into the same.",
        "Airflow does not try it again.",
    )


def test_evidence_names_files_and_not_the_folders_of_a_worker(record):
    """Where a fact was read is told by the file's name; an address of the log's store stays whole."""
    failed = record("a", state=JobState.FAILED)
    evidence = ("root cause: /home/airflow/doeks/local/x/driver.log", "log: s3://logs/emr/driver/stderr.gz")
    page = task_page(
        PLACE, [failed.model_copy(update={"failure": failed.failure.model_copy(update={"evidence": evidence})})], {}
    )
    assert page.blocks[0].lines[1:3] == (
        "Evidence: root cause: driver.log",
        "Evidence: log: s3://logs/emr/driver/stderr.gz",
    )


def test_every_category_of_failure_has_words(record):
    """No failure is shown without what it is and what usually helps."""
    assert set(HELPS) == set(get_args(FailureCategory))
    assert all(words and help_.endswith(".") for words, help_ in HELPS.values())


def test_a_failure_of_a_category_that_a_newer_version_made_is_shown(record):
    """Its cause and its evidence stand there, and that this version has no advice."""
    failed = record("a", state=JobState.FAILED)
    newer = failed.model_copy(update={"failure": JobFailure(category="budget", message="above 5 USD")})
    first = task_page(PLACE, [newer], {}).blocks[0]
    assert first.title == "above 5 USD"
    assert first.lines[0] == "Category: budget (a category of a newer airflow_doeks)."


def test_the_newest_try_is_shown_and_all_are_listed(record):
    """A task that was tried twice shows its last job; the table holds both, and its foot the dollars of both."""
    tries = [record("b", "2", tried=2, minutes=9), record("a", "1", state=JobState.FAILED)]
    page = task_page(PLACE, tries, {})
    assert page.subtitle == "Try 2, succeeded"
    assert [row[0] for row in texts(page.table("tries"))] == ["1", "2"]
    assert [cell.text for cell in page.table("tries").total][4] == "3.00"
    earlier = task_page(PLACE, tries, {}, chosen=1)
    assert earlier.subtitle == "Try 1, failed"
    assert "A later try followed." in notices(earlier)["ValueError: no such month"]
    assert shown_record([], None) is None


def test_an_unknown_cost_is_a_question_and_says_why(record):
    """What is not known is "?", never 0, and the page says why; a running job's page loads itself again."""
    running = record("a", None, state=JobState.RUNNING).model_copy(
        update={"settled_by_try": None, "cost": Cost(unknown=("compute",), why_unknown="running"), "lineage": Lineage()}
    )
    page = task_page(PLACE, [running], {})
    assert facts(page, "Cost")["Cost, USD"] == "?"
    assert facts(page, "Job")["Ended"] == "not yet"
    assert list(notices(page)) == ["What is not known"]
    assert page.reload_seconds
    assert [cell.text for cell in page.table("tries").total][4] == "?"


def test_a_task_without_a_job_says_so():
    """A task of another operator has no record; its page says what records are for."""
    page = task_page(PLACE, [], {})
    assert list(notices(page)) == ["No job of this task is known"]


def test_minutes_of_the_detail_are_drawn_and_listed(record):
    """Dollars and executors of each minute; their table sums to the record's cost."""
    detail = {
        "minutes": [
            {"since": "2026-11-20T12:00:00+00:00", "minutes": 2, "usd_per_minute": "0.5"},
            {"since": "2026-11-20T12:03:00+00:00", "minutes": 1, "usd_per_minute": "0.5"},
        ],
        "pods": [{"role": "executor", "started": "2026-11-20T12:00:30+00:00", "ended": "2026-11-20T12:01:30+00:00"}],
        "advice": [{"message": "memory: 1Gi is enough", "evidence": ["peak 0.5 GiB"], "usd": "0.2"}],
        "columns": {"s3://lake/clean": [{"name": "day", "type": "date", "inputs": ["s3://lake/raw:at"]}]},
    }
    page = task_page(PLACE, [record("a")], detail)
    rows = page.table("minutes").rows
    assert [(row[1].text, row[2].text) for row in rows] == [
        ("0.5000", "1"),
        ("0.5000", "1"),
        ("0.00", "0"),
        ("0.5000", "0"),
    ]
    assert sum(row[1].sort for row in rows) == Decimal("1.5")
    charts = {block.key: block for block in page.blocks if isinstance(block, Chart)}
    assert list(charts["held-minutes"].series[0].y) == [1, 1, 0, 0]
    assert texts(page.table("advice")) == [["memory: 1Gi is enough", "peak 0.5 GiB", "0.2000"]]
    assert texts(page.table("columns")) == [["s3://lake/clean", "day", "date", "s3://lake/raw:at"]]


def test_links_are_addresses_and_never_paths_of_a_worker(record):
    """A URL of the platform is a link; a file on some worker's disk is not shown."""
    links = {"Spark UI": "https://spark.example/1", "Driver log": "/home/airflow/driver.log", "Evil": "javascript:1"}
    page = task_page(PLACE, [record("a")], {}, links=links)
    assert texts(page.table("links")) == [["Spark UI", "https://spark.example/1"]]
