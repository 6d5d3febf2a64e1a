"""Properties, memory and findings that all Spark platforms share."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.quantities import GIB, MIB
from airflow_doeks.platforms.clients import Clients, Injection
from airflow_doeks.platforms.protocol import JobValues
from airflow_doeks.platforms.registry import TYPES
from airflow_doeks.platforms.spark.conf import (
    MemorySplit,
    conf_findings,
    identity_conf,
    sizing_conf,
    split_memory,
    work_conf,
)
from tests.platforms.harness_emr_on_eks import ENTRY as EMR

IDENTITY = JobIdentity(
    instance="prod",
    dag_id="sales.orders",
    run_id="manual__2026-11-20T00:00:00+00:00",
    task_id="clean",
    map_index=3,
    try_number=2,
    run_started=datetime(2026, 11, 20, tzinfo=timezone.utc),
    attempt_id="0199-abc",
)
JVM = {"main": "s3://code/app.jar", "class": "com.acme.App"}
PYTHON = {"main": "clean.py"}


def plain(job: dict) -> JobValues:
    """A job as checks and presets read it."""
    return SparkJob.model_validate(job).plain()


SPLITS = {  # name: (job, bytes) -> heap, overhead, pools in MiB; the arithmetic stands beside it
    "jvm": (JVM, 4 * GIB, MemorySplit(3712, 384)),  # 4096 - 384, because 3723 / 10 is below the minimum
    "large jvm": (JVM, 16 * GIB, MemorySplit(14894, 1490)),  # 16384 / 1.1 = 14894.5
    "python": (PYTHON, 4 * GIB, MemorySplit(2925, 1171)),  # 4096 / 1.4 = 2925.7
    "sql": ({"sql": "a.sql"}, 4 * GIB, MemorySplit(3712, 384)),  # no Python in executors
    "overhead given": (PYTHON | {"conf": {"spark.executor.memoryOverhead": "1g"}}, 4 * GIB, MemorySplit(3072, 1024)),
    "factor given": (JVM | {"conf": {"spark.executor.memoryOverheadFactor": 0.5}}, 6 * GIB, MemorySplit(4096, 2048)),
    "off heap": (
        JVM | {"conf": {"spark.memory.offHeap.enabled": True, "spark.memory.offHeap.size": 1 * GIB}},
        4 * GIB,
        MemorySplit(2688, 384, 1024),  # 4096 - 1024 - 384
    ),
    "python workers limited": (
        PYTHON | {"conf": {"spark.executor.pyspark.memory": "512m"}},
        4 * GIB,
        MemorySplit(2560, 1024, 512),  # (4096 - 512) / 1.4
    ),
}


@pytest.mark.parametrize("case", SPLITS)
def test_memory_split(case):
    """A pod's memory is its heap, its overhead and the pools the job asked for, by Spark's own rule."""
    job, total, expected = SPLITS[case]
    assert split_memory(plain(job), "executor", total) == expected


@given(mib=st.integers(min_value=900, max_value=1_000_000), python=st.booleans())
def test_memory_is_never_more_than_asked(mib, python):
    """Whatever the size, heap and overhead sum to the pod's total, and the overhead is what Spark would take."""
    split = split_memory(plain(PYTHON if python else JVM), "executor", mib * MIB)
    assert split.heap_mib + split.overhead_mib == mib
    assert split.overhead_mib >= max(int(split.heap_mib * (0.4 if python else 0.1)), 384)


def test_too_little_memory_says_how_much():
    """A pod too small for Spark's heap is refused with the least size that works."""
    with pytest.raises(SpecError, match=r"executors.memory: 512 MiB leave 128 MiB .* Write at least 834Mi"):
        split_memory(plain(JVM), "executor", 512 * MIB)
    split_memory(plain(JVM), "executor", 834 * MIB)


@pytest.mark.parametrize("factor", ["-1", "-0.9", "0", "nan", "sNaN", "inf", "-Infinity", "much", ""])
@pytest.mark.parametrize(
    "key",
    [
        "spark.driver.memoryOverheadFactor",
        "spark.executor.memoryOverheadFactor",
        "spark.kubernetes.memoryOverheadFactor",
    ],
)
def test_an_overhead_factor_is_a_number_above_0(key, factor):
    """Another one is a finding at lint and refused before anything is sent, by its name and with an example."""
    job = PYTHON | {"conf": {key: factor}}
    message = f"{factor!r} is not a number above 0; write for example 0.4"
    findings = conf_findings(plain(job))
    assert {(finding.path, finding.message) for finding in findings} == {(f"conf.{key}", message)}
    with pytest.raises(SpecError, match=re.escape(f"conf.{key}: {message}")):
        sizing_conf(plain(job))


def test_fixed_size():
    """Executors without a range are a fixed number, and cores below one still run one Spark task."""
    job = plain(PYTHON | {"executors": {"min": 3, "cpu": "500m", "memory": "4Gi"}})
    assert sizing_conf(job) == {
        "spark.driver.cores": "1",
        "spark.driver.memory": "1462m",
        "spark.driver.memoryOverhead": "586m",
        "spark.executor.cores": "1",
        "spark.executor.memory": "2925m",
        "spark.executor.memoryOverhead": "1171m",
        "spark.executor.instances": "3",
        "spark.dynamicAllocation.enabled": "false",
    }


def test_range_of_executors():
    """`min` below `max` turns dynamic allocation on."""
    conf = sizing_conf(plain(JVM | {"executors": {"min": 2, "max": 20}}))
    assert {key: value for key, value in conf.items() if "dynamicAllocation" in key} == {
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
        "spark.dynamicAllocation.minExecutors": "2",
        "spark.dynamicAllocation.maxExecutors": "20",
    }


def test_added_properties():
    """Every job gets an event log, whole plan metadata and its identity; booleans are written as Spark reads them."""
    job = plain(PYTHON | {"conf": {"spark.sql.adaptive.enabled": False}})
    assert work_conf(job, Injection(), event_log_dir="s3://logs/x") == {
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.maxMetadataStringLength": "100000",
        "spark.sql.debug.maxToStringFields": "2000",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": "s3://logs/x",
        "spark.eventLog.compress": "true",
        "spark.eventLog.compression.codec": "zstd",
    }
    assert identity_conf(IDENTITY, Injection()) == {
        "spark.doeks.instance": "prod",
        "spark.doeks.dag": "sales.orders",
        "spark.doeks.run": "manual__2026-11-20T00:00:00+00:00",
        "spark.doeks.task": "clean",
        "spark.doeks.map": "3",
        "spark.doeks.try": "2",
        "spark.doeks.task-key": IDENTITY.task_key[:16],
    }


def test_switches():
    """Each addition has its own switch, and a job's own plan metadata wins."""
    off = Injection(event_log=False, plan_metadata=False, identity=False)
    job = plain(PYTHON | {"conf": {"spark.sql.maxMetadataStringLength": 50}})
    assert work_conf(job, off, event_log_dir="s3://logs/x") == {"spark.sql.maxMetadataStringLength": "50"}
    assert identity_conf(IDENTITY, off) == {}
    conf = work_conf(job, Injection(event_log=False), event_log_dir="s3://logs/x")
    assert conf == {"spark.sql.maxMetadataStringLength": "50", "spark.sql.debug.maxToStringFields": "2000"}


def test_findings():
    """A property that we own, and memory too small for Spark, are said at lint, each at its path."""
    conf = {"spark.executor.memory": "4g", "spark.doeks.dag": "x", "spark.sql.shuffle.partitions": "{{ params.n }}"}
    job = PYTHON | {"conf": conf, "driver": {"memory": "512Mi"}, "executors": {"memory": "{{ m }}"}}
    findings = conf_findings(plain(job))
    assert [(finding.path, finding.help) for finding in findings] == [
        ("conf.spark.executor.memory", "write executors.memory, the total of the pod"),
        ("conf.spark.doeks.dag", "these properties name the Airflow attempt; remove it"),
    ]
    (finding,) = conf_findings(plain(PYTHON | {"driver": {"memory": "512Mi"}}))
    assert (finding.path, finding.message.split(";")[0]) == (
        "driver.memory",
        "512 MiB leave 128 MiB for the JVM's heap after 384 MiB of overhead",
    )


@pytest.mark.parametrize("type_", ["emr_on_eks", "kubeflow_spark", "apache_spark"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spark.files", "file:///var/run/secrets/kubernetes.io/serviceaccount/token"),
        ("spark.jars", "s3://code/a.jar,/opt/keys.jar"),
        ("spark.submit.pyFiles", "lib.zip"),
    ],
)
def test_no_property_names_a_file_of_whoever_submits(type_, key, value):
    """spark-submit would upload it from the pod that submits, whose files are no job's: told by lint and refused."""
    entry = {"emr_on_eks": EMR}.get(type_, {"type": type_, "namespace": "sales", "image": "acme/spark:3.5.9"})
    row = TYPES[type_]
    module, config = row.load(), row.load().Config.model_validate(entry)
    job = SparkJob(main="s3://code/a.py", conf={key: value})
    found = row.load_checks().check_job(config, job.plain())
    assert [one.path for one in found if "spark-submit" in one.message] == [f"conf.{key}"]
    with pytest.raises(SpecError, match=f"conf.{key}: .* file of the pod that runs spark-submit"):
        module.Platform(config, "p", Clients()).render(job, IDENTITY)
    well = {"spark.files": "local:///opt/app/a.txt,s3://code/b.txt,{{ params.more }}"}
    lint = row.load_checks().check_job(config, SparkJob(main="s3://code/a.py", conf=well).plain())
    assert not [one for one in lint if "spark-submit" in one.message]
