"""dag-factory's `expand` and `partial` as our `expand`."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_doeks.dialects.dag_factory.notes import Note, Taken, lost
from airflow_doeks.dialects.dag_factory.values import python_object, without_objects

_MAP_LENGTH = 1024  # Airflow's [core] max_map_length unless it is set, November 2026
_OUTPUT = re.compile(r"(?P<task>.+?)\.output|XcomArg\((?P<argument>.+)\)|\+(?P<plus>[\w.-]+)")


def arguments_expand(expand: Mapping[str, Any], ids: Mapping[str, str]) -> Taken:
    """`expand` of an operator: a mapping of arguments for each instance, or the task that returns such mappings."""
    texts = {key: value for key, value in expand.items() if isinstance(value, str)}
    if texts:
        (key, value), *others = expand.items()
        match = _OUTPUT.fullmatch(value) if isinstance(value, str) else None
        name = next((found for found in match.groups() if found), "") if match else ""
        if others or name not in ids:
            return Taken(notes=(lost("expand", expand, "write `expand: {task: ...}` or a list of mappings"),))
        note = Note(f"{name!r} must return a list of mappings such as {{{key}: ...}}, not of plain values")
        return Taken({"expand": {"task": ids[name]}}, notes=(note,))
    items, notes = _product(expand)
    return Taken({"expand": items} if items else {}, notes=notes)


def job_expand(arguments: Mapping[str, Any], expand: Mapping[str, Any]) -> tuple[dict[str, Any], Taken]:
    """`expand` of a job's operator: its arguments with `{{ task.item... }}` where instances differ, and the items.

    The arguments are as they were where that cannot be written, because the instances are not of one shape.
    """
    why = "write `expand: [...]`, and `{{ task.item }}` in the job"
    if any(isinstance(value, (str, Mapping)) for value in expand.values()):
        return dict(arguments), Taken(notes=(lost("expand", expand, why),))
    items, notes = _product(expand)
    templates = {key: _shared([item[key] for item in items], f"task.item.{key}") for key in expand} if items else {}
    if not items or None in templates.values():
        return dict(arguments), Taken(notes=notes or (lost("expand", expand, why),))
    twice = [lost(key, arguments[key], "`expand` gives it again") for key in expand if key in arguments]
    return {**arguments, **templates}, Taken({"expand": items}, notes=(*notes, *twice))


def _product(expand: Mapping[str, Any]) -> tuple[list[dict[str, Any]], tuple[Note, ...]]:
    """Airflow's cross product of lists, written out; empty if an object is in it or it is longer than Airflow takes."""
    count = math.prod(len(values) for values in expand.values())
    if count > _MAP_LENGTH:
        text = f"`expand` did not carry over: it makes {count:,} task instances, Airflow at most {_MAP_LENGTH:,}"
        return [], (Note(text), lost("expand", expand))
    if without_objects(expand) is None:
        return [], (python_object("expand", expand),)
    if not all(isinstance(values, list) for values in expand.values()) or not count:
        return [], (lost("expand", expand, "write a list of mappings"),)
    rows = itertools.product(*(without_objects(values) for values in expand.values()))
    return [dict(zip(expand, row, strict=True)) for row in rows], ()


def _shared(values: Sequence[Any], path: str) -> Any:
    """One value that stands for all: a template where they differ; None if they are not of one shape."""
    first = values[0]
    if all(value == first for value in values):
        return first
    if all(isinstance(value, list) and len(value) == len(first) for value in values):
        parts = [_shared([value[index] for value in values], f"{path}[{index}]") for index in range(len(first))]
        return None if None in parts else parts
    if all(isinstance(value, dict) and value.keys() == first.keys() for value in values):
        entries = {key: _shared([value[key] for value in values], f"{path}[{key!r}]") for key in first}
        return None if None in entries.values() else entries
    return None if any(isinstance(value, (list, dict)) for value in values) else f"{{{{ {path} }}}}"
