"""Executors, memory, waste and Spark tasks of real multi-executor logs."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal

import pytest
import zstandard

from airflow_doeks.event_log import EventLogReading
from airflow_doeks.event_log.executors import Executors, mib
from airflow_doeks.event_log.task_end import HEAD, METRICS, parse_task_end
from airflow_doeks.lifecycle.event_logs import read_event_log
from airflow_doeks.lineage import PlanDatasets

PREFIX = b'{"Event":"SparkListenerTaskEnd",'
START = 1_700_000_000_000


def summary_of(*events: dict):
    """The summary of a log of these events."""
    reading = EventLogReading(PlanDatasets())
    text = b"".join(json.dumps(event, separators=(",", ":")).encode() + b"\n" for event in events)
    reading.feed(text, 0, len(text))
    return reading.summary()


def started(**conf: str) -> list[dict]:
    """An application that starts with these Spark properties."""
    return [
        {"Event": "SparkListenerLogStart", "Spark Version": "3.5.6-amzn-1"},
        {"Event": "SparkListenerApplicationStart", "App Name": "a", "App ID": "app", "Timestamp": START},
        {"Event": "SparkListenerEnvironmentUpdate", "Spark Properties": conf},
    ]


def added(name: str, at: int, **info) -> dict:
    """An executor registers, ``at`` milliseconds after the start."""
    info = {"Host": "h", "Total Cores": 4, "Resource Profile Id": 0, **info}
    return {"Event": "SparkListenerExecutorAdded", "Timestamp": START + at, "Executor ID": name, "Executor Info": info}


def removed(name: str, at: int, reason: str = "lost") -> dict:
    """An executor is gone."""
    return {
        "Event": "SparkListenerExecutorRemoved",
        "Timestamp": START + at,
        "Executor ID": name,
        "Removed Reason": reason,
    }


def end(at: int) -> dict:
    """The application ends."""
    return {"Event": "SparkListenerApplicationEnd", "Timestamp": START + at}


def profile_added(number: int, **amounts: int) -> dict:
    """A resource profile of an executor's amounts."""
    return {
        "Event": "SparkListenerResourceProfileAdded",
        "Resource Profile Id": number,
        "Executor Resource Requests": {name: {"Amount": amount} for name, amount in amounts.items()},
    }


KUBERNETES = {
    "spark.master": "k8s://https://10.0.0.1",
    "spark.driver.memory": "2g",
    "spark.driver.cores": "1",
    "spark.kubernetes.driver.request.cores": "500m",
    "spark.executor.memory": "8g",
    "spark.executor.cores": "4",
}


def test_pods_tell_where_they_were():
    """Executors write node and uid of their pod into the log, a driver the address of its own."""
    told = {"DOEKS_NODE": "ip-10-0-0-1.ec2.internal", "DOEKS_POD_UID": "6f1e"}
    conf = KUBERNETES | {"spark.driver.bindAddress": "10.0.9.77"}
    driver, one, two = summary_of(*started(**conf), added("1", 1000, Attributes=told), added("2", 1000), end(2000)).pods
    assert (driver.ip, driver.node) == ("10.0.9.77", None)
    assert (one.uid, one.executor_id, one.node) == ("6f1e", "1", "ip-10-0-0-1.ec2.internal")
    assert (two.uid, two.executor_id, two.node) == ("2", "2", None)


@pytest.mark.parametrize(
    ("conf", "executor_gib"),
    [
        ({}, "8.7998046875"),  # 8192 + int(0.1 * 8192) = 9011 MiB
        ({"spark.kubernetes.memoryOverheadFactor": "0.4"}, "11.1992187500"),  # 8192 + 3276
        ({"spark.executor.memoryOverheadFactor": "0.2"}, "9.5996093750"),  # 8192 + 1638
        ({"spark.executor.memoryOverhead": "1g"}, "9"),
        ({"spark.executor.memory": "1g"}, "1.375"),  # 1024 + at least 384
        ({"spark.executor.pyspark.memory": "2g"}, "10.7998046875"),
        ({"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": "1073741824"}, "9.7998046875"),
        ({"spark.kubernetes.resource.type": "python"}, "11.1992187500"),
    ],
)
def test_memory_is_what_the_pod_requested(conf, executor_gib):
    """A pod's memory is heap, overhead, off-heap and PySpark memory together, by Spark's own formula."""
    summary = summary_of(*started(**{**KUBERNETES, **conf}), added("1", 100), end(9000))
    assert summary.pods[1].memory_gib == Decimal(executor_gib)


def test_the_driver_is_a_pod_like_any_other():
    """The driver holds its pod from start to end; an image with EMR's Spark is told by its version."""
    driver = summary_of(*started(**KUBERNETES), end(9000)).pods[0]
    assert (driver.role, driver.vcpu, driver.is_emr_image) == ("driver", Decimal("0.5"), True)
    assert driver.memory_gib == Decimal(2048 + 384) / 1024
    assert (driver.ended - driver.started).total_seconds() == 9


def test_a_resource_profile_overrides_the_properties():
    """Executors of a stage-level resource profile have its cores, memory and GPUs."""
    amounts = {"cores": 8, "memory": 16384, "memoryOverhead": 2048, "gpu": 1}
    profile = profile_added(1, **amounts)
    big = {"Total Cores": 8, "Resource Profile Id": 1}
    pod = summary_of(*started(**KUBERNETES), profile, added("1", 100, **big), end(9000)).pods[1]
    assert (pod.vcpu, pod.memory_gib, pod.gpu) == (8, 18, 1)


@pytest.mark.parametrize(
    ("profile", "amounts", "vcpu"),
    [
        (1, {"cores": 8}, 8),
        (1, {"memory": 16384}, 6),  # no cores in the profile: what the executor registered with
        (2, None, 6),  # a profile that the log does not hold
        (0, {"cores": 8}, Decimal("3.5")),  # the default profile: what its pod requests by the properties
    ],
)
def test_executor_cores_of_the_properties_are_those_of_the_default_profile(profile, amounts, vcpu):
    """An executor of a profile of its own has that profile's cores, whatever spark.executor.cores says."""
    conf = {**KUBERNETES, "spark.executor.cores": "4", "spark.kubernetes.executor.request.cores": "3500m"}
    events = [] if amounts is None else [profile_added(profile, **amounts)]
    registered = added("1", 100, **{"Total Cores": 6, "Resource Profile Id": profile})
    assert summary_of(*started(**conf), *events, registered, end(9000)).pods[1].vcpu == vcpu


def stage(number: int, remote_bytes: int, *, is_completed: bool = True) -> list[dict]:
    """A stage that fetched so many bytes from other hosts."""
    info = {"Stage ID": number, "Stage Attempt ID": 0, "RDD Info": [], "Completion Time": START + 100}
    value = {"ID": number, "Name": "internal.metrics.shuffle.read.remoteBytesRead", "Value": remote_bytes}
    submitted = {"Event": "SparkListenerStageSubmitted", "Stage Info": info}
    completed = {"Event": "SparkListenerStageCompleted", "Stage Info": {**info, "Accumulables": [value]}}
    return [submitted, completed] if is_completed else [submitted]


def test_bytes_between_hosts_are_those_of_all_stages():
    """Also of stages beyond the 2,000 that are listed; unknown if a stage did not complete or none ran."""
    begin, last = started(**KUBERNETES), end(9000)
    stages = [event for number in range(4500) for event in stage(number, 10)]
    summary = summary_of(*begin, *stages, last)
    assert (len(summary.stages), summary.shuffle_remote_bytes) == (2000, 45_000)
    assert summary_of(*begin, *stages[:4], *stages[:4], last).shuffle_remote_bytes == 20  # twice changes nothing
    assert summary_of(*begin, *stages[:4], *stage(7, 0, is_completed=False), last).shuffle_remote_bytes is None
    assert summary_of(*begin, last).shuffle_remote_bytes is None


def test_executors_that_never_registered_or_never_left():
    """Removed without being added: no start, but an end. Never removed: it ends with the application."""
    pods = summary_of(*started(**KUBERNETES), added("1", 100), removed("2", 500), end(9000)).pods
    assert [(pod.uid, pod.started is None) for pod in pods] == [("driver", False), ("1", False), ("2", True)]
    assert pods[1].ended == pods[0].ended
    assert pods[2].reason == "lost"


def test_an_executor_that_comes_again_keeps_its_first_stretch():
    """An id that is removed and added again is one pod in two stretches of time; events that come twice add none."""
    events = [added("1", 100), removed("1", 2000), added("1", 5000), removed("1", 8000)]
    expected = [(100, 2000), (5000, 8000)]
    for told in (events, [event for event in events for _ in range(2)], events + events):
        pods = summary_of(*started(**KUBERNETES), *told, end(9000)).pods
        stretches = [(pod.started, pod.ended) for pod in pods[1:]]
        assert [tuple(round(t.timestamp() * 1000) - START for t in stretch) for stretch in stretches] == expected
        assert {pod.uid for pod in pods[1:]} == {"1"}


HOUR = 3_600_000
LAST = {  # whatever happened last an hour in, before the driver was killed
    "a job begins": {"Event": "SparkListenerJobStart", "Job ID": 7, "Submission Time": START + HOUR, "Stage Infos": []},
    "a job ends": {"Event": "SparkListenerJobEnd", "Job ID": 7, "Completion Time": START + HOUR},
    "a stage begins": {
        "Event": "SparkListenerStageSubmitted",
        "Stage Info": {"Stage ID": 3, "Stage Attempt ID": 0, "RDD Info": [], "Submission Time": START + HOUR},
        "Properties": {},
    },
    "a Spark task begins": {
        "Event": "SparkListenerTaskStart",
        "Stage ID": 3,
        "Stage Attempt ID": 0,
        "Task Info": {"Task ID": 9, "Index": 0, "Launch Time": START + HOUR, "Executor ID": "1", "Finish Time": 0},
    },
    "an execution begins": {
        "Event": "org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart",
        "executionId": 5,
        "physicalPlanDescription": "a long plan" * 1000,
        "sparkPlanInfo": {"nodeName": "Range", "simpleString": "", "children": [], "metrics": []},
        "time": START + HOUR,
    },
    "a block manager comes": {"Event": "SparkListenerBlockManagerAdded", "Timestamp": START + HOUR},
    "a stream is idle": {
        "Event": "org.apache.spark.sql.streaming.StreamingQueryListener$QueryIdleEvent",
        "id": "q",
        "timestamp": "2023-11-14T23:13:20.000Z",
    },
}


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("last", LAST)
def test_a_killed_driver_lived_until_its_last_event(last, statistics):
    """A log without an end is closed at the latest time that any of its events tells."""
    filler = [{"Event": "SparkListenerUnpersistRDD", "RDD ID": number, "Pad": "x" * 100} for number in range(3)]
    events = [*started(**KUBERNETES), added("1", 10_000), LAST[last], *filler]
    text = b"".join(json.dumps(event, separators=(",", ":")).encode() + b"\n" for event in events)
    reading = EventLogReading(PlanDatasets(), statistics=statistics)
    reading.feed(text, 0, len(text))
    summary = reading.summary()
    assert (summary.ended - summary.started).total_seconds() == 3600


def test_a_clock_that_ran_backwards_makes_no_negative():
    """An executor that ends before it starts has an unknown end, and the why says so."""
    summary = summary_of(*started(**KUBERNETES), added("1", 5000), removed("1", 100), end(9000))
    assert summary.pods[1].ended is None
    assert "1 ends before it starts; its end is unknown" in summary.why


def test_local_mode_is_one_pod():
    """In local mode one process is driver and executor: one pod of role driver with all its cores."""
    pods = summary_of(*started(**{"spark.master": "local[3]"}), added("driver", 0, **{"Total Cores": 3}), end(10)).pods
    assert [(pod.role, pod.vcpu, pod.memory_gib) for pod in pods] == [("driver", 3, 1)]


@pytest.mark.parametrize("version", ["3.5.9", "4.3.0"])
def test_a_real_dynamic_allocation_is_seen_whole(version, kept_logs, folder_store):
    """Executors requested, registered, lost and let go; Python; memory; Spark tasks that died with their executor."""
    summary = read_event_log(folder_store(kept_logs), f"{version}/executors.zstd")
    executors = summary.pods[1:]
    assert len(executors) > 2
    assert all(pod.vcpu == 2 and pod.memory_gib == Decimal("0.5") for pod in executors)
    assert {"Executor killed by driver.", "Command exited with code 137"} <= {pod.reason for pod in executors}
    assert any(pod.requested and pod.requested < pod.started for pod in executors)
    assert summary.uses_python
    assert summary.peak_memory_bytes["driver"] > 100e6
    assert sum(stage.tasks_failed for stage in summary.stages) >= 2
    completed = [stage for stage in summary.stages if stage.ended]
    assert len(completed) > 2
    assert all(summary.started <= stage.started <= stage.ended <= summary.ended for stage in completed)
    assert 1000 < summary.slot_ms_wasted < summary.slot_ms


def test_cut_numbers_equal_parsed_numbers(kept, plain_log):
    """What is cut out of a Spark task's line is what parsing the whole line gives, on every kept log."""
    full = EventLogReading(PlanDatasets())
    full.read_task = full.stages.parse_task
    text = plain_log(kept)
    full.feed(text, 0, len(text))
    fast = EventLogReading(PlanDatasets())
    fast.feed(text, 0, len(text))
    assert fast.summary() == full.summary()


def test_events_that_wait_tell_the_same(kept, plain_log, monkeypatch):
    """Events handled many in a row, as large logs are, give what they give one by one between the Spark tasks."""
    text, summaries = plain_log(kept), []
    for waiting in (1 << 20, 0):
        monkeypatch.setattr("airflow_doeks.event_log.reader._WAITING_BYTES", waiting)
        reading = EventLogReading(PlanDatasets())
        reading.feed(text, 0, len(text))
        summaries.append(reading.summary())
    assert summaries[0] == summaries[1]


@pytest.mark.parametrize("statistics", [True, False])
def test_lines_that_are_cut_by_blocks_tell_the_same(statistics, plain_log):
    """Wherever a block ends, be it within a line's first bytes, and with a line too short for an event."""
    lines = plain_log("4.3.0/cached").splitlines(keepends=True)
    text = b"".join([*lines[:-1], b"{}\n", lines[-1]])

    def read(*cuts: int):
        reading, rest = EventLogReading(PlanDatasets(), statistics=statistics), b""
        for begin, end in itertools.pairwise((0, *cuts, len(text))):
            block = rest + text[begin:end]
            whole = block.rfind(b"\n") + 1
            reading.feed(block, 0, whole)
            rest = block[whole:]
        return reading.summary()

    whole, newline = read(), text.rfind(b"\n", 0, len(text) - 1)
    assert "1 broken lines were left out" in whole.why
    for cut in (*range(newline - 40, newline + 40), len(text) // 3):
        assert read(cut) == whole


def test_successful_spark_tasks_are_cut_not_parsed(kept, plain_log):
    """The fast way fits every successful Spark task that Spark 3.5 and 4 wrote; older ones are parsed whole."""
    if kept < "3.5":
        pytest.skip("written before Spark 3.5")
    lines = [line for line in plain_log(kept).splitlines() if line.startswith(PREFIX) and b'"Success"' in line[:200]]
    assert all(HEAD.match(line) and METRICS in line for line in lines)
    assert lines


def test_a_spark_task_that_repeats_a_partition_is_waste(plain_log):
    """A second success of the same partition of a stage, in a later attempt, is counted as waste."""
    line = next(line for line in plain_log("4.3.0/cached").splitlines() if line.startswith(PREFIX))
    task = parse_task_end(line, 0, len(line))
    spent = task.finished_ms - task.launched_ms
    again = line.replace(b'"Stage Attempt ID":0', b'"Stage Attempt ID":1').replace(
        b'"Task ID":%d,' % task.task_id, b'"Task ID":777,'
    )
    reading = EventLogReading(PlanDatasets())
    text = line + b"\n" + again
    reading.feed(text, 0, len(text))
    summary = reading.summary()
    assert (summary.slot_ms, summary.slot_ms_wasted) == (2 * spent, spent)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4g", 4096), ("512m", 512), ("1073741824b", 1024), ("2048", 2048), ("1t", 1048576), ("x", None)],
)
def test_sizes_are_sparks(text, expected):
    """Spark sizes: a suffix from b to p; a bare number is MiB."""
    assert mib(text) == expected


def test_broken_properties_leave_amounts_unknown():
    """A size that is no size gives no memory, never zero."""
    executors = Executors(conf={"spark.master": "k8s://x", "spark.executor.memory": "lots"})
    executors.added(added("1", 0))
    assert executors.pods(None, None, [])[1].memory_gib is None


def test_a_spark_task_that_ends_before_it_starts_has_no_time(plain_log):
    """Its time is left out and the why says so; what the others took stays."""
    lines = [line for line in plain_log("4.3.0/cached").splitlines() if line.startswith(PREFIX)]
    tasks = [parse_task_end(line, 0, len(line)) for line in lines]
    times = b'"Launch Time":%d,' % tasks[0].launched_ms, b'"Launch Time":%d,' % (tasks[0].finished_ms + 1)
    text = b"\n".join([lines[0].replace(*times), *lines[1:]])
    reading = EventLogReading(PlanDatasets())
    reading.feed(text, 0, len(text))
    summary = reading.summary()
    assert summary.slot_ms == sum(task.finished_ms - task.launched_ms for task in tasks[1:])
    assert "1 Spark tasks end before they start; their time is left out" in summary.why


@pytest.mark.parametrize("name", ["app-1", "app-1.zstd"])
def test_the_last_line_needs_no_newline(name, tmp_path, folder_store):
    """A file that ends in the middle of nothing, without its last newline, tells its last event."""
    events = [*started(**KUBERNETES), end(9000)]
    text = b"\n".join(json.dumps(event, separators=(",", ":")).encode() for event in events)
    (tmp_path / name).write_bytes(zstandard.compress(text) if name.endswith("zstd") else text)
    assert read_event_log(folder_store(tmp_path)).ended_cleanly


@pytest.mark.parametrize("statistics", [True, False])
def test_events_that_nobody_here_knows_are_passed_over(statistics, plain_log):
    """An event of a newer Spark, or of somebody's own, changes nothing; a line that is no event is told."""

    def read(*more: bytes):
        text = b"\n".join([*plain_log("4.3.0/join_and_aggregate").splitlines(), *more])
        reading = EventLogReading(PlanDatasets(), statistics=statistics)
        reading.feed(text, 0, len(text))
        return reading.summary()

    assert read(b'{"Event":"SparkListenerFromTheFuture","Timestamp":1}', b'{"Event":"com.example.Mine"}') == read()
    broken = read(b"2026-11-20 12:00:00 a line of another log")
    assert broken.lineage.complete is False
    assert "1 broken lines were left out" in broken.why
