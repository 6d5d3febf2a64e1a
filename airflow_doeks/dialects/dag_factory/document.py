"""dag-factory's YAML as ours: what carries over, and a note for everything that does not.

Reads both dialects: tasks as a mapping or as a list with ``task_id``, of dag-factory 0.x and 1.x. Runs nothing that
the file names: Python tags and ``__type__`` become notes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from airflow_doeks.dialects.dag_factory.jobs import SPARK_JOBS
from airflow_doeks.dialects.dag_factory.text import entries_of, read_dags
from airflow_doeks.dialects.dag_factory.values import (
    ADVICE,
    Tagged,
    as_it_is,
    assets,
    duration,
    fixed_date,
    seconds_of,
    uris_of,
    yaml_lines,
)
from airflow_doeks.model.engine import SPARK
from airflow_doeks.model.errors import SpecError

_Key = tuple[str, Callable[[Any], Any]]  # our key, and how its value is read
_SHARED: Mapping[str, _Key] = {  # key of a task or of default_args -> ours
    "retries": ("retries", as_it_is),
    "retry_delay": ("retry_delay", duration),
    "retry_delay_sec": ("retry_delay", duration),
    "execution_timeout": ("execution_timeout", duration),
    "execution_timeout_secs": ("execution_timeout", duration),
    "pool": ("pool", as_it_is),
    "priority_weight": ("priority_weight", as_it_is),
}
_TASK: Mapping[str, _Key] = {
    **_SHARED,
    "trigger_rule": ("trigger_rule", as_it_is),
    "inlets": ("inlets", assets),
    "outlets": ("outlets", assets),
    "doc_md": ("doc", as_it_is),
    "dependencies": ("needs", as_it_is),
}
_DAG: Mapping[str, _Key] = {  # key of a DAG -> ours
    "description": ("description", as_it_is),
    "start_date": ("start_date", fixed_date),
    "end_date": ("end_date", fixed_date),
    "timezone": ("timezone", as_it_is),
    "catchup": ("catchup", as_it_is),
    "max_active_runs": ("max_active_runs", as_it_is),
    "dagrun_timeout": ("dagrun_timeout", duration),
    "dagrun_timeout_sec": ("dagrun_timeout", duration),
    "owner": ("owner", as_it_is),
    "tags": ("tags", as_it_is),
    "params": ("params", as_it_is),
}
_ORDER = ("description", "schedule", *dict.fromkeys(ours for ours, _ in list(_DAG.values())[1:]))
_STRUCTURE = frozenset({"default_args", "tasks", "task_groups", "schedule", "schedule_interval", "dag_id"})
_TASK_STRUCTURE = frozenset({"task_id", "operator", "decorator", "task_group_name", "expand", "partial"})
_ALIASES = {  # class of a standard operator -> our alias
    "BashOperator": "bash",
    "EmptyOperator": "empty",
    "DummyOperator": "empty",
}
# What a value of another shape than dag-factory's comes to; which value it may be is dag-factory's to say.
_OTHER_SHAPE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, yaml.YAMLError)
_MAP_LENGTH = 1024  # Airflow's [core] max_map_length unless it is set, November 2026
_TIMETABLES = {"CronDataIntervalTimetable": "previous_interval", "CronTriggerTimetable": "trigger_time"}


@dataclass(frozen=True)
class Converted:
    """One pipeline: its DAG id, its file's text with the notes as comments, and the notes."""

    dag_id: str
    text: str
    notes: tuple[str, ...]


def convert(text: str, name: str = "the file") -> list[Converted]:
    """Our pipelines of a dag-factory file, one a DAG. Raises SpecError for text that is no dag-factory YAML."""
    found = []
    for dag_id, dag in read_dags(text, name).items():
        conversion = _Conversion(dag_id, dag)
        try:
            found.append(conversion.run())
        except _OTHER_SHAPE as error:
            place = f", task {conversion.place}" if conversion.place else ""
            msg = f"{name}: DAG {dag_id}{place} is not of dag-factory's shape: {error}"
            raise SpecError(msg) from error
    return found


@dataclass
class _Conversion:
    """One DAG on its way; notes are kept by the task they belong to, ``""`` for the DAG."""

    dag_id: str
    dag: Mapping[str, Any]
    notes: dict[str, list[str]] = field(default_factory=dict)
    place: str = ""

    def run(self) -> Converted:
        arguments = self.dag.get("default_args") or {}
        tasks = entries_of(self.dag, "tasks", "task_id")
        groups = entries_of(self.dag, "task_groups", "group_name")
        self.ids = {name: _path(name, task.get("task_group_name"), groups) for name, task in tasks.items()}
        self.ids |= {name: _path(name, group.get("parent_group_name"), groups) for name, group in groups.items()}
        pipeline = self._settings({**_only(arguments, _DAG), **_without(self.dag, _STRUCTURE)}, _DAG)
        pipeline["schedule"] = self._schedule()
        pipeline = {key: pipeline[key] for key in _ORDER if key in pipeline}
        shared = self._settings(_without(arguments, _DAG), _SHARED)
        if shared:
            pipeline["defaults"] = shared
        pipeline["tasks"] = {}
        for name, group in groups.items():
            self._put(pipeline["tasks"], self.ids[name], self._group(name, group))
        for name, task in tasks.items():
            self.place = self.ids[name]
            self._put(pipeline["tasks"], self.ids[name], self._task(task))
        self.place = ""
        if "$" in str(self.dag):
            self.note("dag-factory replaced $NAME by the environment of the host that parsed; here it stays as it is")
        text = "\n".join(self._render(pipeline)) + "\n"
        told = [f"{place}: {note}" if place else note for place, notes in self.notes.items() for note in notes]
        return Converted(self.dag_id, text, tuple(told))

    def note(self, text: str) -> None:
        """Remember what a person must look at."""
        self.notes.setdefault(self.place, []).append(" ".join(text.split()))

    def _settings(self, source: Mapping[str, Any], table: Mapping[str, _Key]) -> dict[str, Any]:
        """The keys that the table knows, converted; a note for each other."""
        found = {}
        for key, value in source.items():
            if value is None:
                continue
            if key not in table:
                self.note(f"`{key}` did not carry over")
                continue
            ours, read = table[key]
            plain = self._needs(value) if ours == "needs" else read(value)
            if plain is None:
                self.note(f"`{key}: {value}` did not carry over: {ADVICE[read]}")
            else:
                found[ours] = plain
        return found

    def _group(self, name: str, group: Mapping[str, Any]) -> dict[str, Any]:
        self.place = self.ids[name]
        ours: dict[str, Any] = {"description": group["tooltip"]} if group.get("tooltip") else {}
        if group.get("dependencies"):
            ours["needs"] = self._needs(group["dependencies"])
        for key in _without(group, {"tooltip", "dependencies", "parent_group_name", "group_name"}):
            self.note(f"`{key}` did not carry over")
        return {**ours, "tasks": {}}

    def _task(self, task: Mapping[str, Any]) -> dict[str, Any]:
        ours = self._settings(_only(task, _TASK), _TASK)
        arguments = {**_without(task, {*_TASK, *_TASK_STRUCTURE}), **(task.get("partial") or {})}
        for key in [key for key in arguments if key.startswith(("on_", "sla", "python_callable"))]:
            self.note(f"`{key}` did not carry over: a pipeline holds no Python")
            del arguments[key]
        operator = str(task.get("operator") or "")
        module, _, name = operator.rpartition(".")
        if name in SPARK_JOBS:
            job, notes = SPARK_JOBS[name](arguments)
            for note in notes:
                self.note(note)
            return {SPARK.name: job, **ours}
        if not operator or name.startswith(("Python", "BranchPython", "ShortCircuit")):
            self.note(f"{task.get('decorator') or operator} runs Python: this placeholder only keeps the graph")
            return {"uses": "empty", **ours}
        arguments = {key: plain for key, value in arguments.items() if (plain := self._plain(key, value)) is not None}
        uses = _ALIASES.get(name) if module.startswith(("airflow.operators", "airflow.providers.standard")) else None
        if uses is None:
            uses = operator
            self.note(f"{operator} must be in `allowed_uses` of doeks.yaml, unless it is a sensor")
        ours = {"uses": uses, **({"with": arguments} if arguments else {}), **ours}
        expand = self._expand(task["expand"]) if task.get("expand") else None
        if expand is not None:
            ours["expand"] = expand
        return ours

    def _expand(self, expand: Mapping[str, Any]) -> Any:
        """Airflow's cross product of lists, written out, None if too long; or the task it expands over."""
        for key, value in expand.items():
            if isinstance(value, str):
                source = value.removeprefix("XcomArg(").removeprefix("+").removesuffix(")").removesuffix(".output")
                self.note(f"{source!r} must return a list of mappings such as {{{key}: ...}}, not of plain values")
                return {"task": self.ids.get(source, source)}
        keys = list(expand)
        count = math.prod(len(values) for values in expand.values())
        if count > _MAP_LENGTH:
            self.note(
                f"`expand` did not carry over: it makes {count:,} task instances, Airflow at most {_MAP_LENGTH:,}"
            )
            return None
        return [dict(zip(keys, values, strict=True)) for values in itertools.product(*expand.values())]

    def _plain(self, key: str, value: Any) -> Any:
        """An argument without dag-factory's own notation; None if it cannot be said."""
        if isinstance(value, Tagged) or (isinstance(value, Mapping) and "__type__" in value):
            seconds = seconds_of(value)
            if seconds is None:
                self.note(f"`{key}` did not carry over: it is an object of Python")
            return seconds
        return value

    def _schedule(self) -> Any:
        schedule = self.dag.get("schedule", self.dag.get("schedule_interval"))
        if schedule is None or (isinstance(schedule, str) and schedule.strip().lower() == "none"):
            return None
        if isinstance(schedule, str) and not isinstance(schedule, Tagged):
            self.note(
                "schedule: a run's dates mean the interval before it (Airflow 2); Airflow 3 means the moment "
                "itself: {cron: ..., covers: trigger_time}"
            )
            return schedule
        if isinstance(schedule, Mapping) and str(schedule.get("__type__")).rpartition(".")[2] in _TIMETABLES:
            cron = schedule.get("cron") or (schedule.get("__args__") or [None])[0]
            covers = _TIMETABLES[str(schedule["__type__"]).rpartition(".")[2]]
            return {"cron": cron, **_only(schedule, {"timezone"}), "covers": covers}
        quantor = "any" if isinstance(schedule, Mapping) and "__or__" in schedule else "all"
        uris = list(uris_of(schedule))
        if uris:
            return {"assets": {quantor: uris}}
        self.note(f"schedule {schedule!r} did not carry over; write a cron or assets")
        return None

    def _needs(self, needs: Any) -> list[str]:
        if not isinstance(needs, list):
            msg = f"`dependencies` is no list but {needs!r}"
            raise TypeError(msg)
        return [self.ids.get(str(need), str(need)) for need in needs]

    def _put(self, tasks: dict[str, Any], path: str, entry: dict[str, Any]) -> None:
        *parents, name = path.split(".")
        for parent in parents:
            tasks = tasks.setdefault(parent, {"tasks": {}})["tasks"]
        if name in tasks:
            entry = {**entry, "tasks": tasks[name]["tasks"]}
        tasks[name] = entry

    def _render(self, pipeline: Mapping[str, Any]) -> Iterator[str]:
        yield f"# Converted from the dag-factory DAG {self.dag_id}."
        yield from (f"# TODO {note}" for note in self.notes.get("", ()))
        yield from yaml_lines({key: value for key, value in pipeline.items() if key != "tasks"})
        yield "tasks:"
        yield from self._render_tasks(pipeline["tasks"], "")

    def _render_tasks(self, tasks: Mapping[str, Any], parent: str) -> Iterator[str]:
        indent = "  " * (2 * parent.count(".") + 1)
        for name, task in tasks.items():
            yield from (f"{indent}# TODO {note}" for note in self.notes.get(f"{parent}{name}", ()))
            body = {key: value for key, value in task.items() if key != "tasks"}
            yield f"{indent}{name}:"
            yield from (f"{indent}  {line}" for line in yaml_lines(body))
            if "tasks" in task:
                yield f"{indent}  tasks:"
                yield from self._render_tasks(task["tasks"], f"{parent}{name}.")


def _path(name: str, parent: str | None, groups: Mapping[str, Mapping[str, Any]]) -> str:
    """Our id: the names of the groups and its own; a dot in a name becomes `_`."""
    path = [name.replace(".", "_")]
    while parent and parent in groups and len(path) <= len(groups):
        path.append(parent.replace(".", "_"))
        parent = groups[parent].get("parent_group_name")
    return ".".join(reversed(path))


def _only(source: Mapping[str, Any], keys: Any) -> dict[str, Any]:
    return {key: value for key, value in source.items() if key in keys}


def _without(source: Mapping[str, Any], keys: Any) -> dict[str, Any]:
    return {key: value for key, value in source.items() if key not in keys}
