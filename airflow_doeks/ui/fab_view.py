"""The pages in Airflow 2: a view of Flask AppBuilder, which is public but for the check on each of its routes."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response, abort, g, request, send_file
from flask_appbuilder import BaseView, expose

from airflow_doeks import compat
from airflow_doeks.ui.html import HEADERS, static_file
from airflow_doeks.ui.opening import site

Entity = compat.DagAccessEntity


class DoeksView(BaseView):
    """One route a page; GET only."""

    route_base = "/doeks"
    default_view = "costs"

    @expose("/task", methods=["GET"])
    @compat.has_access_dag("GET", Entity.TASK_INSTANCE)
    def task(self) -> Response:
        """One task instance."""
        return _answer("task")

    @expose("/run", methods=["GET"])
    @compat.has_access_dag("GET", Entity.RUN)
    def run(self) -> Response:
        """One DAG run."""
        return _answer("run")

    @expose("/dag", methods=["GET"])
    @compat.has_access_dag("GET", Entity.RUN)
    def dag(self) -> Response:
        """One DAG."""
        return _answer("dag")

    @expose("/costs", methods=["GET"])
    @compat.has_access_dag("GET")
    def costs(self) -> Response:
        """Every DAG that the person may read."""
        return _answer("costs")

    @expose("/dataset", methods=["GET"])
    @compat.has_access_dag("GET")
    def dataset(self) -> Response:
        """One dataset, of the DAGs that the person may read."""
        return _answer("dataset")

    @expose("/static/<name>", methods=["GET"])
    @compat.has_access_dag("GET")
    def static(self, name: str) -> Response:
        """Style and scripts of the pages."""
        path = static_file(name)
        if path is None:
            abort(404)
        sent: Response = send_file(path, max_age=3600)
        for header, value in HEADERS.items():
            if header != "Cache-Control":
                sent.headers[header] = value
        return sent


def _answer(name: str) -> Response:
    answer = site().answer(name, request.args.to_dict(), partial(compat.readable_dags, user=g.user))
    return Response(answer.body, answer.status, dict(answer.headers), content_type=answer.media_type)


VIEWS: tuple[dict[str, Any], ...] = ({"name": "Data costs", "category": "Browse", "view": DoeksView()},)
