"""Commands on a ledger in S3: what they print is what was asked for, without Airflow's own lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.ledger import Ledger
from tests.fakes.aws_http import FakeAws, serving
from tests.fakes.emr_containers import FakeEmr
from tests.fakes.s3 import FakeS3
from tests.ledger.test_ledger import record


@pytest.mark.parametrize("command", [["report"], ["report", "--sla", "--by", "task"]])
def test_json_of_a_ledger_in_s3_is_json_alone(tmp_path: Path, command: list[str]) -> None:
    """Airflow's line on where its credentials come from is shown nowhere."""
    Ledger(LocalStore(tmp_path / "s3" / "acme-ledger" / "records")).write(
        record("a" * 32, datetime.now(timezone.utc), usd="2.5")
    )
    with serving(FakeAws(FakeEmr(), FakeS3(tmp_path / "s3"))) as aws:
        extra = {"region_name": "us-east-1", "endpoint_url": aws.url}
        connection = {"conn_type": "aws", "login": "AKIAEXAMPLEEXAMPLE00", "password": "not-a-secret", "extra": extra}
        environment = os.environ | {
            "AIRFLOW_HOME": str(tmp_path / "home"),
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
        }
        words = [
            str(Path(sys.executable).with_name("doeks")),
            *command,
            "--ledger",
            "s3://acme-ledger/records",
            "--json",
        ]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert done.stderr == ""
