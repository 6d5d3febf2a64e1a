"""The plugin behind the `airflow.plugins` entry point; every component of Airflow imports it, so it imports nothing."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow_doeks.compat import HAS_EXTERNAL_VIEWS, HAS_FLASK_VIEWS, AirflowPlugin, web_root
from airflow_doeks.provider_info import PAGES

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Scope]]
_Send = Callable[[_Scope], Awaitable[None]]


class LazyApp:
    """The FastAPI app of the pages, imported at the first request."""

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Hand a request on."""
        app = importlib.import_module("airflow_doeks.ui.fastapi_app").app
        await app(scope, receive, send)


def _views() -> list[dict[str, str]]:
    """The tabs and the entry of the navigation; Airflow fills in the names in braces."""
    run = "dag_id={DAG_ID}&run_id={RUN_ID}"
    places = (
        ("Cost and data", "task_instance", "doeks-task", f"task?{run}&task_id={{TASK_ID}}&map_index={{MAP_INDEX}}"),
        ("Cost and data", "dag_run", "doeks-run", f"run?{run}"),
        ("Cost and data", "dag", "doeks-dag", "dag?dag_id={DAG_ID}"),
        ("Data costs", "nav", "doeks-costs", "costs"),
    )
    root = f"{web_root()}{PAGES}"
    return [
        {
            "name": name,
            "destination": where,
            "url_route": route,
            "href": f"{root}/{page}",
            "icon": f"{root}/static/costs.svg",
            "icon_dark_mode": f"{root}/static/costs-dark.svg",
        }
        for name, where, route, page in places
    ]


class DoeksPlugin(AirflowPlugin):
    """The pages, on Airflow 3.1 and later as views of its UI, on Airflow 2 as views of Flask AppBuilder.

    Airflow 3.0 has no external views and refuses the browser's cookie to a mounted app under FAB: extra links only.
    """

    name = "doeks"
    fastapi_apps = [{"app": LazyApp(), "url_prefix": PAGES, "name": "doeks"}] if HAS_EXTERNAL_VIEWS else []
    external_views = _views() if HAS_EXTERNAL_VIEWS else []

    @property
    def appbuilder_views(self) -> list[dict[str, Any]]:
        """The views of Airflow 2; its web server alone asks for them, so Flask AppBuilder is imported only there."""
        return importlib.import_module("airflow_doeks.ui.fab_view").views() if HAS_FLASK_VIEWS else []
