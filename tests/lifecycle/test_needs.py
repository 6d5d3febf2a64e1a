"""What a project needs in Airflow, read where it is named."""

from __future__ import annotations

from typing import Any

from airflow_doeks.lifecycle.needs import Pool, needs_of
from airflow_doeks.model.plan import Plan, TaskPlan

LAKE = {"type": "emr_on_eks", "name": "lake", "connection": "aws_lake", "kubernetes": "eks", "max_jobs": 20}


def plan(*tasks: TaskPlan, **more: Any) -> Plan:
    """A pipeline of these tasks."""
    return Plan("orders", "orders.yaml", ".", tasks, **more)


def test_platforms_need_their_pool_and_connections():
    """A pool counts deferred tasks, since a job's task is deferred while it runs."""
    found = needs_of({"lake": LAKE, "laptop": {"type": "local", "name": "laptop"}}, [])
    assert found.pools == {Pool("doeks_lake", 20, counts_deferred=True): "platform 'lake' of doeks.yaml"}
    assert set(found.connections) == {"aws_lake", "eks"}


def test_boto3_finds_credentials_without_aws_default():
    """So nobody has to make that connection."""
    assert needs_of({"lake": {**LAKE, "connection": "aws_default", "kubernetes": None}}, []).connections == {}


def test_tasks_name_pools_connections_and_variables():
    """In arguments, secrets, notices and templates; what a run alone knows, or has a default for, is not asked for."""
    job = {"args": ["{{ var.value.bucket }}", "{{ var.json.size.cpu }}", "{{ conn.db.host }}", "var.value.text"]}
    job |= {"secrets": {"PASSWORD": {"k8s": "db/password", "connection": "store"}}}
    with_default = {"bash_command": "echo {{ var.value.get('soft', 1) }} {{ var.value.get('hard') }}"}
    tasks = (
        TaskPlan("a", "spark", job=job, pool="big"),
        TaskPlan("b", "uses", arguments={"http_conn_id": "web", "aws_conn_id": "{{ params.c }}", **with_default}),
        TaskPlan("c", "uses", pool="default_pool"),
    )
    told = {"on_failure": (("airflow_doeks.notifications.WebhookNotifier", {"connection": "alerts"}),)}
    found = needs_of({}, [plan(*tasks, notices=told)])
    assert found.pools == {Pool("big"): "orders.yaml: task 'a'"}
    assert found.connections == {
        "alerts": "orders.yaml",
        "store": "orders.yaml: task 'a'",
        "db": "orders.yaml: task 'a'",
        "web": "orders.yaml: task 'b'",
    }
    assert set(found.variables) == {"bucket", "size", "hard"}


def test_a_pool_that_is_made_need_not_be_there_before():
    """Tasks of a platform with `max_jobs` may name its pool."""
    found = needs_of({"lake": LAKE}, [plan(TaskPlan("a", "uses", pool="doeks_lake"))])
    assert list(found.pools) == [Pool("doeks_lake", 20)]
