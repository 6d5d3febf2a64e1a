"""Settings that are wrong in a real Airflow: the task still ends as its job did, and a line names the setting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.airflow.processes.running import running_airflow
from tests.airflow.processes.test_interrupted_tasks import DAGS, run_dirs

pytestmark = [pytest.mark.airflow, pytest.mark.spark, pytest.mark.slow]


def test_neither_ledger_nor_run_directories_stop_a_job(tmp_path: Path) -> None:
    """`ledger_path` is a file and the triggerer has another `local_dir`: the job succeeds, and so does its task."""
    (tmp_path / "file").write_text("no folder")
    settings = {
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "AIRFLOW__DOEKS__LEDGER_PATH": str(tmp_path / "file" / "ledger"),
        "BAD_DAYS_BY_HAND": "yes",
    }
    with running_airflow(tmp_path / "home", DAGS, settings) as airflow:
        airflow.stop_one("triggerer")
        airflow.start_one("triggerer", AIRFLOW__DOEKS__LOCAL_DIR=str(tmp_path / "elsewhere"))
        airflow.trigger("redeployed")
        task = airflow.wait_for("redeployed", "success", "failed", seconds=300)
        log = airflow.log("redeployed", lines=200)
        assert task["state"] == "success", log
        assert len(run_dirs(airflow, "redeployed")) == 1
        record = airflow.xcom("redeployed", "doeks_record")
        assert (record["job"]["state"], float(record["cost"]["usd_total"]) > 0) == ("SUCCEEDED", True)
        assert f"was not written to [doeks] ledger_path = {tmp_path}/file/ledger" in log
        assert "worker and triggerer must share [doeks] local_dir" in log
