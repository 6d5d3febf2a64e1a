"""What a project needs in Airflow before its pipelines can run: pools, connections, variables. Pure.

Names are read where they are written; of a name that only a run knows (a template) nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_doeks.model.plan import Plan
from airflow_doeks.platforms.registry import TYPES

DEFAULT_POOL = "default_pool"  # every Airflow has it
_VARIABLE = re.compile(r"\bvar\.(?:value|json)\.([A-Za-z_]\w*)")
_VARIABLE_BY_NAME = re.compile(r"\bvar\.(?:value|json)(?:\.get\(|\[)\s*['\"]([^'\"]+)['\"]\s*[)\]]")  # no default
_CONNECTION = re.compile(r"\bconn\.([A-Za-z_]\w*)")
_NAMES_CONNECTION = re.compile(r"(?:^connection$|_conn_id$)")  # key of an argument, of a secret, of a notice
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_NO_NAME = frozenset({"get"})
_OPTIONAL = "aws_default"  # where Airflow has none of this name, boto3 searches for credentials


@dataclass(frozen=True)
class Pool:
    """A pool as it must be; ``slots`` None: it need only exist."""

    name: str
    slots: int | None = None
    counts_deferred: bool = True


@dataclass
class Needs:
    """Name -> where it is named, first place only."""

    pools: dict[Pool, str] = field(default_factory=dict)
    connections: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)


def needs_of(platforms: Mapping[str, Mapping[str, Any]], plans: Iterable[Plan]) -> Needs:
    """What platforms of doeks.yaml and pipelines name."""
    found = Needs()
    made = set()
    for name, entry in platforms.items():
        where = f"platform {name!r} of doeks.yaml"
        if entry.get("max_jobs"):
            pool = Pool(f"doeks_{name}", int(entry["max_jobs"]))
            made.add(pool.name)
            found.pools.setdefault(pool, where)
        for key in TYPES[entry["type"]].connections:
            if isinstance(entry.get(key), str):
                found.connections.setdefault(entry[key], where)
    for plan in plans:
        _of_plan(plan, made, found)
    found.connections.pop(_OPTIONAL, None)
    return found


def _of_plan(plan: Plan, made: set[str], found: Needs) -> None:
    for notices in plan.notices.values():
        _scan([dict(arguments) for _, arguments in notices], plan.file, found)
    for task in plan.tasks:
        where = f"{plan.file}: task {task.task_id!r}"
        if task.pool and task.pool != DEFAULT_POOL and task.pool not in made and "{{" not in task.pool:
            found.pools.setdefault(Pool(task.pool), where)
        told = [dict(arguments) for notices in task.notices.values() for _, arguments in notices]
        _scan([task.job, task.arguments, task.expand, told], where, found)


def _scan(value: Any, where: str, found: Needs) -> None:
    for key, text in _texts(value):
        if _NAMES_CONNECTION.search(key) and text and "{" not in text:
            found.connections.setdefault(text, where)
        for template in _TEMPLATE.findall(text):
            for name in _VARIABLE.findall(template) + _VARIABLE_BY_NAME.findall(template):
                if name not in _NO_NAME:
                    found.variables.setdefault(name, where)
            for name in _CONNECTION.findall(template):
                if name not in _NO_NAME:
                    found.connections.setdefault(name, where)


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a value, with the key it stands under."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(item, str(name))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item, key)
