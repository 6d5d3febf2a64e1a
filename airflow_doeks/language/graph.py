"""Which task comes before which: `needs`, groups, mapped tasks, and edges inferred from `reads` and `writes`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from airflow_doeks.language.diagnostics import suggestion
from airflow_doeks.model.engine import ENGINES
from airflow_doeks.model.plan import FUNCTIONS, OWN_TASKS

_ONE_SLASH = re.compile(r"(?<=[a-z]):/(?!/)")  # how Hadoop prints a URI without a host
_HADOOPS_S3 = re.compile(r"^s3[an]://")
_ELSEWHERE = re.compile(r"[:/]|\{[{%]")

Note = Callable[..., None]  # (code, message, entry, path below the entry, help=...)


@dataclass(slots=True, eq=False)
class Entry:
    """A task or a group of the file.

    Attributes:
        id: with its groups', joined by ".".
        path: where it stands in the file.
        edges: id of what comes before -> path below the entry that says so; filled by `connect`.
        names: what names another task whose output or job is taken -> its id; filled by `connect`. A key of a job, an
            argument of a function, or ``expand`` with the keys below it.
    """

    id: str
    path: tuple[Any, ...]
    spec: Mapping[str, Any]
    kind: str
    edges: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    names: dict[Any, str] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """Id of the group it is in, or empty."""
        return self.id.rpartition(".")[0]


def entries(tasks: Mapping[str, Any], path: tuple[Any, ...] = ("tasks",), above: str = "") -> Iterator[Entry]:
    """All tasks and groups, in the file's order, a group before what is in it."""
    for name, spec in tasks.items():
        kind = next(kind for kind in (*ENGINES, "uses", "tasks", *OWN_TASKS) if kind in spec)
        entry = Entry(f"{above}{name}", (*path, name), spec, kind)
        yield entry
        if kind == "tasks":
            yield from entries(spec["tasks"], (*entry.path, "tasks"), f"{entry.id}.")


def declared_ids(tasks: Any, above: str = "") -> frozenset[str]:
    """Ids of all tasks and groups that a file names, however broken they are."""
    found: set[str] = set()
    for name, spec in tasks.items() if isinstance(tasks, dict) else ():
        found.add(f"{above}{name}")
        if isinstance(spec, dict) and "tasks" in spec:
            found |= declared_ids(spec["tasks"], f"{above}{name}.")
    return frozenset(found)


def connect(found: Iterable[Entry], declared: Callable[[], frozenset[str]], infer: bool, note: Note) -> None:
    """Fill in ``edges`` of every task; what cannot be resolved is noted.

    ``declared`` gives the ids that the file names, also of tasks too broken to be among ``found``.
    """
    known = {entry.id: entry for entry in found}
    tasks = [entry for entry in known.values() if entry.kind != "tasks"]
    written: list[tuple[Entry, str, tuple[Any, ...]]] = []  # a task or group, what it needs, where that is said
    for entry in known.values():
        for index, name in enumerate(entry.spec.get("needs") or ()):
            path: tuple[Any, ...] = ("needs", index)
            target = _look_up(entry, name, known, declared, partial(note, entry=entry, path=path))
            if target is not None:
                written.append((entry, target, path))
        for path, name in _named(entry):
            target = _look_up(entry, name, known, declared, partial(note, entry=entry, path=path))
            if target is not None and known[target].kind == "tasks":
                note("DK206", f'"{target}" is a group; only a task has an output', entry, path)
            elif target is not None:
                entry.names[path if path[0] == "expand" else path[-1]] = target
                written.append((entry, target, path))
    if infer:
        written += _inferred(tasks)
    if any(entry.kind == "tasks" for entry in known.values()):
        written = _without_groups(written, tasks, known)
    for entry, target, path in written:
        entry.edges.setdefault(target, path)
    _refuse_cycle(tasks, note)


def _named(entry: Entry) -> list[tuple[tuple[str, ...], str]]:
    """Where an entry names a task whose output or job it takes, and the name; a colon or slash leads elsewhere."""
    over = entry.spec.get("expand")
    named: list[tuple[tuple[str, ...], str]] = list(_expanded(over)) if isinstance(over, dict) else []
    if entry.kind in FUNCTIONS:
        inputs = entry.spec[entry.kind].get("inputs") or {}
        named += [((entry.kind, "inputs", argument), task) for argument, task in inputs.items()]
    if entry.kind in ENGINES:
        job = entry.spec[entry.kind]
        tasks = ((key, job.get(key)) for key in ENGINES[entry.kind].names_task)
        named += [((entry.kind, key), task) for key, task in tasks if task and not _ELSEWHERE.search(task)]
    return named


def _expanded(over: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The tasks whose output a mapping expands over, and where they are named."""
    for way, parts in over.items():
        if way == "task":
            yield ("expand", "task"), parts
            continue
        for key, part in parts.items():
            if isinstance(part, dict):
                yield ("expand", way, key, "task"), part["task"]


def look_up(entry: Entry, name: str, known: Mapping[str, Any] | frozenset[str]) -> str | None:
    """The id that a name means for an entry: in its own group first, then outward."""
    group = entry.group
    while group:
        if f"{group}.{name}" in known:
            return f"{group}.{name}"
        group = group.rpartition(".")[0]
    return name if name in known else None


def _look_up(
    entry: Entry,
    name: str,
    known: Mapping[str, Entry],
    declared: Callable[[], frozenset[str]],
    say: Callable[..., None],
) -> str | None:
    target = look_up(entry, name, known)
    if target is None:
        ids = declared()
        if look_up(entry, name, ids) is None:
            names = {*ids, *(one.removeprefix(f"{entry.group}.") for one in ids)}
            inside = [f'write "{one}"' for one in sorted(ids) if one.endswith(f".{name}")]
            advice = (inside or [suggestion(name, sorted(names))])[0] or f"tasks are {', '.join(sorted(ids))}"
            say("DK206", f'there is no task "{name}"', help=advice)
        return None
    if target == entry.id or entry.id.startswith(f"{target}."):
        what = "itself" if target == entry.id else "the group it is in"
        say("DK207", f'"{entry.id}" needs {what}', help="remove it")
        return None
    return target


def stem(uri: str) -> str:
    """A dataset as edges and assets know it: the URI up to the first template, ``file:/x`` as ``file:///x``."""
    return _ONE_SLASH.sub(":///", uri.split("{{", 1)[0].split("{%", 1)[0].rstrip("/"), count=1)


def _dataset(uri: str) -> str:
    """A dataset as edges know it: Hadoop's names for S3 are S3, as in lineage."""
    return _HADOOPS_S3.sub("s3://", stem(uri))


def _inferred(tasks: list[Entry]) -> list[tuple[Entry, str, tuple[Any, ...]]]:
    writers: dict[str, list[Entry]] = {}
    for entry in tasks:
        for uri in entry.spec.get("writes") or ():
            writers.setdefault(_dataset(uri), []).append(entry)
    if not writers:
        return []
    writers.pop("", None)
    return [
        (entry, writer.id, ("reads", index))
        for entry in tasks
        for index, uri in enumerate(entry.spec.get("reads") or ())
        for writer in writers.get(_dataset(uri), ())
        if writer is not entry
    ]


def _is_in(task_id: str, member: str) -> bool:
    """True if the id is the member, or in it."""
    return task_id == member or task_id.startswith(f"{member}.")


def _without_groups(
    written: list[tuple[Entry, str, tuple[Any, ...]]], tasks: list[Entry], known: Mapping[str, Entry]
) -> list[tuple[Entry, str, tuple[Any, ...]]]:
    """Needs between tasks alone: a group waits with its first tasks and is waited for by its last ones."""

    def inner(group: str) -> list[tuple[str, str]]:
        return [
            (entry.id, target)
            for entry, target, _ in written
            if entry.id.startswith(f"{group}.") and target.startswith(f"{group}.")
        ]

    def firsts(group: str) -> list[Entry]:
        later = [after for after, _ in inner(group)]
        return [task for task in tasks if _is_in(task.id, group) and not any(_is_in(task.id, one) for one in later)]

    def lasts(group: str) -> list[Entry]:
        # As in Airflow, who waits for a group does not wait for its teardown.
        earlier = [before for after, before in inner(group) if known[after].spec.get("role") != "teardown"]
        inside = [task for task in tasks if _is_in(task.id, group) and task.spec.get("role") != "teardown"]
        return [task for task in inside if not any(_is_in(task.id, one) for one in earlier)]

    plain = []
    for entry, target, path in written:
        after = firsts(entry.id) if entry.kind == "tasks" else [entry]
        before = lasts(target) if known[target].kind == "tasks" else [known[target]]
        # A group's need stands in the file at the group, not at its task.
        place = (*entry.path, *path) if entry.kind == "tasks" else path
        plain += [(one, other.id, place) for one in after for other in before if one is not other]
    return plain


def _refuse_cycle(tasks: list[Entry], note: Note) -> None:
    order = {entry.id: index for index, entry in enumerate(tasks)}
    if all(order[need] < order[entry.id] for entry in tasks for need in entry.edges):
        return
    by_id = {entry.id: entry for entry in tasks}
    done: set[str] = set()
    for start in tasks:
        trail: list[tuple[str, Iterator[str]]] = [(start.id, iter(start.edges))] if start.id not in done else []
        on_trail = {start.id}
        while trail:
            at, rest = trail[-1]
            need = next(rest, None)
            if need is None:
                done.add(at)
                on_trail.discard(at)
                trail.pop()
            elif need in on_trail:
                names = [name for name, _ in trail]
                circle = [*names[names.index(need) :], need]
                entry = by_id[circle[0]]
                path = entry.edges[circle[1]]
                why = (
                    "; the edge comes from reads and writes, `infer: false` turns that off"
                    if path[0] == "reads"
                    else ""
                )
                message = f"dependency cycle: {' -> '.join(circle)} (each needs the next)"
                note("DK207", message, entry, path, help=f"remove one of these needs{why}")
                return
            elif need not in done:
                on_trail.add(need)
                trail.append((need, iter(by_id[need].edges)))
