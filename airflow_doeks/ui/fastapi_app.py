"""The pages in Airflow 3: a FastAPI app that the API server mounts. A mounted app inherits no rights: each route asks.

No `from __future__ import annotations` and no import inside a function: FastAPI would read dependencies as queries.
"""

from functools import partial
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, Response

from airflow_doeks import compat
from airflow_doeks.ui import opening
from airflow_doeks.ui.html import HEADERS, static_file

Entity = compat.DagAccessEntity
User = Annotated[Any, Depends(compat.get_user)]


def _may(*entities: Any) -> list[Any]:
    """The checks of Airflow's own pages: on these of the DAG that the query names, else on the list of DAGs."""
    return [Depends(compat.requires_access_dag("GET", entity)) for entity in entities or (None,)]


app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)


@app.get("/task", dependencies=_may(Entity.TASK_INSTANCE, Entity.TASK_LOGS))
def task(request: Request, user: User) -> Response:
    """One task instance; of a failed one the end of its log."""
    return _answer("task", request, user)


@app.get("/run", dependencies=_may(Entity.RUN))
def run(request: Request, user: User) -> Response:
    """One DAG run."""
    return _answer("run", request, user)


@app.get("/dag", dependencies=_may(Entity.RUN))
def dag(request: Request, user: User) -> Response:
    """One DAG."""
    return _answer("dag", request, user)


@app.get("/costs", dependencies=_may())
def costs(request: Request, user: User) -> Response:
    """Every DAG that the person may read."""
    return _answer("costs", request, user)


@app.get("/dataset", dependencies=_may())
def dataset(request: Request, user: User) -> Response:
    """One dataset, of the DAGs that the person may read."""
    return _answer("dataset", request, user)


@app.get("/static/{name}", dependencies=_may())
def static(name: str) -> Response:
    """Style and scripts of the pages."""
    path = static_file(name)
    if path is None:
        raise HTTPException(404)
    return FileResponse(path, headers={**HEADERS, "Cache-Control": "private, max-age=3600"})


def _answer(name: str, request: Request, user: Any) -> Response:
    answer = opening.answer(name, dict(request.query_params), partial(compat.readable_dags, user=user))
    return Response(answer.body, answer.status, dict(answer.headers), answer.media_type)
