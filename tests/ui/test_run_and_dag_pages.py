"""The pages of a run and of a DAG, as values."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from airflow_doeks.model.record import JobFailure
from airflow_doeks.model.status import JobState
from airflow_doeks.report.entry import entry_of
from airflow_doeks.ui.blocks import Chart, Facts
from airflow_doeks.ui.pages.airflow_facts import Announced, Missed, RunTimes, TaskTimes
from airflow_doeks.ui.pages.dag import dag_page
from airflow_doeks.ui.pages.run import run_page
from tests.ui.conftest import NOON
from tests.ui.test_task_page import facts, notices, texts


def at(minutes):
    """A moment after noon."""
    return NOON + timedelta(minutes=minutes)


def charts(page):
    """The charts of a page by key."""
    return {block.key: block for block in page.blocks if isinstance(block, Chart)}


def test_a_run_counts_all_tries_of_all_tasks(record):
    """The run's dollars are those of every job it submitted, of tries that failed, too."""
    entries = [
        entry_of(record("a", "1", state=JobState.FAILED)),
        entry_of(record("b", "2", tried=2, minutes=2)),
        entry_of(record("c", "4", task="load", minutes=4)),
    ]
    tries = [
        TaskTimes("clean", -1, 1, "failed", at(0), at(1.6)),
        TaskTimes("clean", -1, 2, "success", at(2), at(3.6)),
        TaskTimes("load", -1, 1, "success", at(4), at(5.6)),
        TaskTimes("notify", -1, 1, "success", at(6), at(6.1)),
    ]
    page = run_page("sales", RunTimes("r1", "success", at(0), at(7)), tries, entries, ())
    assert facts(page, "This run")["Cost, USD"] == "7.00"
    assert facts(page, "This run")["of which waste, USD"] == "1.00"
    assert [(row[0], row[1], row[8], row[2]) for row in texts(page.table("tasks"))] == [
        ("clean", "succeeded", "2", "3.00"),
        ("load", "succeeded", "1", "4.00"),
        ("notify", "success", "", ""),
    ]
    assert notices(page)["Jobs failed in clean"]
    phases = texts(page.table("phases"))
    assert [row[1] for row in phases if row[0] == "load"] == ["queued", "starting", "running", "settling"]
    assert [row[1] for row in phases if row[0] == "notify"] == ["task"]
    timeline = charts(page)["timeline"]
    assert [series.name for series in timeline.series] == ["queued", "starting", "running", "settling", "task"]
    assert list(timeline.series[0].y) == ["clean", "clean", "load"]


def test_a_run_stands_beside_those_before_it(record):
    """Its total against earlier runs; a run that nobody has a record of has no bar, not a bar of 0."""
    runs = [RunTimes(f"r{number}", "success", at(60 * number), at(60 * number + 9)) for number in range(3)]
    history = [(runs[0], [entry_of(record("a", "1"))]), (runs[1], []), (runs[2], [entry_of(record("c", "3"))])]
    page = run_page("sales", runs[2], [], history[2][1], history)
    assert list(charts(page)["history-usd"].series[0].y) == [1, None, 3]
    assert [row[-1] for row in texts(page.table("history"))] == ["3.00", "?", "1.00"]


def test_where_cost_jumped_the_page_says_what_changed(record):
    """A job at half as much again as the one before, and the rows, the code and the time that changed with it."""
    before, after = record("a", "1"), record("b", "2", run="r2", minutes=60, spec_hash="b" * 64)
    more = after.lineage.model_copy(
        update={"inputs": tuple(data.model_copy(update={"rows": 300}) for data in after.lineage.inputs)}
    )
    page = dag_page("sales", [entry_of(before), entry_of(after.model_copy(update={"lineage": more}))])
    assert texts(page.table("jumps")) == [
        [
            "clean",
            "2026-11-20 13:00:00 UTC",
            "1.00",
            "2.00",
            "what was submitted (code, arguments or configuration); rows read: 100 to 300",
        ]
    ]
    assert [series.name for series in charts(page)["usd-runs"].series] == ["clean"]
    assert [float(usd) for usd in charts(page)["usd-runs"].series[0].y] == [1, 2]


def test_waits_are_percentiles_of_what_is_known(record):
    """p50 and p95 of queue, start and run; a job that has not started adds nothing."""
    page = dag_page("sales", [entry_of(record("a")), entry_of(record("b", minutes=9))])
    assert texts(page.table("waits")) == [["clean", "2", "0", "20.0 s", "20.0 s", "10.0 s", "10.0 s", "1 min", "1 min"]]


def test_a_run_stands_beside_its_estimate_and_its_budget(record):
    """Sums of what its tasks were estimated and may cost, with how many have none; unknown where none has."""
    priced = record("a", "3")
    priced = priced.model_copy(update={"cost": priced.cost.model_copy(update={"estimate_usd": Decimal("1.2")})})
    entries = [entry_of(priced), entry_of(record("b", "4", task="load"))]
    run = RunTimes("r1", "success", at(0), at(7))
    told = {("clean", -1): Announced(budget_usd=Decimal(5)), ("load", -1): Announced(budget_usd=Decimal(1))}
    shown = next(
        block for block in run_page("sales", run, [], entries, (), announced=told).blocks if isinstance(block, Facts)
    )
    found = {fact.name: fact for fact in shown.facts}
    assert (found["Estimate, USD"].cell.text, found["Estimate, USD"].hint[:6]) == ("1.20", "1 of 2")
    assert (found["Budget, USD"].cell.text, found["Budget, USD"].cell.tone) == ("6.00", "bad")
    shown = facts(run_page("sales", run, [], entries[1:], ()), "This run")
    assert (shown["Estimate, USD"], shown["Budget, USD"]) == ("?", "none")


def test_missed_deadlines_are_listed_and_jobs_out_of_time_counted(record):
    """How late each run was; an Airflow that knows no deadlines has none to show, and says that it cannot know."""
    failed = record("b", minutes=9, state=JobState.FAILED)
    late = failed.model_copy(update={"failure": JobFailure(category="timeout", message="run_timeout of 1 h")})
    missed = [Missed("r2", at(60), None), Missed("r1", at(0), at(5))]
    page = dag_page("sales", [entry_of(record("a")), entry_of(late)], (), missed)
    assert [(row[0], row[2][:7], row[3]) for row in texts(page.table("misses"))] == [
        ("r2", "not yet", "?"),
        ("r1", "2026-11", "5 min"),
    ]
    assert texts(page.table("waits"))[0][1:3] == ["2", "1"]
    assert "not known" in dag_page("sales", [], (), None).table("misses").empty
