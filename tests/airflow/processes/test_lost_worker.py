"""A worker that is lost for good, with real Airflow processes: its job is found by its tags, ended, accounted for."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.airflow.processes.running import Airflow, running_airflow, within
from tests.airflow.processes.test_interrupted_tasks import DAGS, ended, records, run_dirs

pytestmark = [pytest.mark.airflow, pytest.mark.spark, pytest.mark.slow]
SOON = {  # Airflow notices after half a minute that nobody watches over a task; names of Airflow 3 and of Airflow 2
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "30",
    "AIRFLOW__SCHEDULER__ZOMBIE_DETECTION_INTERVAL": "5",
}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """An Airflow whose workers will be lost."""
    settings = SOON | {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "BAD_DAYS_BY_HAND": "yes"}
    with running_airflow(tmp_path_factory.mktemp("airflow_home"), DAGS, settings) as running:
        running.trigger("lost_once")
        running.trigger("lost")
        running.trigger("lost_mapped")
        yield running


@pytest.mark.parametrize("dag_id", ["lost", "lost_mapped"])
def test_the_job_of_a_lost_worker_is_no_orphan(airflow: Airflow, dag_id: str) -> None:
    """Task and supervisor are SIGKILLed before anybody knew of the job, without retries: it ends, with its record."""
    airflow.wait_for(dag_id, "failed", seconds=300)
    (job,) = run_dirs(airflow, dag_id)
    assert within(120, lambda: ended(job)), airflow.log(dag_id)
    record = within(60, lambda: next((r for r in records(airflow, dag_id) if r["settled_by_try"]), None))
    assert record is not None
    assert record["job"]["state"] == "CANCELLED"
    assert record["cost_tags"] == {"story": dag_id}
    assert record["failure"]["message"] == "its task ended without it, no try was left, and it was cancelled"
    assert float(record["cost"]["usd_total"]) > 0


def test_a_retry_adopts_the_job_of_a_lost_worker(airflow: Airflow) -> None:
    """The same with a retry: one job, one record, of try 1, settled by try 2."""
    task = airflow.wait_for("lost_once", "success", "failed", seconds=300)
    assert (task["state"], task["try_number"]) == ("success", 2), airflow.log("lost_once")
    assert len(run_dirs(airflow, "lost_once")) == 1
    (record,) = records(airflow, "lost_once")
    assert (record["attempt"]["try_number"], record["settled_by_try"]) == (1, 2)
