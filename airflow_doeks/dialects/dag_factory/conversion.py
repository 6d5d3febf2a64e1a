"""One DAG of dag-factory on its way to a pipeline."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from airflow_doeks.dialects.dag_factory import settings
from airflow_doeks.dialects.dag_factory.assets import every_text
from airflow_doeks.dialects.dag_factory.fitting import fitted
from airflow_doeks.dialects.dag_factory.names import Names, around, names_of
from airflow_doeks.dialects.dag_factory.notes import Note, left_over, lost
from airflow_doeks.dialects.dag_factory.project import Converted, Platforms, needs_of
from airflow_doeks.dialects.dag_factory.rendering import pipeline_text
from airflow_doeks.dialects.dag_factory.schedule import schedule_of
from airflow_doeks.dialects.dag_factory.tasks import accepts, task_of
from airflow_doeks.dialects.dag_factory.text import entries_of
from airflow_doeks.model.engine import SPARK

_Entries = Mapping[str, Mapping[str, Any]]
_ORDER = ("description", "schedule", *(key for key in settings.DAG if key not in ("description", "dagrun_timeout_sec")))
_STRUCTURE = frozenset({"default_args", "tasks", "task_groups", "schedule", "schedule_interval", "timetable", "dag_id"})
_GROUP_STRUCTURE = frozenset({"dependencies", "parent_group_name", "group_name", "default_args"})
_OF_ALL = ("owner", *settings.DATES)  # keys of `default_args` that a pipeline has, not a task
_HOST = re.compile(r"\$([A-Za-z_]\w*|\{[A-Za-z_]\w*\})")
_NO_TASKS = Note("the source has no tasks, and a pipeline needs one: this one does nothing")


@dataclass
class DagConversion:
    """What is made of one DAG; notes are kept by the id of the task they belong to, ``""`` for the DAG."""

    dag_id: str
    dag: Mapping[str, Any]
    platforms: Platforms
    pipeline: dict[str, Any] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)  # by id; groups left out
    platform_of: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[Note]] = field(default_factory=dict)
    place: str = ""

    def tell(self, notes: Iterable[Note], place: str | None = None) -> None:
        """Keep notes for a place, the current one if it is left out."""
        self.notes.setdefault(self.place if place is None else place, []).extend(notes)

    def run(self) -> None:
        """Convert everything. Raises an error of Python for a value of another shape than dag-factory's."""
        tasks = entries_of(self.dag, "tasks", "task_id")
        groups = entries_of(self.dag, "task_groups", "group_name")
        names = names_of(tasks, groups)
        arguments = dict(self.dag.get("default_args") or {})
        given = {}
        for name, task in tasks.items():
            self.place = names.tasks[name]
            given[name] = _inherited(task, arguments, groups)
        self.place = ""
        used = {(found.layer, key) for one in given.values() for key, found in one.items()}
        self._head(arguments)
        self._defaults(arguments, used)
        tree: dict[str, Any] = {}
        for name in list(names.groups):  # outer ones first
            if any(name in around(task.get("task_group_name"), groups) for task in tasks.values()):
                self._group(tree, name, groups[name], names, used)
            else:
                del names.groups[name]
                self.tell([lost(f"task_groups.{name}", groups[name], "a group has tasks")], "")
        for name, task in tasks.items():
            self.place = names.tasks[name]
            self.tell(names.notes[self.place])
            self._task(tree, {**{key: found.value for key, found in given[name].items()}, **task}, names)
        self.place = ""
        if not tree:
            tree["nothing"] = {"uses": "empty"}
            self.tell([_NO_TASKS], "nothing")
        self.pipeline["tasks"] = tree
        hosts = sorted({match[0] for text in every_text(self.dag) for match in _HOST.finditer(text)})
        if hosts:
            what = f"dag-factory replaced {', '.join(hosts)} by the environment of the host that parsed"
            self.tell([Note(f"{what}, where it has them; here they stay as they are")])

    def converted(self) -> Converted:
        """The pipeline as far as our language takes it."""
        if len(self.platforms.found) > 1:
            for place, platform in self.platform_of.items():
                self.tasks[place]["platform"] = platform
        pipeline, notes = fitted(self.pipeline)
        for place, some in notes.items():
            self.tell(some, place)
        told = [f"{place}: {note.text}" if place else note.text for place, some in self.notes.items() for note in some]
        return Converted(
            dag_id=self.dag_id,
            text=pipeline_text(self.dag_id, pipeline, self.notes),
            notes=tuple(told),
            has_todo=any(note.todo for some in self.notes.values() for note in some),
            needs=needs_of(self.tasks.values(), self.platforms.found, set(self.platform_of.values())),
        )

    def _head(self, arguments: Mapping[str, Any]) -> None:
        """The pipeline's own keys, some of which `default_args` gives."""
        own = {key: value for key, value in self.dag.items() if key not in _STRUCTURE and value is not None}
        shared = {key: arguments[key] for key in _OF_ALL if arguments.get(key) is not None}
        # dag-factory reads a date in the zone that stands beside it, and Airflow the cron in that of the start.
        zone, other = (own, shared) if "start_date" in own or "start_date" not in shared else (shared, own)
        if "timezone" in other and "start_date" in zone:
            why = "dag-factory took the zone that stands beside start_date"
            self.tell([lost("timezone", other.pop("timezone"), why)])
        for key in shared.keys() & own.keys():
            if shared[key] != own[key]:
                self.tell([lost(key, shared[key], "the DAG gives its own beside `default_args`")])
        head, notes = settings.settings_of({**shared, **own}, settings.DAG)
        schedule = schedule_of(self.dag)
        head |= schedule.ours
        self.tell((*left_over("schedule", schedule), *notes))
        self.pipeline = {key: head[key] for key in _ORDER if key in head}

    def _defaults(self, arguments: Mapping[str, Any], used: Container[tuple[str, str]]) -> None:
        """`default_args`: what ours shares, and notes for what neither the pipeline nor a task takes."""
        shared, notes = settings.settings_of(
            {key: value for key, value in arguments.items() if key in settings.SHARED}, settings.SHARED
        )
        if shared:
            self.pipeline["defaults"] = shared
        rest = {key: value for key, value in arguments.items() if key not in settings.SHARED and key not in _OF_ALL}
        self.tell((*notes, *_unused("", rest, used)))

    def _group(
        self,
        tree: dict[str, Any],
        name: str,
        group: Mapping[str, Any],
        names: Names,
        used: Container[tuple[str, str]],
    ) -> None:
        self.place = names.groups[name]
        self.tell(names.notes[self.place])
        given = {key: value for key, value in group.items() if key not in _GROUP_STRUCTURE}
        ours, notes = settings.settings_of(given, settings.GROUP)
        self.tell((*notes, *_unused(name, dict(group.get("default_args") or {}), used)))
        needs = self._needs(group, names)
        _put(tree, self.place, {**ours, **({"needs": needs} if needs else {}), "tasks": {}})

    def _task(self, tree: dict[str, Any], task: Mapping[str, Any], names: Names) -> None:
        taken = task_of(task, names.all)
        self.tell(taken.notes)
        body = {key: taken.ours[key] for key in (SPARK.name, "uses", "with") if key in taken.ours}
        if needs := self._needs(task, names):
            body["needs"] = needs
        body |= {key: value for key, value in taken.ours.items() if key not in body}
        if facts := body.pop("platform", None):
            platform, notes = self.platforms.add(facts)
            self.tell(notes)
            if platform is not None:
                self.platform_of[self.place] = platform
        self.tasks[self.place] = body
        _put(tree, self.place, body)

    def _needs(self, entry: Mapping[str, Any], names: Names) -> list[str]:
        needs = entry.get("dependencies")
        if needs is None:
            return []
        if not isinstance(needs, list):
            msg = f"`dependencies` is no list but {needs!r}"
            raise TypeError(msg)
        known = names.all
        why = "the source has no such task, or nothing is in the group"
        self.tell(lost("dependencies", need, why) for need in needs if str(need) not in known)
        return list(dict.fromkeys(known[str(need)] for need in needs if str(need) in known))


class _Given(NamedTuple):
    """A value of `default_args`, and the group it is from; empty for the DAG's."""

    layer: str
    value: Any


def _inherited(task: Mapping[str, Any], arguments: Mapping[str, Any], groups: _Entries) -> dict[str, _Given]:
    """What `default_args` of the DAG and of the groups around give a task, as far as ours says it there."""
    taken = accepts(task)
    own = {*task, *dict(task.get("partial") or {}), *dict(task.get("expand") or {})}
    given = {key: _Given("", arguments[key]) for key in arguments if key in settings.TASK or key in taken}
    for name in reversed(around(task.get("task_group_name"), groups)):
        layer = dict(groups[name].get("default_args") or {})
        here = [key for key in layer if key in settings.TASK or key in settings.SHARED or key in taken]
        given |= {key: _Given(name, layer[key]) for key in here}
    return {key: found for key, found in given.items() if key not in own}


def _unused(layer: str, arguments: Mapping[str, Any], used: Container[tuple[str, str]]) -> list[Note]:
    """Notes for arguments of `default_args` that no task takes."""
    rest = {key: value for key, value in arguments.items() if (layer, key) not in used}
    return settings.settings_of(rest, {})[1]


def _put(tree: dict[str, Any], path: str, entry: dict[str, Any]) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        tree = tree[parent]["tasks"]
    tree[name] = entry
