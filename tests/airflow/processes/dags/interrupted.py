"""DAGs whose workers die at the worst moment; each runs once, by itself."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

from airflow_doeks.attempt.attempt import TaskAttempt
from airflow_doeks.callbacks import record_cost_and_lineage
from airflow_doeks.compat import DAG
from airflow_doeks.operators.job import SparkJobOperator
from airflow_doeks.operators.reconcile import ReconcileOperator

FOLDER = str(Path(__file__).parent)
LAPTOP = {"name": "laptop", "type": "local", "priced_as": "m7g.xlarge"}
CONF = json.loads(os.environ.get("BAD_DAYS_CONF", "{}"))
PLATFORM = json.loads(os.environ.get("BAD_DAYS_PLATFORM", "null")) or LAPTOP


def note_budget(context: Mapping[str, object]) -> None:
    """What a notifier would be told."""
    Path(os.environ["AIRFLOW_HOME"], "told.json").write_text(json.dumps(context["budget"]))


class DyingAttempt(TaskAttempt):
    """The first try's worker dies after the job was submitted and before anybody knows of it."""

    def announce(self, job: object) -> None:
        if self.context["ti"].try_number == 1:
            for pid in self.operator.dying():
                os.kill(pid, signal.SIGKILL)
        super().announce(job)


class KilledAfterSubmit(SparkJobOperator):
    """Its first try is killed after the job was submitted and before anybody knows of it."""

    dying = staticmethod(lambda: [os.getpid()])

    def attempt(self, context: object) -> DyingAttempt:
        return DyingAttempt(self, context)


class LostWithItsWorker(KilledAfterSubmit):
    """After the first submission both its process and the one that watches over it are killed."""

    dying = staticmethod(lambda: [os.getppid(), os.getpid()])


def story(dag_id: str, operator: type = SparkJobOperator, seconds: int = 12, **arguments: object) -> DAG:
    """One task, one Spark job that writes ten rows and then takes its time."""
    schedule = arguments.pop("schedule", "@once")
    schedule = None if "BAD_DAYS_BY_HAND" in os.environ else schedule
    job = {"main": "take_time.py", "args": [str(seconds)], "driver": {"memory": "1Gi"}, "conf": CONF}
    job |= arguments.pop("job", {})
    with DAG(dag_id, schedule=schedule, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), catchup=False) as dag:
        items = arguments.pop("expand", None)
        arguments |= {
            "task_id": "job",
            "job": job,
            "platform": PLATFORM,
            "folder": FOLDER,
            "cost_tags": {"story": "{{ dag.dag_id }}"},
            "retry_delay": timedelta(seconds=1),
            "on_success_callback": record_cost_and_lineage,
            "on_failure_callback": record_cost_and_lineage,
            "on_retry_callback": record_cost_and_lineage,
        }
        if items is None:
            operator(**arguments)
        else:
            operator.partial(**arguments).expand(item=items)
    return dag


adopt = story("adopt", KilledAfterSubmit, retries=1)
long_at_first = ["{{ 1800 if ti.try_number == 1 else 1 }}"]
restart = story("restart", KilledAfterSubmit, retries=1, job={"on_retry": "restart", "args": long_at_first})
overdue = story("overdue", seconds=600, execution_timeout=timedelta(seconds=45))
marked = story("marked", seconds=600)
marked_success = story("marked_success", seconds=600)
cleared = story("cleared", seconds=1)
cleared_waiting = story("cleared_waiting", job={"args": long_at_first})
unwatched = story("unwatched", seconds=10, schedule=None)
redeployed = story("redeployed", seconds=20, schedule=None)
redeployed_mapped = story("redeployed_mapped", seconds=20, schedule=None, expand=[1])
dateless = story("dateless", seconds=1, schedule=None)
lost = story("lost", LostWithItsWorker, seconds=600, schedule=None)
lost_mapped = story("lost_mapped", LostWithItsWorker, seconds=600, schedule=None, expand=[1])
lost_once = story("lost_once", LostWithItsWorker, seconds=60, schedule=None, retries=1)
for ending in ("user_failure", "driver_oom", "executors_lost", "refused", "unanswered"):  # only where a fake plays them
    globals()[ending] = story(ending, schedule=None, job={"args": [ending]})
over_run_timeout = story("over_run_timeout", seconds=600, schedule=None, timeouts={"run_timeout": 5})
deleted = story("deleted", seconds=600, schedule=None)
over_usd = story("over_usd", seconds=600, schedule=None, budget_usd="0.001", on_budget=note_budget)
if not isinstance(PLATFORM, str):  # by name only its own doeks.yaml knows it
    with DAG("reconcile_all", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)) as reconcile_all:
        ReconcileOperator(task_id="job", platforms={PLATFORM["name"]: PLATFORM}, orphan_after=timedelta(0))
