"""Declared reads and writes beside observed ones."""

from __future__ import annotations

from airflow_doeks.lineage import merge_declared
from airflow_doeks.model.lineage import Dataset, Lineage

ORDERS = Dataset(namespace="s3://raw", name="orders/2026", rows=10)
CLICKS = Dataset(namespace="s3://mart", name="clicks", rows=3, symlinks=("spark/spark_catalog.mart.clicks",))
SEEN = Lineage(inputs=(ORDERS,), outputs=(CLICKS,), complete=True)


def test_what_is_declared_and_seen_agrees_without_a_word():
    """A declared folder matches what was seen below it; s3a and s3 are one; counts stay."""
    merged = merge_declared(SEEN, ["s3a://raw/orders"], ["s3://mart/clicks/"])
    assert [(d.name, d.rows, d.source) for d in (*merged.inputs, *merged.outputs)] == [
        ("orders/2026", 10, "both"),
        ("clicks", 3, "both"),
    ]
    assert merged.differences == ()


def test_a_declared_partition_is_part_of_its_dataset():
    """A declared folder of one partition is the dataset that the job is seen to write."""
    merged = merge_declared(SEEN, [], ["s3://mart/clicks/ds=2026-01-01/"])
    assert ([(d.name, d.source) for d in merged.outputs], merged.differences) == ([("clicks", "both")], ())


def test_differences_are_said_in_words():
    """Declared but not seen, seen but not declared: a sentence each, and the declared dataset without counts."""
    merged = merge_declared(SEEN, ["s3://raw/customers"], ["s3://mart/clicks"])
    assert merged.inputs[1] == Dataset(namespace="s3://raw", name="customers", source="declared")
    assert merged.differences == (
        "s3://raw/customers is declared under reads but was not seen in the job",
        "s3://raw/orders/2026 was read but is not declared under reads",
    )


def test_incomplete_lineage_doubts_what_it_did_not_see():
    """Where the log was cut, a declared dataset that was not seen may have been used; the sentence says so."""
    merged = merge_declared(Lineage(), [], ["s3://mart/clicks"])
    assert merged.differences == (
        "s3://mart/clicks is declared under writes but was not seen in the job, whose lineage is incomplete",
    )


def test_nothing_declared_nothing_differs():
    """A task without reads and writes keeps what was observed."""
    assert merge_declared(SEEN, [], []) == SEEN


def test_names_alike_are_not_the_same():
    """A dataset whose name only begins alike is another dataset."""
    merged = merge_declared(SEEN, ["s3://raw/orders/2026"], ["s3://mart/click"])
    assert [d.source for d in merged.outputs] == ["observed", "declared"]


def test_a_topic_or_a_database_table_takes_its_declared_place():
    """The log hides brokers and database URLs; the declaration gives them back."""
    seen = Lineage(
        inputs=(Dataset(namespace="kafka", name="orders", rows=5),),
        outputs=(Dataset(namespace="jdbc", name="app.orders", rows=5),),
        complete=True,
    )
    merged = merge_declared(seen, ["kafka://broker:9092/orders"], ["postgres://db:5432/sales.app.orders"])
    assert [(d.namespace, d.name, d.rows, d.source) for d in (*merged.inputs, *merged.outputs)] == [
        ("kafka://broker:9092", "orders", 5, "both"),
        ("postgres://db:5432", "sales.app.orders", 5, "both"),
    ]
    assert merged.differences == ()


def test_merging_twice_is_merging_once():
    """A second settle adds no dataset and no sentence twice."""
    once = merge_declared(SEEN, ["s3://raw/orders", "s3://raw/more"], ["s3://mart/clicks"])
    assert merge_declared(once, ["s3://raw/orders", "s3://raw/more"], ["s3://mart/clicks"]) == once
