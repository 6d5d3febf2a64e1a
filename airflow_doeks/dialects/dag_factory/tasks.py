"""A task with an operator of Airflow, in our words: a job, `uses`, or a placeholder that fails where Python ran."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Mapping
from typing import Any

from airflow_doeks.dialects.dag_factory import emr, spark_submit
from airflow_doeks.dialects.dag_factory.mapping import arguments_expand, job_expand
from airflow_doeks.dialects.dag_factory.notes import Note, Taken, left_over, lost, one_line
from airflow_doeks.dialects.dag_factory.settings import (
    PYTHON,
    SHARED,
    TASK,
    WITHOUT_PLACE,
    handler_by_name,
    is_python,
    settings_of,
)
from airflow_doeks.dialects.dag_factory.values import (
    duration,
    is_joined,
    python_object,
    seconds_of,
    type_of,
    without_objects,
)
from airflow_doeks.language.operators import Alias, aliases, is_allowed, near_argument

STRUCTURE = frozenset({"task_id", "operator", "decorator", "task_group_name", "dependencies", "expand", "partial"})
_JOBS = {"SparkSubmitOperator": spark_submit, "EmrContainerOperator": emr}  # class -> the module that reads its job
_OLD_HOMES = ("airflow.operators.", "airflow.sensors.", "airflow.providers.standard.")
_RENAMED = {"DummyOperator": "EmptyOperator"}
_RUNS_PYTHON = re.compile(r"(Branch|External)*(Python|ShortCircuit|ExternalPython)\w*(Operator|Sensor)")
# Class -> the task of ours that calls its function.
_CALLS = {"PythonOperator": "python", "BranchPythonOperator": "branch", "ShortCircuitOperator": "short_circuit"}
_STAYS = Note("the arguments do not say what runs, so the operator stays: no cost, no lineage of it is recorded")


def accepts(task: Mapping[str, Any]) -> frozenset[str]:
    """The arguments that the task's operator is known to take from `default_args`."""
    name = str(task.get("operator") or "")
    if (job := _JOBS.get(name.rpartition(".")[2])) is not None:
        return frozenset(job.ARGUMENTS)
    alias = _alias_of(name)
    return frozenset(alias[1].takes) if alias else frozenset()


def task_of(task: Mapping[str, Any], ids: Mapping[str, str]) -> Taken:
    """A task in our words without what it needs; under `platform` stands what it says of a platform.

    Raises TypeError or ValueError for a value of another shape than dag-factory's.
    """
    partial = dict(task.get("partial") or {})
    twice = [lost(key, task[key], "`partial` gives it again") for key in partial if key in task]
    given = {**task, **partial}
    settings, notes = settings_of({k: v for k, v in given.items() if k in SHARED or k in TASK}, {**SHARED, **TASK})
    notes += twice
    arguments = {key: value for key, value in given.items() if key not in {*STRUCTURE, *SHARED, *TASK}}
    expand = dict(task.get("expand") or {})
    name = str(task.get("operator") or "").rpartition(".")[2]
    names_code = any(key.startswith("python_callable") for key in arguments)
    if not name or _RUNS_PYTHON.fullmatch(name) or names_code:
        taken = _function(name, arguments, expand) or _placeholder(task, arguments, expand)
    else:
        for key in [key for key in arguments if key in WITHOUT_PLACE or is_python(key) or key.startswith("on_")]:
            notes += handler_by_name(key)(key, arguments.pop(key)).notes
        job = _job(_JOBS[name], arguments, expand) if name in _JOBS else None
        notes += [_STAYS] if name in _JOBS and job is None else []
        taken = job or _uses(task["operator"], arguments, expand, ids)
    return Taken({**settings, **taken.ours}, notes=(*notes, *taken.notes))


def _function(name: str, arguments: Mapping[str, Any], expand: Mapping[str, Any]) -> Taken | None:
    """The function of a file that an operator called; None where the source does not say it in a way of ours."""
    kind, rest = _CALLS.get(name), dict(arguments)
    file, function = rest.pop("python_callable_file", None), rest.pop("python_callable_name", None)
    given = without_objects(rest.pop("op_kwargs", None) or {})
    is_plain = str(file).endswith(".py") and str(function).isidentifier() and isinstance(given, dict)
    if kind is None or expand or not is_plain:
        return None
    note = Note(
        f"`python_callable_file: {file}` must stand below the folder of doeks.yaml, its path relative to this file"
    )
    left = [lost(key, value, PYTHON) for key, value in rest.items() if value is not None]
    called = {"file": file, "function": function, **({"args": given} if given else {})}
    return Taken({kind: called}, notes=(note, *left))


def _placeholder(task: Mapping[str, Any], arguments: Mapping[str, Any], expand: Mapping[str, Any]) -> Taken:
    """A task that keeps the graph and fails: what depends on it must not run as if it had done its work."""
    what = str(task.get("decorator") or task.get("operator") or "")
    code = arguments.get("python_callable") or arguments.get("python_callable_name") or ""
    named = f"{what}, which runs Python {code}".strip() if what else "a task without an operator"
    notes = [Note(f"a placeholder that fails stands for {named}: write it as a Spark job or an operator")]
    words = re.sub(r"[^\w.,:() -]", "_", f"this stands for {' '.join(named.split())}: see its TODO")
    given = {**arguments, **({"expand": expand} if expand else {})}
    notes += [lost(key, value, PYTHON) for key, value in given.items() if value is not None]
    return Taken(
        {"uses": "bash", "with": {"bash_command": f"echo {shlex.quote(words)} >&2; exit 1"}}, notes=tuple(notes)
    )


def _job(module: Any, arguments: Mapping[str, Any], expand: Mapping[str, Any]) -> Taken | None:
    """The job that an operator ran; None if the arguments do not say what runs."""
    mapped = Taken()
    if expand:
        arguments, mapped = job_expand(arguments, expand)
    taken: Taken | None = module.job_of(arguments)
    return taken and Taken({**taken.ours, **mapped.ours}, notes=(*taken.notes, *mapped.notes))


def _uses(operator: str, arguments: Mapping[str, Any], expand: Mapping[str, Any], ids: Mapping[str, str]) -> Taken:
    """Any other operator, with its arguments."""
    found = _alias_of(operator)
    uses, alias = found or (operator, None)
    notes: list[Note] = []
    given: dict[str, Any] = {}
    for key, value in arguments.items():
        taken = _argument(key, value, alias)
        notes += left_over(key, taken)
        given |= taken.ours
    if alias is None and not is_allowed(operator, operator, ()):
        notes.append(Note(f"{operator} must be in `allowed_uses` of doeks.yaml"))
    ours = {"uses": uses, **({"with": given} if given else {})}
    if expand:
        mapped = arguments_expand(expand, ids)
        ours |= mapped.ours
        notes += mapped.notes
    return Taken(ours, notes=tuple(notes))


def _argument(key: str, value: Any, alias: Alias | None) -> Taken:
    """An argument of an operator without dag-factory's own notation."""
    if alias is not None and key not in alias.takes:
        near = near_argument(alias, key)
        return Taken(notes=(lost(key, value, f"did you mean {near}?" if near else "the operator does not take it"),))
    if value is None:
        return Taken({key: None})
    kind = alias.takes.get(key) if alias else None
    if kind == "duration" and duration(value) is not None:
        return Taken({key: duration(value)})
    if type_of(value) == "timedelta" and kind in (None, "number", "any") and (seconds := seconds_of(value)) is not None:
        whole = int(seconds) if seconds.is_integer() else seconds
        note = Note(f"`{key}` is a number of seconds here, {whole}: it was a timedelta, {one_line(value)}")
        return Taken({key: whole}, notes=(note,))
    plain = without_objects(value)
    if plain is None:
        return Taken(notes=(python_object(key, value),))
    joined = (Note(f"`{key}` is one text here: it was `__join__` of its parts"),) if is_joined(value) else ()
    return Taken({key: plain}, notes=joined)


@functools.lru_cache(maxsize=256)
def _alias_of(operator: str) -> tuple[str, Alias] | None:
    """Our short name of an operator and what it takes, also under a home that it had in an older Airflow."""
    name = operator.rpartition(".")[2]
    name = _RENAMED.get(name, name)
    for short, alias in aliases().items():
        is_old = operator.startswith(_OLD_HOMES) and alias.path.startswith(_OLD_HOMES)
        if alias.path == operator or (is_old and alias.path.rpartition(".")[2] == name):
            return short, alias
    return None
