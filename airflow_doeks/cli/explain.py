"""`doeks explain`: a diagnostic code at length, or where every value of a pipeline comes from."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from airflow_doeks.language import compile_file
from airflow_doeks.language.checks.secrets import secret_paths
from airflow_doeks.language.layers import leaves
from airflow_doeks.model.plan import Plan, TaskPlan
from airflow_doeks.model.redaction import MASK

_SKIPPED = {
    "source",
    "text",
    "file",
    "folder",
    "tasks",
    "platform",
    "groups",
    "dag_id",
    "task_id",
    "kind",
    "environment",
}


@click.command()
@click.argument("what", metavar="CODE|FILE")
@click.option("--task", help="Only this task.")
@click.option("--env", help="The environment.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(what: str, task: str | None, env: str | None, as_json: bool) -> None:
    """Tell what a diagnostic code means, or every resolved value of a pipeline and where it was written.

    What looks like a password is shown as ***; `doeks render` shows the request as it is.
    """
    if re.fullmatch(r"(?i)dk\d+", what):
        _explain_code(what.upper(), as_json)
        return
    plan = plan_of(what, env)
    chosen = tasks_of(plan, task)
    rows = {} if task else {"pipeline": list(_rows(plan, plan.source))}
    rows |= {one.task_id: list(_task_rows(one)) for one in chosen}
    if as_json:
        names = ("key", "value", "from")
        listed = {name: [dict(zip(names, row, strict=True)) for row in some] for name, some in rows.items()}
        click.echo(json.dumps(listed, indent=1, ensure_ascii=False))
        return
    for name, some in rows.items():
        click.echo(f"{name}")
        for key, value, place in some:
            click.echo(f"  {key} = {json.dumps(value, ensure_ascii=False)}  {click.style(place, dim=True)}")


def plan_of(path: str, env: str | None) -> Plan:
    """The plan of a pipeline; prints what is wrong and exits 1 (2 if there is no such file) when there is none."""
    if not Path(path).is_file():
        msg = f"{path} is neither a diagnostic code such as DK104 nor a pipeline file"
        raise click.UsageError(msg)
    compiled = compile_file(path, environment=env)
    if compiled.plan is None:
        for one in compiled.diagnostics:
            click.echo(f"{one.text()}\n", err=True)
        raise SystemExit(1)
    return compiled.plan


def tasks_of(plan: Plan, task: str | None) -> tuple[TaskPlan, ...]:
    """All tasks, or the one that is asked for; a usage error if there is none of that id."""
    chosen = tuple(one for one in plan.tasks if task in (None, one.task_id))
    if not chosen:
        msg = f"there is no task {task!r}; tasks are {', '.join(one.task_id for one in plan.tasks)}"
        raise click.UsageError(msg)
    return chosen


def _explain_code(code: str, as_json: bool) -> None:
    from airflow_doeks.language.codes import codes, explain

    text = explain(code)
    if text is None:
        msg = f"there is no code {code}; codes are {', '.join(codes())}"
        raise click.UsageError(msg)
    click.echo(json.dumps({"code": code, "text": text}, ensure_ascii=False) if as_json else text)


def _task_rows(task: TaskPlan) -> Iterator[tuple[str, Any, str]]:
    if task.platform is not None:
        yield "platform", task.platform["name"], task.source.get("platform", "default")
    yield from _rows(task, task.source)


def _rows(noun: Plan | TaskPlan, source: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    """Key as in the YAML, value, place; what nobody wrote is a default."""
    for field in dataclasses.fields(noun):
        value = getattr(noun, field.name)
        if field.name in _SKIPPED or value in (None, {}, (), []):
            continue
        name = {"job": getattr(noun, "kind", ""), "arguments": "with", "operator": "uses"}.get(field.name, field.name)
        name = name.removesuffix("_seconds")
        plain = list(value) if isinstance(value, tuple) else value
        if not isinstance(plain, (Mapping, list)):
            yield name, plain, source.get(name, "default")
            continue
        hidden = secret_paths(plain)
        for path in leaves(plain):
            key = ".".join(map(str, (name, *path) if name != "budgets" else path))
            found: Any = plain
            for step in path:
                found = found[step]
            shown = found if isinstance(found, (str, int, float, list, dict)) else str(found)
            shown = MASK if path in hidden else shown
            yield key, shown, source.get(key) or _above(source, key)


def _above(source: Mapping[str, str], key: str) -> str:
    """Where the nearest value above stands: a need that was inferred, an item of a variable's list."""
    while "." in key:
        key = key.rpartition(".")[0]
        if key in source:
            return source[key]
    return "inferred" if key.startswith("needs") else "default"
