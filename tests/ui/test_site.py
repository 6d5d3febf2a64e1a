"""From a URL to a page: what is asked for, what may be seen, and what is said where nothing can be shown."""

from __future__ import annotations

import json
import re
import threading
from datetime import timedelta

import pytest

from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.ledger import Ledger
from airflow_doeks.ledger.changes import Changes
from airflow_doeks.lifecycle.records import record_id
from airflow_doeks.model.status import JobState
from airflow_doeks.report.shelf import Shelf
from airflow_doeks.ui.pages.airflow_facts import Announced, RunTimes, TaskTimes
from airflow_doeks.ui.site import Site
from tests.ui.conftest import NOON


class Metadata:
    """Airflow's words on one run of one task."""

    def run_times(self, dag_id, run_id):
        return RunTimes(run_id, "success", NOON, NOON + timedelta(minutes=9)) if run_id == "r1" else None

    def runs_before(self, dag_id, started, count):
        return []

    def tries_of(self, dag_id, run_id):
        return [TaskTimes("clean", -1, 1, "success", NOON, NOON + timedelta(minutes=9))] if run_id == "r1" else []

    def announced(self, dag_id, run_id):
        return {("clean", -1): Announced({"Spark UI": "https://spark.example/1"}, "sales.yaml:7:3")}

    def missed_deadlines(self, dag_id, since, until):
        return None


@pytest.fixture
def ledger(tmp_path):
    """An empty ledger."""
    return Ledger(LocalStore(tmp_path))


@pytest.fixture
def site(ledger):
    """The pages over it, on the afternoon of the records."""
    shelf = Shelf(Changes(ledger.store), today=NOON.date)
    return Site(ledger, shelf, Metadata(), now=lambda: NOON)


def everything(dag_ids):
    """The rights of an administrator."""
    return dag_ids


TASK = {"dag_id": "sales", "run_id": "r1", "task_id": "clean"}


def test_each_page_of_one_record(site, ledger, record):
    """The record's dollars stand on every page that it belongs to."""
    ledger.write(record("a", "1.2345"))
    pages = {"task": TASK, "run": TASK, "dag": TASK, "costs": {}, "dataset": {"name": "s3://lake/clean"}}
    for name, query in pages.items():
        answer = site.answer(name, query, everything)
        assert (answer.status, "1.23" in answer.body) == (200, True), name
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_a_task_that_is_not_mapped_has_no_map_index(site, ledger, record):
    """Airflow leaves {MAP_INDEX} as it stands where there is none."""
    ledger.write(record("a"))
    assert "1.50" in site.answer("task", TASK | {"map_index": "{MAP_INDEX}"}, everything).body
    assert "No job of this task" in site.answer("task", TASK | {"map_index": "3"}, everything).body


def test_lists_hold_only_dags_that_the_person_may_read(site, ledger, record):
    """Neither dollars nor names of another's DAG reach a page or a CSV file."""
    ledger.write(record("a", "1.25"))
    ledger.write(record("b", "4.75", dag="secret_dag", task="secret_task"))
    for name, query in (("costs", {}), ("dataset", {"name": "s3://lake/clean"})):
        for more in ({}, {"csv": "pipelines"}, {"csv": "writers"}):
            answer = site.answer(name, query | more, lambda dag_ids: dag_ids & {"sales"})
            assert ("secret" in answer.body, "4.75" in answer.body, "6.00" in answer.body) == (False,) * 3
    assert "6.00" in site.answer("costs", {}, everything).body
    assert "1.25" not in site.answer("costs", {}, lambda _: set()).body


def test_a_page_that_is_kept_is_made_anew_for_a_new_record(ledger, record):
    """Data costs are added up once; the next record and another person's rights give another page."""
    now = [0.0]
    site = Site(
        ledger, Shelf(Changes(ledger.store), clock=lambda: now[0], today=NOON.date), Metadata(), now=lambda: NOON
    )
    ledger.write(record("a", "1.25"))
    first, again = (site.answer("costs", {}, everything).body for _ in range(2))
    assert first == again
    assert "1.25" not in site.answer("costs", {}, lambda _: set()).body
    ledger.write(record("b", "4.75"))
    now[0] += 3
    assert "6.00" in site.answer("costs", {}, everything).body


def test_filters_stand_in_the_url(site, ledger, record):
    """A day, a team, a pipeline and a platform choose; what is no day is refused with words."""
    ledger.write(record("a", "1.25"))
    ledger.write(record("b", "4.75", dag="growth", cost_tags={"team": "b"}))
    assert "6.00" in site.answer("costs", {"since": "2026-11-20", "until": "2026-11-20"}, everything).body
    assert "6.00" not in site.answer("costs", {"team": "b"}, everything).body
    assert "No job in this time" in site.answer("costs", {"until": "2026-11-19"}, everything).body
    for query, words in (
        ({"since": "yesterday"}, "since=yesterday: expected a day such as 2026-11-20"),
        ({"since": "2026-11-21", "until": "2026-11-20"}, "the first day first"),
        ({"since": "1990-01-01"}, "expected a time of 1 to 400 days"),
    ):
        answer = site.answer("costs", query, everything)
        assert (answer.status, words in answer.body) == (400, True)


def test_an_address_that_lacks_something_says_what(site):
    """A page opened without its run or task names what is missing."""
    answer = site.answer("task", {"dag_id": "sales"}, everything)
    assert answer.status == 400
    assert "the address lacks run_id and task_id" in answer.body


@pytest.mark.parametrize(
    "query",
    [
        {"since": "0001-01-01", "until": "0001-01-01"},
        {"until": "0001-01-01"},
        {"until": "9999-12-31"},
        {"run_id": "manual__0001-01-01"},
        {"run_id": "manual__9999-12-31"},
        {
            "map_index": "9" * 5000,
            "try_number": "9" * 5000,
            "tries.page": "9" * 5000,
            "tries.order": "9" * 5000 + "-up",
        },
        {"map_index": "\u00b2"},
    ],
)
def test_no_number_or_day_of_an_address_breaks_a_page(site, ledger, record, query):
    """Days at the ends of the calendar and endless numbers are answered with a page."""
    ledger.write(record("a", "1.25"))
    for name in ("task", "run", "dag", "costs"):
        assert site.answer(name, TASK | query, everything).status in {200, 400}, name


def test_what_the_bill_said_stands_beside_the_cost(site, ledger, record):
    """Once the bill is in the ledger, the task's page has its dollars and by how much the record was off."""
    ledger.write(record("a", "1.50"))
    assert "On the bill" not in site.answer("task", TASK, everything).body
    ledger.store.write("v1/submitted=2026-11-20/a.actual.json", b'{"usd_total": "1.25"}')
    body = site.answer("task", TASK, everything).body
    assert "The record was off by +20.0%." in body


def test_a_table_is_a_csv_file(site, ledger, record):
    """`csv=<table>` gives all of it under a name of its own; a table that is not there is a 404."""
    ledger.write(record("a", "1.2345"))
    answer = site.answer("costs", {"csv": "pipelines"}, everything)
    assert answer.media_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="costs-pipelines.csv"'
    assert answer.body.splitlines()[1] == "sales,1.2345,1.0,,1,0,0,90,2"
    assert site.answer("costs", {"csv": "../etc"}, everything).status == 404


def test_an_empty_ledger_gives_pages_that_say_so(site):
    """Before the first job, every page is there and says that nothing is known."""
    assert "No job in this time" in site.answer("costs", {}, everything).body
    assert "No job of this task is known" in site.answer("task", TASK, everything).body


def test_a_ledger_that_is_away_gives_pages_that_say_so(site, ledger, monkeypatch):
    """The page tells it instead of showing zeros; the address of the ledger is not in it."""

    def away(_prefix):
        raise PermissionError(ledger.store.url)

    monkeypatch.setattr(ledger.store, "stamped", away)
    body = site.answer("costs", {}, everything).body
    assert "The ledger cannot be read" in body
    assert ledger.store.url not in body


def test_a_run_that_airflow_has_forgotten_is_found_by_its_id(site, ledger, record):
    """A deleted run's id names its day, and its record is still in the ledger."""
    run = "scheduled__2026-11-20T00:00:00+00:00"
    ledger.write(record("a", "1.25", run=run))
    assert "1.25" in site.answer("run", {"dag_id": "sales", "run_id": run}, everything).body


def test_the_newest_job_is_shown_before_the_ledger_is_read(ledger, record, monkeypatch):
    """Right after a start the pages of a task and of its run have its dollars, and say that more is being read."""
    ref, go_on = "local://h/j", threading.Event()

    class Telling(Metadata):
        def announced(self, dag_id, run_id):
            return {("clean", -1): Announced(ref=ref, submitted=NOON)}

    ledger.write(record(record_id(ref, ""), "1.25"))
    listed = ledger.store.stamped
    monkeypatch.setattr(ledger.store, "stamped", lambda prefix: go_on.wait(60) and listed(prefix))
    site = Site(ledger, Shelf(Changes(ledger.store), today=NOON.date), Telling(), now=lambda: NOON)
    try:
        for name in ("task", "run"):
            body = site.answer(name, TASK, everything).body
            assert ("1.25" in body, "still being read" in body) == (True, True), name
    finally:
        go_on.set()


def test_an_xcom_shows_no_job_of_another_dag(ledger, record):
    """Any task may write the XCom that names its job: a record of a DAG that the person may not read stays away."""
    ref = "local://h/j"

    class Telling(Metadata):
        def announced(self, dag_id, run_id):
            return {("clean", -1): Announced(ref=ref, submitted=NOON)}

    ledger.write(record(record_id(ref, ""), "1.25", dag="payroll"))
    site = Site(ledger, Shelf(Changes(ledger.store), today=NOON.date), Telling(), now=lambda: NOON)
    for name in ("task", "run"):
        assert "1.25" not in site.answer(name, TASK, everything).body, name


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("cost", "usd_total"), "1e300"),
        (("cost", "usd_waste"), "1E+999999"),
        (("usage", "vcpu_seconds"), "1E+999999"),
        (("lineage", "outputs", 0, "rows"), 10**400),
        (("lineage", "outputs", 0, "bytes"), 10**400),
        (("lineage", "outputs", 0, "usd"), "1e300"),
        (("times", "submitted"), "0001-01-01T00:00:00+00:00"),
        (("times", "submitted"), "0001-01-01T00:00:00+14:00"),
        (("times", "ended"), "9999-12-31T23:59:59-14:00"),
        (("times", "submitted"), "9999-12-31T23:59:59+00:00"),
        (("times", "started"), "2026-11-20T12:00:00"),
    ],
)
def test_a_value_that_nobody_can_mean_breaks_no_page(site, ledger, record, path, value):
    """Whoever wrote such a record, pages of the other one are there, and no larger than they were."""
    ledger.write(record("b", "2.71"))
    plain = json.loads(record("a").model_dump_json())
    *steps, last = path
    inner = plain
    for step in steps:
        inner = inner[step]
    inner[last] = value
    ledger.store.write("v1/submitted=2026-11-20/a.json", json.dumps(plain).encode())
    pages = {"task": TASK, "run": TASK, "dag": TASK, "costs": {}, "dataset": {"name": "s3://lake/clean"}}
    for name, query in pages.items():
        answer = site.answer(name, query, everything)
        assert (answer.status, len(answer.body) < 500_000) == (200, True), name
    assert "2.71" in site.answer("task", TASK, everything).body


def test_a_moment_of_an_xcom_that_is_on_no_calendar_breaks_no_page(ledger, record):
    """What a task announces is whatever it wrote there."""

    class Announcing(Metadata):
        def announced(self, dag_id, run_id):
            told = {"ref": "local://h/a", "submitted": "0001-01-01T00:00:00+14:00"}
            return {("clean", -1): Announced.from_json(told)}

    ledger.write(record("a", "2.71"))
    site = Site(ledger, Shelf(Changes(ledger.store), today=NOON.date), Announcing(), now=lambda: NOON)
    assert "2.71" in site.answer("task", TASK, everything).body


@pytest.mark.parametrize(
    ("detail", "is_told"),
    [
        ({"advice": None}, True),
        ({"advice": ["x"]}, True),
        ({"columns": {"a": 1}}, True),
        ({"jobs": 7}, True),
        ({"minutes": [{}]}, True),
        ({"minutes": "x", "columns": None, "advice": {"a": 1}}, True),
        ({"log_tail": 7}, False),
        ({"what_a_newer_version_says": 7}, False),
    ],
)
def test_a_detail_of_another_shape_leaves_the_record_on_its_page(site, ledger, record, detail, is_told):
    """Dollars and the failure are the record's; a part that cannot be read is told in its place."""
    ledger.write(record("a", "2.71", state=JobState.FAILED, detail="there"), detail)
    body = site.answer("task", TASK, everything).body
    assert {"2.71", "no such month"} <= set(re.findall(r"2\.71|no such month", body))
    assert ("A part of this job&#39;s detail cannot be shown" in body) is is_told


@pytest.mark.parametrize("jobs", [7, "x", [7], [{"records_in": "x", "records_out": [1], "duration_ms": 1}], {"a": 1}])
def test_a_day_of_a_stream_is_shown_whatever_its_jobs_say(site, ledger, record, jobs):
    """The rates of its dollars come from the detail: they are unknown where that has another shape."""
    ledger.write(record("a", "2.71", window=NOON.date(), detail="there"), {"jobs": jobs})
    answer = site.answer("task", TASK, everything)
    assert (answer.status, "2.71" in answer.body) == (200, True)


@pytest.mark.parametrize("bill", [{"usd_total": "much"}, {"usd_total": "NaN"}, {"usd_total": "1", "error": "none"}])
def test_a_bill_that_nobody_can_mean_breaks_no_page(site, ledger, record, bill):
    """The record's own dollars are on its page."""
    written = ledger.write(record("a", "2.71"))
    ledger.write_bill(written, bill)
    answer = site.answer("task", TASK, everything)
    assert (answer.status, "2.71" in answer.body) == (200, True)
