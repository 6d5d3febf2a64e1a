"""One DAG run in this process, watched and read back through Airflow's metadata database; for `doeks run`.

Imports Airflow, which reads its home and settings once: they must be in the environment before.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console

from airflow_doeks import compat
from airflow_doeks.attempt.announcement import JOB_KEY
from airflow_doeks.attempt.closing import close
from airflow_doeks.attempt.delivery import RECORD_KEY
from airflow_doeks.attempt.hand import Books, JobInHand
from airflow_doeks.cli.run_records import all_attempts
from airflow_doeks.cli.run_view import Progress, TaskView, total_usd
from airflow_doeks.dag_builder import build_dag
from airflow_doeks.hooks.platforms import connect
from airflow_doeks.hooks.settings import load_settings, open_ledger
from airflow_doeks.lifecycle import Submission
from airflow_doeks.lifecycle.endings import Ending
from airflow_doeks.model.errors import DoeksError
from airflow_doeks.model.identity import PREFIX, JobIdentity
from airflow_doeks.model.plan import Plan
from airflow_doeks.model.record import JobRecord
from airflow_doeks.platforms.registry import TYPES, storage_connection

_POLL_SECONDS = 0.5
_CANCEL_SECONDS = 30.0


class PipelineRun:
    """One DAG run in this process, watched through the metadata database."""

    def __init__(self, plan: Plan, caller: Path) -> None:
        self.plan = plan
        self.caller = caller
        self.run_id: str | None = None
        self.state = "failed"
        self.tasks: Sequence[TaskView] = ()
        self.records: Sequence[JobRecord] = ()

    def run(self, console: Console) -> None:
        """Run to the end; ``state``, ``tasks`` and ``records`` hold what the metadata database then says."""
        compat.initdb()
        compat.register_dags(str(self.caller.parent))
        dag = build_dag(self.plan, self.caller)
        before, began = self._newest_run(), datetime.now(timezone.utc).date()
        stopped: list[JobRecord] = []
        done = threading.Event()
        with Progress(console) as progress:
            watcher = threading.Thread(target=self._watch, args=(progress, before, done), daemon=True)
            watcher.start()
            try:
                dag.test()
            except Exception:
                raise
            except BaseException:  # noqa: BLE001 - Ctrl-C, or what Airflow 2 makes of TERM: both end the run
                console.print("Interrupted: cancelling what still runs", highlight=False)
                self._find_run(before)
                stopped = self._stop_jobs()
            finally:
                done.set()
                watcher.join()
            self._find_run(before)
            self.tasks = self._read_tasks()
            progress.show(self.tasks)
        compat.Trigger.clean_unused()  # or the next triggerer would run those of tasks that are over
        known = [JobRecord.model_validate(value) for value in self._xcoms(RECORD_KEY).values()] + stopped
        self.records = self._all_attempts(known, since=began, console=console)

    def _all_attempts(self, known: Sequence[JobRecord], *, since: date, console: Console) -> Sequence[JobRecord]:
        """The run's records from the ledger, where failed tries stand, too; those of the last tries without it."""
        order = {task.task_id: number for number, task in enumerate(self.plan.tasks)}
        try:
            ledger = list(open_ledger(load_settings()).records(since=since))
        except (DoeksError, OSError, ValueError) as error:
            console.print(f"The ledger cannot be read, so failed tries are left out: {error}", highlight=False)
            return known
        return all_attempts(ledger, known, self.plan.dag_id, str(self.run_id), order)

    def to_json(self) -> dict[str, Any]:
        """The run as `--json` prints it; records as in the ledger."""
        total = total_usd(self.records)
        return {
            "dag_id": self.plan.dag_id,
            "run_id": self.run_id,
            "state": self.state,
            "tasks": [{"task": task.name, "state": task.state} for task in self.tasks],
            "usd_total": None if total is None else str(total),
            "records": [record.model_dump(mode="json") for record in self.records],
        }

    def _watch(self, progress: Progress, before: int, done: threading.Event) -> None:
        while not done.wait(_POLL_SECONDS):
            self._find_run(before)
            if self.run_id is not None:
                progress.show(self._read_tasks())

    def _newest_run(self) -> int:
        with compat.create_session() as session:
            rows = session.query(compat.DagRun.id).filter_by(dag_id=self.plan.dag_id)
            return max((row[0] for row in rows), default=0)

    def _find_run(self, before: int) -> None:
        with compat.create_session() as session:
            rows = session.query(compat.DagRun.id, compat.DagRun.run_id, compat.DagRun.state)
            for number, run_id, state in rows.filter_by(dag_id=self.plan.dag_id):
                if number > before:
                    self.run_id, self.state = run_id, str(getattr(state, "value", state))

    def _read_tasks(self) -> list[TaskView]:
        model = compat.TaskInstance
        order = {task.task_id: number for number, task in enumerate(self.plan.tasks)}
        with compat.create_session() as session:
            rows = session.query(model.task_id, model.map_index, model.state, model.start_date, model.end_date)
            found = sorted(
                rows.filter_by(dag_id=self.plan.dag_id, run_id=self.run_id),
                key=lambda row: (order.get(row[0], len(order)), row[1]),
            )
        return [
            TaskView(f"{name}[{index}]" if index >= 0 else name, state and str(getattr(state, "value", state)), *times)
            for name, index, state, *times in found
        ]

    def _xcoms(self, key: str) -> dict[tuple[str, int], Any]:
        """XComs of the run by (task id, map index), in the order of the pipeline."""
        model = compat.XComModel
        with compat.create_session() as session:
            rows = session.query(model.task_id, model.map_index, model.value)
            found = list(rows.filter_by(dag_id=self.plan.dag_id, run_id=self.run_id, key=key))
        values = {
            (name, index): json.loads(value) if isinstance(value, (str, bytes)) else value
            for name, index, value in found
        }
        order = {task.task_id: number for number, task in enumerate(self.plan.tasks)}
        return dict(sorted(values.items(), key=lambda item: (order.get(item[0][0], len(order)), item[0][1])))

    def _stop_jobs(self) -> list[JobRecord]:
        """End the jobs of unfinished tasks and fail the run, or a scheduler would take it up again; their records."""
        settled = self._xcoms(RECORD_KEY)
        living = {place: job for place, job in self._xcoms(JOB_KEY).items() if place not in settled}
        with compat.create_session() as session:
            run = {"dag_id": self.plan.dag_id, "run_id": self.run_id}
            for ti in session.query(compat.TaskInstance).filter_by(**run):
                if str(ti.state) not in {"success", "failed", "skipped", "upstream_failed"}:
                    ti.state = "failed"
            for dag_run in session.query(compat.DagRun).filter_by(**run):
                dag_run.state = "failed"
        return [self._stop_job(place, job) for place, job in living.items()]

    def _stop_job(self, place: tuple[str, int], job: Mapping[str, Any]) -> JobRecord:
        """Cancel one job and settle it here: its task has ended, and no callback of it will run."""
        task = next(task for task in self.plan.tasks if task.task_id == place[0])
        entry, settings = task.platform or {}, load_settings()
        submission, platform = Submission.from_json(job["submission"]), connect(entry, settings)
        tag = f"{PREFIX}tag-"
        identity = JobIdentity(
            instance=settings.instance,
            dag_id=self.plan.dag_id,
            run_id=str(self.run_id),
            task_id=place[0],
            map_index=place[1],
            try_number=submission.try_number,
            run_started=submission.submitted,
            attempt_id="",
            cost_tags={key.removeprefix(tag): value for key, value in job["tags"].items() if key.startswith(tag)},
        )
        books = Books(
            identity,
            settings,
            rate_card=self.plan.rate_card,
            connection=storage_connection(entry),
            has_pods=TYPES[entry["type"]].has_pods,
        )
        return close(JobInHand(books, platform, submission), Ending.INTERRUPTED, cancel_seconds=_CANCEL_SECONDS).record
