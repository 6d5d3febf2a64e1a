"""What `doeks run` was asked to run: which tasks of a plan, with which values, for which date, how many at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import click
import yaml

from airflow_doeks.language.diagnostics import suggestion
from airflow_doeks.model.plan import Plan, TaskPlan

_TASK_MIB = 4096  # a small Spark job: two GiB for its driver, two for an executor


@dataclass(frozen=True)
class RunOptions:
    """Options of one run; ``date`` is aware, None means now; ``parallel`` is how many tasks run at a time."""

    parallel: int
    date: datetime | None = None
    conf: dict[str, Any] | None = None


def capacity() -> int:
    """How many tasks this machine holds: one a core, with memory for a small Spark job each; at least one."""
    from airflow_doeks.platforms.local.machine import cpu_count, memory_mib

    return max(1, min(cpu_count(), memory_mib() // _TASK_MIB))


def part_of(plan: Plan, only: str | None, start: str | None) -> Plan:
    """The plan with one task alone, or with ``start`` and all that comes after it; what they need is taken as done."""
    if only is not None and start is not None:
        msg = "--task runs one task, --from a task and all after it; give one of them"
        raise click.UsageError(msg)
    if only is None and start is None:
        return plan
    chosen = {_known(plan, only)} if only is not None else _after(plan, _known(plan, str(start)))
    tasks = tuple(_cut(task, chosen) for task in plan.tasks if task.task_id in chosen)
    return replace(plan, tasks=tasks, groups=_groups_of(plan, chosen))


def _known(plan: Plan, task_id: str) -> str:
    ids = [task.task_id for task in plan.tasks]
    if task_id not in ids:
        raise _unknown(task_id, ids, kind="task")
    return task_id


def _unknown(word: str, known: list[str], *, kind: str) -> click.UsageError:
    hint = suggestion(word, known) or (f"it has {', '.join(known)}" if known else "it has none")
    return click.UsageError(f"the pipeline has no {kind} {word!r}: {hint}")


def _after(plan: Plan, start: str) -> set[str]:
    found, size = {start}, 0
    while len(found) > size:
        size = len(found)
        found |= {task.task_id for task in plan.tasks if found & {*task.needs, *_mapped_over(task)}}
    return found


def _cut(task: TaskPlan, chosen: set[str]) -> TaskPlan:
    for name in _mapped_over(task):
        if name not in chosen:
            msg = f"{task.task_id} has an instance for each item of {name}'s output: run it with --from {name}"
            raise click.UsageError(msg)
    return replace(task, needs=tuple(need for need in task.needs if need in chosen))


def _mapped_over(task: TaskPlan) -> tuple[str, ...]:
    return (task.expand["task"],) if isinstance(task.expand, dict) and "task" in task.expand else ()


def _groups_of(plan: Plan, chosen: set[str]) -> dict[str, str]:
    return {name: tip for name, tip in plan.groups.items() if any(one.startswith(f"{name}.") for one in chosen)}


def values(plan: Plan, params: Iterable[str], conf: Iterable[str]) -> dict[str, Any]:
    """The conf of the run, from `KEY=VALUE`: values are YAML; a param must be one that the pipeline declares."""
    found: dict[str, Any] = {}
    for option, pairs in (("--conf", conf), ("--params", params)):
        for pair in pairs:
            key, equals, text = pair.partition("=")
            if not equals or not key:
                msg = f"{option} {pair}: expected KEY=VALUE"
                raise click.UsageError(msg)
            if option == "--params" and key not in plan.params:
                raise _unknown(key, list(plan.params), kind="param")
            try:
                found[key] = json.loads(json.dumps(yaml.safe_load(text), default=str))  # a date is a text in JSON
            except yaml.YAMLError as error:
                msg = f"{option} {pair}: the value is no YAML: {str(error).splitlines()[0]}"
                raise click.UsageError(msg) from error
            except (ValueError, TypeError, RecursionError) as error:  # a date that is none, a key that is one, a circle
                msg = f"{option} {pair}: the value is no JSON: {error}"
                raise click.UsageError(msg) from error
    return found


def moment(text: str, timezone: str) -> datetime:
    """A date or time as ISO writes it, in the pipeline's timezone where it names none."""
    import pendulum

    try:
        found = pendulum.parse(text, tz=timezone)
    except ValueError as error:
        msg = f"--date {text}: expected a date or time such as 2026-01-31 or 2026-01-31T03:00+01:00"
        raise click.UsageError(msg) from error
    if not isinstance(found, datetime):
        msg = f"--date {text}: expected one date or time, such as 2026-01-31"
        raise click.UsageError(msg)
    return found
