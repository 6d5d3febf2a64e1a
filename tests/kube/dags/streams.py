"""Streams whose tasks are interrupted; STREAMS_JOB is the Flink job, which writes into a folder of STREAMS_OUT."""

from __future__ import annotations

import json
import os
import signal
from datetime import datetime, timedelta, timezone

from airflow_doeks.attempt.attempt import TaskAttempt
from airflow_doeks.callbacks import record_cost_and_lineage
from airflow_doeks.compat import DAG
from airflow_doeks.operators.job import FlinkJobOperator

JOB, OUT = json.loads(os.environ["STREAMS_JOB"]), os.environ["STREAMS_OUT"]


class DyingAttempt(TaskAttempt):
    """The first try's worker dies after the stream was sent and before anybody knows of it."""

    def announce(self, job: object) -> None:
        if self.context["ti"].try_number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        super().announce(job)


class KilledAfterSubmit(FlinkJobOperator):
    """Its first try is killed in that moment."""

    def attempt(self, context: object) -> DyingAttempt:
        return DyingAttempt(self, context)


def story(dag_id: str, operator: type = FlinkJobOperator) -> DAG:
    """One task with a stream."""
    folder = {"args": ["--out", f"{OUT}/{dag_id}"]}
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    with DAG(dag_id, schedule=None, start_date=start, catchup=False, max_active_runs=2) as dag:
        operator(
            task_id="job",
            platform="lab",
            job=JOB | folder,
            cost_tags={"story": dag_id},
            retries=1,
            retry_delay=timedelta(seconds=1),
            on_success_callback=record_cost_and_lineage,
            on_failure_callback=record_cost_and_lineage,
            on_retry_callback=record_cost_and_lineage,
        )
    return dag


interrupted = story("interrupted")
killed = story("killed", KilledAfterSubmit)
