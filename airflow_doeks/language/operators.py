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
from airflow_doeks.language.leaf_rules import shown
from airflow_doeks.language.text import read
from airflow_doeks.model.plan import ARGUMENTS

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
_ALWAYS_ALLOWED = (
    "airflow_doeks.operators.emr_virtual_cluster.*",
    "airflow_doeks.operators.reconcile.*",
    "*.sensors.*",
    "airflow.*.EmptyOperator",
)
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


def operator_of(name: str) -> str | None:
    """Import path of the class that `uses` names; None for a name that is neither alias nor path."""
    path, _ = _alias(name)
    return path if "." in path else None


def alias_of(name: str) -> Alias | None:
    """The alias that a name is, or whose class it names."""
    return _alias(name)[1]


@functools.lru_cache(maxsize=1)
def owned_arguments() -> dict[str, str]:
    """Argument of every operator, which is not set under `with` -> what is written instead."""
    return {**{name: f"`{name}` of the task" for name in ARGUMENTS}, **_table()["_owned"], **_table()["_left_out"]}


def arguments_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What `with` gives the operator, durations as timedelta."""
    given = dict(spec.get("with") or {})
    alias = _alias(spec["uses"])[1]
    for key, value in given.items() if alias else ():
        is_duration = alias and _kind(alias, key) == "duration" and value is not None and not _is_open(value)
        if alias and is_duration and argument_fault(alias, "", key, value) is None:
            given[key] = timedelta(seconds=times.seconds(value))
    return given


class ArgumentFault(NamedTuple):
    """What is wrong with one argument. ``at_key``: its name is to blame."""

    message: str
    help: str = ""
    at_key: bool = False


def argument_fault(alias: Alias, name: str, key: str, value: Any) -> ArgumentFault | None:
    """Why an operator, named ``name``, does not take an argument; None if it does."""
    if key in owned_arguments() or value is None:
        return None
    kind = _kind(alias, key)
    if kind is None:
        near = near_argument(alias, key)
        advice = f'did you mean "{near}"?' if near else f"its arguments are {', '.join(alias.takes) or 'none'}"
        return ArgumentFault(f'{name} has no argument "{key}"', advice, at_key=True)
    if _is_open(value):
        return None
    types, words = _KINDS[kind]
    if not isinstance(value, types) or (isinstance(value, bool) and kind in {"number", "duration"}):
        return ArgumentFault(f"{key}: expected {words}, found {shown(value)}")
    if kind == "duration":
        try:
            times.seconds(value)
        except ValueError as error:
            return ArgumentFault(f"{key}: {error}")
    return None


def _is_open(value: Any) -> bool:
    """True for what is known only once it is rendered."""
    return isinstance(value, str) and "{{" in value


def _kind(alias: Alias, key: str) -> str | None:
    return alias.takes.get(key)


def near_argument(alias: Alias, key: str) -> str:
    """The argument that a key which is none may have meant; empty if the key is one."""
    if key in alias.takes or key in owned_arguments():
        return ""
    return suggestion(key, alias.takes).partition('"')[2].partition('"')[0]


@functools.lru_cache(maxsize=1024)
def is_allowed(name: str, path: str, allowed: tuple[str, ...]) -> bool:
    """True for sensors, `empty`, our own that run no job, and what the platform team allows by alias or pattern."""
    if runs_job(path):
        return False
    if is_listed(name, path, allowed):
        return True
    if any(fnmatchcase(path, pattern) for pattern in _NEVER_BY_DEFAULT):
        return False
    return any(fnmatchcase(path, pattern) for pattern in _ALWAYS_ALLOWED)


def is_listed(name: str, path: str, allowed: tuple[str, ...]) -> bool:
    """True for what the platform team allows by alias or pattern, and for nothing else."""
    return any(fnmatchcase(text, pattern) for pattern in allowed for text in (name, path))


def runs_job(path: str) -> bool:
    """True for an operator behind `spark:` and its like; under `uses` no check and no policy would see its job."""
    return fnmatchcase(path, "airflow_doeks.*JobOperator")
