"""Logs as people in the field have them, each reduced to what once gave a wrong number with nothing said."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from airflow_doeks.lifecycle.event_logs import read_event_log

CASES = Path(__file__).with_name("cases")
WIDER = "a part of it was overwritten: the log does not tell what that part held"

# case -> (inputs, outputs), each (name, rows, bytes, files), and whether the log tells everything
TOLD = {
    "save_as_table_before_3_4": ([], [("/tmp/shop/wh/shop_items", 42, 1121, 2)], True),  # noqa: S108 - in the log
    "columnar_plugin_scan": ([("orders", 250, None, None)], [], True),
    "path_write_before_3_2": ([], [("items", 40, 641, 1)], True),
    "mode_ignore": ([], [("/data/g3/ignore/o", 50, 140, 1)], True),
    "overlapping_partitions": (
        [("/data/g3_seed/a", 100, 2344, 4)],
        [("/data/g3/overlap/all", 100, 1311, 1), ("/data/g3/overlap/one", 25, 843, 1)],
        True,
    ),
    "partition_overwritten_after_a_wider_write": ([], [("/data/g4/static_after_dyn/tp", None, None, None)], False),
    "empty_input": (
        [("/data/g4/empty/e", 0, 297, 1)],
        [("/data/g4/empty/e", 0, 297, 1), ("/data/g4/empty/e2", 0, 296, 1)],
        True,
    ),
    "jdbc_query": (
        [("ITEMS", 5, None, None)],
        [("/data/g4/jdbc_query/x", 5, 606, 1), ("/data/g4/jdbc_query/y", 1, 581, 1)],
        True,
    ),
    "save_as_table": ([], [("/data/g3/savetab/wh/tt", 50, 683, 1)], True),
    "sorted_input": ([("/data/g7/sorted/in", 1000, 7321, 4)], [("/data/g7/sorted/out", 1000, 5220, 1)], True),
    "cross_join": (
        [("/data/g7/cross/in", None, 7321, 4), ("/data/g7/cross/small", None, 1852, 2)],
        [("/data/g7/cross/out", 50000, 25996, 4)],
        True,
    ),
    "rdd_run_by_several_queries": (
        [("/data/g8/orders", 300, None, None)],
        [("/data/g8/a", 300, 3190, 2), ("/data/g8/b", 300, 3190, 2), ("/data/g8/c", 10, 90, 2)],
        True,
    ),
    "rdd_read_twice": ([("/data/g8/orders", None, None, None)], [], True),
    "rdd_paths": (
        [
            ("/data/g8/g", 50, None, None),
            ("/data/g8/orders", 200, None, None),
            ("/data/g8/customers", None, None, None),
        ],
        [("/data/g8/g", 100, 2235, 8)],
        True,
    ),
    "rdd_united_with_itself": (
        [("/data/g8/orders", None, None, None)],
        [("/data/g8/a", 600, 6380, 4)],
        True,
    ),
    "partition_dropped": (
        [("/data/g8/orders", 300, 19168, 3)],
        [("/data/g8/warehouse/c1", None, None, None)],
        False,
    ),
    "table_renamed": (
        [],
        [("/data/g8/warehouse/c1", None, None, None), ("/data/g8/warehouse/c2", None, None, None)],
        False,
    ),
    "csv_header": ([("/data/g6/header/c", 3, 20, 2)], [("/data/g6/header/o", 3, 664, 1)], True),
}


def told(case: str, folder_store):
    """The summary of a case's log."""
    return read_event_log(folder_store(CASES), f"{case}.zstd")


@pytest.mark.parametrize("case", TOLD)
def test_a_log_of_the_field_tells_what_is_there(case, folder_store):
    """Every dataset with its counts as they are on disk; what cannot be known is null, and complete is false."""
    lineage = told(case, folder_store).lineage
    inputs, outputs = (
        [(d.name, d.rows, d.bytes, d.files) for d in datasets] for datasets in (lineage.inputs, lineage.outputs)
    )
    assert (inputs, outputs, lineage.complete) == TOLD[case]


@pytest.mark.parametrize("case", TOLD)
def test_a_count_that_is_not_known_has_its_reason(case, folder_store):
    """Wherever a count is null the dataset says why, and nowhere else."""
    lineage = told(case, folder_store).lineage
    for dataset in (*lineage.inputs, *lineage.outputs):
        assert bool(dataset.why_unknown) is (None in (dataset.rows, dataset.bytes, dataset.files))


def test_what_a_wider_write_held_is_said_to_be_unknown(folder_store):
    """The reason stands with the dataset and makes the lineage incomplete."""
    summary = told("partition_overwritten_after_a_wider_write", folder_store)
    assert summary.lineage.outputs[0].why_unknown == WIDER
    assert summary.why == (f"file//data/g4/static_after_dyn/tp: {WIDER}",)


def test_a_table_that_a_query_makes_is_known_by_its_name_too(folder_store):
    """CREATE TABLE AS and saveAsTable: the path with the table as a symlink, old Spark and new."""
    for case, table in (
        ("save_as_table", "spark/spark_catalog.default.tt"),
        ("save_as_table_before_3_4", "spark/spark_catalog.default.shop_items"),
    ):
        assert told(case, folder_store).lineage.outputs[0].symlinks == (table,)


def test_the_text_of_a_query_goes_nowhere(folder_store):
    """A literal of a pushed-down query is in no name and no reason."""
    assert "sec@ret" not in told("jdbc_query", folder_store).model_dump_json()


class OneLog:
    """A store that holds one log."""

    url = "memory:"

    def __init__(self, content: bytes) -> None:
        self.content = content

    def list(self, prefix=""):
        return iter(["app-1"])

    def open(self, name):
        return io.BytesIO(self.content)


@pytest.mark.parametrize(
    ("node", "label"),
    [
        ("FooBarScan (select 'secret' from t)", "FooBarScan"),
        ("VeloxReader", "VeloxReader"),
        ("Scan com.acme.Source@1f2e3d(token=secret) ", "Scan com.acme.Source"),
    ],
)
def test_a_node_of_a_kind_not_known_is_told_by_name(node, label, plain_log):
    """A leaf that read records and that nobody here understands: incomplete, with execution, node and missing bytes."""
    text = plain_log("../cases/columnar_plugin_scan")
    text = text.replace(b"CometScan parquet ", node.encode()).replace(
        b"Location: InMemoryFileIndex[s3://shop/orders]", b""
    )
    summary = read_event_log(OneLog(text))
    assert summary.lineage.complete is False
    assert summary.why == (
        f"SQL execution 0 read 250 records (5000 bytes) through a node of a kind not known here: {label}",
    )
    assert "secret" not in summary.model_dump_json()


def test_records_that_no_node_counts_are_told(plain_log):
    """A reader without a metric is seen by what its Spark tasks read; a write of another kind in the same way."""
    text = plain_log("../cases/columnar_plugin_scan").replace(b"CometScan parquet ", b"Mystery")
    text = text.replace(b"Location: InMemoryFileIndex[s3://shop/orders]", b"").replace(
        b'"accumulatorId":7', b'"accumulatorId":8'
    )
    text = text.replace(b'"Records Written":0', b'"Records Written":99').replace(
        b'"Bytes Written":0', b'"Bytes Written":777'
    )
    assert set(read_event_log(OneLog(text)).why) == {
        "SQL execution 0 read 250 records (5000 bytes) that no scan accounts for: Project",
        "SQL execution 0 wrote 99 records (777 bytes) to a place that is not in the log: Project",
    }


@pytest.mark.parametrize(
    "scan",
    [
        "GpuScan parquet ",
        "GpuFileGpuScan parquet ",
        "GpuBatchScan parquet ",
        "CometScan parquet shop.orders",
        "CometBatchScan parquet ",
        "CometNativeScan parquet ",
        "FileSourceScanExecTransformer parquet ",
        "FileScanTransformer parquet shop.orders",
        "NativeFileScan parquet ",
        "BatchScanExecTransformer",
        "PhotonScan parquet ",
        "ReaderOfTomorrow",
    ],
)
@pytest.mark.parametrize("rows", [b"number of output rows", b"output rows", b"number of raw input rows"])
def test_a_scan_of_any_vendor_is_known_by_its_location(scan, rows, plain_log):
    """RAPIDS, Comet, Gluten, Photon or another: a leaf that tells the place of its files is a scan of them."""
    text = plain_log("../cases/columnar_plugin_scan").replace(b"CometScan parquet ", scan.encode())
    summary = read_event_log(OneLog(text.replace(b'"name":"number of output rows"', b'"name":"%b"' % rows)))
    (orders,) = summary.lineage.inputs
    assert (orders.namespace, orders.name, orders.rows) == ("s3://shop", "orders", 250)
    assert summary.lineage.complete
