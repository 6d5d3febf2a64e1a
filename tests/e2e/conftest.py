"""The shipped example on real Spark through real Airflow, run once for all tests, as a newcomer runs it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Workplace:
    """An AIRFLOW_HOME and a data folder of their own."""

    home: Path
    data: Path

    @property
    def december(self) -> Path:
        """The raw flights of December."""
        return self.data / "raw" / "flights" / "2013-12.csv"

    @property
    def put_away(self) -> Path:
        """Where they are while no job shall read them."""
        return self.home / "2013-12.csv"

    def run(self, pipeline: Path = ROOT / "dags" / "pipelines" / "flights.yaml") -> "Run":
        """`doeks run --json` of a pipeline."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DOEKS_"))}
        environment |= {"AIRFLOW_HOME": str(self.home), "AIRFLOW_VAR_FLIGHTS_DATA": str(self.data)}
        command = [str(Path(sys.executable).with_name("doeks")), "run", str(pipeline), "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        return Run(self, done.returncode, json.loads(done.stdout))


@dataclass(frozen=True)
class Run:
    """What one `doeks run` said."""

    place: Workplace
    code: int
    said: dict[str, Any]

    @property
    def records(self) -> dict[str, dict[str, Any]]:
        """Records by task."""
        return {record["attempt"]["task_id"]: record for record in self.said["records"]}

    @property
    def usd(self) -> Decimal:
        """Cost of the run."""
        return Decimal(self.said["usd_total"])

    @property
    def rows(self) -> int:
        """Rows written by all tasks."""
        return sum(output["rows"] for record in self.records.values() for output in record["lineage"]["outputs"])


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> Workplace:
    """Where the example runs."""
    folder = tmp_path_factory.mktemp("example")
    return Workplace(folder / "home", folder / "data")


@pytest.fixture(scope="session")
def whole_year(place) -> Run:
    """The example on all of 2013."""
    return place.run()


@pytest.fixture(scope="session")
def facts_on_disk(whole_year) -> dict[str, Any]:
    """What lies on disk after the first run, counted by Spark and by file listing, not by us."""
    folders = sorted({path.parent for path in whole_year.place.data.glob("*/*/_SUCCESS")})
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


@pytest.fixture(scope="session")
def without_december(whole_year, facts_on_disk) -> Run:
    """The example once more, after December left the raw data."""
    whole_year.place.december.rename(whole_year.place.put_away)
    return whole_year.place.run()


def spark_environment() -> dict[str, str]:
    """An environment in which PySpark finds the Java that platform `local` would take."""
    from airflow_doeks.platforms.local.machine import find_java

    java = Path(find_java(None, os.environ)).resolve()
    return {**os.environ, "JAVA_HOME": str(java.parents[1]), "PYSPARK_PYTHON": sys.executable}
