"""`doeks advise`: the advice of a pipeline's last runs as a patch of its YAML, which nobody but its author applies."""

from __future__ import annotations

import difflib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from airflow_doeks.advice.joining import Change, joined
from airflow_doeks.advice.measures import Advice
from airflow_doeks.cli.explain import plan_of, tasks_of
from airflow_doeks.cli.figures import usd
from airflow_doeks.cli.report_command import day, open_book
from airflow_doeks.language.patching import with_value
from airflow_doeks.language.text import Document, parse
from airflow_doeks.ledger import Ledger
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.noun import Amount, Noun
from airflow_doeks.model.past import run_of
from airflow_doeks.model.plan import TaskPlan
from airflow_doeks.model.quantities import parse_memory
from airflow_doeks.model.record import JobRecord

EXAMPLES = """
\b
Examples:
  doeks advise pipelines/daily_orders.yaml --env prod
  doeks advise pipelines/daily_orders.yaml --task clean --runs 20 > cheaper.patch
  git apply cheaper.patch
"""


class TaskAdvice(Noun):
    """What the last runs of one task say together; ``runs`` is how many were looked at.

    Attributes:
        left: changes that are not in the patch, each with why.
    """

    task_id: str
    runs: int
    changes: tuple[Change, ...] = ()
    left: tuple[str, ...] = ()


class Patch(Noun):
    """The advice of a pipeline; ``usd`` is what each change alone would have saved in a run, at most, the dearest one.

    Measures overlap, so they are not added up. ``diff`` is a unified diff of the file, empty where nothing changes.
    """

    file: str
    tasks: tuple[TaskAdvice, ...]
    usd: Amount | None
    diff: str


@click.command(epilog=EXAMPLES)
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--task", help="Only this task.")
@click.option("--env", help="The environment.")
@click.option("--runs", default=10, show_default=True, type=click.IntRange(1), help="So many last jobs of each task.")
@click.option("--since", default="30d", show_default=True, metavar="D", help="Jobs from this day on.")
@click.option("--ledger", envvar="DOEKS_LEDGER", help="Folder or s3:// URL; AIRFLOW_HOME's doeks/ledger if left out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def advise(
    *, file: str, task: str | None, env: str | None, runs: int, since: str, ledger: str | None, as_json: bool
) -> None:
    """What the last runs say of a pipeline's memory, executors, Spot and Graviton, as a patch of its YAML.

    Only what every one of the runs would have borne is in it, with what it would have saved and the evidence. Nothing
    is applied: read it, then `git apply`.
    """
    plan = plan_of(file, env)
    book, _ = open_book(ledger)
    wanted = [one for one in tasks_of(plan, task) if one.job is not None]
    past = _past(book, plan.dag_id, since, {one.task_id for one in wanted}, runs)
    before = Path(file).read_text("utf-8")
    text, found = before, []
    for one in wanted:
        text, told = _patched(file, text, one, past.get(one.task_id, []))
        found.append(told)
    known = [change.usd for told in found for change in told.changes if change.usd is not None]
    name = Path(os.path.relpath(file)).as_posix()  # as `git apply` looks for it from here
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), text.splitlines(keepends=True), f"a/{name}", f"b/{name}"
    )
    patch = Patch(file=name, tasks=tuple(found), usd=max(known, default=None), diff="".join(map(_ended, lines)))
    if as_json:
        click.echo(patch.model_dump_json(indent=2))
        return
    for told in found:
        click.echo("\n".join(_words(told)))
    click.echo(patch.diff, nl=False)


def _ended(line: str) -> str:
    """A line of a diff; of a file whose last one has no end the diff says so."""
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _past(book: Ledger, dag_id: str, since: str, tasks: Iterable[str], most: int) -> dict[str, list[list[Advice]]]:
    """Task -> the advice of each of its newest jobs that succeeded and whose advice can be read."""
    records: defaultdict[str, list[JobRecord]] = defaultdict(list)
    for record in book.records(since=day(since)):
        own = record.attempt.dag_id == dag_id and record.attempt.task_id in tasks
        if own and record.detail and run_of(record) is not None:
            records[record.attempt.task_id].append(record)
    found = {}
    for task_id, jobs in records.items():
        newest = sorted(jobs, key=lambda record: str(record.times.submitted), reverse=True)[:most]
        details = (book.read_detail(record).get("advice") for record in newest)
        found[task_id] = [_advice(plain) for plain in details if isinstance(plain, list)]
    return found


def _advice(plain: Sequence[Any]) -> list[Advice]:
    """What a detail holds; a measure that another version wrote otherwise is left out."""
    names = Advice.model_fields.keys()
    return [
        Advice.model_validate({name: value for name, value in one.items() if name in names})
        for one in plain
        if isinstance(one, dict) and {"code", "message", "evidence"} <= one.keys()
    ]


def _patched(file: str, text: str, task: TaskPlan, runs: Sequence[Sequence[Advice]]) -> tuple[str, TaskAdvice]:
    changes, left = [], []
    for change in joined(runs):
        why = _pointless(task, change)
        if why is None:
            try:
                document: Document = parse(text.encode(), file)
                path = (*_path_of(task), task.kind, *change.path.split("."))
                value = change.value if change.path != "presets" else _presets(document, path, task, change.value)
                text = with_value(document, path, value)
            except SpecError as error:
                why = str(error)
        if why is None:
            changes.append(change)
        else:
            left.append(f"{change.path}: {change.value} is not in the patch: {why}")
    return text, TaskAdvice(task_id=task.task_id, runs=len(runs), changes=tuple(changes), left=tuple(left))


def _path_of(task: TaskPlan) -> tuple[str, ...]:
    """Where a task stands in its file: groups are entries with ``tasks``."""
    first, *more = task.task_id.split(".")
    return ("tasks", first, *(step for name in more for step in ("tasks", name)))


def _presets(document: Document, path: tuple[str, ...], task: TaskPlan, name: str) -> str:
    """The preset, for a list that stands there; else the whole list that holds for the task, and the preset."""
    if document.find(path)[1]:
        return name
    known = [*(task.job or {}).get("presets", ()), name]
    return f"[{', '.join(known)}]"


def _pointless(task: TaskPlan, change: Change) -> str | None:
    """Why a change would change nothing, or something else; None if it is one."""
    job: Mapping[str, Any] = task.job or {}
    if change.path == "presets":
        return f"{change.value} is among its presets" if change.value in (job.get("presets") or ()) else None
    pods = job.get("executors") or {}
    if not isinstance(pods, Mapping):
        return "executors are a template"
    now = str(pods.get(change.path.partition(".")[2]))
    if "{{" in now or now == change.value:
        return "it is a template" if "{{" in now else "it says so already"
    if change.path.endswith(".memory"):
        return _is_less(now, change.value)
    return _bounds(pods, now, int(change.value)) if change.path == "executors.max" else None


def _is_less(now: str, wanted: str) -> str | None:
    """Runs from before the task was made smaller advise more than it asks for now."""
    try:
        return f"{now} is asked for" if parse_memory(now) <= parse_memory(wanted) else None
    except ValueError:
        return None


def _bounds(pods: Mapping[str, Any], most: str, wanted: int) -> str | None:
    least = str(pods.get("min"))
    if most.isdigit() and int(most) <= wanted:
        return f"{most} are asked for"
    return f"min is {least}" if least.isdigit() and int(least) > wanted else None


def _words(told: TaskAdvice) -> list[str]:
    if not told.runs:
        return [f"{told.task_id}: no job that succeeded has advice in these days"]
    lines = [f"{told.task_id}: {told.runs} runs"]
    if not told.changes:
        lines.append("  nothing that all of them would have borne")
    for change in told.changes:
        saved = "" if change.usd is None else f", up to {usd(Decimal(change.usd))} USD less a run"
        lines.append(f"  {change.path}: {change.value}{saved}")
        lines += [f"    {line}" for line in change.evidence]
    return [*lines, *(f"  {why}" for why in told.left)]
