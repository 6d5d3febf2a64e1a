"""Pipelines that start one another, wait for one another, and follow each other's partitions, in a real Airflow."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from airflow_doeks import compat
from tests.airflow.processes.running import Airflow, running_airflow, within

pytestmark = [pytest.mark.airflow, pytest.mark.slow]
DAY = "schedule: '0 0 * * *'\nstart_date: 2026-01-01\nend_date: 2026-01-01\ncatchup: true\n"
PIPELINES = {
    "early": f"{DAY}tasks: {{say: {{uses: bash, with: {{bash_command: echo early}}}}}}\n",
    "asked": 'schedule: null\ntasks: {say: {uses: bash, with: {bash_command: "exit {{ dag_run.conf.code }}"}}}\n',
    "late": f"""{DAY}tasks:
  early_is_done: {{wait_for: {{pipeline: early, task: say, every: 2s, timeout: 10m}}}}
  next: {{needs: [early_is_done], trigger: {{pipeline: asked, conf: {{code: 0}}, wait: true}}}}
  none: {{needs: [next], trigger: {{pipeline: asked, conf: {{code: 1}}, wait: true}}}}
""",
}
PARTITIONS = {
    "orders": """schedule: {cron: "@hourly", covers: partition}
start_date: 2026-01-01
end_date: 2026-01-01
catchup: true
tasks: {load: {uses: empty, writes: [s3://raw/orders]}}
""",
    "orders_by_day": """schedule: {assets: {any: [s3://raw/orders]}, partitions: day}
tasks: {add_up: {uses: bash, with: {bash_command: "echo {{ dag_run.partition_key }}"}, reads: [s3://raw/orders]}}
""",
}
HAS_PARTITIONS = compat.PartitionedAssetTimetable is not None


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """One Airflow for the project."""
    project, home = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("home")
    (project / "pipelines").mkdir()
    (project / "doeks.yaml").write_text("policies: {allowed_uses: [bash, empty]}\n")
    (project / "dags.py").write_text('from airflow_doeks import load_dags\n\nload_dags("pipelines", globals())\n')
    for name, text in (PIPELINES | (PARTITIONS if HAS_PARTITIONS else {})).items():
        (project / "pipelines" / f"{name}.yaml").write_text(text)
    settings = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    with running_airflow(home, project, settings) as running:
        yield running


def test_a_pipeline_waits_for_another_and_starts_a_third(airflow: Airflow) -> None:
    """It waits for a task of the other's run of that day, and for the end of the run it started, well or not."""
    met = airflow.wait_for("late", "success", "failed", task_id="early_is_done", seconds=700)
    assert met["state"] == "success", airflow.log("late")
    airflow.wait_for("late", "success", "failed", task_id="next", seconds=400)
    ends = {
        name: airflow.wait_for("late", "success", "failed", task_id=name) for name in ("early_is_done", "next", "none")
    }
    assert {name: task["state"] for name, task in ends.items()} == {
        "early_is_done": "success",
        "next": "success",
        "none": "failed",
    }, airflow.log("late")
    early = airflow.wait_for("early", "success", task_id="say")
    assert str(early["end_date"]) <= str(ends["early_is_done"]["end_date"])
    runs = airflow.rows("select state from dag_run where dag_id = 'asked' order by id")
    assert [run["state"] for run in runs] == ["success", "failed"]


@pytest.mark.skipif(not HAS_PARTITIONS, reason="runs of a partition are there from Airflow 3.2 on")
def test_a_run_is_of_the_partition_that_was_written(airflow: Airflow) -> None:
    """Hours that were written make one run of their day, which knows its key."""
    query = "select partition_key from dag_run where dag_id = ? and state = 'success'"
    assert within(300, lambda: airflow.rows(query, "orders_by_day")), airflow.log("orders_by_day")
    hours = {row["partition_key"] for row in airflow.rows(query, "orders")}
    assert "2026-01-01T00:00:00" in hours
    assert {row["partition_key"] for row in airflow.rows(query, "orders_by_day")} == {"2026-01-01"}
