"""What `python:` and its like, `trigger:` and `wait_for:` name: the function, the pipeline, the dataset."""

from __future__ import annotations

import ast
import functools
import os
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from airflow_doeks.language import times
from airflow_doeks.language.checks.job import file_fault
from airflow_doeks.language.diagnostics import Finding, suggestion
from airflow_doeks.language.ids import ROOT_NAME, dag_id_of, file_of, pipeline_files, root_of
from airflow_doeks.language.merging import Facts
from airflow_doeks.language.own_tasks import dag_id
from airflow_doeks.model.code_path import located
from airflow_doeks.model.plan import FUNCTIONS
from airflow_doeks.model.quantities import is_template

_LISTED = frozenset({"", "file", "s3", "s3a", "s3n"})  # schemes of places that can be listed
_BRANCHES = (ast.If, ast.Try, ast.ExceptHandler, ast.With)
_MOST_BYTES = 2 * 1024**2  # of a Python file that is looked at


def function(facts: Facts) -> list[Finding]:
    """A file or function that there is not, and arguments that it does not take. Read as text, never imported."""
    kind = facts.entry.kind
    if kind not in FUNCTIONS:
        return []
    if "python" not in (facts.policies.get("allowed_uses") or ()):
        advice = "the platform team can add it: policies: {allowed_uses: [python]} in doeks.yaml"
        return [Finding("DK305", "functions of Python are not on the allow-list", (kind,), advice, at_key=True)]
    value = facts.entry.spec[kind]["file"]
    if is_template(value) or not value.endswith(".py"):
        message = f'"{value}" is no Python file of the project'
        return [Finding("DK212", message, (kind, "file"), "write the path of a .py file")]
    fault = file_fault(facts, (kind, "file"), value)
    return [fault] if fault else _call(facts, _functions(located(value, facts.pipeline.folder)))


def _call(facts: Facts, functions: dict[str, frozenset[str] | None] | str) -> list[Finding]:
    kind = facts.entry.kind
    value, name = (facts.entry.spec[kind][key] for key in ("file", "function"))
    if isinstance(functions, str):
        return [Finding("DK250", f'"{value}" cannot be read as Python: {functions}', (kind, "file"))]
    if name not in functions and "*" not in functions:
        advice = suggestion(name, functions) or f"its functions are {', '.join(sorted(functions)) or 'none'}"
        return [Finding("DK250", f'"{value}" has no function "{name}"', (kind, "function"), advice)]
    return _arguments(facts, functions.get(name))


def _arguments(facts: Facts, takes: frozenset[str] | None) -> list[Finding]:
    kind = facts.entry.kind
    spec = facts.entry.spec[kind]
    args, inputs = spec.get("args") or {}, spec.get("inputs") or {}
    found = [
        Finding("DK250", f"{name} stands under args, too", (kind, "inputs", name), "remove one", at_key=True)
        for name in inputs.keys() & args.keys()
    ]
    for key, named in (("args", args), ("inputs", inputs)):
        for name in named if takes is not None else ():
            if takes is not None and name not in takes:
                message = f'{spec["function"]} takes no argument "{name}"'
                advice = suggestion(name, takes) or f"it takes {', '.join(sorted(takes)) or 'none'}"
                found.append(Finding("DK250", message, (kind, key, name), advice, at_key=True))
    return found


def _functions(file: str) -> dict[str, frozenset[str] | None] | str:
    """Function -> names of its arguments, None if it takes any; or why the file is no Python."""
    try:
        status = os.stat(file)  # noqa: PTH116 - as everywhere in this room
        if status.st_size > _MOST_BYTES:
            return f"it has {status.st_size:,} bytes"
        return _parsed(file, status.st_mtime_ns, status.st_size)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return str(error)


@functools.lru_cache(maxsize=64)
def _parsed(file: str, _mtime: int, _size: int) -> dict[str, frozenset[str] | None]:
    with open(file, "rb") as stream:  # noqa: PTH123
        body = ast.parse(stream.read()).body
    return _named(body)


def _named(body: Iterable[Any]) -> dict[str, frozenset[str] | None]:
    """What statements define or import, also in a branch; ``*`` for an import of all that another module has."""
    found: dict[str, frozenset[str] | None] = {}
    for node in body:
        if isinstance(node, ast.ImportFrom):
            found |= dict.fromkeys(one.asname or one.name for one in node.names)
        for inner in ("body", "handlers", "orelse", "finalbody") if isinstance(node, _BRANCHES) else ():
            found |= _named(getattr(node, inner, ()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            every = (*node.args.args, *node.args.kwonlyargs)
            found[node.name] = None if node.args.kwarg else frozenset(one.arg for one in every)
        for target in [*getattr(node, "targets", ()), getattr(node, "target", None)]:
            if isinstance(target, ast.Name):  # a function that another made
                found[target.id] = None
    return found


def pipeline(facts: Facts) -> list[Finding]:
    """A pipeline that no file of this folder is; a DAG that stands elsewhere may be meant."""
    kind = facts.entry.kind
    named = facts.entry.spec[kind].get("pipeline")
    if named is None or is_template(named):
        return []
    root = root_of(facts.pipeline.document.file)
    if root.name != ROOT_NAME or file_of(dag_id(named), root) is not None:
        return []
    near = suggestion(dag_id(named), [dag_id_of(file, root) for file in pipeline_files(root)])
    advice = near or "right for a DAG that is no pipeline of this folder"
    return [Finding("DK251", f'no pipeline here has the id "{dag_id(named)}"', (kind, "pipeline"), advice)]


def conf(facts: Facts) -> list[Finding]:
    """What each run of a mapped trigger gets of its item, and of `trigger`, too."""
    kind, spec = facts.entry.kind, facts.entry.spec
    if kind != "trigger" or spec.get("expand") is None or spec[kind].get("conf") is None:
        return []
    message, advice = "each item of expand is the conf of its run", "write its keys into the items"
    return [Finding("DK227", message, (kind, "conf"), advice, at_key=True)]


def waits(facts: Facts) -> list[Finding]:
    """Durations that nobody can reckon with."""
    kind = facts.entry.kind
    spec = facts.entry.spec[kind]
    keys = [key for key in ("every", "timeout", "offset") if kind == "wait_for" and spec.get(key) is not None]
    faults = {key: times.fault(spec[key]) for key in keys}
    return [Finding("DK110", f"{key}: {fault}", (kind, key)) for key, fault in faults.items() if fault]


def dataset(facts: Facts) -> list[Finding]:
    """A dataset in a place that nobody here can list."""
    kind = facts.entry.kind
    uri: Any = facts.entry.spec[kind].get("dataset")
    if uri is None or _is_listed(uri.split("{", 1)[0]):
        return []
    message = f'"{uri}" cannot be looked for: only s3:// and file: are listed'
    return [Finding("DK252", message, (kind, "dataset"), "wait for the pipeline that writes it, or use a sensor")]


def _is_listed(uri: str) -> bool:
    try:
        return urlsplit(uri).scheme in _LISTED
    except ValueError:  # brackets that hold no IPv6 address
        return False


def mapped(facts: Facts) -> list[Finding]:
    """Parts of `zip` and `cross` that do not go together."""
    over = facts.entry.spec.get("expand")
    if not isinstance(over, dict) or "task" in over:
        return []
    ((way, parts),) = over.items()
    lengths = {key: len(part) for key, part in parts.items() if isinstance(part, list)}
    fault = _unmappable(way, lengths, len(parts) - len(lengths), is_job=facts.entry.kind != "uses")
    if 0 in lengths.values():
        fault = "expand over an empty list makes no task instance"
    return [Finding("DK227", fault, ("expand", way))] if fault else []


def _unmappable(way: str, lengths: dict[str, int], outputs: int, *, is_job: bool) -> str:
    """Why lists of these lengths and so many outputs of tasks cannot be put together; empty if they can."""
    if way == "zip" and len(set(lengths.values())) > 1:
        told = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        return f"lists that are zipped are equally long; {told}"
    if way == "zip" and outputs and (lengths or not is_job):
        what = "a list and an output of a task" if is_job else "outputs of tasks as arguments"
        return f"{what} cannot be zipped: let one task return all of the items"
    if way == "cross" and outputs and is_job:
        return "an output of a task cannot be crossed here: let one task return all of the items"
    return ""
