"""The shipped example through StartJobRun: the same pipeline on EMR on EKS, a fake one that runs real Spark."""

import json
import os
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import ROOT
from tests.fakes.aws_http import serving
from tests.fakes.doeks_fake_emr import fake_aws
from tests.platforms.harness_emr_on_eks import ENTRY

pytestmark = [pytest.mark.spark, pytest.mark.airflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def on_emr(tmp_path_factory):
    """What `doeks run --env emr-fake --json` said, and the fake it ran against."""
    folder = tmp_path_factory.mktemp("emr")
    shutil.copytree(ROOT / "dags", folder / "dags")
    file = folder / "dags" / "doeks.yaml"
    settings = yaml.safe_load(file.read_text())
    settings["platforms"]["lake"] = ENTRY | {"connection": "aws_fake", "list_seconds": 1}
    settings["environments"]["emr-fake"] = {"platform": "lake"}
    file.write_text(yaml.safe_dump(settings))
    with serving(fake_aws(folder / "aws")) as aws:
        extra = {"region_name": "us-east-1", "endpoint_url": aws.url}
        connection = {"conn_type": "aws", "login": "fake", "password": "not-a-secret", "extra": extra}
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DOEKS_"))}
        environment |= {"AIRFLOW_HOME": str(folder / "home"), "AIRFLOW_VAR_FLIGHTS_DATA": str(folder / "data")}
        environment |= {"AIRFLOW__DOEKS__INSTANCE": "tests"}
        for name in ("AWS_FAKE", "AWS_DEFAULT"):
            environment[f"AIRFLOW_CONN_{name}"] = json.dumps(connection)
        pipeline = folder / "dags" / "pipelines" / "flights.yaml"
        command = [str(Path(sys.executable).with_name("doeks")), "run", str(pipeline), "--env", "emr-fake", "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        yield json.loads(done.stdout), aws


def rows(records) -> dict[tuple[str, str], int]:
    """Rows by task and last two parts of the dataset's name."""
    return {
        (record["attempt"]["task_id"], "/".join(output["name"].split("/")[-2:])): output["rows"]
        for record in records
        for output in record["lineage"]["outputs"]
    }


def test_the_same_pipeline_leaves_equal_rows_on_emr(on_emr, whole_year):
    """Only the environment differs: every task succeeds as a job run of EMR and writes the same rows as at home."""
    said, aws = on_emr
    assert said["state"] == "success"
    assert all(record["job"]["type"] == "emr_on_eks" for record in said["records"])
    assert len(aws.emr.jobs) == len(said["records"]) == len(whole_year.records)
    assert rows(said["records"]) == rows(whole_year.records.values())


def test_every_job_on_emr_has_its_price(on_emr):
    """Each record is priced from the event log, with EMR's uplift on top."""
    for record in on_emr[0]["records"]:
        cost = record["cost"]
        assert cost["basis"] == "event_log"
        assert Decimal(cost["usd_uplift"]) > 0
        assert Decimal(cost["usd_total"]) > Decimal(cost["usd_uplift"])


def test_code_reached_the_service_by_its_content(on_emr):
    """Jobs, helpers and rendered SQL were staged below `code`, each under the hash of its content."""
    staged = {place.name for place in on_emr[1].s3.place("s3://acme-code").rglob("*") if place.is_file()}
    assert {"clean_flights.py", "raw_data.py", "daily_delays.sql", "sql_runner.py"} <= staged
