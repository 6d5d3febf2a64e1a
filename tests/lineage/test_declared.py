"""Declared reads and writes beside observed ones."""

from __future__ import annotations

import pytest

from airflow_doeks.lineage import merge_declared
from airflow_doeks.model.lineage import Column, Dataset, Lineage

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


def sources(declared: list[str], *seen: tuple[str, str]) -> dict[str, str]:
    """``namespace/name`` -> source of what was seen and declared as read."""
    inputs = tuple(Dataset(namespace=namespace, name=name) for namespace, name in seen)
    merged = merge_declared(Lineage(inputs=inputs, complete=True), declared, [])
    return {f"{d.namespace}/{d.name}": d.source for d in merged.inputs}


@pytest.mark.parametrize(
    ("seen", "declared"),
    [
        (("jdbc", "orders"), "s3://raw/customer_orders"),
        (("jdbc", "orders"), "s3://raw/orders"),
        (("jdbc", "orders"), "/data/orders"),
        (("jdbc", "orders"), "postgres://db:5432/sales.customer_orders"),
        (("kafka", "orders"), "gs://raw/orders"),
        (("kafka", "orders"), "kafka://broker:9092/eu.orders"),
        (("spark", "spark_catalog.mart.clicks"), "hive://meta:9083/other_spark_catalog.mart.clicks"),
    ],
)
def test_a_name_that_only_ends_alike_is_another_dataset(seen, declared):
    """A table is no bucket, a topic no longer topic: the declared one was not seen, the seen one not declared."""
    assert list(sources([declared], seen).values()) == ["observed", "declared"]


def test_a_declared_name_stands_for_one_dataset():
    """What was seen at its place leaves no other; the exact name goes before one that only ends so."""
    placed = ("postgres://db:5432", "sales.orders")
    assert sources(["postgres://db:5432/sales.orders"], ("jdbc", "orders"), placed) == {
        "jdbc/orders": "observed",
        "postgres://db:5432/sales.orders": "both",
    }
    for declared in (["postgres://db/app.orders", "postgres://db/orders"], ["postgres://db/orders"]):
        assert sources(declared, ("jdbc", "orders"))["postgres://db/orders"] == "both"
    assert sources(["postgres://db/sales.app.orders"], ("jdbc", "orders"), ("jdbc", "app.orders")) == {
        "jdbc/orders": "observed",
        "postgres://db/sales.app.orders": "both",
    }


def test_merging_twice_is_merging_once():
    """A second settle adds no dataset and no sentence twice."""
    once = merge_declared(SEEN, ["s3://raw/orders", "s3://raw/more"], ["s3://mart/clicks"])
    assert merge_declared(once, ["s3://raw/orders", "s3://raw/more"], ["s3://mart/clicks"]) == once


@pytest.mark.parametrize("uri", ["s3://raw", "s3://raw/", "s3a://raw/"])
def test_a_whole_bucket_may_be_declared(uri):
    """The root of a bucket stands for everything in it, and for nothing of a bucket whose name begins alike."""
    merged = merge_declared(SEEN, [uri], [])
    assert ([d.source for d in merged.inputs], merged.differences) == (["both"], ())
    archive = Lineage(inputs=(Dataset(namespace="s3://raw-archive", name="orders"),), complete=True)
    assert [d.source for d in merge_declared(archive, [uri], []).inputs] == ["observed", "declared"]


def test_columns_follow_a_dataset_to_its_declared_place():
    """What a column was computed from goes by the name that its dataset has in the same lineage."""
    revenue = Column(name="revenue", inputs=("jdbc/app.orders:amount", "s3://raw/orders/2026:id"))
    mart = Dataset(namespace="s3://mart", name="revenue", columns=(revenue, Column(name="day")))
    table = Dataset(namespace="jdbc", name="app.orders")
    seen = Lineage(inputs=(table, ORDERS), outputs=(mart,), complete=True)
    merged = merge_declared(seen, ["postgres://db/app.orders", "s3://raw/orders"], [])
    assert [column.inputs for column in merged.outputs[0].columns] == [
        ("postgres://db/app.orders:amount", "s3://raw/orders/2026:id"),
        None,
    ]
