"""In which state Airflow has a task: asked of its database, of its REST API, or by a task of Airflow 3 of its API."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

from pydantic import AwareDatetime, TypeAdapter

from airflow_doeks import compat
from airflow_doeks.hooks.rest import RestApi
from airflow_doeks.lifecycle.reconciliation import TaskNow, TaskStates
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.record import Attempt

_TIME = TypeAdapter(AwareDatetime)
_EMPTY = (
    "{where} has no DAG run at all, so every job would look like one whose run was deleted. "
    "Name the Airflow that started the jobs: AIRFLOW_HOME with its settings, or --airflow-url."
)


def from_database() -> TaskStates:
    """From the metadata of this Airflow; for commands beside it, and for tasks of Airflow 2."""
    run, ti = compat.DagRun, compat.TaskInstance
    with compat.create_session() as session:
        if session.query(run.id).first() is None:
            raise SpecError(_EMPTY.format(where=f"the Airflow of AIRFLOW_HOME {compat.airflow_home()}"))

    def look(attempt: Attempt) -> TaskNow | None:
        where = {"dag_id": attempt.dag_id, "run_id": attempt.run_id}
        with compat.create_session() as session:
            found = session.query(ti.state, ti.end_date).filter_by(
                **where, task_id=attempt.task_id, map_index=attempt.map_index
            )
            row = found.one_or_none()
            if row is None:
                return None
            run_state = session.query(run.state).filter_by(**where).scalar()
        return TaskNow(_word(row[0]), row[1], _word(run_state))

    return look


def from_own_task() -> TaskStates:
    """From the API that a task of Airflow 3 is given, which needs no user; it does not tell when a task ended."""

    def look(attempt: Attempt) -> TaskNow | None:
        states = compat.states_of_task(attempt.dag_id, attempt.run_id, attempt.task_id, attempt.map_index)
        if not states:
            return None
        now = TaskNow(states[0])
        if now.is_over or now.is_at_work:
            return now
        return replace(now, run_state=compat.RuntimeTaskInstance.get_dagrun_state(attempt.dag_id, attempt.run_id))

    return look


def from_rest_api(url: str, token: str | None) -> TaskStates:
    """From the public REST API of an Airflow 3 anywhere; ``token`` is a bearer token of a user that may read runs."""
    get = RestApi(url, token).get
    any_run = get("/dags/~/dagRuns?limit=1")
    if any_run is None or not any_run.get("total_entries"):
        raise SpecError(_EMPTY.format(where=f"the Airflow at {url}"))

    def look(attempt: Attempt) -> TaskNow | None:
        of_run = f"/dags/{quote(attempt.dag_id, safe='')}/dagRuns/{quote(attempt.run_id, safe='')}"
        mapped = "" if attempt.map_index < 0 else f"/{attempt.map_index}"
        found = get(f"{of_run}/taskInstances/{quote(attempt.task_id, safe='')}{mapped}")
        if found is None:
            return None
        ended, run = found.get("end_date"), get(of_run) or {}
        return TaskNow(found.get("state"), ended and _TIME.validate_python(ended), run.get("state"))

    return look


def of_this_place() -> TaskStates:
    """As a task asks here: Airflow 3 shuts its tasks off from the database."""
    return from_database() if compat.HAS_DATABASE_IN_TASKS else from_own_task()


def _word(state: Any) -> str | None:
    return None if state is None else str(getattr(state, "value", state))
