"""A task written by hand and the same task in YAML: one request, one record, one set of policies at the service."""

import importlib.util
import json

import pytest

from airflow_doeks.compat import DAG
from airflow_doeks.dag_builder import build_dag
from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.language import compile_file
from airflow_doeks.ledger import Ledger
from airflow_doeks.model.errors import SpecError
from tests.airflow.operators.test_emr_task import Task
from tests.fakes.emr_containers import Step
from tests.platforms.harness_emr_on_eks import ENTRY, world

PROJECT = {
    "platforms": {"lake": ENTRY | {"connection": "aws_fake", "list_seconds": 0.05}},
    "presets": {"big": {"spark": {"driver": {"memory": "4Gi"}, "conf": {"spark.sql.shuffle.partitions": "50"}}}},
    "policies": {"max_executors": 100, "required_cost_tags": ["team"], "platforms": {"lake": ["orders"]}},
    "cost_tags": {"company": "acme"},
}
YAML = """\
schedule: null
tasks:
  clean:
    platform: lake
    budget_usd: 7
    cost_tags: {team: sales}
    reads: [s3://raw/orders]
    writes: [s3://clean/orders]
    run_timeout: 2h
    spark: {main: s3://acme-code/m.py, args: ["{{ ds }}"], executors: {max: 20}, presets: [big]}
"""
DAGS = f"""\
from {DAG.__module__} import DAG
from airflow_doeks.operators.job import SparkJobOperator
job = {{"main": "s3://acme-code/m.py", "args": ["TEMPLATE"], "executors": {{"max": 20}}, "presets": ["big"]}}
with DAG("orders", schedule=None) as dag:
    SparkJobOperator(
        task_id="clean", platform="lake", job=job, cost_tags={{"team": "sales"}}, budget_usd=7,
        reads=["s3://raw/orders"], writes=["s3://clean/orders"], timeouts={{"run_timeout": "2h"}},
    )
""".replace("TEMPLATE", "{{ ds }}")


@pytest.fixture
def project(tmp_path):
    """Both tasks in one project; gives functions that make the one and the other."""
    (tmp_path / "doeks.yaml").write_text(json.dumps(PROJECT))
    (tmp_path / "dags").mkdir()
    (tmp_path / "pipelines").mkdir()

    def by_hand(old="", new=""):
        file = tmp_path / "dags" / "orders.py"
        file.write_text(DAGS.replace(old, new) if old else DAGS)
        spec = importlib.util.spec_from_file_location("orders", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.dag.get_task("clean")

    def in_yaml(old="", new=""):
        file = tmp_path / "pipelines" / "orders.yaml"
        file.write_text(YAML.replace(old, new) if old else YAML)
        compiled = compile_file(file)
        if compiled.plan is None:
            raise SpecError("\n".join(map(str, compiled.diagnostics)))
        return build_dag(compiled.plan, tmp_path / "dags.py").get_task("clean")

    return by_hand, in_yaml


def lived_through(make, folder, monkeypatch):
    """What the service was asked, and the record, after the whole life of a task in a world of its own."""
    with world(folder / "s3") as aws:
        aws.emr.script = lambda _: (Step(0, "PENDING"), Step(60, "RUNNING"), Step(600, "COMPLETED"))
        aws.emr.answer_seconds = 30
        extra = {"region_name": "us-east-1", "endpoint_url": aws.aws.url}
        connection = {"conn_type": "aws", "login": "AKIAEXAMPLEEXAMPLE00", "password": "x", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_FAKE", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW__DOEKS__LEDGER_PATH", str(folder / "ledger"))
        task = Task.of(make())
        task.finish()
        (job,) = aws.emr.jobs.values()
    (record,) = Ledger(LocalStore(str(folder / "ledger"))).records()
    known = record.model_dump(mode="json")
    del known["cost"]["priced_at"]
    return job.request, known


def test_both_send_the_same_request_and_leave_the_same_record(project, tmp_path, monkeypatch):
    """From the request to the price: nothing in either tells who wrote the task."""
    (sent, record), (their_request, their_record) = (
        lived_through(make, tmp_path / name, monkeypatch) for make, name in zip(project, "ab", strict=True)
    )
    assert sent == their_request
    assert (record["job"]["state"], record["cost"]["usd_total"] is None) == ("SUCCEEDED", False)
    assert record["cost_tags"] == {"company": "acme", "team": "sales"}
    assert {key: value for key, value in record.items() if value != their_record[key]} == {}


@pytest.mark.parametrize(
    ("by_hand", "in_yaml", "said"),
    [
        (('"max": 20', '"max": 300'), ("max: 20", "max: 300"), "DK303"),
        (('{"team": "sales"}', "{}"), ("{team: sales}", "{}"), "DK301"),
        (('DAG("orders"', 'DAG("growth"'), None, "DK306"),
        (('["big"]', '["bog"]'), ("[big]", "[bog]"), "DK216"),
    ],
)
def test_both_obey_the_same_policies(project, by_hand, in_yaml, said):
    """What one may not, the other may not, in the same words."""
    make_by_hand, make_in_yaml = project
    with pytest.raises(SpecError, match=said):
        make_by_hand(*by_hand)
    if in_yaml:
        with pytest.raises(SpecError, match=said):
            make_in_yaml(*in_yaml)
