"""Data costs and the page of one dataset, as values."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.record import Cost
from airflow_doeks.model.status import JobState
from airflow_doeks.report.entry import entry_of
from airflow_doeks.ui.blocks import Chart
from airflow_doeks.ui.pages.costs import Filters, costs_page, is_graviton
from airflow_doeks.ui.pages.dataset import dataset_page
from tests.ui.test_task_page import facts, texts

WEEK = Filters(date(2026, 11, 14), date(2026, 11, 20))


def lineage(reads, **writes):
    """Lineage of datasets by short names, written ones with their dollars."""
    return Lineage(
        inputs=tuple(Dataset(namespace="s3://lake", name=name, rows=10) for name in reads),
        outputs=tuple(
            Dataset(namespace="s3://lake", name=name, rows=10, usd=Decimal(usd)) for name, usd in writes.items()
        ),
        complete=True,
    )


@pytest.fixture
def entries(record):
    """Raw data cleaned by one DAG and joined by another, which also failed once."""
    return [
        entry_of(record("a", "6", lineage=lineage(["raw"], clean=5))),
        entry_of(record("b", "3", dag="growth", minutes=5, lineage=lineage(["clean"], joined=3))),
        entry_of(record("c", "1", dag="growth", minutes=9, state=JobState.FAILED, lineage=lineage([]))),
    ]


def test_every_table_sums_to_the_same_dollars(entries):
    """Datasets with what none claims, pipelines, teams and platforms: each foot is the whole, each row its part."""
    page = costs_page(entries, WEEK)
    assert facts(page, "In this time")["Cost, USD"] == "10.00"
    for key in ("datasets", "pipelines", "teams", "platforms"):
        table = page.table(key)
        assert sum(row[1].sort for row in table.rows) == table.total[1].sort == 10, key
    assert [(row[0], row[1], row[2]) for row in texts(page.table("datasets"))] == [
        ("s3://lake/clean", "5.00", "50.0%"),
        ("s3://lake/joined", "3.00", "30.0%"),
        ("(no dataset)", "2.00", "20.0%"),
    ]


def test_filters_leave_out_what_was_not_asked_for(entries):
    """A pipeline chosen in the form counts alone; the lists still offer the others."""
    page = costs_page(entries, Filters(WEEK.since, WEEK.until, pipeline="growth"))
    assert facts(page, "In this time")["Cost, USD"] == "4.00"
    chosen = next(choice for choice in page.choices if choice.name == "pipeline")
    assert (chosen.value, chosen.options) == ("growth", ("", "growth", "sales"))


def test_shares_of_a_step_are_of_that_step(entries):
    """The share chart sums to 100 % in each step; a short time is shown by hour, a longer one by day."""
    page = costs_page(entries, WEEK)
    chart = next(block for block in page.blocks if isinstance(block, Chart) and block.key == "share-datasets")
    assert sum(series.y[0] for series in chart.series) == 100
    assert chart.series[0].x == ["2026-11-20"]
    assert Filters(WEEK.until, WEEK.until).hours == 1


def test_a_dataset_costs_itself_and_everything_upstream(entries):
    """Its part of the jobs that wrote it, and with all it was made from; raw data that no job wrote has no cost."""
    page = dataset_page("s3://lake/joined", entries, WEEK)
    told = facts(page, "In this time")
    assert (told["Cost of itself, USD"], told["With everything upstream, USD"]) == ("3.00", "8.00")
    assert texts(page.table("upstream")) == [
        ["s3://lake/joined", "3.00", "100.0%", "3.00"],
        ["s3://lake/clean", "5.00", "100.0%", "5.00"],
        ["s3://lake/raw", "no job here wrote it", "100.0%", "?"],
    ]
    assert [row[0] for row in texts(page.table("writers"))] == ["growth.clean"]


def test_a_job_that_reads_what_it_writes_ends_the_walk(record):
    """A table that is rewritten from itself is counted once."""
    entry = entry_of(record("a", "6", lineage=lineage(["clean"], clean=6)))
    page = dataset_page("s3://lake/clean", [entry], WEEK)
    assert facts(page, "In this time")["With everything upstream, USD"] == "6.00"


def test_graviton_is_known_by_the_name_of_the_family():
    """The letter g behind the generation, in any size; GPU families begin with g and are not meant."""
    assert [
        name for name in ("m7g.xlarge", "c6gd.metal", "g5.xlarge", "m7i.large", "x2gd.medium") if is_graviton(name)
    ] == [
        "m7g.xlarge",
        "c6gd.metal",
        "x2gd.medium",
    ]


def test_the_share_of_graviton_says_what_is_not_known(record):
    """vCPU-hours by processor; a job whose instance types are not in its record is unknown, not other."""
    priced = {"a": "m7g.xlarge", "b": "m7i.large", "c": None, "d": "m7g.xlarge, m7i.large"}
    entries = [
        entry_of(record(key, cost=Cost(usd_total=Decimal(1), priced_as=priced_as))) for key, priced_as in priced.items()
    ]
    assert texts(costs_page(entries, WEEK).table("processors")) == [
        ["unknown", "4.00", "50.0%"],
        ["Graviton (ARM)", "2.00", "25.0%"],
        ["other than Graviton", "2.00", "25.0%"],
    ]


def test_rows_that_nobody_knows_are_no_zero_between_a_dataset_and_its_tasks(record):
    """A reader without a count is shown with a question mark; what is known of the others is added up."""
    counted, unknown = Dataset(namespace="s3://lake", name="raw", rows=10), Dataset(namespace="s3://lake", name="raw")
    entries = [
        entry_of(record("a", lineage=Lineage(inputs=(counted,)))),
        entry_of(record("b", lineage=Lineage(inputs=(unknown,)))),
        entry_of(record("c", dag="growth", lineage=Lineage(inputs=(unknown,)))),
    ]
    page = dataset_page("s3://lake/raw", entries, WEEK)
    assert [row[1:] for row in texts(page.table("links"))] == [["sales.clean", "2", "10"], ["growth.clean", "1", "?"]]


def test_of_many_tasks_at_a_dataset_the_widest_are_drawn(record):
    """All of them stand in the table; the chart's title says that it has not all."""
    entries = [
        entry_of(record(str(number), dag=f"dag_{number}", lineage=Lineage(inputs=(_rows_of_raw(number),))))
        for number in range(100)
    ]
    page = dataset_page("s3://lake/raw", entries, WEEK)
    (chart,) = [block for block in page.blocks if isinstance(block, Chart) and block.kind == "flow"]
    assert (chart.title, len(chart.weights)) == ("Who writes and reads it: the widest 40 of 100", 40)
    assert list(chart.weights) == [float(rows) for rows in range(99, 59, -1)]
    assert len(page.table("links").rows) == 100


def _rows_of_raw(rows: int) -> Dataset:
    return Dataset(namespace="s3://lake", name="raw", rows=rows)
