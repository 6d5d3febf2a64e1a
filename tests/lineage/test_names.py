"""Dataset names by the OpenLineage convention."""

from __future__ import annotations

import pytest

from airflow_doeks.lineage import dataset_name
from airflow_doeks.lineage.names import parse_location, table_name, without_partitions


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("s3://raw/orders", ("s3://raw", "orders")),
        ("s3a://raw/orders/", ("s3://raw", "orders")),
        ("s3n://raw", ("s3://raw", "/")),
        ("file:/data/x", ("file", "/data/x")),
        ("file:///data/x", ("file", "/data/x")),
        ("/data/x/", ("file", "/data/x")),
        ("hdfs://nn:8020/data/x", ("hdfs://nn:8020", "/data/x")),
        ("gs://bucket/a/b", ("gs://bucket", "a/b")),
        ("abfss://box@acct.dfs.core.windows.net/a", ("abfss://box@acct.dfs.core.windows.net", "a")),
        ("kafka://broker:9092/orders", ("kafka://broker:9092", "orders")),
    ],
)
def test_a_uri_has_one_name(uri, name):
    """Spellings of one place give one name; Hadoop's s3a is s3."""
    assert dataset_name(uri) == name


@pytest.mark.parametrize(
    ("text", "paths", "is_whole"),
    [
        ("InMemoryFileIndex(1 paths)[file:/a, b=[c]/d]", ("file:/a, b=[c]/d",), True),
        ("InMemoryFileIndex(2 paths)[file:/a, b, s3a://c/d]", ("file:/a, b", "s3a://c/d"), True),
        ("InMemoryFileIndex(5 paths)[file:/a, file:/b, ...]", ("file:/a", "file:/b"), False),
        ("InMemoryFileIndex(5 paths)[file:/a, file:/b...", ("file:/a",), False),
        ("InMemoryFileIndex(1 paths)[...]", (), False),
        ("nonsense", (), False),
    ],
)
def test_locations_are_read_as_far_as_they_are_whole(text, paths, is_whole):
    """Commas and brackets in a path do not split it; a path that was cut is left out and told."""
    assert parse_location(text) == (paths, is_whole)


def test_partition_folders_are_not_part_of_a_name():
    """`key=value` folders at the end belong to the data, not to its name."""
    assert without_partitions("s3://b/orders/day=2026-01-01/hour=3") == "s3://b/orders"
    assert without_partitions("s3://b/a=b/orders") == "s3://b/a=b/orders"


def test_tables_are_named_by_what_is_known_of_their_catalog():
    """A hadoop catalog gives the path, a metastore its address, nothing else the catalog's own name."""
    ice = {"spark.sql.catalog.ice.warehouse": "s3://w/ice", "spark.sql.catalog.ice.type": "hadoop"}
    assert table_name("ice.mart.t", ice) == ("s3://w", "ice/mart/t")
    hive = {"spark.hadoop.hive.metastore.uris": "thrift://meta:9083"}
    assert table_name("spark_catalog.mart.t", hive) == ("hive://meta:9083", "mart.t")
    assert table_name("spark_catalog.mart.t", {}) == ("spark", "spark_catalog.mart.t")
