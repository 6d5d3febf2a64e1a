"""Rows, bytes and files from the event log against the files on disk, shape by shape, Spark 3.5 and 4.3."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from airflow_doeks.lineage import read_event_log
from airflow_doeks.lineage.reader import EventLogReading

INCOMPLETE = {"failed_write", "kafka", "many_paths_cut", "rdd"}  # shapes whose log cannot tell everything


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
    check(summary, expected(kept))
    assert summary.ended_cleanly


def test_completeness_is_told(kept, kept_logs, folder_store):
    """Lineage is complete exactly where the log tells everything; otherwise a why says what is missing."""
    summary = read_event_log(folder_store(kept_logs), f"{kept}.zstd")
    assert summary.lineage.complete is (kept.split("/")[1] not in INCOMPLETE)
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


def _read_again(plan: dict) -> None:
    """Puts a second scan beside every scan below ``plan``, numbered anew as Spark numbers a self-join."""
    for child in list(plan["children"]):
        if "Scan" in child["nodeName"]:
            again = re.sub(r"#(\d+)", lambda match: f"#{int(match[1]) + 1000}", json.dumps(child))
            plan["children"].append(json.loads(again))
        _read_again(child)


def test_a_scan_that_is_read_again_counts_once(kept, plain_log):
    """The same part of the same data, read twice in a plan under other expression ids, has the counts of one scan."""
    inputs = []
    for again in (False, True):
        lines = plain_log(kept).splitlines(keepends=True)
        for index, line in enumerate(lines):
            if again and b'"sparkPlanInfo"' in line:
                event = json.loads(line)
                _read_again(event["sparkPlanInfo"])
                lines[index] = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        text = b"".join(lines)
        reading = EventLogReading()
        reading.feed(text, 0, len(text))
        inputs.append([(d.name, d.rows, d.bytes, d.files) for d in reading.summary().lineage.inputs])
    assert inputs[1] == inputs[0]


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
