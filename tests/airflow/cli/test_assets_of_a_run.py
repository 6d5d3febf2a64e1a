"""What a real Spark job wrote, in the metadata of a real Airflow: the Assets page and schedules read the same rows."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_doeks import compat

pytestmark = [pytest.mark.spark, pytest.mark.slow]

JOB = """\
from pyspark.sql import SparkSession

SparkSession.builder.getOrCreate().range(5).write.parquet("file://PLACE/out/day=1")
"""
PIPELINE = "schedule: null\ntasks: {write: {spark: {main: job.py, driver: {memory: 1Gi}}}}\n"


def test_a_path_that_only_the_run_knows_is_an_asset_with_an_event(tmp_path: Path):
    """Nothing is declared: the dataset becomes an asset of the task's alias, and its event has rows and record."""
    (tmp_path / "doeks.yaml").write_text("platforms: {laptop: {type: local}}\n", "utf-8")
    (tmp_path / "p.yaml").write_text(PIPELINE, "utf-8")
    (tmp_path / "job.py").write_text(JOB.replace("PLACE", str(tmp_path)), "utf-8")
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("AIRFLOW", "DOEKS_"))}
    command = [str(Path(sys.executable).with_name("doeks")), "run", "p.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    word = "asset" if compat.IS_AIRFLOW_3 else "dataset"
    with sqlite3.connect(tmp_path / ".airflow" / "airflow.db") as metadata:
        found = metadata.execute(  # the names of its tables alone differ
            f"SELECT a.uri, l.name, e.source_dag_id, e.source_task_id, e.extra FROM {word}_event e"  # noqa: S608
            f" JOIN {word} a ON a.id = e.{word}_id JOIN {word}_alias_{word} m ON m.{word}_id = a.id"
            f" JOIN {word}_alias l ON l.id = m.alias_id"
        ).fetchall()
    ((*names, extra),) = found
    assert names == [f"file://{tmp_path}/out", "doeks/p/write", "p", "write"]
    told = json.loads(extra)
    assert (told["rows"], bool(told["doeks_record_id"]), told["usd_total"] is not None) == (5, True, True)
