"""The shipped example on a real Kubernetes: real drivers and executors, counted by the disk and by the kubelet."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.conftest import spark_environment
from tests.kube.conftest import DONE, OPERATORS, listed, run_flights, said_of

pytestmark = [pytest.mark.slow, pytest.mark.spark, pytest.mark.airflow]
TASKS = ["clean_flights", "clean_weather", "flights_with_weather", "daily_delays", "carrier_delays"]


@pytest.fixture(scope="module")
def flights(operator, shared_folder, tmp_path_factory):
    """One run of the example with `--env kube`."""
    return run_flights(shared_folder, tmp_path_factory.mktemp("home"), type=operator)


def of_run(flights, kind):
    """What the namespace holds of this run."""
    return listed(kind, flights.selector)


def test_five_applications_run_on_pods(flights, operator):
    """Every task succeeds as one SparkApplication, each with a driver's pod that completed."""
    assert (flights.code, flights.said["state"]) == (0, "success"), flights.log[-3000:]
    assert sorted(flights.records) == sorted(TASKS)
    resources = of_run(flights, OPERATORS[operator])
    assert {item["metadata"]["labels"]["airflow-doeks/task"] for item in resources} == set(TASKS)
    assert {said_of(item) for item in resources} <= DONE
    assert len(resources) == len(TASKS)


def test_outputs_equal_the_disk(flights):
    """Rows, bytes and files of every written folder are those of its record."""
    recorded = {
        output["name"]: {key: output[key] for key in ("rows", "files", "bytes")}
        for record in flights.records.values()
        for output in record["lineage"]["outputs"]
    }
    assert recorded == on_disk(flights.data)
    assert sum(output["rows"] for output in recorded.values()) > 2 * 336_776


def test_nothing_living_is_left(flights):
    """Executors are gone, drivers have ended; what stays is what time-to-live keeps: five ended resources."""
    pods = of_run(flights, "pods")
    assert {pod["metadata"]["labels"]["spark-role"] for pod in pods} <= {"driver"}
    assert {pod["status"]["phase"] for pod in pods} <= {"Succeeded"}


def test_every_job_has_its_price(flights):
    """Each record is priced from the pods that were seen."""
    for record in flights.records.values():
        assert record["cost"]["basis"] == "pods", record["cost"]
        assert Decimal(record["cost"]["usd_total"]) > 0


def on_disk(data):
    """What lies in the folders that Spark wrote, counted by Spark and by file listing, not by us."""
    folders = sorted({path.parent for path in data.glob("*/*/_SUCCESS")})
    code = (
        "import json, sys\n"
        "from pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.master('local[2]').config('spark.ui.enabled', 'false').getOrCreate()\n"
        "print('ROWS', json.dumps({path: spark.read.parquet(path).count() for path in sys.argv[1:]}))\n"
    )
    command = [sys.executable, "-c", code, *map(str, folders)]
    done = subprocess.run(command, env=spark_environment(), capture_output=True, text=True, check=True)
    rows = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("ROWS "))[5:])
    return {
        folder: {
            "rows": count,
            "files": len(list(Path(folder).rglob("*.parquet"))),
            "bytes": sum(path.stat().st_size for path in Path(folder).rglob("*.parquet")),
        }
        for folder, count in rows.items()
    }
