"""Streaming queries: whose files a batch read, and that a stream without end takes no memory without end."""

from __future__ import annotations

import json
from collections.abc import Sized

from airflow_doeks.event_log import EventLogReading
from airflow_doeks.lineage import PlanDatasets
from airflow_doeks.lineage.datasets import Datasets
from airflow_doeks.lineage.names import Name
from airflow_doeks.lineage.streams import Streams


def test_a_source_is_the_folder_that_holds_the_files():
    """``/data/in`` takes no files of ``/data/in_archive``; the root of a bucket takes all of the bucket."""
    streams = Streams(Datasets())
    streams.sources["q"] = {Name("file", "/data/in"): None, Name("s3://raw", "/"): None}
    found = {
        str(name): str(streams.source_of("q", (name,)))
        for name in (
            Name("file", "/data/in/1.json"),
            Name("file", "/data/in"),
            Name("file", "/data/in_archive/1.json"),
            Name("s3://raw", "a/1.json"),
            Name("s3://raw-archive", "a/1.json"),
        )
    }
    assert found == {
        "file//data/in/1.json": "file//data/in",
        "file//data/in": "file//data/in",
        "file//data/in_archive/1.json": "None",
        "s3://raw/a/1.json": "s3://raw//",
        "s3://raw-archive/a/1.json": "None",
    }


def batch(number: int) -> bytes:
    """A batch of a stream whose plan nobody understands, and that fails."""
    plan = {"nodeName": f"Scan strange_{number % 7}", "simpleString": "", "children": [], "metadata": {}, "metrics": []}
    events = (
        {
            "Event": "org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart",
            "executionId": 2 * number,
            "description": f"id = q runId = r batch = {number}",
            "sparkPlanInfo": plan,
            "time": 1_700_000_000_000 + number,
        },
        {"Event": "org.apache.spark.sql.execution.ui.SparkListenerDriverAccumUpdates", "executionId": 2 * number + 1}
        | {"accumUpdates": [[number, 1]]},
        {
            "Event": "org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionEnd",
            "executionId": 2 * number,
            "time": 1_700_000_000_000 + number,
            "errorMessage": f"batch {number} failed",
        },
    )
    return b"".join(json.dumps(event, separators=(",", ":")).encode() + b"\n" for event in events)


def held(plans: PlanDatasets) -> int:
    """How many things the reading of plans holds."""
    parts = (plans.executions, plans.datasets, plans.streams, plans.datasets.why)
    found = [value for part in parts for value in vars(part).values() if isinstance(value, Sized)]
    return sum(map(len, found)) + sum(len(root.members) for root in plans.executions.live.values())


def test_a_stream_without_end_takes_no_memory_without_end():
    """After some thousand batches, as many more leave nothing behind: not their ids, their failures nor lost ends."""
    plans = PlanDatasets()
    reading = EventLogReading(plans)

    def feed(numbers: range) -> int:
        for number in numbers:
            text = batch(number)
            reading.feed(text, 0, len(text))
        reading._handle_waiting()
        return held(plans)

    before = feed(range(6_000))
    assert feed(range(6_000, 12_000)) <= before + 10
    assert len(reading.summary().why) <= 20
