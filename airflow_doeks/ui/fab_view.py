"""The pages in Airflow 2: a view of Flask AppBuilder, which would be public but for the check on each of its routes.

Flask is imported when the view is made: where Airflow is newer, it is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from airflow_doeks import compat
from airflow_doeks.provider_info import PAGES
from airflow_doeks.ui import opening
from airflow_doeks.ui.html import HEADERS, static_file

_ROUTES = {
    # page -> what must be readable of the DAG in its query; nothing: the web site, and its lists hold what may be read
    "task": ("TASK_INSTANCE", "TASK_LOGS"),  # of a failed one it shows the end of the log
    "run": ("RUN",),
    "dag": ("RUN",),
    "costs": (),
    "dataset": (),
}


def views() -> list[dict[str, Any]]:
    """The view with its entry in the menu, as a plugin gives it to Airflow 2; needs Airflow's web server."""
    from flask_appbuilder import BaseView

    members: dict[str, Any] = {"route_base": PAGES, "default_view": "costs"}
    for name, entities in _ROUTES.items():
        members[name] = _route(f"/{name}", name, partial(_answer, name), entities)
    members["static"] = _route("/static/<name>", "static", _static, ())
    view = type("DoeksView", (BaseView,), members)
    return [{"name": "Data costs", "category": "Browse", "view": view()}]


def _route(path: str, name: str, answer: Callable[..., Any], entities: Sequence[str]) -> Any:
    """A method of the view: GET only, and only for who may read."""
    from flask_appbuilder import expose

    def method(_view: Any, **values: str) -> Any:
        return answer(**values)

    method.__name__ = name
    checks = [compat.has_access_dag("GET", compat.DagAccessEntity[entity]) for entity in entities]
    for check in checks or [compat.has_access_view()]:
        method = check(method)
    return expose(path, methods=["GET"])(method)


def _answer(page: str) -> Any:
    from flask import Response, g, request

    answer = opening.answer(page, request.args.to_dict(), partial(compat.readable_dags, user=g.user))
    return Response(answer.body, answer.status, dict(answer.headers), content_type=answer.media_type)


def _static(name: str) -> Any:
    from flask import abort, send_file

    path = static_file(name)
    if path is None:
        abort(404)
    sent = send_file(path, max_age=3600)
    sent.headers.update({header: value for header, value in HEADERS.items() if header != "Cache-Control"})
    return sent
