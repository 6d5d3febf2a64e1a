"""The page of a task instance, as values."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

from airflow_doeks.model.lineage import Lineage
from airflow_doeks.model.record import Cost, FailureCategory, JobFailure
from airflow_doeks.model.status import JobState
from airflow_doeks.ui.blocks import Chart, Facts, Notice
from airflow_doeks.ui.pages.airflow_facts import Announced
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
        "YAML": "not said",
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
    page = task_page(PLACE, [record("a", state=JobState.FAILED)], {"log_tail": ["boom"]})
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
    newer = failed.model_copy(update={"failure": JobFailure(category="weather", message="above 5 USD")})
    first = task_page(PLACE, [newer], {}).blocks[0]
    assert first.title == "above 5 USD"
    assert first.lines[0] == "Category: weather (a category of a newer airflow_doeks)."


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
    """Dollars, executors, vCPUs held and busy of each minute; their table sums to the record's cost."""
    detail = {
        "minutes": [
            {"since": "2026-11-20T12:00:00+00:00", "minutes": 2, "usd_per_minute": "0.5"},
            {"since": "2026-11-20T12:03:00+00:00", "minutes": 1, "usd_per_minute": "0.5"},
        ],
        "pods": [
            {"role": "driver", "vcpu": "1", "started": "2026-11-20T12:00:00+00:00"},
            {
                "role": "executor",
                "vcpu": "4",
                "started": "2026-11-20T12:00:30+00:00",
                "ended": "2026-11-20T12:01:30+00:00",
            },
        ],
        "stages": [  # 90 s of slots in 45 s: two of them busy; a stage that did not complete has no times
            {"started": "2026-11-20T12:00:30+00:00", "ended": "2026-11-20T12:01:15+00:00", "slot_ms": 90_000},
            {"started": None, "ended": None, "slot_ms": 7_000},
        ],
        "spark": {"cores_per_task": "1"},
        "advice": [{"message": "memory: 1Gi is enough", "evidence": ["peak 0.5 GiB"], "usd": "0.2"}],
        "columns": {"s3://lake/clean": [{"name": "day", "type": "date", "inputs": ["s3://lake/raw:at"]}]},
    }
    page = task_page(PLACE, [record("a")], detail)
    rows = page.table("minutes").rows
    assert [tuple(cell.text for cell in row[1:]) for row in rows] == [
        ("0.5000", "1", "2.00", "1.00"),
        ("0.5000", "1", "2.00", "0.50"),
        ("0.00", "0", "0.00", "0.00"),
        ("0.5000", "0", "0.00", "0.00"),
    ]
    assert sum(row[1].sort for row in rows) == Decimal("1.5")
    charts = {block.key: block for block in page.blocks if isinstance(block, Chart)}
    assert [list(series.y) for series in charts["cpu-minutes"].series] == [[2, 2, 0, 0], [1, 0.5, 0, 0]]
    assert texts(page.table("advice")) == [["memory: 1Gi is enough", "peak 0.5 GiB", "0.2000"]]
    assert texts(page.table("columns")) == [["s3://lake/clean", "day", "date", "s3://lake/raw:at"]]


def test_what_a_detail_does_not_tell_of_a_minute_is_unknown(record):
    """An older detail has no stages, and one without executors is of one process: its driver holds the vCPUs."""
    detail = {
        "minutes": [{"since": "2026-11-20T12:00:00+00:00", "minutes": 1, "usd_per_minute": "0.5"}],
        "pods": [{"role": "driver", "vcpu": "2", "started": "2026-11-20T12:00:00+00:00"}],
    }
    assert texts(task_page(PLACE, [record("a")], detail).table("minutes"))[0][2:] == ["?", "2.00", "?"]
    unsized = {**detail, "pods": [{"role": "driver", "started": "2026-11-20T12:00:00+00:00"}]}
    assert texts(task_page(PLACE, [record("a")], unsized).table("minutes"))[0][2:] == ["?", "?", "?"]


def test_the_end_of_the_log_stands_below_the_cause(record):
    """The last lines of the driver's log, without folders of a worker; where none was kept the page says so."""
    failed = record("a", state=JobState.FAILED)
    lines = [f"line {number}" for number in range(99)] + ['File "/home/airflow/jobs/clean.py", line 7, in <module>']
    lines[-2] = "Stopping the writer of file:/home/airflow/doeks/log and file:///tmp/x/y, not of s3://logs/emr/z"
    first = task_page(PLACE, [failed], {"log_tail": lines}).blocks[0]
    assert (len(first.log), first.log[-2:]) == (
        60,
        ("Stopping the writer of log and y, not of s3://logs/emr/z", 'File "clean.py", line 7, in <module>'),
    )
    assert task_page(PLACE, [failed], {}).blocks[0].lines[-1].startswith("The end of the driver's log was not kept")


def test_the_task_in_its_yaml(record):
    """File and line of the task, a link where the settings say where the file can be read."""
    told = Announced(source="flows/daily orders.yaml:7:3")
    assert facts(task_page(PLACE, [record("a")], {}, told), "Job")["YAML"] == "flows/daily orders.yaml:7:3"
    page = task_page(PLACE, [record("a")], {}, told, source_url="https://git.example/x/{file}#L{line}")
    yaml = next(
        fact.cell for block in page.blocks if isinstance(block, Facts) for fact in block.facts if fact.name == "YAML"
    )
    assert yaml.href == "https://git.example/x/flows/daily%20orders.yaml#L7"
    evil = task_page(PLACE, [record("a")], {}, told, source_url="javascript:{file}")
    assert not [fact for block in evil.blocks if isinstance(block, Facts) for fact in block.facts if fact.cell.href]


def test_a_cost_stands_beside_its_estimate_and_its_budget(record):
    """What was expected and what was allowed; neither is 0 where it was not set."""
    plain = record("a", "1.5")
    priced = plain.model_copy(update={"cost": plain.cost.model_copy(update={"estimate_usd": Decimal("1.2")})})
    shown = facts(task_page(PLACE, [priced], {}, Announced(budget_usd=Decimal(1))), "Cost")
    assert (shown["Estimate, USD"], shown["Budget, USD"]) == ("1.20", "1.00")
    shown = facts(task_page(PLACE, [plain], {}), "Cost")
    assert (shown["Estimate, USD"], shown["Budget, USD"]) == ("?", "none")


def test_a_running_job_that_nears_a_budget_says_so(record):
    """As its worker was told; no longer once it is settled."""
    told = Announced(budget_told="budget_usd of 5 USD (4.1000 USD so far)")
    running = record("a", settled_by_try=None)
    titles = [getattr(block, "title", "") for block in task_page(PLACE, [running], {}, told).blocks]
    assert titles[0] == "A budget is nearly used up"
    settled = [getattr(block, "title", "") for block in task_page(PLACE, [record("a")], {}, told).blocks]
    assert "A budget is nearly used up" not in settled


def test_links_are_addresses_and_never_paths_of_a_worker(record):
    """A URL of the platform is a link; a file on some worker's disk is not shown."""
    links = {"Spark UI": "https://spark.example/1", "Driver log": "/home/airflow/driver.log", "Evil": "javascript:1"}
    page = task_page(PLACE, [record("a")], {}, Announced(links))
    assert texts(page.table("links")) == [["Spark UI", "https://spark.example/1"]]


def test_the_engines_own_jobs_stand_below_the_data(record):
    """Checkpoints, restarts, records and lag as its manager told them; what it did not tell is unknown, not 0."""
    job = {"name": "clicks", "state": "RUNNING", "duration_ms": 7_200_000, "restarts": 1, "checkpoints": 120}
    job |= {"checkpoint_ms": 120, "checkpoint_bytes": 4096, "records_in": 5000, "seen": "2026-11-20T00:10:00+00:00"}
    page = task_page(PLACE, [record("a")], {"jobs": [job]})
    (row,) = texts(page.table("inner"))
    assert row == ["clicks", "running", "2 h", "1", "120", "0.1 s", "4.0 KiB", "5,000", "?", "?", "?"]
    assert page.table("inner").hint == "As its manager told at 2026-11-20 00:10:00 UTC."
    cost = facts(page, "Cost")
    assert (cost["USD per hour"], cost["USD per million records in"]) == ("90.00", "15,000.00")
    assert task_page(PLACE, [record("a")], {}).table("inner") is None
