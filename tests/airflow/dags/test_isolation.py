"""One broken pipeline among good ones, through Airflow's own DAG processor and a real metadata database."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_doeks.compat import AIRFLOW_VERSION, IS_AIRFLOW_3
from tests.airflow.processes.running import AIRFLOW, migrate

REPOSITORY = Path(__file__).parents[3]
GOOD = """\
schedule: "@daily"
start_date: 2026-01-01
tasks:
  extract: {uses: empty}
  load: {uses: empty, needs: [extract]}
"""
BROKEN = {  # kind of fault -> the text, and where in it the fault is
    "cron": (GOOD.replace("@daily", "61 3 * * *").encode(), "1:11"),
    "key": (GOOD.replace("start_date", "start_dat").encode(), "2:1"),
    "needs": (GOOD.replace("[extract]", "[extarct]").encode(), "5:31"),
    "encoding": (GOOD.replace("extract:", "extr\u00e4ct:").encode("latin-1"), "4:"),
}

POLICY = """\
from airflow.exceptions import AirflowClusterPolicyViolation

def dag_policy(dag):
    if dag.dag_id == "refused":
        raise AirflowClusterPolicyViolation("no")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An AIRFLOW_HOME with default configuration: a migrated database and our two DAG files, nothing else."""
    home = tmp_path_factory.mktemp("airflow_home")
    (home / "dags" / "pipelines").mkdir(parents=True)
    for name in ("pipelines.py", "pipelines_errors.py", ".airflowignore"):
        shutil.copy(REPOSITORY / "dags" / name, home / "dags" / name)
    (home / "dags" / "doeks.yaml").write_text("platforms: {laptop: {type: local}}\n")
    for number in range(5):
        (home / "dags" / "pipelines" / f"good_{number}.yaml").write_text(GOOD)
    migrate(home)
    return home


def airflow(home: Path, *command: str) -> str:
    """Output of an `airflow` command, or of `python`, that knows only its home."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    env |= {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "COLUMNS": "400"}
    whole = [sys.executable, *command[1:]] if command[0] == "python" else [AIRFLOW, *command]
    done = subprocess.run(whole, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout


PROCESS = """  # Airflow 2 has no DAG processor of its own on SQLite; this is what its scheduler runs for a file
import logging, sys
from airflow.dag_processing.processor import DagFileProcessor
for file in sys.argv[1:]:
    DagFileProcessor(dag_ids=None, dag_directory="", log=logging.getLogger()).process_file(file, [])
"""


def process(home: Path) -> tuple[set[str], set[str], list[str]]:
    """Active DAGs, stale DAGs and import errors after Airflow processed every DAG file once more."""
    if IS_AIRFLOW_3:
        airflow(home, "dag-processor", "--num-runs", "1")
    else:
        airflow(home, "python", "-c", PROCESS, *(str(file) for file in (home / "dags").glob("*.py")))
    stale = "is_stale" if IS_AIRFLOW_3 else "not is_active"
    dags = rows(home, f"select dag_id, {stale} as stale, has_import_errors from dag")  # noqa: S608 - one of two words
    errors = [row["stacktrace"] for row in rows(home, "select stacktrace from import_error")]
    gone = {row["dag_id"] for row in dags if row["stale"] or row["has_import_errors"]}
    return {row["dag_id"] for row in dags} - gone, gone, errors


def rows(home: Path, query: str) -> list[dict[str, Any]]:
    """Rows of the metadata database."""
    with closing(sqlite3.connect(home / "airflow.db")) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query)]


def test_a_broken_pipeline_stops_no_other(home):
    """Five good pipelines stay active beside broken ones, which are one import error with all files and lines."""
    good = {f"good_{number}" for number in range(5)}
    pipelines = home / "dags" / "pipelines"
    assert process(home) == (good, set(), [])
    for kind, (text, _) in BROKEN.items():
        (pipelines / f"{kind}.yaml").write_bytes(text)
    active, gone, errors = process(home)
    assert (active, gone, len(errors)) == (good, set(), 1), errors
    assert [kind for kind, (_, place) in BROKEN.items() if f"pipelines/{kind}.yaml:{place}" not in errors[0]] == []
    assert f"{len(BROKEN)} of {5 + len(BROKEN)} pipelines cannot be loaded" in errors[0]
    for kind in BROKEN:
        (pipelines / f"{kind}.yaml").unlink()
    (pipelines / "good_0.yaml").write_bytes(BROKEN["cron"][0])
    active, _, errors = process(home)
    assert good - {"good_0"} <= active
    assert "1 of 5 pipelines cannot be loaded" in errors[0]
    assert "pipelines/good_0.yaml:1:11" in airflow(home, "dags", "list-import-errors")
    (pipelines / "good_0.yaml").write_text(GOOD)
    active, gone, errors = process(home)
    assert (active, gone) == (good, set())
    if AIRFLOW_VERSION != (3, 0):  # which clears the errors only of files that hold a DAG, so a mended one stays listed
        assert errors == []


def test_a_cluster_policy_refuses_one_pipeline_and_no_other(home):
    """A policy of the installation that refuses one DAG leaves the others of the same DAG file active."""
    good = {f"good_{number}" for number in range(5)}
    (home / "config").mkdir(exist_ok=True)
    (home / "config" / "airflow_local_settings.py").write_text(POLICY)
    (home / "dags" / "pipelines" / "refused.yaml").write_text(GOOD)
    active, gone, errors = process(home)
    assert (active, gone, len(errors)) == (good, set(), 1), errors
    assert "pipelines/refused.yaml:1:1: refused by a cluster policy: AirflowClusterPolicyViolation: no" in errors[0]
