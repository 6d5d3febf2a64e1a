"""`doeks run` that is told to stop: what it started ends, and is accounted for."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

pytestmark = [pytest.mark.spark, pytest.mark.airflow, pytest.mark.slow]

PIPELINE = "schedule: null\ncost_tags: {team: mine}\ntasks: {waits: {spark: {main: waits.py}}, after: {uses: empty}}\n"
JOB = """\
import time
from pyspark.sql import SparkSession
SparkSession.builder.getOrCreate()
print("READY", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(("number", "is_announced"), [(signal.SIGINT, False), (signal.SIGTERM, True)])
def test_an_interrupted_run_leaves_no_job_and_a_settled_record(tmp_path, number, is_announced):
    """Ctrl-C, or the TERM of a CI server: exit code 128 and the number; the job is cancelled and its price known."""
    (tmp_path / "doeks.yaml").write_text("platforms: {laptop: {type: local}}\n")
    (tmp_path / "waits.py").write_text(JOB)
    (tmp_path / "waits.yaml").write_text(PIPELINE)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DOEKS_"))}
    command = [str(Path(sys.executable).with_name("doeks")), "run", "waits.yaml", "--json"]
    run = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        _wait_for(run, tmp_path)
        if not is_announced:  # as if Ctrl-C had come between the submission and its XCom
            with closing(sqlite3.connect(tmp_path / ".airflow" / "airflow.db")) as database, database:
                assert database.execute("delete from xcom where key = 'doeks_job'").rowcount == 1
        run.send_signal(number)
        said = json.loads(run.communicate(timeout=90)[0])
    finally:
        run.kill()
        for request in tmp_path.glob(".airflow/doeks/local/*/request.json"):
            request.with_name("cancel").touch()  # nothing may outlive a test that fails

    assert (run.returncode, said["state"]) == (128 + number, "failed")
    (record,) = said["records"]
    assert record["job"]["state"] == "CANCELLED"
    assert (record["failure"]["category"], record["settled_by_try"]) == ("cancelled", 1)
    assert record["cost_tags"] == {"team": "mine"}
    assert float(record["cost"]["usd_total"]) > 0
    (kept,) = (tmp_path / ".airflow" / "doeks" / "ledger").glob("v1/*/*.json")
    assert json.loads(kept.read_text()) == record
    reconcile = [command[0], "reconcile", "--orphans-after", "0s", "--json"]
    done = subprocess.run(reconcile, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["jobs"] == []  # nothing was left to settle, and nothing is settled twice
    assert json.loads(kept.read_text()) == record
    (state,) = (tmp_path / ".airflow" / "doeks" / "local").glob("*/state.json")
    assert json.loads(state.read_text())["exit"]["is_cancelled"]


def _wait_for(run: subprocess.Popen, folder: Path) -> None:
    while run.poll() is None:
        if any("READY" in log.read_text() for log in folder.glob(".airflow/doeks/local/*/driver.log")):
            return
        time.sleep(0.5)
    pytest.fail(f"the run ended by itself: {run.communicate()}")
