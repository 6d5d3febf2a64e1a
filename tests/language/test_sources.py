"""Where values stand is looked up when asked, and survives what Airflow does to operators."""

from __future__ import annotations

import copy
import pickle

from airflow_doeks.language import compile_file

JOB = "tasks:\n  t:\n    platform: lake\n    spark:\n      main: ../jobs/clean.py\n"


def test_sources_can_be_copied_and_pickled(project):
    """A copy answers the same; pickled they are a plain mapping."""
    source = compile_file(project.pipeline(JOB)).plan.tasks[0].source
    assert copy.deepcopy(source)["spark.main"] == source["spark.main"]
    assert pickle.loads(pickle.dumps(source)) == dict(source)  # noqa: S301 - our own bytes


def test_sources_are_relative_to_a_folder_on_request(project):
    """The DAG file's folder is taken off, so that hosts with other paths agree."""
    source = compile_file(project.pipeline(JOB)).plan.tasks[0].source
    assert source.relative_to(project.path)["spark.main"] == "pipelines/p.yaml:5:13"
    assert source.relative_to(project.path / "dags")["spark.main"] == "../pipelines/p.yaml:5:13"


def test_what_is_not_there_has_no_source(project):
    """A path that the task does not have is a KeyError, as of any mapping."""
    source = compile_file(project.pipeline(JOB)).plan.tasks[0].source
    assert source.get("spark.sql") is None
    assert source.get("spark.args.0") is None
