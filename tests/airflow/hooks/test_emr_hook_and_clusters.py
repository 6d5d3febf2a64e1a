"""EMR on EKS through Airflow's connection: clients, virtual cluster operators; the amazon provider's real hook."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

from airflow_doeks.compat import DAG, AirflowFailException
from airflow_doeks.hooks.platforms import connect
from airflow_doeks.hooks.settings import load_settings
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.status import JobState
from airflow_doeks.operators.emr_virtual_cluster import (
    EmrVirtualClusterCreateOperator,
    EmrVirtualClusterDeleteOperator,
    EmrVirtualClusterDescribeOperator,
    EmrVirtualClusterSensor,
)
from tests.fakes.emr_containers import MODEL, Fault
from tests.platforms.harness_emr_on_eks import ENTRY, world

PLACE = {"region": "us-east-1", "connection": "aws_fake"}
CONTEXT = {"ti": SimpleNamespace(dag_id="ops", run_id="r", task_id="create", map_index=-1, try_number=1)}


@pytest.fixture
def aws(tmp_path, monkeypatch):
    """A fake AWS behind the Airflow connection `aws_fake`."""
    with world(tmp_path) as fresh:
        connection = {
            "conn_type": "aws",
            "login": "AKIAEXAMPLEEXAMPLE00",
            "password": "not-a-secret",
            "extra": {"region_name": "us-east-1", "endpoint_url": fresh.aws.url},
        }
        monkeypatch.setenv("AIRFLOW_CONN_AWS_FAKE", json.dumps(connection))
        yield fresh


def create(**changes) -> str:
    """Run the create operator."""
    arguments = {"cluster_name": "sales", "eks_cluster": "prod", "namespace": "sales"} | PLACE | changes
    return EmrVirtualClusterCreateOperator(task_id="create", **arguments).execute(CONTEXT)


def test_a_platform_of_doeks_yaml_connects_through_the_amazon_connection(aws):
    """`connect` makes real clients from the Airflow connection; nothing is called before it is needed."""
    platform = connect({"name": "lake", **ENTRY, "connection": "aws_fake"}, load_settings())
    assert aws.aws.connections == 0
    ref = platform.submit(platform.render(SparkJob(main="s3://acme-code/m.py"), aws.identity()))
    assert platform.observe(ref).state is JobState.QUEUED
    assert aws.emr.calls == {"StartJobRun": 1, "DescribeJobRun": 1}


@pytest.mark.parametrize(
    ("inner", "said"),
    [
        ("aws_typo", "there is no Airflow connection 'aws_typo'; `aws_conn_id` in the extra of 'emr_x' names it"),
        ("emr_x", "connection 'emr_x' names 'emr_x' as `aws_conn_id`, which is of type emr_on_eks too"),
    ],
)
def test_a_connection_whose_aws_connection_is_none_is_refused(aws, monkeypatch, inner, said):
    """The amazon provider would take whatever credentials the machine has: the job could start in another account."""
    extra = {"aws_conn_id": inner, "endpoint_url": aws.aws.url}
    monkeypatch.setenv("AIRFLOW_CONN_EMR_X", json.dumps({"conn_type": "emr_on_eks", "extra": extra}))
    platform = connect({"name": "lake", **ENTRY, "connection": "emr_x"}, load_settings())
    with pytest.raises(PlatformError) as told:
        platform.submit(platform.render(SparkJob(main="s3://acme-code/m.py"), aws.identity()))
    assert (said in str(told.value), aws.emr.calls) == (True, {})


def test_an_endpoint_of_the_platform_goes_before_the_connections(aws, monkeypatch):
    """`endpoint_url` of the platform sends EMR's calls elsewhere, whatever the connection says."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_FAKE", json.dumps({"conn_type": "aws", "login": "a", "password": "b" * 8}))
    entry = {"name": "lake", **ENTRY, "connection": "aws_fake", "endpoint_url": aws.aws.url, "event_logs": None}
    platform = connect(entry, load_settings())
    platform.submit(platform.render(SparkJob(main="s3://acme-code/m.py"), aws.identity()))
    assert len(aws.emr.jobs) == 1


def test_creating_twice_gives_one_virtual_cluster(aws):
    """A namespace has one virtual cluster, however often and from however many tasks it is created."""
    # Until MWAA 2.11 is dropped: its botocore does not know the scheduler's limits yet.
    members = MODEL.operation_model("CreateVirtualCluster").input_shape.members
    limits = {"schedulerConfiguration": {"maxConcurrentJobRuns": 50}} if "schedulerConfiguration" in members else {}
    first = create(**({"max_concurrent_jobs": 50} if limits else {}))
    assert create() == first
    assert create(namespace="growth") != first
    shown = EmrVirtualClusterDescribeOperator(task_id="d", virtual_cluster=first, **PLACE).execute(CONTEXT)
    assert shown.get("schedulerConfiguration") == limits.get("schedulerConfiguration")
    assert json.loads(json.dumps(shown))["meaning"] == "jobs can be submitted"


def test_an_arrested_virtual_cluster_is_explained(aws):
    """ARRESTED is neither waited for nor doubled: the error says what it means."""
    cluster = create()
    aws.emr.clusters[cluster]["state"] = "ARRESTED"
    with pytest.raises(PlatformError, match="ARRESTED: EMR lost its access"):
        create()
    with pytest.raises(AirflowFailException, match="ARRESTED: EMR lost its access"):
        EmrVirtualClusterSensor(task_id="w", virtual_cluster=cluster, **PLACE).poke(CONTEXT)


def test_deleting_twice_is_fine_and_then_it_can_be_created_again(aws):
    """Delete waits for the end, may be repeated, and leaves room for a new one."""
    cluster = create()
    assert EmrVirtualClusterSensor(task_id="w", virtual_cluster=cluster, **PLACE).poke(CONTEXT)
    for virtual_cluster in (cluster, cluster, "vcunknown"):
        operator = EmrVirtualClusterDeleteOperator(task_id="x", virtual_cluster=virtual_cluster, **PLACE)
        operator.execute(CONTEXT)
    assert aws.emr.clusters[cluster]["state"] == "TERMINATED"
    context = {"ti": SimpleNamespace(**(vars(CONTEXT["ti"]) | {"try_number": 2}))}
    arguments = {"cluster_name": "sales", "eks_cluster": "prod", "namespace": "sales"} | PLACE
    assert EmrVirtualClusterCreateOperator(task_id="create", **arguments).execute(context) != cluster


def test_a_deletion_goes_on_where_a_worker_was_lost(aws):
    """The next try waits for a virtual cluster that is TERMINATING, whatever EMR says to a second deletion."""
    cluster = create()
    refused = [Fault("DeleteVirtualCluster", "ValidationException", 400, times=9, message="it is being deleted")]
    aws.emr.faults = refused
    operator = EmrVirtualClusterDeleteOperator(task_id="x", virtual_cluster=cluster, wait_seconds=0.01, **PLACE)
    with pytest.raises(PlatformError, match="it is being deleted"):
        operator.execute(CONTEXT)
    aws.emr.clusters[cluster]["state"] = "TERMINATING"
    operator.wait_seconds = 0
    operator.execute(CONTEXT)
    aws.emr.clusters[cluster]["state"] = "TERMINATED"
    operator.execute(CONTEXT)


@pytest.mark.parametrize(
    "operator",
    [
        EmrVirtualClusterCreateOperator,
        EmrVirtualClusterDescribeOperator,
        EmrVirtualClusterDeleteOperator,
        EmrVirtualClusterSensor,
    ],
)
def test_default_args_say_where_a_virtual_cluster_is(operator):
    """Region, connection and endpoint of a DAG's `default_args` hold; what a task says itself goes before them."""
    where = {"region": "eu-west-1", "connection": "aws_prod", "endpoint_url": "https://emr.acme"}
    own = {"virtual_cluster": "abc"}
    if operator is EmrVirtualClusterCreateOperator:
        own = {"cluster_name": "sales", "eks_cluster": "prod", "namespace": "sales"}
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    with DAG("ops", schedule=None, start_date=start, default_args=where):
        task, other = operator(task_id="a", **own), operator(task_id="b", connection="aws_dev", **own)
    assert {name: getattr(task, name) for name in where} == where
    assert (other.connection, other.region) == ("aws_dev", "eu-west-1")


def test_the_sensor_holds_no_worker_unless_told_to():
    """Its mode is `reschedule`, by default only."""
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert EmrVirtualClusterSensor(task_id="w", virtual_cluster="abc", **PLACE).mode == "reschedule"
    with DAG("ops", schedule=None, start_date=start, default_args={"mode": "poke"}):
        assert EmrVirtualClusterSensor(task_id="w", virtual_cluster="abc", **PLACE).mode == "poke"
