"""Everything of Airflow core that this package uses, one name each; the only file that knows versions.

No logic: a name is bound to what the installed Airflow calls it. Paths were read in Airflow 2.10.3, 2.11.2, 3.0.6,
3.2.1 and 3.3.2 (November 2026).
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from airflow import __version__ as _airflow_version
from airflow.configuration import conf

T = TypeVar("T")
AIRFLOW_VERSION: tuple[int, int] = tuple(int(part) for part in _airflow_version.split(".")[:2])  # type: ignore[assignment]
IS_AIRFLOW_3 = AIRFLOW_VERSION >= (3, 0)
STANDARD = "airflow.providers.standard." if IS_AIRFLOW_3 else "airflow."  # where bash, empty, python ... live

HAS_EXTERNAL_VIEWS = AIRFLOW_VERSION >= (3, 1)  # pages of plugins as tabs; 3.0 knows none and refuses FAB's cookie
HAS_FLASK_VIEWS = not IS_AIRFLOW_3
HAS_DATABASE_IN_TASKS = not IS_AIRFLOW_3  # a task of Airflow 3 asks the API that it is given
PRINTS_TASK_LOG = IS_AIRFLOW_3  # in a process that runs a task for `DAG.test`; else its logger has no handler there
BACKOFF_IS_A_FACTOR = AIRFLOW_VERSION >= (3, 2)  # `retry_exponential_backoff`; a flag before
FIRST_WITH_DEADLINES = (3, 1)
LOGICAL_DATE = "logical_date" if IS_AIRFLOW_3 else "execution_date"  # the column of a run
ASSETS = "assets" if IS_AIRFLOW_3 else "datasets"  # the argument of AssetOrTimeSchedule

_SDK = "airflow.sdk"
_NONE = "builtins:None"  # this Airflow has nothing of the kind
_PATHS: dict[str, tuple[tuple[tuple[int, int], str], ...]] = {
    # name -> ((first version, "module:attribute"), ...), newest first
    "DAG": (((3, 0), f"{_SDK}:DAG"), ((2, 0), "airflow.models.dag:DAG")),
    "Asset": (((3, 0), f"{_SDK}:Asset"), ((2, 0), "airflow.datasets:Dataset")),
    "AssetAlias": (((3, 0), f"{_SDK}:AssetAlias"), ((2, 0), "airflow.datasets:DatasetAlias")),
    "AliasModel": (((3, 0), _NONE), ((2, 0), "airflow.models.dataset:DatasetAliasModel")),  # Airflow 3 makes it itself
    "AssetAny": (((3, 0), f"{_SDK}:AssetAny"), ((2, 0), "airflow.datasets:DatasetAny")),
    "AssetAll": (((3, 0), f"{_SDK}:AssetAll"), ((2, 0), "airflow.datasets:DatasetAll")),
    "BaseOperator": (((3, 0), f"{_SDK}:BaseOperator"), ((2, 0), "airflow.models.baseoperator:BaseOperator")),
    "BaseOperatorLink": (
        ((3, 0), f"{_SDK}:BaseOperatorLink"),
        ((2, 0), "airflow.models.baseoperatorlink:BaseOperatorLink"),
    ),
    "BaseSensorOperator": (((3, 0), f"{_SDK}:BaseSensorOperator"), ((2, 0), "airflow.sensors.base:BaseSensorOperator")),
    "BaseNotifier": (((3, 0), f"{_SDK}:BaseNotifier"), ((2, 0), "airflow.notifications.basenotifier:BaseNotifier")),
    "BaseTrigger": (((2, 0), "airflow.triggers.base:BaseTrigger"),),
    "TriggerEvent": (((2, 0), "airflow.triggers.base:TriggerEvent"),),
    "BaseHook": (((3, 1), f"{_SDK}:BaseHook"), ((2, 0), "airflow.hooks.base:BaseHook")),
    "TaskGroup": (((3, 0), f"{_SDK}:TaskGroup"), ((2, 0), "airflow.utils.task_group:TaskGroup")),
    "XCom": (((3, 0), "airflow.sdk.execution_time.xcom:XCom"), ((2, 0), "airflow.models.xcom:XCom")),
    "XComArg": (((3, 0), f"{_SDK}:XComArg"), ((2, 0), "airflow.models.xcom_arg:XComArg")),
    "AirflowClusterPolicySkipDag": (((2, 0), "airflow.exceptions:AirflowClusterPolicySkipDag"),),
    "get_parsing_context": (
        ((3, 0), f"{_SDK}:get_parsing_context"),
        ((2, 0), "airflow.utils.dag_parsing_context:get_parsing_context"),
    ),
    "RuntimeTaskInstance": (
        ((3, 0), "airflow.sdk.execution_time.task_runner:RuntimeTaskInstance"),  # asks the API that a task is given
        ((2, 0), _NONE),
    ),
    "DagRun": (((2, 0), "airflow.models.dagrun:DagRun"),),
    "Deadline": (((3, 1), "airflow.models.deadline:Deadline"), ((2, 0), _NONE)),
    "TaskInstance": (((2, 0), "airflow.models.taskinstance:TaskInstance"),),
    "Pool": (((2, 0), "airflow.models.pool:Pool"),),
    "ConnectionModel": (((2, 0), "airflow.models.connection:Connection"),),
    "VariableModel": (((2, 0), "airflow.models.variable:Variable"),),
    "UserModel": (((3, 0), _NONE), ((2, 0), "airflow.providers.fab.auth_manager.models:User")),
    "DagModel": (((2, 0), "airflow.models.dag:DagModel"),),
    "Trigger": (((2, 0), "airflow.models.trigger:Trigger"),),
    "TaskInstanceHistory": (((2, 0), "airflow.models.taskinstancehistory:TaskInstanceHistory"),),
    "DagAccessEntity": (
        ((3, 0), "airflow.api_fastapi.auth.managers.models.resource_details:DagAccessEntity"),
        ((2, 0), "airflow.auth.managers.models.resource_details:DagAccessEntity"),
    ),
    "get_user": (((3, 0), "airflow.api_fastapi.core_api.security:get_user"), ((2, 0), _NONE)),
    "requires_access_dag": (((3, 0), "airflow.api_fastapi.core_api.security:requires_access_dag"), ((2, 0), _NONE)),
    "has_access_dag": (((3, 0), _NONE), ((2, 0), "airflow.www.auth:has_access_dag")),
    "has_access_view": (((3, 0), _NONE), ((2, 0), "airflow.www.auth:has_access_view")),
    "get_auth_manager": (
        ((3, 0), "airflow.api_fastapi.app:get_auth_manager"),
        ((2, 0), "airflow.www.extensions.init_auth_manager:get_auth_manager"),
    ),
    "XComModel": (((3, 0), "airflow.models.xcom:XComModel"), ((2, 0), "airflow.models.xcom:XCom")),
    "create_session": (((2, 0), "airflow.utils.session:create_session"),),
    "initdb": (((2, 0), "airflow.utils.db:initdb"),),
    "REVISION_HEADS": (((2, 0), "airflow.utils.db:_REVISION_HEADS_MAP"),),  # of the database, the newest last
    "run_test_task": (((3, 0), "airflow.sdk.definitions.dag:_run_task"), ((2, 0), "airflow.models.dag:_run_task")),
    "test_api": (((3, 2), f"{_SDK}.execution_time.supervisor:in_process_api_server"), ((2, 0), _NONE)),
    "AirflowPlugin": (((2, 0), "airflow.plugins_manager:AirflowPlugin"),),
    **{
        name: (((3, 1), f"{_SDK}:{name}"), ((2, 0), _NONE))
        for name in ("AsyncCallback", "DeadlineAlert", "DeadlineReference")
    },
    **{
        name: (((3, 2), f"{_SDK}:{name}"), ((3, 0), f"airflow.timetables.{new}"), ((2, 0), f"airflow.timetables.{old}"))
        for name, new, old in (
            ("CronDataIntervalTimetable", "interval:CronDataIntervalTimetable", "interval:CronDataIntervalTimetable"),
            ("CronTriggerTimetable", "trigger:CronTriggerTimetable", "trigger:CronTriggerTimetable"),
            ("AssetOrTimeSchedule", "assets:AssetOrTimeSchedule", "datasets:DatasetOrTimeSchedule"),
        )
    },
    **{
        name: (((3, 2), f"{_SDK}:{name}"), ((2, 0), _NONE))
        for name in (
            *("CronPartitionTimetable", "PartitionedAssetTimetable", "IdentityMapper"),
            *(f"StartOf{unit}Mapper" for unit in ("Hour", "Day", "Week", "Month", "Quarter", "Year")),
        )
    },
    **{
        name: (((3, 2), f"{_SDK}.exceptions:{name}"), ((2, 0), f"airflow.exceptions:{name}"))
        for name in (
            "AirflowException",
            "AirflowFailException",
            "AirflowNotFoundException",
            "AirflowSkipException",
            "AirflowTaskTimeout",
            "TaskDeferred",
        )
    },
}

# Airflow on one machine: name -> arguments of `airflow`. Its log servers would listen on every address.
PROCESSES: dict[str, list[str]] = {
    **(
        {"api-server": ["api-server", "--host", "{host}", "--port", "{port}"], "dag-processor": ["dag-processor"]}
        if IS_AIRFLOW_3
        else {"webserver": ["webserver", "--hostname", "{host}", "--port", "{port}"]}
    ),
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
# Settings of the same. Airflow 3 asks for a password of a file; Airflow 2 has its users in the database.
SETTINGS = (
    {
        "AIRFLOW__API__BASE_URL": "{url}",
        "AIRFLOW__API__HOST": "{host}",
        "AIRFLOW__API__PORT": "{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": "{password_file}",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
    }
    if IS_AIRFLOW_3
    else {"AIRFLOW__WEBSERVER__BASE_URL": "{url}", "AIRFLOW__WEBSERVER__WORKERS": "1"}
)
USES_PASSWORD_FILE = IS_AIRFLOW_3


def airflow_home() -> str:
    """AIRFLOW_HOME as Airflow sees it."""
    return str(importlib.import_module("airflow.configuration").AIRFLOW_HOME)


def cluster_policies() -> Any:
    """The hooks ``dag_policy`` and ``task_policy`` of this installation; None if it has no such policy."""
    settings = sys.modules.get("airflow.settings")  # not loaded: nobody will ask for policies here
    if settings is None:
        return None
    find = getattr(settings, "get_policy_plugin_manager", None)
    manager = find() if find else settings.POLICY_PLUGIN_MANAGER
    hook = manager.hook if manager else None
    return hook if hook and (hook.dag_policy.get_hookimpls() or hook.task_policy.get_hookimpls()) else None


def register_dags(folder: str) -> None:
    """Write the DAGs of the DAG folder into the metadata, as `DAG.test` of Airflow 3.0 to 3.2 presumes."""
    if not (3, 0) <= AIRFLOW_VERSION < (3, 3):
        return
    manager = importlib.import_module("airflow.dag_processing.bundles.manager").DagBundlesManager()
    manager.sync_bundles_to_db()
    name = next(iter(manager.get_all_dag_bundles())).name
    if AIRFLOW_VERSION >= (3, 2):
        bags = importlib.import_module("airflow.dag_processing.dagbag")
        bag = bags.BundleDagBag(dag_folder=folder, bundle_path=importlib.import_module("pathlib").Path(folder))
        bags.sync_bag_to_db(bag, name, None)
    else:
        bag = importlib.import_module("airflow.models.dagbag").DagBag(folder, include_examples=False)
        bag.sync_to_db(name, None)


def runs_in_dag_processor(ti: Any) -> bool:
    """True where an XCom push would hang: Airflow 3 runs callbacks of lost tasks in the DAG processor, without state.

    Until the DAG processor answers SetXCom (apache/airflow 72297): no push from there.
    """
    return IS_AIRFLOW_3 and getattr(ti, "state", None) is None and getattr(ti, "start_date", None) is None


def is_task_timeout(error: object) -> bool:
    """True if Airflow's own time-out ended the task, on its worker or while it was deferred."""
    own = __getattr__("AirflowTaskTimeout"), __getattr__("AirflowException")
    return isinstance(error, own[0]) or (isinstance(error, own[1]) and is_deferral_timeout(str(error)))


def is_deferral_timeout(text: str) -> bool:
    """True for a deferral out of time; of a broken trigger it says `Trigger failure`. Read in 2.10.3 to 3.3.2."""
    return text in {"Trigger/execution timeout", "Trigger timeout"}


def xcom_page(dag_id: str, run_id: str, task_id: str, map_index: int | None) -> str:
    """The path of a task's XCom page below the web server's root."""
    dag, run, task = (quote(part, safe="") for part in (dag_id, run_id, task_id))
    if IS_AIRFLOW_3:
        mapped = "" if map_index in (None, -1) else f"/mapped/{map_index}"
        return f"/dags/{dag}/runs/{run}/tasks/{task}{mapped}/xcom"
    return f"/dags/{dag}/grid?dag_run_id={run}&task_id={task}&map_index={map_index}&tab=xcom"


def web_root() -> str:
    """The path below which Airflow's web server stands, such as ``/airflow``; empty at the root of its host."""
    section = "api" if IS_AIRFLOW_3 else "webserver"
    return urlsplit(conf.get(section, "base_url", fallback="") or "").path.rstrip("/")


def readable_dags(dag_ids: set[str], user: Any) -> set[str]:
    """Which of these DAGs a user may read, deleted ones as the user's rights on all DAGs say."""
    manager = importlib.import_module(__name__).get_auth_manager()
    listed = "authorized" if IS_AIRFLOW_3 else "permitted"
    asked = {"user": user, **({"method": "GET"} if IS_AIRFLOW_3 else {"methods": ["GET"]})}
    readable: set[str] = dag_ids & getattr(manager, f"get_{listed}_dag_ids")(**asked)
    if deleted := _deleted(dag_ids - readable):
        readable |= set(getattr(manager, f"filter_{listed}_dag_ids")(dag_ids=deleted, **asked))
    return readable


def _deleted(dag_ids: set[str]) -> set[str]:
    """Those of some DAGs that Airflow has no row of."""
    if not dag_ids:
        return set()
    names = importlib.import_module(__name__)
    with names.create_session() as session:
        return dag_ids - {row[0] for row in session.query(names.DagModel.dag_id)}


async def in_thread(function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """What a blocking function gives that may ask Airflow for something, such as a connection; for triggers.

    Until Airflow 3.0 is dropped: a thread that asgiref did not make, or a question that is cancelled before its answer
    came, breaks its triggerer's line to the supervisor ("Response read out of order!"), and the triggerer ends with all
    that wait in it. So the thread runs to its end even when nobody waits any more.
    """
    run = importlib.import_module("asgiref.sync").sync_to_async(function, thread_sensitive=False)
    running: asyncio.Task[T] = asyncio.ensure_future(run(*arguments, **named))
    running.add_done_callback(lambda done: done.cancelled() or done.exception())  # perhaps nobody asks for it
    return await asyncio.shield(running)


def is_killed_unheard(ti: Any) -> bool:
    """True if a cancelled trigger's task was killed, marked or cleared and no `on_kill` will tell the trigger. Blocks.

    Until Airflow 3.2 is dropped: triggers have no `on_kill` before 3.3 and are cancelled when the triggerer stops as
    well, so they ask whether the task is still deferred.
    """
    return AIRFLOW_VERSION < (3, 3) and ti is not None and _fresh_task_state(ti) != "deferred"


def states_of_task(dag_id: str, run_id: str, task_id: str, map_index: int | None) -> tuple[str | None, ...]:
    """The state of a task as Airflow 3 tells it to a task, None if it has none yet; empty if there is no such task."""
    ask = importlib.import_module(__name__).RuntimeTaskInstance.get_task_states
    states = ask(dag_id=dag_id, task_ids=[task_id], run_ids=[run_id], map_index=map_index).get(run_id, {})
    key = task_id if map_index in (None, -1) else f"{task_id}_{map_index}"  # as the API server names it
    return (states[key] and str(getattr(states[key], "value", states[key])),) if key in states else ()


def _fresh_task_state(ti: Any) -> str | None:
    """The state of a task as the metadata has it now."""
    if IS_AIRFLOW_3:
        found = states_of_task(ti.dag_id, ti.run_id, ti.task_id, ti.map_index)
        return found[0] if found else None
    session = importlib.import_module("airflow.settings").Session()
    model = importlib.import_module("airflow.models.taskinstance").TaskInstance
    try:
        row = (
            session.query(model.state, model.try_number)
            .filter_by(dag_id=ti.dag_id, task_id=ti.task_id, run_id=ti.run_id, map_index=ti.map_index)
            .one_or_none()
        )
        return None if row is None else str(row[0])
    finally:
        session.close()


__all__ = [*_PATHS, "conf"]  # noqa: PLE0604 - names of a table


def __getattr__(name: str) -> Any:
    for first, path in _PATHS.get(name, ()):
        if first <= AIRFLOW_VERSION:
            module, attribute = path.split(":")
            value = None if path == _NONE else getattr(importlib.import_module(module), attribute)
            globals()[name] = value
            return value
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
