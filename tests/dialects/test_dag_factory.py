"""dag-factory's YAML becomes ours, and what does not carry over is said where it stood."""

from __future__ import annotations

import pytest
import yaml

from airflow_doeks.dialects.dag_factory.document import convert
from airflow_doeks.language.text import parse
from airflow_doeks.model.errors import SpecError

SOURCE = """\
default:
  default_args: {owner: data, retries: 2, retry_delay_sec: 300, start_date: 2024-01-01, email: [a@b.c]}
  schedule: "@daily"
etl:
  description: Old pipeline
  tags: [x]
  task_groups:
    - group_name: load
      tooltip: Loading
      dependencies: [extract]
    - {group_name: inner, parent_group_name: load}
  tasks:
    - task_id: extract
      operator: airflow.operators.bash.BashOperator
      bash_command: |
        echo one
        echo two
      on_failure_callback: my.module.alert
      execution_timeout: {__type__: datetime.timedelta, hours: 1}
    - {task_id: a, operator: airflow.operators.dummy_operator.DummyOperator, task_group_name: inner}
    - {task_id: b, decorator: airflow.sdk.task, python_callable: x.y, task_group_name: load, dependencies: [a]}
    - task_id: each
      operator: airflow.providers.standard.operators.bash.BashOperator
      expand: {bash_command: [echo 1, echo 2]}
      dependencies: [load]
      outlets: [s3://clean/orders]
"""
EXPECTED = """\
# Converted from the dag-factory DAG etl.
# TODO schedule: a run's dates mean the interval before it (Airflow 2); Airflow 3 means the moment itself: \
{cron: ..., covers: trigger_time}; catchup is false unless it is written, as on Airflow 3
description: Old pipeline
schedule: '@daily'
start_date: 2024-01-01
owner: data
tags: [x]
defaults:
  retries: 2
  retry_delay: 5m
  email: [a@b.c]
tasks:
  load:
    description: Loading
    needs: [extract]
    tasks:
      inner:
        tasks:
          a:
            uses: empty
      # TODO a placeholder that fails stands for airflow.sdk.task, which runs Python x.y: write it as a Spark job or \
an operator
      # TODO `python_callable: x.y` did not carry over: a pipeline holds no Python
      b:
        uses: bash
        with: {bash_command: 'echo ''this stands for airflow.sdk.task, which runs Python x.y: see its TODO'' \
>&2; exit 1'}
        needs: [load.inner.a]
  # TODO `on_failure_callback: my.module.alert` did not carry over: a pipeline holds no Python; Airflow's \
notifiers belong to a listener or to the platform's alerts
  extract:
    uses: bash
    with:
      bash_command: |
        echo one
        echo two
    execution_timeout: 1h
  each:
    uses: bash
    needs: [load]
    outlets: ['s3://clean/orders']
    expand:
    - {bash_command: echo 1}
    - {bash_command: echo 2}
"""


def test_a_dag_factory_file_becomes_a_pipeline():
    """Settings, groups, dependencies and mapping carry over; the rest stands as a TODO at its place."""
    (found,) = convert(SOURCE)
    assert (found.dag_id, found.text) == ("etl", EXPECTED)
    assert sum(line.strip().startswith("# TODO") for line in found.text.splitlines()) == len(found.notes) == 4


def test_both_dialects_mean_the_same():
    """Tasks and groups as mappings (0.x) convert to the same text as lists with `task_id` (1.x)."""
    document = yaml.safe_load(SOURCE)
    etl = document["etl"]
    etl["tasks"] = {task.pop("task_id"): task for task in etl["tasks"]}
    etl["task_groups"] = {group.pop("group_name"): group for group in etl["task_groups"]}
    assert convert(yaml.safe_dump(document, sort_keys=False))[0].text == EXPECTED


@pytest.mark.parametrize(
    ("schedule", "ours"),
    [
        ("none", None),
        ("[s3://a/b, s3://c/d]", {"assets": {"all": ["s3://a/b", "s3://c/d"]}}),
        (
            "{__or__: [{__type__: airflow.sdk.Asset, uri: s3://a/b}, {__type__: airflow.sdk.Asset, uri: s3://c/d}]}",
            {"assets": {"any": ["s3://a/b", "s3://c/d"]}},
        ),
        (
            "{__type__: airflow.timetables.trigger.CronTriggerTimetable, cron: 0 3 * * *, timezone: UTC}",
            {"cron": "0 3 * * *", "timezone": "UTC", "covers": "trigger_time"},
        ),
    ],
)
def test_schedules_carry_over(schedule, ours):
    """Assets and timetables in dag-factory's notations become our schedules."""
    (found,) = convert(
        f"etl: {{schedule: {schedule}, tasks: {{a: {{operator: airflow.operators.empty.EmptyOperator}}}}}}"
    )
    assert yaml.safe_load(found.text)["schedule"] == ours
    assert found.notes == ()


def test_a_moving_start_date_is_not_invented():
    """A start date relative to today changes the DAG every day; it is left out and said."""
    (found,) = convert("etl: {default_args: {start_date: 2 days}, schedule: null, tasks: {a: {operator: x.Y}}}")
    assert "start_date" not in yaml.safe_load(found.text)
    assert found.notes[0] == "`start_date: 2 days` did not carry over: it moves with the day, write a fixed date"


def test_spark_operators_become_spark_tasks():
    """A job of SparkSubmitOperator or EmrContainerOperator is a job of ours, its sizes those of pods."""
    text = """\
etl:
  tasks:
    submit:
      operator: airflow.providers.apache.spark.operators.spark_submit.SparkSubmitOperator
      application: s3://code/a.py
      application_args: [--day, "1"]
      py_files: a.py,b.py
      conf: {spark.sql.shuffle.partitions: 10, spark.executor.memory: 4g}
      num_executors: 3
    emr:
      operator: airflow.providers.amazon.aws.operators.emr.EmrContainerOperator
      virtual_cluster_id: abc
      release_label: emr-7.9.0-latest
      job_driver:
        sparkSubmitJobDriver:
          entryPoint: s3://code/b.jar
          entryPointArguments: [x]
          sparkSubmitParameters: --class com.acme.B --conf spark.executor.cores=2 --conf spark.a=b=c --driver-memory 2g
      configuration_overrides:
        applicationConfiguration:
          - {classification: spark-defaults, properties: {spark.dynamicAllocation.maxExecutors: "9"}}
"""
    (found,) = convert(text)
    assert yaml.safe_load(found.text)["tasks"] == {
        "submit": {
            "spark": {
                "main": "s3://code/a.py",
                "args": ["--day", "1"],
                "py_files": ["a.py", "b.py"],
                "executors": {"memory": "4Gi", "min": 3},
                "conf": {"spark.sql.shuffle.partitions": 10},
            }
        },
        "emr": {
            "spark": {
                "main": "s3://code/b.jar",
                "args": ["x"],
                "class": "com.acme.B",
                "release": "emr-7.9.0-latest",
                "executors": {"cpu": 2, "max": 9},
                "driver": {"memory": "2Gi"},
                "conf": {"spark.a": "b=c"},
            }
        },
    }


def test_nothing_that_the_file_names_is_run(tmp_path):
    """Python tags and `__type__` become notes, never calls."""
    canary = tmp_path / "canary"
    text = (
        "etl:\n  tasks:\n    a:\n      operator: airflow.operators.bash.BashOperator\n"
        f"      bash_command: {{__type__: os.system, __args__: [touch {canary}]}}\n"
        f"      cwd: !!python/object/apply:os.system [touch {canary}]\n"
    )
    (found,) = convert(text)
    assert not canary.exists()
    command, cwd = found.notes[-2:]
    assert command.startswith("a: `bash_command: {__type__: os.system, __args__: [touch ")
    assert cwd.startswith("a: `cwd: {'!tag:yaml.org,2002:python/object/apply:os.system': [touch ")
    assert all(note.endswith("did not carry over: it is an object of Python") for note in (command, cwd))


@pytest.mark.parametrize("text", ["", "a: [", "- a", "a: 1", "tasks: {a: {}}"])
def test_text_that_is_no_dag_factory_file_is_refused(text):
    """An empty, broken or different file is one error with the file's name."""
    with pytest.raises(SpecError, match=r"^old\.yml: "):
        convert(text, "old.yml")


def test_a_dag_without_tasks_hinders_no_other():
    """dag-factory makes an empty DAG of it; a pipeline needs a task, so a TODO stands at one that does nothing."""
    empty, full = convert("one: {schedule: null, vars: {a: 1}}\ntwo: {schedule: null, tasks: {t: {operator: x.Y}}}\n")
    assert yaml.safe_load(empty.text)["tasks"] == {"nothing": {"uses": "empty"}}
    assert empty.notes == (
        "`vars: {a: 1}` did not carry over",
        "nothing: the source has no tasks, and a pipeline needs one: this one does nothing",
    )
    assert full.notes == ("t: x.Y must be in `allowed_uses` of doeks.yaml",)


def test_a_sensor_needs_no_permission():
    """Lint allows it everywhere, so no note asks for it."""
    (found,) = convert("d: {schedule: null, tasks: {t: {operator: acme.sensors.tide.TideSensor}}}")
    assert found.notes == ()


@pytest.mark.parametrize("text", ["1e3", "12e5", "-.5", "1.5e3", "1e-5", "null", "010", "yes", "0x10", "3.10"])
def test_text_stays_text_in_our_yaml(text):
    """Also what YAML 1.1 takes for text and ours for a number."""
    task = {"operator": "airflow.operators.bash.BashOperator", "bash_command": text, "env": {text: text}}
    (pipeline,) = convert(yaml.safe_dump({"etl": {"schedule": None, "tasks": {"t": task}}}))
    given = parse(pipeline.text.encode(), "p.yaml").data["tasks"]["t"]["with"]
    assert given == {"bash_command": text, "env": {text: text}}
