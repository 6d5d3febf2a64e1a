"""What filters of rows let through: one dataset read through several of them, in logs of made-up jobs."""

from __future__ import annotations

import pytest

from airflow_doeks.event_log import EventLogReading
from airflow_doeks.lineage import PlanDatasets
from tests.lineage.written_logs import WrittenLog, node

LOW, HIGH, FIRST = "LessThan(id,3)", "GreaterThanOrEqual(id,3)", "IsNotNull(id), LessThan(id,3)"
MONDAY, SUNDAY = "IsNotNull(day), EqualTo(day,2026-01-05)", "IsNotNull(day), EqualTo(day,2026-01-04)"
FILTERED = "it was read through several filters: how many rows they passed together is not in the log"


def lineage_of(log: WrittenLog):
    """The summary of a made-up log."""
    reading = EventLogReading(PlanDatasets())
    reading.feed(log.text(), 0, len(log.text()))
    return reading.summary()


@pytest.mark.parametrize(
    ("kind", "is_old", "reads", "rows"),
    [
        ("JSON", False, [(LOW, 168), (HIGH, 132)], None),  # who knows that they are apart
        ("JSON", False, [(LOW, 150), (HIGH, 150)], None),
        ("Parquet", False, [(LOW, 100), (HIGH, 100)], None),  # blocks of rows, of one file each or of the same
        ("Parquet", False, [(MONDAY, 100), (SUNDAY, 100)], None),  # they may share a block
        ("JSON", False, [(MONDAY, 102), (SUNDAY, 99)], 201),
        ("CSV", True, [(MONDAY, 102), (SUNDAY, 99)], 201),
        ("JSON", True, [(MONDAY, 300), (SUNDAY, 300)], 300),  # Spark 3.0 filters no JSON while it reads
        ("Text", False, [(LOW, 300), (HIGH, 300)], 300),
        ("JSON", False, [(LOW, 168), ("", 300), (HIGH, 132)], 300),
        ("JSON", False, [(LOW, 168), (FIRST, 160)], 168),  # the second passes what the first does, and less
        ("JSON", False, [(LOW, 168), (LOW, 168)], 168),
    ],
)
def test_rows_that_several_filters_passed(kind, is_old, reads, rows):
    """Exact where one holds the others or they are apart, else null with its reason; bytes and files are of all."""
    log = WrittenLog(is_old)
    for pushed, count in reads:
        log.execution(log.scan(["file:/lake/orders"], "", count, 19168, 3, kind=kind, pushed=pushed))
    summary = lineage_of(log)
    (orders,) = summary.lineage.inputs
    assert (orders.rows, orders.bytes, orders.files) == (rows, 19168, 3)
    assert orders.why_unknown == (FILTERED if rows is None else None)
    assert summary.lineage.complete  # of bytes and files


def test_a_filter_of_rows_hides_no_partition():
    """Different partitions add up through the same filter; through different ones bytes and files do."""
    for pushed, rows in ((LOW, 30), (HIGH, None)):
        log = WrittenLog()
        log.execution(log.scan(["file:/lake/t"], "(p#2 = 1)", 10, 100, 1, pushed=LOW))
        log.execution(log.scan(["file:/lake/t"], "(p#2 = 2)", 20, 200, 2, pushed=LOW))
        log.execution(log.scan(["file:/lake/t"], "(p#2 = 1)", 5, 100, 1, pushed=pushed))
        (table,) = lineage_of(log).lineage.inputs
        assert (table.rows, table.bytes, table.files) == (rows, 300, 3)


JDBC = "Scan JDBCRelation(app.orders) [numPartitions=1] "
ICEBERG = "BatchScan ice.mart.made"
HIVE = "Scan hive spark_catalog.default.made"
TABLE, FILES = "Scan parquet spark_catalog.default.made", "Location: InMemoryFileIndex(1 paths)[file:/lake/made]"
RELATION = "HiveTableRelation [`spark_catalog`.`default`.`made`, Serde, Data Cols: [id#1L], Partition Cols: [day#2]]"


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            JDBC,
            ("[id#1L] PushedFilters: [*LessThan(id,3)], ReadSchema: s", "[id#1L] PushedFilters: [*X], ReadSchema: s"),
        ),
        (
            ICEBERG,
            ("[id#1L] Ice(filters=id < 3, runtimeFilters=, groupedBy=)", "[id#1L] Ice(filters=id > 3, groupedBy=)"),
        ),
        (HIVE, (f"[id#1L], {RELATION}, [(day#2 > a)]", f"[id#9L], {RELATION}, [(day#8 < b)]")),
        (TABLE, (f"[id#1L] {FILES}, PushedFilters: [{LOW}]", f"[id#1L] {FILES}, PushedFilters: [{HIGH}]")),
    ],
)
def test_of_a_table_that_is_read_through_several_filters_the_most_counts(name, lines):
    """A database, an Iceberg, a Hive table and one of files, by its name."""
    log = WrittenLog()
    for line, count in zip(lines, (30, 40), strict=True):
        ids = log._ids("number of output rows")
        counts = {"counts": dict.fromkeys(ids.values(), count), "read": (count, 0)}
        log.execution(node(name, f"{name}{line}" if name == ICEBERG else f"{name} {line}", (), ids) | counts)
    summary = lineage_of(log)
    (table,) = summary.lineage.inputs
    assert (table.rows, summary.lineage.complete) == (40, True)
