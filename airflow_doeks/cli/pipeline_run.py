"""One DAG run of this process, watched and read back through Airflow's metadata database; for `doeks run`.

Imports Airflow, which reads its home and settings once: they must be in the environment before.
"""

from __future__ import annotations

import json
import signal
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
from airflow_doeks.cli.run_options import RunOptions
from airflow_doeks.cli.run_records import all_attempts
from airflow_doeks.cli.run_view import Progress, TaskView, say, total_usd
from airflow_doeks.cli.task_processes import TaskProcesses
from airflow_doeks.dag_builder import build_dag
from airflow_doeks.hooks.platforms import connect
from airflow_doeks.hooks.settings import Settings, load_settings, open_ledger
from airflow_doeks.lifecycle import Submission, submission_of
from airflow_doeks.lifecycle.endings import Ending
from airflow_doeks.model.engine import ENGINES
from airflow_doeks.model.errors import DoeksError
from airflow_doeks.model.identity import PREFIX, JobIdentity
from airflow_doeks.model.plan import Plan, TaskPlan
from airflow_doeks.model.record import JobRecord
from airflow_doeks.platforms.registry import TYPES, storage_connection

Place = tuple[str, int]  # task id and map index
_CANCEL_SECONDS = 30.0


class PipelineRun:
    """One DAG run in this process and its children, read back through the metadata database."""

    def __init__(self, plan: Plan, caller: Path) -> None:
        self.plan = plan
        self.caller = caller
        self.run_id: str | None = None
        self.state = "failed"
        self.tasks: Sequence[TaskView] = ()
        self.records: Sequence[JobRecord] = ()
        self.interrupted_by: int | None = None  # the signal that ended it

    def run(self, console: Console, options: RunOptions) -> None:
        """Run to the end; ``state``, ``tasks`` and ``records`` hold what the metadata database then says."""
        prepare_database()
        compat.register_dags(str(self.caller.parent))
        began, stopped = datetime.now(timezone.utc).date(), list[JobRecord]()
        with Progress(console) as progress:
            processes = TaskProcesses(
                build_dag(self.plan, self.caller),
                parallel=options.parallel,
                look=lambda run, instances: self._look(progress, run, instances),
            )
            try:
                processes.run(options.date, options.conf or None)
            except KeyboardInterrupt as interrupt:
                say(console, "Interrupted: cancelling what still runs")
                self.interrupted_by = interrupt.args[0] if interrupt.args else signal.SIGINT
                stopped = self._stop_jobs()
            self.tasks = self._read_tasks(processes)
            progress.show(self.tasks)
        compat.Trigger.clean_unused()  # or the next triggerer would run those of tasks that are over
        known = [JobRecord.model_validate(value) for value in self._xcoms(RECORD_KEY).values()] + stopped
        self.records = self._all_attempts(known, since=began, console=console)

    @property
    def exit_code(self) -> int:
        """0 if all went well, 128 and its number for a signal, as a shell has it."""
        return 128 + self.interrupted_by if self.interrupted_by else int(self.state != "success")

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
            "tasks": [
                {"task": task.name, "state": task.state} | ({"why": task.why} if task.why else {})
                for task in self.tasks
            ],
            "usd_total": None if total is None else str(total),
            "records": [record.model_dump(mode="json") for record in self.records],
        }

    def _look(self, progress: Progress, run: Any, instances: Sequence[Any]) -> None:
        self.run_id, self.state = run.run_id, str(run.state)
        progress.show(self._views(instances))

    def _views(self, instances: Sequence[Any], processes: TaskProcesses | None = None) -> list[TaskView]:
        order = {task.task_id: number for number, task in enumerate(self.plan.tasks)}
        found = []
        for ti in sorted(instances, key=lambda ti: (order.get(ti.task_id, len(order)), ti.map_index)):
            key, state = (ti.task_id, ti.map_index), ti.state and str(getattr(ti.state, "value", ti.state))
            name = f"{ti.task_id}[{ti.map_index}]" if ti.map_index >= 0 else ti.task_id
            has_failed = processes is not None and state == "failed"
            why = processes.reasons.get(key) if processes and has_failed else None
            log = processes.logs.get(key) if processes and has_failed else None
            found.append(TaskView(name, state, ti.start_date, ti.end_date, why, log))
        return found

    def _read_tasks(self, processes: TaskProcesses) -> list[TaskView]:
        with compat.create_session() as session:
            run = {"dag_id": self.plan.dag_id, "run_id": self.run_id}
            for (state,) in session.query(compat.DagRun.state).filter_by(**run):
                self.state = str(getattr(state, "value", state))
            return self._views(list(session.query(compat.TaskInstance).filter_by(**run)), processes)

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
        settled, announced = self._xcoms(RECORD_KEY), self._xcoms(JOB_KEY)
        begun: list[Place] = []
        with compat.create_session() as session:
            run = {"dag_id": self.plan.dag_id, "run_id": self.run_id}
            for ti in session.query(compat.TaskInstance).filter_by(**run):
                if str(ti.state) not in {"success", "failed", "skipped", "upstream_failed"}:
                    if ti.start_date is not None:
                        begun.append((ti.task_id, ti.map_index))
                    ti.state = "failed"
            for dag_run in session.query(compat.DagRun).filter_by(**run):
                dag_run.state = "failed"
        known = {place: Submission.from_json(job["submission"]) for place, job in announced.items()}
        living = [(place, one) for place, one in known.items() if place not in settled]
        for place in begun:
            if place not in known:
                living += [(place, one) for one in self._unannounced(place)]
        return [self._stop_job(place, one) for place, one in living]

    def _unannounced(self, place: Place) -> list[Submission]:
        """Living jobs of a task that ended between submitting one and saying so."""
        task = self._task(place)
        if task.job is None or task.platform is None:
            return []
        settings = load_settings()
        identity = self._identity(place, settings, try_number=1, started=datetime.now(timezone.utc), tags={})
        engine, name = ENGINES[task.kind], str(task.platform.get("name", ""))
        found = [one for one in connect(task.platform, settings).find(identity) if not one.state.is_terminal]
        submissions = [submission_of(one, identity, engine=engine, platform=name) for one in found]
        return [one for one in submissions if one is not None]

    def _stop_job(self, place: Place, submission: Submission) -> JobRecord:
        """Cancel one job and settle it here: its task has ended, and no callback of it will run."""
        entry, settings = self._task(place).platform or {}, load_settings()
        identity = self._identity(
            place, settings, try_number=submission.try_number, started=submission.submitted, tags=submission.tags
        )
        books = Books(
            identity,
            settings,
            rate_card=self.plan.rate_card,
            connection=storage_connection(entry),
            cost_source=entry.get("cost_source"),
            has_pods=TYPES[entry["type"]].has_pods,
        )
        job = JobInHand(books, connect(entry, settings), submission)
        return close(job, Ending.INTERRUPTED, cancel_seconds=_CANCEL_SECONDS).record

    def _task(self, place: Place) -> TaskPlan:
        return next(task for task in self.plan.tasks if task.task_id == place[0])

    def _identity(
        self, place: Place, settings: Settings, *, try_number: int, started: datetime, tags: Mapping[str, str]
    ) -> JobIdentity:
        tag = f"{PREFIX}tag-"
        return JobIdentity(
            instance=settings.instance,
            dag_id=self.plan.dag_id,
            run_id=str(self.run_id),
            task_id=place[0],
            map_index=place[1],
            try_number=try_number,
            run_started=started,
            attempt_id="",
            cost_tags={key.removeprefix(tag): value for key, value in tags.items() if key.startswith(tag)},
        )


def prepare_database() -> None:
    """Make or migrate Airflow's database, unless it is as this Airflow wants it, which a look at one row tells."""
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with compat.create_session() as session:
            version = session.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except SQLAlchemyError:  # there is none, or nobody answers: Airflow says which
        version = None
    if version is None or version != list(compat.REVISION_HEADS.values())[-1]:
        compat.initdb()
    _ = compat.UserModel  # Airflow 2's tables of tasks refer to that of users, which nothing else here loads
