"""Keys of a DAG, of `default_args`, of a task and of a group: a table each, with the handler of every key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_doeks.dialects.dag_factory.assets import asset_list
from airflow_doeks.dialects.dag_factory.notes import Handler, Note, Taken, left_over, lost, nowhere, one_line
from airflow_doeks.dialects.dag_factory.values import (
    a_date,
    a_duration,
    a_list,
    as_it_is,
    type_of,
    without_objects,
)
from airflow_doeks.language.layers import merge
from airflow_doeks.model.plan import ARGUMENTS, DURATIONS

PYTHON = "a pipeline holds no Python"
_CALLBACK = nowhere(f"{PYTHON}; Airflow's notifiers belong to a listener or to the platform's alerts")
_RETIRED = nowhere("Airflow 3 no longer has it")
_FILE_IS_DOC = nowhere("this file with its comments is what Airflow shows")


def _argument(name: str) -> Handler:
    """The handler of an argument that ours takes under the same name."""
    if name == "queue":
        return _queue
    return a_duration(name) if name in DURATIONS else as_it_is(name)


def _queue(key: str, value: Any) -> Taken:
    taken = as_it_is(key)(key, value)
    served = Note(f"`queue: {one_line(value)}` must be one that a worker of this Airflow serves")
    return Taken(taken.ours, notes=(*taken.notes, served)) if taken.ours else taken


SHARED: Mapping[str, Handler] = {  # a task and `defaults` of the pipeline have it
    "retries": as_it_is("retries"),
    "retry_delay": a_duration("retry_delay"),
    "retry_delay_sec": a_duration("retry_delay"),
    "execution_timeout": a_duration("execution_timeout"),
    "execution_timeout_secs": a_duration("execution_timeout"),
    "pool": as_it_is("pool"),
    "priority_weight": as_it_is("priority_weight"),
    "task_concurrency": as_it_is("max_active_tis_per_dag"),
    **{name: _argument(name) for name, row in ARGUMENTS.items() if not row.of_one},
}
TASK: Mapping[str, Handler] = {  # a task has it, the pipeline's `defaults` do not
    "trigger_rule": as_it_is("trigger_rule"),
    "inlets": asset_list("inlets"),
    "outlets": asset_list("outlets"),
    "doc_md": as_it_is("doc"),
    "doc": as_it_is("doc"),
    "map_index_template": as_it_is("map_name"),
    **{name: _argument(name) for name, row in ARGUMENTS.items() if row.of_one},
}
WITHOUT_PLACE: Mapping[str, Handler] = {  # arguments of every operator that no task of ours has
    "variables_as_arguments": nowhere("write `{{ var.value.NAME }}` where the attribute stands"),
    "owner": nowhere("a pipeline has one `owner`"),
    "start_date": nowhere("a pipeline has one `start_date`"),
    "end_date": nowhere("a pipeline has one `end_date`"),
    "executor_config": nowhere("the worker's pod is Airflow's; a job's pods stand under `driver` and `executors`"),
    "sla": _RETIRED,
    "dag": nowhere("a task belongs to its pipeline"),
    "task_group": nowhere("write a group with `tasks`"),
}


def _params(_key: str, params: Any) -> Taken:
    """Parameters and their defaults; an object Param gives its default, the rest of it is left."""
    ours: dict[str, Any] = {}
    left: dict[str, Any] = {}
    for name, value in dict(params).items():
        if type_of(value) == "Param":
            rest = {part: item for part, item in value.items() if part not in ("__type__", "__args__")}
            arguments = list(value.get("__args__") or ())
            ours[name] = arguments.pop(0) if arguments else rest.pop("default", None)
            left |= {name: rest} if rest else {}
        elif value is not None and without_objects(value) is None:
            left[name] = value
        else:
            ours[name] = without_objects(value)
    return Taken({"params": ours} if ours else {}, left)


def _zone(_key: str, zone: Any) -> Taken:
    return Taken({"timezone": zone}) if isinstance(zone, str) else Taken(left=zone)


DATES: Mapping[str, Handler] = {"start_date": a_date("start_date"), "end_date": a_date("end_date"), "timezone": _zone}
DAG: Mapping[str, Handler] = {
    "description": as_it_is("description"),
    **DATES,
    "catchup": as_it_is("catchup"),
    "max_active_runs": as_it_is("max_active_runs"),
    "dagrun_timeout": a_duration("dagrun_timeout"),
    "dagrun_timeout_sec": a_duration("dagrun_timeout"),
    "owner": as_it_is("owner"),
    "tags": a_list("tags"),
    "params": _params,
    "concurrency": nowhere("write a `pool`"),
    "max_active_tasks": nowhere("write a `pool`"),
    "doc_md": _FILE_IS_DOC,
    "doc_md_file_path": _FILE_IS_DOC,
    "dag_display_name": nowhere("a pipeline is shown by its DAG id"),
    "default_view": _RETIRED,
    "orientation": _RETIRED,
    "template_searchpath": nowhere("paths of code are relative to this file"),
    "render_template_as_native_obj": nowhere("a template renders to text"),
    "user_defined_macros": nowhere(PYTHON),
    "access_control": nowhere("grant it in Airflow"),
    "is_paused_upon_creation": nowhere("[core] dags_are_paused_at_creation of airflow.cfg says it for all"),
}
GROUP: Mapping[str, Handler] = {
    "tooltip": as_it_is("description"),
    "prefix_group_id": nowhere("ids of tasks always start with their group's"),
}


def settings_of(
    source: Mapping[str, Any], table: Mapping[str, Handler], order: Iterable[str] = ()
) -> tuple[dict[str, Any], list[Note]]:
    """The keys of the source in our words, and the notes; a key that the table does not have is noted."""
    ours: dict[str, Any] = {}
    notes: list[Note] = []
    for key, value in source.items():
        if value is None:
            continue
        taken = (table.get(key) or handler_by_name(key))(key, value)
        notes += [lost(again, ours[again], f"`{key}` says it, too") for again in ours if again in taken.ours]
        ours = merge(ours, taken.ours)
        notes += left_over(key, taken)
    return {key: ours[key] for key in dict.fromkeys((*order, *ours)) if key in ours}, notes


def handler_by_name(key: str) -> Handler:
    """The handler of a key that no table has."""
    if key.startswith(("on_", "sla_miss")) and "callback" in key:
        return _CALLBACK
    return WITHOUT_PLACE.get(key) or nowhere(PYTHON if is_python(key) else "")


def is_python(key: str) -> bool:
    """True for an argument that names Python code."""
    return key.startswith(("python_callable", "execution_date_fn", "doc_md_python")) or key.endswith(
        ("_lambda", "_check_name", "_check_file")
    )
