"""EMR on EKS end to end with real Spark behind the fake StartJobRun: arguments, properties, code, log, record."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal

import pytest

from airflow_doeks.cost import load_rate_card
from airflow_doeks.hooks.stores import S3Store
from airflow_doeks.lifecycle import Accounting, Budgets, settle, submit, wait
from airflow_doeks.lifecycle.staging import stage
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.emr_on_eks.platform import Config, Platform
from airflow_doeks.platforms.patience import Time
from tests.fakes.aws_http import serving
from tests.fakes.doeks_fake_emr import fake_aws
from tests.platforms.harness_emr_on_eks import ENTRY, World
from tests.platforms.test_emr_request import NASTY

pytestmark = pytest.mark.spark

MAIN = """\
import json, os, sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
out = sys.argv[1]
spark.range(1000).write.parquet(out + "/ids")
conf = {key: spark.conf.get(key) for key in json.loads(sys.argv[-1])}
told = {"args": sys.argv[2:], "conf": conf, "env": os.environ["MODE"]}
open(out + "/told.json", "w").write(json.dumps(told))
if "fail" in sys.argv: raise ValueError("asked to fail")
"""
CONF = {f"spark.acme.nasty{number}": value for number, value in enumerate(NASTY)}
MOVED = {f"spark.acme.pad{number:03d}": "x" for number in range(100)}  # so many that all of CONF must move


@pytest.fixture
def aws(tmp_path):
    """A fake AWS whose jobs run."""
    with serving(fake_aws(tmp_path / "aws")) as served:
        yield World(served, tmp_path / "aws/s3")


def run(aws, tmp_path, *args, try_number=1):
    """Stage, submit, wait and settle one job."""
    (tmp_path / "main.py").write_text(MAIN)
    platform = Platform(Config.model_validate(ENTRY | {"list_seconds": 1}), "lake", replace(aws.clients(), time=Time()))
    s3 = aws.make("s3")
    out = tmp_path / f"out{try_number}"
    out.mkdir()
    job = SparkJob(
        main="main.py", args=(str(out), *args, json.dumps(sorted(CONF))), conf=CONF | MOVED, env={"MODE": "a b"}
    )
    job = stage(job, str(tmp_path), S3Store("s3://acme-code/", client=s3))
    identity = JobIdentity("prod", "orders", "r", "clean", -1, try_number, datetime.now(timezone.utc), f"a{try_number}")
    submission = submit(platform, job, identity)
    status, _ = wait(platform, submission, Budgets(), poll_seconds=0.2)

    def open_log(url):
        parent, _, name = url.rpartition("/")
        return S3Store(parent, client=s3), name

    accounting = Accounting(open_log=open_log, rate_card=lambda: load_rate_card(None, region="us-east-1"), seconds=60)
    failure = None if status.state is JobState.SUCCEEDED else platform.explain(submission.ref)
    told = json.loads((out / "told.json").read_text())
    return status, told, settle(platform, submission, identity, status, accounting, failure=failure).record


def test_a_job_goes_end_to_end_through_start_job_run(aws, tmp_path):
    """Staged code runs; arguments and moved properties arrive unchanged; the record has cost, uplift and rows."""
    status, told, record = run(aws, tmp_path, *NASTY)
    assert status.state is JobState.SUCCEEDED
    assert told["args"][:-1] == NASTY
    assert told["conf"] == CONF
    assert told["env"] == "a b"
    ids = [dataset for dataset in record.lineage.outputs if dataset.name.endswith("/ids")]
    assert [dataset.rows for dataset in ids] == [1000]
    assert record.cost.basis == "event_log"
    assert record.cost.priced_as == "m7g.4xlarge"
    assert record.cost.usd_uplift > Decimal(0)
    assert record.cost.usd_total > record.cost.usd_uplift


def test_a_failing_job_is_explained_and_still_counted(aws, tmp_path):
    """A job that raises is FAILED with its exception as the root cause, and its record has a cost."""
    status, _, record = run(aws, tmp_path, "fail")
    assert status.state is JobState.FAILED
    assert (record.failure.category, record.failure.message) == ("user_code", "ValueError: asked to fail")
    assert record.cost.usd_total > 0
