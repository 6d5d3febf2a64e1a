"""What `uses` may name: aliases with their arguments, so that a typo in `with` is told before any import."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from airflow_doeks.language import times
from airflow_doeks.language.diagnostics import suggestion
from airflow_doeks.language.graph import Entry, Note
from airflow_doeks.language.leaf_rules import shown
from airflow_doeks.language.text import read

_KINDS: dict[str, tuple[tuple[type, ...], str]] = {  # kind of an argument -> accepted types, words
    "text": ((str,), "text"),
    "texts": ((str, list), "text or a list"),
    "list": ((list,), "a list"),
    "number": ((int, float), "a number"),
    "flag": ((bool,), "true or false"),
    "mapping": ((dict,), "a mapping"),
    "duration": ((int, float, str), "a duration such as 90s, 30m or 1h30m"),
    "any": ((object,), "anything"),
}
_ALWAYS_ALLOWED = ("airflow_doeks.operators.emr_virtual_cluster.*", "*.sensors.*", "*.EmptyOperator")
_NEVER_BY_DEFAULT = ("*BashSensor", "*PythonSensor")  # sensors that run what they are given


class Alias(NamedTuple):
    """An operator under a short name: import path, and argument -> kind for those it needs and all it takes."""

    path: str
    needs: Mapping[str, str]
    takes: Mapping[str, str]


@functools.lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    table: dict[str, Any] = read(Path(__file__).with_name("operators.yaml")).data
    return table


@functools.lru_cache(maxsize=1)
def aliases() -> dict[str, Alias]:
    """Every alias of `uses`."""
    table = _table()
    found = {}
    for name, entry in table.items():
        if not name.startswith("_"):
            needs = entry.get("needs") or {}
            takes = {**needs, **(entry.get("takes") or {}), **(table["_sensor"] if entry.get("sensor") else {})}
            found[name] = Alias(entry["path"], needs, takes)
    return found


@functools.lru_cache(maxsize=256)
def _alias(name: str) -> tuple[str, Alias | None]:
    """Import path, and the alias if it is one's name or path."""
    known = aliases()
    path = known[name].path if name in known else name.replace(":", ".")
    return path, next((alias for alias in known.values() if alias.path == path), None)


def resolve_uses(entry: Entry, note: Note) -> tuple[str | None, dict[str, Any]]:
    """Import path and arguments of a `uses` task; faults in them are noted."""
    name = entry.spec["uses"]
    path, alias = _alias(name)
    if "." not in path:
        advice = suggestion(name, aliases()) or f"aliases are {', '.join(sorted(aliases()))}"
        note("DK221", f'"{name}" is no alias', entry, ("uses",), help=advice)
        return None, {}
    arguments = dict(entry.spec.get("with") or {})
    owned = _table()["_owned"]
    for key in arguments.keys() & owned.keys():
        advice = f"write {owned[key]}"
        note("DK222", f"{key} is not set under `with`", entry, ("with", key), at_key=True, help=advice)
    if alias is None:
        return path, arguments
    expand = entry.spec.get("expand")
    items = expand if isinstance(expand, list) else []
    given = {near_argument(alias, key) for key in arguments}.union(arguments, *items)
    for key, value in arguments.items():
        arguments[key] = _checked(alias, value, entry, ("with", key), note)
    for index, item in enumerate(items):
        for key, value in item.items():
            _checked(alias, value, entry, ("expand", index, key), note)
    for key in alias.needs:
        if key not in given and not isinstance(expand, dict):
            place = ("with",) if "with" in entry.spec else ("uses",)
            advice = f"write with: {{{key}: ...}}"
            note("DK222", f"{name} needs the argument {key}", entry, place, at_key=True, help=advice)
    return path, arguments


def near_argument(alias: Alias, key: str) -> str:
    """The argument that a key which is none may have meant; empty if the key is one."""
    table = _table()
    known = {**alias.takes, **table["_every"]}
    if key in known or key in table["_owned"]:
        return ""
    return suggestion(key, known).partition('"')[2].partition('"')[0]


def _checked(alias: Alias, value: Any, entry: Entry, path: tuple[Any, ...], note: Note) -> Any:
    """The argument at a path, a duration as timedelta; noted if the operator does not take it."""
    key, table = path[-1], _table()
    kind = alias.takes.get(key) or table["_every"].get(key)
    if key in table["_owned"] or value is None:
        return value
    if kind is None:
        near = near_argument(alias, key)
        advice = f'did you mean "{near}"?' if near else f"its arguments are {', '.join(alias.takes) or 'none'}"
        note("DK222", f'{entry.spec["uses"]} has no argument "{key}"', entry, path, at_key=True, help=advice)
        return value
    types, words = _KINDS[kind]
    if isinstance(value, str) and "{{" in value:
        return value
    if not isinstance(value, types) or (isinstance(value, bool) and kind in {"number", "duration"}):
        note("DK222", f"{key}: expected {words}, found {shown(value)}", entry, path)
    elif kind == "duration":
        try:
            return timedelta(seconds=times.seconds(value))
        except ValueError as error:
            note("DK222", f"{key}: {error}", entry, path)
    return value


@functools.lru_cache(maxsize=1024)
def is_allowed(name: str, path: str, allowed: tuple[str, ...]) -> bool:
    """True for sensors, `empty`, our own of virtual clusters, and what the platform team allows by alias or pattern."""
    if runs_job(path):
        return False
    if any(fnmatchcase(text, pattern) for pattern in allowed for text in (name, path)):
        return True
    if any(fnmatchcase(path, pattern) for pattern in _NEVER_BY_DEFAULT):
        return False
    return any(fnmatchcase(path, pattern) for pattern in _ALWAYS_ALLOWED)


def runs_job(path: str) -> bool:
    """True for the operator behind `spark:`; under `uses` its job would be one that no check and no policy sees."""
    return fnmatchcase(path, "airflow_doeks.*SparkJobOperator")
