"""Datasets are URIs; of file systems whose host may be left out, it may be left out."""

from __future__ import annotations

import pytest

from airflow_doeks.language import check_file, compile_file


def codes_of(project, uri: str) -> list[str]:
    """Codes of the errors of a task that writes this dataset."""
    file = project.pipeline(f"params: {{place: s3://a}}\ntasks: {{t: {{uses: empty, writes: ['{uri}']}}}}\n")
    return [fault.code for fault in check_file(file)]


@pytest.mark.parametrize(
    "uri",
    [
        "file:///data/in",
        "file:/data/in",
        "file://localhost/data/in",
        "hdfs:///data/out",
        "hdfs://nameservice1/data/out",
        "viewfs:///data",
        "dbfs:/mnt/raw",
        "sqlite:////var/shop.db",
        "x-acme:///orders",
        "s3://raw/orders",
        "abfss://box@account.dfs.core.windows.net/x",
        "kafka://broker:9092/topic",
        "{{ params.place }}",
    ],
)
def test_a_place_on_a_file_system_is_a_uri(project, uri):
    """Local paths and HDFS's default name node have no host; OpenLineage and Airflow name them so."""
    assert codes_of(project, uri) == []


@pytest.mark.parametrize(
    "uri",
    [
        "/data/in",
        "file:",
        "file:///",
        "s3:///orders",
        "s3:/orders",
        "gs:///x",
        "abfss:///x",
        "c:/data",
        "data",
        "hdfs:data",
    ],
)
def test_a_bucket_is_not_left_out(project, uri):
    """Of an object store the empty place is that of the bucket, and nothing could be read there."""
    assert codes_of(project, uri) == ["DK108"]


def test_one_place_in_two_spellings_is_one_dataset(project):
    """`file:/x` and `file:///x` are the same file, so that the reader comes after the writer."""
    tasks = "{b: {uses: empty, reads: ['file:///data/x']}, a: {uses: empty, writes: ['file:/data/x/']}}"
    file = project.pipeline(f"schedule: null\ntasks: {tasks}\n")
    plan = compile_file(file).plan
    assert {task.task_id: task.needs for task in plan.tasks} == {"b": ("a",), "a": ()}
