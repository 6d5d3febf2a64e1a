"""Numbers that reach a job as text arrive as they were written: 3.10 is a version, and 3.1 another."""

from __future__ import annotations

from airflow_doeks.language import compile_file
from tests.language.conftest import DOEKS


def test_numbers_of_a_job_arrive_as_they_were_written(project):
    """From presets, all defaults, variables and the task; what is a number to us stays one."""
    mine = DOEKS.replace("presets: {", "presets: {p: {spark: {conf: {spark.acme.p: 2.50}}}, ")
    variables = "environments: {dev: {variables: {v: 3.10, n: 7}, defaults: {spark: {conf: {spark.acme.e: 1e3}}}}}\n"
    project.write("doeks.yaml", mine + variables)
    text = """\
defaults: {platform: laptop, retry_exponential_backoff: 2.50, spark: {conf: {spark.acme.d: 0.30}}}
tasks:
  t:
    spark:
      main: ../jobs/clean.py
      presets: [p]
      image: "acme/spark:${v}-${n}"
      args: [--version, 3.10, "${v}", 0.5, 7]
"""
    (task,) = compile_file(project.pipeline(text)).plan.tasks
    assert task.job["args"] == ["--version", "3.10", "3.10", "0.5", 7]
    assert task.job["conf"] == {
        "spark.acme.p": "2.50",
        "spark.acme.e": "1e3",
        "spark.acme.d": "0.30",
    }
    assert task.job["image"] == "acme/spark:3.10-7"
    assert task.options == {"retry_exponential_backoff": 2.5}


def test_numbers_that_are_printed_as_they_were_written_cost_nothing(project):
    """Then no place is looked up: the job holds the file's own values."""
    text = "tasks: {t: {platform: laptop, spark: {main: ../jobs/clean.py, args: [0.5, 1.0]}}}\n"
    (task,) = compile_file(project.pipeline(text)).plan.tasks
    assert task.job["args"] == [0.5, 1.0]
