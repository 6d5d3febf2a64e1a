"""What `airflow providers` and the connection form show of this package, asked of Airflow's own command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_doeks.hooks.emr_on_eks import EmrOnEksHook, virtual_cluster_calls
from airflow_doeks.hooks.platforms import connect
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.platforms.emr_on_eks.virtual_clusters import create
from tests.platforms.harness_emr_on_eks import CLUSTER, ENTRY, World, world

COMMANDS = ("list", "hooks", "links", "triggers", "widgets", "behaviours", "configs")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Output of each `airflow providers` command, from one process: Airflow takes seconds to import."""
    code = (
        "import contextlib, io, json, sys\n"
        "from airflow.cli import cli_parser\n"
        "parser, said = cli_parser.get_parser(), {}\n"
        "for command in sys.argv[1:]:\n"
        "    options = [] if command == 'configs' else ['--output', 'json']\n"
        "    arguments, out = parser.parse_args(['providers', command, *options]), io.StringIO()\n"
        "    with contextlib.redirect_stdout(out): arguments.func(arguments)\n"
        "    said[command] = out.getvalue()\n"
        "print('\\n' + json.dumps(said))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *COMMANDS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return said


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("list", ["airflow-doeks"]),
        ("hooks", ["airflow_doeks.hooks.emr_on_eks.EmrOnEksHook", "emr_on_eks"]),
        ("links", [f"airflow_doeks.operators.links.{name}" for name in ("SparkUILink", "DriverLogLink", "CostLink")]),
        ("triggers", ["airflow_doeks.triggers.job"]),
        ("configs", ["doeks"]),
    ],
)
def test_airflow_shows_the_provider(shown: dict[str, str], command: str, names: list[str]) -> None:
    """The package, its hook, links, triggers and settings are known to this Airflow."""
    assert [name for name in names if name not in shown[command]] == []


def test_the_connection_form_has_its_fields(shown: dict[str, str]) -> None:
    """A connection of type `emr_on_eks` is filled in by four fields; what Airflow would ask besides is hidden."""
    assert [name for name in ("aws_conn_id", "region_name", "virtual_cluster", "endpoint_url")
            if f"extra__emr_on_eks__{name}" not in shown["widgets"]] == []  # fmt: skip
    assert "emr_on_eks" in shown["behaviours"]


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A fake AWS with a virtual cluster, behind the connection `lake` of type `emr_on_eks`."""
    with world(tmp_path) as fresh:
        keys = {"conn_type": "aws", "login": "fake", "password": "not-a-secret", "extra": {"region_name": "us-east-1"}}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_FAKE", json.dumps(keys))
        connect_lake(monkeypatch, fresh)
        calls = virtual_cluster_calls("us-east-1", "lake", None)
        cluster = create(calls, name="sales", eks_cluster="prod", namespace="sales", token="t" * 16)
        connect_lake(monkeypatch, fresh, virtual_cluster=cluster)
        fresh.emr.calls.clear()
        yield fresh


def connect_lake(monkeypatch: pytest.MonkeyPatch, fresh: World, **extra: str) -> None:
    """Fill in the form of the connection `lake`."""
    extra |= {"aws_conn_id": "aws_fake", "region_name": "us-east-1", "endpoint_url": fresh.aws.url}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({"conn_type": "emr_on_eks", "extra": extra}))


def test_the_test_button_asks_for_the_virtual_cluster(aws: World) -> None:
    """One call, and what EMR says of the virtual cluster."""
    done, message = EmrOnEksHook("lake").test_connection()
    assert (done, message.partition(" is ")[2]) == (True, "RUNNING: jobs can be submitted")
    assert dict(aws.emr.calls) == {"DescribeVirtualCluster": 1}


def test_the_test_button_tells_a_fault(aws: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong is told, not raised."""
    connect_lake(monkeypatch, aws, virtual_cluster="nobody")
    assert EmrOnEksHook("lake").test_connection()[0] is False
    connect_lake(monkeypatch, aws)
    assert EmrOnEksHook("lake").test_connection() == (False, "name a virtual cluster to test the connection with")


def test_a_platform_may_name_such_a_connection(aws: World) -> None:
    """Its calls go with the credentials of `aws_conn_id` to the endpoint of the connection."""
    platform = connect(ENTRY | {"name": "lake", "connection": "lake"})
    assert platform._emr.patiently("list_job_runs", virtualClusterId=CLUSTER)["jobRuns"] == []
    assert dict(aws.emr.calls) == {"ListJobRuns": 1}


def test_a_connection_that_does_not_exist_is_refused() -> None:
    """boto3's own credentials are no stand-in: the job could start in another account."""
    platform = connect(ENTRY | {"name": "lake", "connection": "aws_prod"})
    with pytest.raises(PlatformError, match=r"no Airflow connection 'aws_prod'.*`connection` of the platform"):
        platform._emr.patiently("list_job_runs", virtualClusterId=CLUSTER)
