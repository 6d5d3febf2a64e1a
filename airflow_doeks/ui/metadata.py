"""What Airflow's metadata says of runs and tries, through its own models; read only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from airflow_doeks import compat
from airflow_doeks.attempt.announcement import JOB_KEY
from airflow_doeks.ui.pages.airflow_facts import Announced, Missed, RunTimes, TaskTimes


def run_times(dag_id: str, run_id: str) -> RunTimes | None:
    """A run; None if Airflow has none of that id."""
    model = compat.DagRun
    with compat.create_session() as session:
        row = session.query(*_run_columns()).filter(model.dag_id == dag_id, model.run_id == run_id).one_or_none()
    return _run(row) if row else None


def runs_before(dag_id: str, started: datetime, count: int) -> list[RunTimes]:
    """The newest runs of a DAG that started before a moment, oldest first."""
    model = compat.DagRun
    with compat.create_session() as session:
        rows = (
            session.query(*_run_columns())
            .filter(model.dag_id == dag_id, model.start_date < started)
            .order_by(model.start_date.desc())
            .limit(count)
            .all()
        )
    return [_run(row) for row in reversed(rows)]


def tries_of(dag_id: str, run_id: str) -> list[TaskTimes]:
    """Every try of every task of a run, those before a retry or a clear among them."""
    found: dict[tuple[str, int, int], TaskTimes] = {}
    with compat.create_session() as session:
        for model in (compat.TaskInstanceHistory, compat.TaskInstance):
            columns = (model.task_id, model.map_index, model.try_number, model.state, model.start_date, model.end_date)
            for task_id, index, number, state, started, ended in session.query(*columns).filter(
                model.dag_id == dag_id, model.run_id == run_id
            ):
                found[task_id, index, number] = TaskTimes(task_id, index, number, _word(state), started, ended)
    return list(found.values())


def announced(dag_id: str, run_id: str) -> dict[tuple[str, int], Announced]:
    """What the newest try of each task of a run said of its job, by task id and map index."""
    model = compat.XComModel
    with compat.create_session() as session:
        rows = (
            session.query(model.task_id, model.map_index, model.value)
            .filter(model.dag_id == dag_id, model.run_id == run_id, model.key == JOB_KEY)
            .all()
        )
    found = ((task_id, index, _decoded(value)) for task_id, index, value in rows)
    return {(task_id, index): Announced.from_json(told) for task_id, index, told in found if isinstance(told, dict)}


def missed_deadlines(dag_id: str | None, since: datetime, until: datetime) -> list[Missed] | None:
    """Deadlines of a time that passed before their run ended, newest first; None if this Airflow knows no deadlines.

    Of every DAG if none is named.
    """
    deadline, run = compat.Deadline, compat.DagRun
    if deadline is None:
        return None
    due = deadline.deadline_time
    now = datetime.now(timezone.utc)
    with compat.create_session() as session:
        rows = (
            session.query(run.dag_id, run.run_id, due, run.end_date)
            .select_from(deadline)
            .join(run, run.id == deadline.dagrun_id)
            .filter(*([] if dag_id is None else [run.dag_id == dag_id]), due >= since, due < min(until, now))
            .order_by(due.desc())
            .all()
        )
    return [Missed(run_id, at, ended, of) for of, run_id, at, ended in rows if ended is None or ended > at]


def _decoded(value: Any) -> Any:
    """The value of an XCom column; a listener may have encoded it twice. None if it is no JSON."""
    try:
        while isinstance(value, (str, bytes)):
            value = json.loads(value)
    except ValueError:
        return None
    return value


def _run_columns() -> Sequence[Any]:
    model = compat.DagRun
    return model.run_id, model.state, model.start_date, model.end_date


def _run(row: Sequence[Any]) -> RunTimes:
    run_id, state, started, ended = row
    return RunTimes(run_id, _word(state), started, ended)


def _word(state: Any) -> str | None:
    return None if state is None else str(getattr(state, "value", state))
