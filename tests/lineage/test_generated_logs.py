"""Made-up jobs against a made-up disk: what a log with ``complete: true`` tells is what lies there, or it is null."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_doeks.event_log import EventLogReading
from airflow_doeks.lineage import PlanDatasets
from tests.lineage.written_logs import WrittenLog, node

PARTITIONS = (1, 2, 3, 4)
TABLE, LAKE, OTHER = "s3://lake/table", "s3://lake/source", "s3://lake/other"
DYNAMIC = {"spark.sql.sources.partitionOverwriteMode": "dynamic"}
ROWS_OF = {1: 100, 2: 20, 3: 0, 4: 7}  # of the partitions of the source
parts = st.dictionaries(st.sampled_from(PARTITIONS), st.integers(0, 50), min_size=1)
one_part = st.tuples(st.sampled_from(PARTITIONS), st.integers(0, 50))

WRITES = st.one_of(
    st.tuples(st.just("append"), parts),
    st.tuples(st.just("overwrite"), parts),
    st.tuples(st.just("dynamic"), parts),
    st.tuples(st.sampled_from(["create", "ignore"]), parts),
    st.tuples(
        st.sampled_from(["static", "folder append", "folder overwrite", "proven append", "proven dynamic"]), one_part
    ),
)
FILTERS = st.one_of(
    st.just(("", PARTITIONS)),
    st.sampled_from(PARTITIONS).map(lambda p: (f"isnotnull(p#2), (p#2 = {p})", (p,))),
    st.lists(st.sampled_from(PARTITIONS), min_size=1, unique=True).map(
        lambda ps: (f"p#2 IN ({','.join(map(str, ps))})", tuple(ps))
    ),
    st.sampled_from(PARTITIONS).map(lambda p: (f"isnotnull(p#2), (p#2 > {p})", tuple(q for q in PARTITIONS if q > p))),
    st.sampled_from(PARTITIONS).map(lambda p: (f"dynamicpruningexpression(p#2 IN dynamicpruning#{p})", (p,))),
)
READS = st.one_of(
    st.tuples(st.just("filter"), FILTERS),
    st.tuples(st.just("folders"), st.lists(st.sampled_from(PARTITIONS), min_size=1, unique=True)),
    st.tuples(st.just("together"), st.just(())),
    st.tuples(st.just("mystery"), st.integers(0, 9)),
)


def lineage_of(log: WrittenLog):
    """What the log tells."""
    reading, text = EventLogReading(PlanDatasets()), log.text()
    reading.feed(text, 0, len(text))
    return reading.summary()


def sizes(rows: dict[int, int]) -> tuple[int, int, int]:
    """Rows, bytes and files of partitions: a file and ten bytes for each that has rows, a byte more for each row."""
    full = [count for count in rows.values() if count]
    return sum(full), sum(full) + 10 * len(full), len(full)


def write(log: WrittenLog, disk: dict[int, Counter], how: str, what: Any) -> None:
    """One write, in the log and on the disk, where a partition is (rows, bytes, files)."""
    rows = dict([what]) if isinstance(what, tuple) else dict(what)
    written = sizes(rows)
    fresh = {p: Counter(rows=count, bytes=count + 10, files=1) for p, count in rows.items() if count}
    below, partition = log.made(written[0]), next(iter(rows))
    if how == "create" and any(disk.values()):
        return  # Spark refuses
    if how == "ignore" and disk:
        log.files_write(below, TABLE, "Ignore", None, by="p#2")
        return
    if how.startswith("proven"):
        below = node("Filter", f"Filter (isnotnull(p#2) AND (p#2 = {partition}))", [below])
    if how in ("overwrite", "create", "ignore"):
        disk.clear()
    elif how in ("dynamic", "proven dynamic"):
        for p in fresh:
            disk.pop(p, None)
    elif how in ("static", "folder overwrite"):
        disk.pop(partition, None)
    for p, counts in fresh.items():
        disk[p] = disk.get(p, Counter()) + counts
    disk.setdefault(0, Counter())  # the folder itself
    folder = f"{TABLE}/p={partition}" if how.startswith("folder") else TABLE
    mode = {"append": "Append", "create": "ErrorIfExists", "ignore": "Ignore"}.get(how.rpartition(" ")[2], "Overwrite")
    by = "" if how.startswith("folder") else "p#2"
    conf = DYNAMIC if "dynamic" in how else None
    log.files_write(below, folder, mode, written, static=f"p={partition}" if how == "static" else "", by=by, conf=conf)


def read(log: WrittenLog, how: str, what: Any) -> set[int]:
    """One read; the partitions of the source that it read."""
    if how == "mystery":
        log.execution(node("Reader of tomorrow", "", (), {"rows": log.accumulator + 999}), more_read=(what, 8 * what))
        return set()
    if how == "together":
        log.execution(log.scan([LAKE, OTHER], "", 1000, 1000, 8))
        return set(PARTITIONS)
    filters, wanted = what if how == "filter" else ("", tuple(what))
    paths = [LAKE] if how == "filter" else [f"{LAKE}/p={p}" for p in wanted]
    log.execution(log.scan(paths, filters, *sizes({p: ROWS_OF[p] for p in wanted})))
    return set(wanted)


def check(told: Any, truth: Sequence[int]) -> None:
    """Equal, or null; null only with a reason."""
    for name, count in zip(("rows", "bytes", "files"), truth, strict=True):
        assert getattr(told, name) in (None, count), (name, told, truth)
    if None in (told.rows, told.bytes, told.files):
        assert told.why_unknown


AGES = st.sampled_from([(False, False), (True, False), (True, True)])  # Spark 3.5, 3.0, 2.4


@given(st.lists(WRITES, min_size=1, max_size=7), AGES)
def test_what_writes_left_is_told_exactly_or_not_at_all(writes, age):
    """Appends, overwrites of all, of one and of some partitions, refused and skipped writes, in any order."""
    log, disk = WrittenLog(*age), {}
    for how, what in writes:
        write(log, disk, how, what)
    summary = lineage_of(log)
    truth = tuple(sum(counts[name] for counts in disk.values()) for name in ("rows", "bytes", "files"))
    (told,) = summary.lineage.outputs
    check(told, truth)
    assert summary.lineage.complete is not bool(summary.why)
    if summary.lineage.complete:
        assert (told.rows, told.bytes, told.files) == truth


@given(st.lists(READS, min_size=1, max_size=6), AGES)
def test_what_reads_took_is_told_exactly_or_not_at_all(reads, age):
    """Whole, by equality, lists, ranges, run-time filters, by folders, together with others, and by unknown nodes."""
    log = WrittenLog(*age)
    taken: set[int] = set()
    for how, what in reads:
        taken |= read(log, how, what)
    summary = lineage_of(log)
    truth = sizes({p: ROWS_OF[p] for p in taken})
    for told in summary.lineage.inputs:
        if told.name == "source":
            check(told, truth)
        assert told.why_unknown or None not in (told.rows, told.bytes, told.files)
    assert {"source"} <= {told.name for told in summary.lineage.inputs} or not taken
    unseen = sum(what for how, what in reads if how == "mystery")
    assert summary.lineage.complete is not bool(summary.why)
    if unseen:
        assert not summary.lineage.complete
