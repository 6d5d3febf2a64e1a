"""A hand-written DAG names its platform; the example is the one that docs/python.md shows."""

from __future__ import annotations

import importlib.util
import json
import re
from datetime import datetime, timezone
from pathlib import Path

import pytest

from airflow_doeks.compat import DAG, STANDARD, XComArg
from airflow_doeks.dag_builder import build_dag
from airflow_doeks.hooks.platforms import connect
from airflow_doeks.language import compile_file
from airflow_doeks.language.rules import schema
from airflow_doeks.lifecycle.staging import plan_staging
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.flink import FlinkJob
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.job_types import FlinkJobValues, SparkJobValues

DOCS = Path(__file__).parents[3] / "docs" / "python.md"
DOEKS = """\
platforms:
  laptop: {type: local, priced_as: m7g.xlarge}
  lake: {type: kubeflow_spark, namespace: sales, image: "acme/spark:3.5.9", max_jobs: 5, code: s3://acme-code/}
environments:
  dev: {platform: laptop}
  prod: {cost_tags: {env: prod}, defaults: {run_timeout: 3h, spark: {conf: {spark.sql.shuffle.partitions: 9}}}}
presets: {big: {spark: {driver: {memory: 4Gi}}}}
policies: {max_executors: 100, required_cost_tags: [team], platforms: {lake: ["sales/**"]}}
rate_card: {region: us-east-1}
"""
IDENTITY = JobIdentity(
    instance="tests",
    dag_id="sales.daily",
    run_id="r1",
    task_id="clean",
    map_index=-1,
    try_number=1,
    run_started=datetime(2026, 1, 1, tzinfo=timezone.utc),
    attempt_id="a1",
    cost_tags={"team": "sales"},
)
YAML = """\
tasks:
  clean:
    platform: lake
    queue_timeout: 2h
    cost_tags: {team: sales}
    reads: [s3://raw/orders]
    writes: [s3://clean/orders]
    spark:
      main: ../../dags/jobs/clean.py
      args: ["--run", "{{ run_id }}"]
      executors: {min: 2, max: 20, memory: 16Gi}
      presets: [spot]
"""
COMPARED = ("platform", "cost_tags", "reads", "writes", "timeouts", "budget_usd", "retry_on", "rate_card", "pool")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with the documented DAG in a folder below its doeks.yaml; gives a function that reads the DAG."""
    text = re.search(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)[1]
    text = text.replace("from airflow.sdk import DAG", f"from {DAG.__module__} import DAG")
    text = text.replace(
        "\nCLEAN",
        f"\nfrom airflow_doeks.compat import XComArg\nfrom {STANDARD}operators.empty import EmptyOperator\nCLEAN",
    )
    (tmp_path / "doeks.yaml").write_text(DOEKS)
    (tmp_path / "dags" / "jobs").mkdir(parents=True)
    (tmp_path / "dags" / "jobs" / "clean.py").write_text("")
    file = tmp_path / "dags" / "sales.py"

    def read(env="prod", **changes):
        monkeypatch.setenv("DOEKS_ENV", env)
        file.write_text(text.replace(*changes["put"]) if changes else text)
        spec = importlib.util.spec_from_file_location("sales", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.dag

    return read


def test_the_documented_dag_runs_on_the_platform_that_it_names(project):
    """The entry is that of the doeks.yaml above the DAG's file, whatever the working directory is."""
    task = project().get_task("clean")
    assert task.platform["type"] == "kubeflow_spark"
    assert (task.platform["name"], task.platform["namespace"]) == ("lake", "sales")


def test_the_environment_chooses_as_for_pipelines(project):
    """An environment's platform goes before the one that a DAG names."""
    assert project(env="dev").get_task("clean").platform["name"] == "laptop"


def test_a_name_that_no_platform_has_is_told_when_the_dag_is_read(project):
    """The import error names what there is; an environment that is not there is told alike."""
    with pytest.raises(SpecError, match=r'there is no platform "lakes"; doeks.yaml has laptop, lake'):
        project(put=('"lake",', '"lakes",'))
    with pytest.raises(SpecError, match=r'there is no environment "test".*there are dev, prod'):
        project(env="test")


def test_the_same_task_in_yaml_sends_the_same_request(project, tmp_path):
    """Job, platform, tags, time-outs, pool and the rendered request are equal, whoever wrote the task."""
    ours = project().get_task("clean")
    file = tmp_path / "pipelines" / "sales" / "daily.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(YAML)
    plan = compile_file(file).plan
    theirs = build_dag(plan, tmp_path / "dags.py").get_task("clean")
    assert {name: plain(getattr(ours, name)) for name in COMPARED} == {
        name: plain(getattr(theirs, name)) for name in COMPARED
    }
    assert ours.pool == "doeks_lake"
    assert ours.job == {**theirs.job, "main": "jobs/clean.py"}
    requests = []
    for task in (ours, theirs):
        staged = plan_staging(SparkJob.of_rendered(task.job), task.code_folder(), task.platform["code"]).job
        requests.append(connect(task.platform).render(staged, IDENTITY))
    assert requests[0] == requests[1]


def plain(value):
    """As JSON has it."""
    return json.loads(json.dumps(value))


@pytest.mark.parametrize(
    ("put", "said"),
    [
        (
            ('"memory": "16Gi"', '"memroy": "16Gi"'),
            'DK104 unknown key "memroy" in spark.executors; did you mean "memory"',
        ),
        (('"max": 20', '"max": 300'), "DK303 300 executors; the policy allows 100"),
        (('{"team": "sales"}', "{}"), 'DK301 cost tag "team" is required'),
        (("jobs/clean.py", "jobs/claen.py"), 'DK212 "jobs/claen.py" does not exist; did you mean "clean.py"'),
        (('DAG("sales.daily"', 'DAG("growth.daily"'), 'DK306 pipeline growth/daily may not use platform "lake"'),
        (('["spot"]', '["sopt"]'), 'DK216 there is no preset "sopt"; did you mean "spot"'),
        (('"queue_timeout"', '"queue_timout"'), "timeouts: unknown key 'queue_timout'; did you mean \"queue_timeout\""),
    ],
)
def test_what_is_wrong_is_told_when_the_dag_is_read(project, put, said):
    """In the words of `doeks lint`, with the task's name."""
    with pytest.raises(SpecError, match=re.escape(said)):
        project(put=put)


def test_an_output_of_another_task_stands_in_the_job(project):
    """It is checked as a template is, and stays what Airflow resolves; `${` is text in Python."""
    task = project(put=('"{{ run_id }}"', '"${HOME}", XComArg(EmptyOperator(task_id="first"))')).get_task("clean")
    assert task.job["args"][:2] == ["--run", "${HOME}"]
    assert isinstance(task.job["args"][2], XComArg)
    assert task.upstream_task_ids == {"first"}


def test_types_of_a_job_have_the_keys_of_the_language():
    """What an editor completes in Python is what it completes in YAML."""
    for model, values in ((SparkJob, SparkJobValues), (FlinkJob, FlinkJobValues)):
        keys = {field.alias or name for name, field in model.model_fields.items()} - {"sql_text", "runner"}
        assert set(values.__annotations__) == keys & set(schema("pipeline")["$defs"][model.__name__]["properties"])
