"""Every route of the pages, asked by five people, on the Airflow of this Python; prints JSON. Run by test_rights.py.

nobody has no cookie, vera may read the DAG `sales` only, lea the same but for logs, sam none, ada everything. With
`fab` as argument, Airflow 3 uses FAB's auth manager, where it is installed; Airflow 2 has no other.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

USES_FAB = "fab" in sys.argv[1:]
HOME = tempfile.mkdtemp(prefix="doeks-walk-")
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
os.environ |= {
    "AIRFLOW_HOME": HOME,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__AUTH_MANAGER": FAB if USES_FAB else "walk.PerDag",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "ada:admin,vera:viewer,lea:viewer,sam:viewer",
    "AIRFLOW__DOEKS__LEDGER_PATH": f"{HOME}/ledger",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    "AIRFLOW__API_AUTH__JWT_SECRET": "x" * 64,
    "AIRFLOW__WEBSERVER__SECRET_KEY": "x" * 64,
}

from airflow_doeks import compat  # noqa: E402 - after its settings
from airflow_doeks.hooks.stores import LocalStore  # noqa: E402
from airflow_doeks.ledger import Ledger  # noqa: E402
from airflow_doeks.model.lineage import Dataset, Lineage  # noqa: E402
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobRecord, Times  # noqa: E402
from airflow_doeks.model.status import JobState  # noqa: E402

NOW = datetime.now(timezone.utc)
DAGS = ("sales", "secret_dag")
PEOPLE = ("nobody", "vera", "lea", "sam", "ada")
Get = Callable[[str, dict[str, str]], tuple[int, str]]


def pages() -> dict[str, dict[str, str]]:
    """Path -> query of every page, once for each DAG, each list and each file."""
    found: dict[str, dict[str, str]] = {}
    for dag in DAGS:
        place = {"dag_id": dag, "run_id": f"manual__{NOW:%Y-%m-%d}", "task_id": "clean"}
        found |= {f"task {dag}": place, f"run {dag}": place, f"dag {dag}": {"dag_id": dag}}
    found |= {"costs": {}, "costs csv": {"csv": "pipelines"}, "dataset": {"name": "s3://lake/clean"}}
    return found | {"static/doeks.css": {}, "static/plotly.min.js": {}}


def write_ledger() -> None:
    """A record a DAG, of different dollars, on one dataset."""
    for number, dag in enumerate(DAGS, 1):
        data = Dataset(namespace="s3://lake", name="clean", rows=1, usd=f"{number}.25")
        record = JobRecord(
            record_id=dag,
            attempt=Attempt(dag_id=dag, run_id=f"manual__{NOW:%Y-%m-%d}", task_id="clean", try_number=1),
            settled_by_try=1,
            job=JobFacts(ref=dag, platform="lake", type="local", engine="spark", name=dag, state=JobState.SUCCEEDED),
            times=Times(submitted=NOW, started=NOW, ended=NOW),
            cost=Cost(usd_total=f"{number}.25"),
            lineage=Lineage(outputs=(data,), complete=True),
        )
        Ledger(LocalStore(f"{HOME}/ledger")).write(record)


def write_dags() -> None:
    """Rows of both DAGs, as the DAG processor leaves them."""
    compat.initdb()
    fields: dict[str, Any] = {}
    with compat.create_session() as session:
        if compat.IS_AIRFLOW_3:
            from airflow.models.dagbundle import DagBundleModel

            session.add(DagBundleModel(name="walk"))
            session.flush()
            fields = {"bundle_name": "walk"}
        for dag in DAGS:
            session.add(compat.DagModel(dag_id=dag, fileloc="/x.py", is_paused=False, **fields))


def clients() -> dict[str, Get]:
    """How each person asks for a page."""
    return _flask_clients() if not compat.IS_AIRFLOW_3 else _fastapi_clients()


def _fastapi_clients() -> dict[str, Get]:
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    app = create_app()
    manager = compat.get_auth_manager()

    def getter(token: str | None) -> Get:
        client = TestClient(app)
        if token:
            client.cookies.set("_token", token)

        def get(page: str, query: dict[str, str]) -> tuple[int, str]:
            answer = client.get(f"/doeks/{page}", params=query)
            return answer.status_code, answer.text

        return get

    users = _fab_users(_fab_security(manager)) if USES_FAB else _simple_users()
    return {name: getter(manager.generate_jwt(users[name]) if name in users else None) for name in PEOPLE}


def _simple_users() -> dict[str, Any]:
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    roles = {"vera": "VIEWER", "lea": "VIEWER", "sam": "VIEWER", "ada": "ADMIN"}
    return {name: SimpleAuthManagerUser(username=name, role=role) for name, role in roles.items()}


def _fab_security(manager: Any) -> Any:
    from airflow.providers.fab.www.app import create_app as create_flask

    application = create_flask(enable_plugins=False)
    application.app_context().push()
    return application.appbuilder.sm


def _fab_users(security: Any) -> dict[str, Any]:
    """Users of FAB by name; `one_dag` is the role that an administrator makes for who may read a single DAG."""
    for dag in DAGS:
        security.create_permission("can_read", f"DAG:{dag}")
    general = ("DAG Runs", "Task Instances", "Website")
    permissions = {
        "one_dag": ("DAG:sales", "Task Logs", *general),
        "without_logs": ("DAG:sales", *general),
        "nothing": ("Task Logs", *general),
    }
    made = {name: security.add_role(name) for name in permissions}
    for name, role in made.items():
        for permission in permissions[name]:
            security.add_permission_to_role(role, security.create_permission("can_read", permission))
    roles = {"vera": made["one_dag"], "lea": made["without_logs"], "sam": made["nothing"]}
    roles["ada"] = security.find_role("Admin")
    return {
        name: security.add_user(name, name, name, f"{name}@example.com", owned, password=name)
        for name, owned in roles.items()
    }


def _flask_clients() -> dict[str, Get]:
    from airflow.www.app import create_app

    app = create_app()
    app.config["WTF_CSRF_ENABLED"] = False
    with app.app_context():
        _fab_users(app.appbuilder.sm)

    def getter(name: str) -> Get:
        client = app.test_client()
        if name != "nobody":
            client.post("/login/", data={"username": name, "password": name})

        def get(page: str, query: dict[str, str]) -> tuple[int, str]:
            answer = client.get(f"/doeks/{page}", query_string=query)
            return answer.status_code, answer.get_data(as_text=True)

        return get

    return {name: getter(name) for name in PEOPLE}


def routes() -> dict[str, list[str]]:
    """Path -> methods of every route that the pages have."""
    if compat.IS_AIRFLOW_3:
        from airflow_doeks.ui.fastapi_app import app

        return {route.path: sorted(route.methods) for route in app.routes}
    from airflow.www.app import cached_app

    rules = [rule for rule in cached_app().url_map.iter_rules() if rule.rule.startswith("/doeks")]
    return {rule.rule.removeprefix("/doeks"): sorted(rule.methods - {"OPTIONS"}) for rule in rules}


def main() -> None:
    """Print what everybody got of every page."""
    write_ledger()
    write_dags()
    seen: dict[str, dict[str, Any]] = {}
    for person, get in clients().items():
        seen[person] = {}
        for page, query in pages().items():
            status, body = get(page.split(" ")[0], query)
            is_text = not page.startswith("static")
            seen[person][page] = {
                "status": status,
                "sales": is_text and status == 200 and "1.25" in body,
                "secret": is_text and ("2.25" in body or (status == 200 and "secret_dag" in body)),
                "both": is_text and "3.50" in body,
            }
    sys.stdout.write("\n" + json.dumps({"routes": routes(), "seen": seen}))


if compat.IS_AIRFLOW_3 and not USES_FAB:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    class PerDag(SimpleAuthManager):
        """Airflow's simple auth manager with what it lacks: rights on single DAGs."""

        def is_authorized_dag(self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None) -> bool:
            """Everything for ada, `sales` for vera and, but for logs, for lea; a list for each; nothing for sam."""
            may = super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)
            dag = details.id if details else None
            is_log = access_entity == compat.DagAccessEntity.TASK_LOGS
            of_sales = user.username in ("vera", *(() if is_log else ("lea",)))
            return may and (user.username == "ada" or (of_sales and dag in {None, "sales"}))

        def filter_authorized_dag_ids(self, *, dag_ids: Any, user: Any, **_asked: Any) -> set[str]:
            """What may be read of some DAGs."""
            sales = set(dag_ids) & {"sales"}
            return {"ada": set(dag_ids), "vera": sales, "lea": sales}.get(user.username, set())


if __name__ == "__main__":
    sys.modules["walk"] = sys.modules["__main__"]
    main()
