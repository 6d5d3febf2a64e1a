"""The last look at a converted pipeline: what our language would refuse of it leaves, with a note."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from airflow_doeks.dialects.dag_factory.notes import Note, lost
from airflow_doeks.language.rules import rule_of

_ROUNDS = 20  # what leaves may leave a mapping empty, which leaves in the next round
Notes = dict[str, list[Note]]


def fitted(pipeline: Mapping[str, Any]) -> tuple[dict[str, Any], Notes]:
    """The pipeline without what the schema refuses, and a note for each such value, by task id."""
    found = copy.deepcopy(dict(pipeline))
    notes: Notes = {}
    for _ in range(_ROUNDS):
        faults = rule_of("pipeline")(found) or []
        done = [
            _take_out(found, fault.path, fault.message, notes) for fault in sorted(faults, key=_position, reverse=True)
        ]
        if not any(done):
            break
    return found, notes


def _position(fault: Any) -> list[tuple[int, str]]:
    """Later items of a list first, so that the places of earlier ones stay."""
    return [(step, "") if isinstance(step, int) else (-1, step) for step in fault.path]


def _take_out(pipeline: dict[str, Any], path: tuple[Any, ...], why: str, notes: Notes) -> bool:
    """Remove the value at a path; a task as a whole stays, since others need it."""
    place, below = _task_of(path)
    if not below:
        return False
    above: Any = pipeline
    for step in path[:-1]:
        above = above[step] if _has(above, step) else None
    if not _has(above, path[-1]):
        return False
    value = above.pop(path[-1])
    if value not in ({}, [], None):
        name = ".".join(str(step) for step in below if isinstance(step, str))
        notes.setdefault(place, []).append(lost(name, value, why))
    if path == ("schedule",):
        pipeline["schedule"] = None
    return True


def _task_of(path: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """The id of the task that a path leads into, and the rest of the path."""
    names = []
    while len(path) > 1 and path[0] == "tasks":
        names.append(path[1])
        path = path[2:]
    return ".".join(names), path


def _has(above: Any, step: Any) -> bool:
    return step in above if isinstance(above, dict) else isinstance(above, list) and step < len(above)
