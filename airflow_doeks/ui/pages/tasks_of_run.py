"""The tasks of a run as a table: a row a task instance, all its tries together, or Airflow's word where no job is."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from airflow_doeks.report.entry import Entry
from airflow_doeks.report.spending import total_by
from airflow_doeks.ui import cells
from airflow_doeks.ui.blocks import Cell, Column, Table
from airflow_doeks.ui.pages.airflow_facts import TaskTimes
from airflow_doeks.ui.pages.rows import WASTE, rows_of

_HEADS = (
    Column("Task"),
    Column("State"),
    Column("USD", is_number=True, hint="All tries."),
    Column("Share of the run", is_number=True, hint="Of the run's dollars that are known."),
    Column("Waste, USD", is_number=True, hint=WASTE),
    Column("Ran for", is_number=True, hint="The newest try's job; a task without a job: the task."),
    Column("Rows read", is_number=True, hint="Of inputs whose rows are known, all tries together."),
    Column("Rows written", is_number=True, hint="Of outputs whose rows are known, all tries together."),
    Column("Jobs", is_number=True, hint="One for every try that submitted one."),
)
_LAST = "~"  # sorts behind every time


def tasks_table(dag_id: str, run_id: str, tries: Sequence[TaskTimes], entries: Sequence[Entry]) -> Table:
    """The tasks in the order in which they began."""
    jobs: dict[tuple[str, int], list[Entry]] = {}
    for entry in entries:
        jobs.setdefault((entry.task_id, entry.map_index), []).append(entry)
    last = {(one.task_id, one.map_index): one for one in sorted(tries, key=lambda one: one.try_number)}
    begun = {key: str(one.started or _LAST) for key, one in last.items()}
    begun |= {key: min(str(entry.at or _LAST) for entry in found) for key, found in jobs.items()}
    whole = sum((entry.usd or Decimal(0) for entry in entries), Decimal(0))
    rows = []
    for key in sorted(begun, key=lambda key: (begun[key], key)):
        href = cells.link("task", dag_id=dag_id, run_id=run_id, task_id=key[0], map_index=key[1])
        name = Cell(cells.task_name(*key), href=href)
        rows.append((name, *(_of_jobs(jobs[key], whole) if key in jobs else _without_job(last[key]))))
    total = (Cell("total"), Cell(""), *_total(entries)) if entries else ()
    return Table("tasks", "Tasks", _HEADS, rows, total=total, empty="Airflow has no task of this run.")


def _of_jobs(jobs: Sequence[Entry], whole: Decimal) -> Sequence[Cell]:
    newest = max(jobs, key=lambda entry: (entry.try_number, str(entry.submitted)))
    total = total_by(jobs, lambda _: "").whole
    return (
        cells.state(newest.state),
        cells.usd(total.spent),
        cells.share(total.usd / whole if whole and total.spent is not None else None),
        cells.usd(total.waste),
        cells.duration(cells.seconds_between(newest.started, newest.ended)),
        _rows(jobs, "inputs"),
        _rows(jobs, "outputs"),
        cells.count(len(jobs)),
    )


def _without_job(task: TaskTimes) -> Sequence[Cell]:
    took = cells.duration(cells.seconds_between(task.started, task.ended)) if task.started else Cell("")
    return Cell(task.state or "", tone="soft"), *[Cell("")] * 3, took, *[Cell("")] * 3


def _total(entries: Sequence[Entry]) -> Sequence[Cell]:
    total = total_by(entries, lambda _: "").whole
    return (
        cells.usd(total.spent),
        Cell(""),
        cells.usd(total.waste),
        Cell(""),
        _rows(entries, "inputs"),
        _rows(entries, "outputs"),
        cells.count(total.jobs),
    )


def _rows(jobs: Sequence[Entry], name: str) -> Cell:
    """Rows of what jobs read or wrote; nothing where they touched no dataset."""
    return cells.count(rows_of(jobs, name)) if any(getattr(entry, name) for entry in jobs) else Cell("")
