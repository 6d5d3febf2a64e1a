"""Mapped tasks as Airflow's; imported where a pipeline has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_doeks.hooks.aliases import with_seen_alias
from airflow_doeks.model.engine import ENGINES
from airflow_doeks.model.plan import FUNCTIONS, TaskPlan


def mapped(task: TaskPlan, operator: Any, arguments: dict[str, Any], output: Callable[[str], Any], dag_id: str) -> Any:
    """An instance per item; what an item is depends on the kind of the task. ``output`` is what another task returns.

    A mapped operator is made without its __init__, so a job's alias of what it is seen to write is added here.
    """
    items = task.expand
    if isinstance(items, Mapping) and "cross" in items:
        crossed = {key: output(of["task"]) if isinstance(of, Mapping) else of for key, of in items["cross"].items()}
        return operator.partial(**arguments).expand(**crossed)
    if isinstance(items, Mapping) and "zip" in items:
        arguments["item_keys"] = list(items["zip"])
        first, *others = [output(of["task"]) for of in items["zip"].values()]
        items = first.zip(*others)
    elif isinstance(items, Mapping):
        items = output(items["task"])
    if task.kind in ENGINES:
        arguments["outlets"] = with_seen_alias(arguments.get("outlets", ()), dag_id, task.task_id)
    partial = operator.partial(**arguments)
    if task.kind == "uses":
        return partial.expand_kwargs(items)
    return partial.expand(**{"item" if task.kind in (*ENGINES, *FUNCTIONS) else "conf": items})


def outputs(expand: Mapping[str, Any]) -> set[str]:
    """Ids of the tasks whose output a task is mapped over."""
    parts = [expand] if "task" in expand else next(iter(expand.values())).values()
    return {part["task"] for part in parts if isinstance(part, Mapping)}
