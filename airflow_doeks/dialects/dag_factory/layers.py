"""dag-factory's layers of defaults, merged as dag-factory merges them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from airflow_doeks.dialects.dag_factory.notes import Note, lost
from airflow_doeks.dialects.dag_factory.text import load
from airflow_doeks.language.ids import is_dag_id
from airflow_doeks.language.layers import merge
from airflow_doeks.model.errors import SpecError

_SYSTEM = ("default", "task_groups")  # keys beside the DAGs of a file


class Source(NamedTuple):
    """A text and the name that errors and notes call it by."""

    name: str
    text: str


class Loaded(NamedTuple):
    """DAG id -> its mapping with all defaults merged in, and what must be told of the whole file."""

    dags: Mapping[str, dict[str, Any]]
    notes: tuple[Note, ...]


def read_dags(file: Source, defaults: Sequence[Source] = ()) -> Loaded:
    """The DAGs of a file. ``defaults`` are the defaults.yml files that hold for it, the outermost first.

    Raises SpecError, with the name of the file, for text that is no dag-factory YAML, for an alias bomb, and for a DAG
    id that cannot be the path of a pipeline.
    """
    document, doubles = load(file.text, file.name)
    notes = [Note(text) for text in doubles]
    document = document if isinstance(document, dict) else {}
    own = document.get("default") or {}
    outer, told = _outer(defaults)
    notes += told
    dags = {key: dag for key, dag in document.items() if key not in _SYSTEM}
    if not all(isinstance(dag, dict) for dag in (*dags.values(), own)):
        _refuse(file.name)
    notes += [
        lost(f"default.{key}", own[key], "a defaults.yml gives it, too, and that counts in dag-factory")
        for key in own
        if key in outer and key != "default_args" and own[key] != outer[key]
    ]
    arguments = {**_arguments(outer), **_arguments(own)}
    base = merge(own, _only_dag(outer))
    found = {key: merge({**base, "default_args": arguments}, dag) for key, dag in dags.items()}
    if not found or not any("tasks" in dag for dag in found.values()):
        _refuse(file.name)
    if document.get("task_groups") is not None:
        notes.append(lost("task_groups", document["task_groups"], "dag-factory ignored it beside the DAGs"))
    for dag_id in found:
        if not is_dag_id(dag_id, ""):
            expected = 'expected letters, digits, "_" and "-" between "."'
            msg = f"{file.name}: DAG id {dag_id!r} is no path of a pipeline: {expected}"
            raise SpecError(msg)
    return Loaded(found, tuple(notes))


def _refuse(name: str) -> None:
    msg = f"{name}: expected dag-factory YAML: DAG ids with `tasks` below them"
    raise SpecError(msg)


def _outer(defaults: Iterable[Source]) -> tuple[dict[str, Any], list[Note]]:
    """All defaults.yml files as one: the nearest wins a key, `default_args` merge, tags add up."""
    found: dict[str, Any] = {}
    notes: list[Note] = []
    for source in defaults:
        document, doubles = load(source.text, source.name)
        if not isinstance(document, dict):
            msg = f"{source.name}: expected a mapping of defaults"
            raise SpecError(msg)
        notes.append(Note(f"{source.name} is merged in, as dag-factory does", todo=False))
        notes += [Note(f"{source.name}: {text}") for text in doubles]
        tags = sorted({*map(str, found.get("tags") or ()), *map(str, document.get("tags") or ())})
        arguments = {**_arguments(found), **_arguments(document)}
        found = {**found, **document, "default_args": arguments, **({"tags": tags} if tags else {})}
    return found, notes


def _arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    return dict(values.get("default_args") or {})


def _only_dag(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != "default_args"}
