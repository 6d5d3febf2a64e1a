"""Our ids of a DAG's tasks and groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_doeks.dialects.dag_factory.notes import Note, lost

_LENGTH = 100
_Entries = Mapping[str, Mapping[str, Any]]


@dataclass
class Names:
    """Name in the source -> our id: the names of its groups and its own, with points between."""

    tasks: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[Note]] = field(default_factory=dict)  # by our id

    @property
    def all(self) -> dict[str, str]:
        """What `dependencies` may name; of a task and a group with one name dag-factory takes the group."""
        return {**self.tasks, **self.groups}

    def add(self, ids: dict[str, str], name: str, parent_key: str, parent: Any) -> None:
        """Give a task or group its id, in ``ids``."""
        stem = f"{self.groups[parent]}." if parent in self.groups else ""
        id_ = wanted = stem + (re.sub(r"^-|[^A-Za-z0-9_-]", "_", name)[:_LENGTH] or "_")
        number = 1
        while id_ in self.tasks.values() or id_ in self.groups.values():
            number += 1
            id_ = f"{wanted[: len(stem) + _LENGTH - 5]}_{number}"
        ids[name] = id_
        notes = self.notes.setdefault(id_, [])
        if id_.rpartition(".")[2] != name:
            notes.append(Note(f"{name!r} is {id_} here: templates that name it must change"))
        if parent and parent not in self.groups:
            notes.append(lost(parent_key, parent, "the source has no such group"))


def names_of(tasks: _Entries, groups: _Entries) -> Names:
    """The ids of all tasks and groups. Raises ValueError for groups that contain each other."""
    names = Names()
    for name in sorted(groups, key=lambda name: len(around(name, groups))):
        names.add(names.groups, name, "parent_group_name", groups[name].get("parent_group_name"))
    for name, task in tasks.items():
        names.add(names.tasks, name, "task_group_name", task.get("task_group_name"))
    return names


def around(name: Any, groups: _Entries) -> list[str]:
    """A group and those around it, the innermost first; empty for what is no group."""
    found: list[str] = []
    while name in groups:
        if name in found:
            msg = f"the groups {', '.join(found)} contain each other"
            raise ValueError(msg)
        found.append(name)
        name = groups[name].get("parent_group_name")
    return found
