"""Rows, bytes and files from the event log against the files on disk, shape by shape, Spark 3.5 and 4.3."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from airflow_doeks.event_log import EventLogReading
from airflow_doeks.lifecycle.event_logs import read_event_log
from airflow_doeks.lineage import PlanDatasets

INCOMPLETE = {"failed_write", "kafka", "many_paths_cut", "rdd"}  # shapes whose log cannot tell everything
UNNAMED = {  # kept logs of a Spark that did not yet log the plan below such a node: an input has no name
    *(f"{version}/jdbc" for version in ("3.0.3", "3.1.3", "3.2.4", "3.3.4", "3.4.4")),
    "3.0.3/cached",
}
INCOMPLETE_THEN = {*UNNAMED, "3.0.3/tables", "3.1.3/tables"}


def check(summary, expected) -> None:
    """Every dataset touched is in the lineage with the counts found on disk."""
    lineage = summary.lineage
    seen = {(role, d.name): d for role, ds in (("in", lineage.inputs), ("out", lineage.outputs)) for d in ds}
    for touched in expected:
        dataset = seen[touched["role"], touched["name"]]
        counts = {key: getattr(dataset, key) for key in ("rows", "bytes", "files") if key in touched}
        assert counts == {key: touched[key] for key in counts}, (touched["role"], touched["name"])
    assert {name for role, name in seen if role == "out"} == {t["name"] for t in expected if t["role"] == "out"}


def test_kept_logs_tell_what_is_on_disk(kept, kept_logs, folder_store, expected):
    """Rows, bytes and files of every input and output equal the files that the job left on disk."""
    summary = read_event_log(folder_store(kept_logs), f"{kept}.zstd")
    seen = {dataset.name for dataset in summary.lineage.inputs}
    check(summary, [t for t in expected(kept) if kept not in UNNAMED or t["role"] == "out" or t["name"] in seen])
    assert summary.ended_cleanly


def test_completeness_is_told(kept, kept_logs, folder_store):
    """Lineage is complete exactly where the log tells everything; otherwise a why says what is missing."""
    summary = read_event_log(folder_store(kept_logs), f"{kept}.zstd")
    assert summary.lineage.complete is (kept.split("/")[1] not in INCOMPLETE and kept not in INCOMPLETE_THEN)
    assert summary.lineage.complete is not bool(summary.why)


def test_shares_sum_to_one(kept, kept_logs, folder_store):
    """Slot shares of the outputs and the unattributed part sum to the whole."""
    summary = read_event_log(folder_store(kept_logs), f"{kept}.zstd")
    shares = sum(dataset.slot_share for dataset in summary.lineage.outputs)
    assert shares + summary.slot_ms_unattributed / summary.slot_ms == pytest.approx(1, abs=1e-3)


def test_lineage_is_the_same_without_statistics(kept, kept_logs, folder_store):
    """Passing over Spark tasks changes no dataset and no count, only how slot time is measured."""
    store = folder_store(kept_logs)
    without_share = {"inputs": {"__all__": {"slot_share"}}, "outputs": {"__all__": {"slot_share"}}}
    fast, full = (
        read_event_log(store, f"{kept}.zstd", statistics=statistics).lineage.model_dump(exclude=without_share)
        for statistics in (False, True)
    )
    assert fast == full


def lineage_of(text: bytes):
    """The lineage of a log's text."""
    reading = EventLogReading(PlanDatasets())
    reading.feed(text, 0, len(text))
    return reading.summary().lineage


def _read_again(plan: dict) -> None:
    """Puts a second scan beside every scan below ``plan``, numbered anew as in a self-join, of one column less."""
    for child in list(plan["children"]):
        if "Scan" in child["nodeName"]:
            again = re.sub(r"#(\d+)", lambda match: f"#{int(match[1]) + 1000}", json.dumps(child))
            again = re.sub(r"(\[)\w+#\d+L?,|(struct<)\w+:\w+,", r"\1\2", again)
            plan["children"].append(json.loads(again))
        _read_again(child)


def test_a_scan_that_is_read_again_counts_once(kept, plain_log):
    """The same part of the same data, read under other expression ids and of other columns, counts once."""
    inputs = []
    for again in (False, True):
        lines = plain_log(kept).splitlines(keepends=True)
        for index, line in enumerate(lines):
            if again and b'"sparkPlanInfo"' in line:
                event = json.loads(line)
                _read_again(event["sparkPlanInfo"])
                lines[index] = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        inputs.append([(d.name, d.rows, d.bytes, d.files) for d in lineage_of(b"".join(lines)).inputs])
    assert inputs[1] == inputs[0]


@pytest.mark.parametrize("shape", ["join_and_aggregate", "file_stream", "foreach_batch"])
def test_a_partition_is_written_to_the_dataset_that_it_is_read_from(shape, plain_log):
    """A job that writes the folder of one partition has the output that its reader has as input."""
    name = {"join_and_aggregate": "revenue", "file_stream": "sunk", "foreach_batch": "batches"}[shape].encode()
    text = plain_log(f"4.3.0/{shape}")
    (into,) = lineage_of(text.replace(b"doeks-lake/" + name, b"doeks-lake/" + name + b"/ds=2026-01-01")).outputs
    assert into == lineage_of(text).outputs[0]


@pytest.mark.parametrize(
    ("first", "second", "rows"),
    [
        (b"/ds=2026-01-01", b"/ds=2026-01-02", 70),
        (b"/ds=2026-01-01", b"/ds=2026-01-01", 20),
        (b"/ds=2026-01-01/h=1", b"/ds=2026-01-01", 20),
        (b"/ds=2026-01-01", b"/ds=2026-01-01/h=1", 70),
        (b"/ds=2026-01-01", b"/ds=2026-01-010", 70),
        (b"/ds=2026-01-01", b"", 20),
    ],
)
def test_an_overwrite_takes_the_place_of_its_own_partition(first, second, rows, plain_log):
    """Two overwrites, of 50 and 20 rows: the second replaces what lies within its folder and nothing else."""
    lines = plain_log("4.3.0/overwritten_twice").splitlines(keepends=True)
    begins = [i for i, line in enumerate(lines) if b"SQLExecutionStart" in line and b"latest" in line]
    for folder, part in ((first, slice(0, begins[1])), (second, slice(begins[1], None))):
        lines[part] = [line.replace(b"doeks-lake/latest", b"doeks-lake/latest" + folder) for line in lines[part]]
    (latest,) = lineage_of(b"".join(lines)).outputs
    assert (latest.name, latest.rows) == ("/tmp/doeks-lake/latest", rows)  # noqa: S108 - where the log was made


def _shapes():
    spec = importlib.util.spec_from_file_location("doeks_shapes", Path(__file__).with_name("shapes.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.spark
@pytest.mark.parametrize("shape", ["join_and_aggregate", "tables", "file_stream", "jdbc"])
def test_live_spark_tells_what_is_on_disk(shape, tmp_path, folder_store):
    """A Spark job run now leaves a log from which its reads and writes come out as they are on disk."""
    pytest.importorskip("pyspark")
    expected = _shapes().run(shape, tmp_path / "lake", tmp_path / "logs")
    check(read_event_log(folder_store(tmp_path / "logs")), expected)
