"""The runs of a DAG as Airflow has them: asked of its database, or of its REST API; None where it keeps deadlines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic import AwareDatetime, TypeAdapter

from airflow_doeks import compat
from airflow_doeks.hooks.rest import RestApi
from airflow_doeks.lifecycle.late_runs import RunNow, RunsSince

_TIME = TypeAdapter(AwareDatetime)
_PAGE = 100


def runs_from_database() -> RunsSince | None:
    """From the metadata of this Airflow; for commands beside it, and for tasks of Airflow 2."""
    if compat.DeadlineAlert is not None:
        return None
    run = compat.DagRun
    dated = getattr(run, compat.LOGICAL_DATE)

    def look(dag_id: str, since: datetime) -> Iterator[RunNow]:
        with compat.create_session() as session:
            found = session.query(run.run_id, run.queued_at, dated, run.end_date).filter(
                run.dag_id == dag_id, (run.queued_at >= since) | (dated >= since)
            )
            rows = found.all()
        for run_id, queued, logical_date, ended in rows:
            yield RunNow(dag_id, run_id, queued, logical_date, ended)

    return look


def runs_from_rest_api(url: str, token: str | None) -> RunsSince | None:
    """From the public REST API of an Airflow 3 anywhere."""
    api = RestApi(url, token)
    version = str((api.get("/version") or {}).get("version") or "3.1")
    if tuple(int(part) for part in version.split(".")[:2]) >= compat.FIRST_WITH_DEADLINES:
        return None

    def look(dag_id: str, since: datetime) -> Iterator[RunNow]:
        offset = 0
        while True:
            path = f"/dags/{quote(dag_id, safe='')}/dagRuns?order_by=-id&limit={_PAGE}&offset={offset}"
            page: list[dict[str, Any]] = (api.get(path) or {}).get("dag_runs") or []
            runs = [_run(dag_id, entry) for entry in page]
            yield from runs
            offset += _PAGE
            if len(page) < _PAGE or all(run.queued is not None and run.queued < since for run in runs):
                return  # the others were made earlier

    return look


def runs_of_this_place() -> RunsSince | None:
    """As a task asks here; a task of Airflow 3.0 cannot, and gets PermissionError."""
    if compat.DeadlineAlert is None and not compat.HAS_DATABASE_IN_TASKS:
        msg = "Airflow 3.0 tells a task nothing of other DAGs' runs; `doeks reconcile` beside it can ask"
        raise PermissionError(msg)
    return runs_from_database()


def _run(dag_id: str, entry: dict[str, Any]) -> RunNow:
    times = (entry.get(key) for key in ("queued_at", "logical_date", "end_date"))
    return RunNow(dag_id, entry["dag_run_id"], *(text and _TIME.validate_python(text) for text in times))
