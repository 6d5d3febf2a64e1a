"""The page of a DAG: what its runs cost, how long its jobs wait and run, and what changed where cost jumped."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from airflow_doeks.report.entry import Entry
from airflow_doeks.report.sla import waits_by
from airflow_doeks.report.spending import OTHERS, total_by
from airflow_doeks.ui import cells
from airflow_doeks.ui.blocks import Block, Cell, Chart, Choice, Column, Page, Series, Table
from airflow_doeks.ui.pages.airflow_facts import Missed
from airflow_doeks.ui.pages.rows import FAILED, ROWS, WASTE, rows_of, sum_facts, sums_table

_STACKED = 8  # tasks that get a colour of their own
_JUMP = Decimal("1.5")  # from one run of a task to the next
_JUMPS = 20
_LONG_SECONDS = 600  # longer ones are told in minutes
OUT_OF_TIME = "Jobs of category timeout: a time budget or execution_timeout ended them, or a service was too slow."
_NO_DEADLINES = "This Airflow has no deadlines (they came with 3.1), so whether one was missed is not known."


def dag_page(
    dag_id: str, entries: Sequence[Entry], choices: Sequence[Choice] = (), missed: Sequence[Missed] | None = ()
) -> Page:
    """``entries`` are the DAG's own of the time that was asked for, ``missed`` None where Airflow has no deadlines."""
    trail = (Cell("Data costs", href=cells.link("costs")),)
    by_task = total_by(entries, lambda entry: entry.task_id)
    runs = _runs(entries)
    blocks: list[Block] = [sum_facts("In this time", by_task.whole)]
    if len(runs) > 1:
        blocks += [_stack(runs, [one.key for one in by_task.by_key]), *_lines(runs)]
    blocks += [
        sums_table("tasks", "Dearest tasks", "Task", by_task),
        _waits(entries),
        _misses(dag_id, missed),
        _jumps(dag_id, entries),
        _runs_table(dag_id, runs),
    ]
    return Page(dag_id, "DAG", trail, choices, tuple(blocks))


def _runs(entries: Sequence[Entry]) -> list[tuple[datetime, str, list[Entry]]]:
    """First submission, run id and entries of every run, by time."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.at is not None:
            found.setdefault(entry.run_id, []).append(entry)
    return sorted((min(one.at for one in jobs if one.at), run_id, jobs) for run_id, jobs in found.items())


def _stack(runs: Sequence[tuple[datetime, str, list[Entry]]], tasks: Sequence[str]) -> Chart:
    """Dollars of each run, stacked by task."""
    times = [at for at, _, _ in runs]
    shown = tasks[:_STACKED]
    groups: dict[str, list[Decimal]] = {name: [Decimal(0)] * len(runs) for name in (*shown, OTHERS)}
    for number, (_, _, jobs) in enumerate(runs):
        for entry in jobs:
            groups[entry.task_id if entry.task_id in groups else OTHERS][number] += entry.usd or 0
    series = [Series(name, times, usd) for name, usd in groups.items() if any(usd) or name in shown]
    return Chart("usd-runs", "Cost of each run", "bars", series, "USD", "runs")


def _lines(runs: Sequence[tuple[datetime, str, list[Entry]]]) -> Iterator[Chart]:
    times = [at for at, _, _ in runs]
    took = [_took(jobs) for _, _, jobs in runs]
    unit, scale = ("minutes", 60) if max(filter(None, took), default=0) > _LONG_SECONDS else ("seconds", 1)
    scaled = [None if seconds is None else seconds / scale for seconds in took]
    title = "From a run's first submission to its last job's end"
    yield Chart("took-runs", title, "lines", (Series(unit, times, scaled),), unit, "runs")
    rows = [rows_of(jobs, "outputs") for _, _, jobs in runs]
    if any(rows):
        yield Chart("rows-runs", "Rows written", "lines", (Series("rows", times, rows),), "rows", "runs")


def _took(jobs: Sequence[Entry]) -> float | None:
    start = min((entry.at for entry in jobs if entry.at), default=None)
    end = max((entry.ended for entry in jobs if entry.ended), default=None)
    return cells.seconds_between(start, end)


def _runs_table(dag_id: str, runs: Sequence[tuple[datetime, str, list[Entry]]]) -> Table:
    rows = []
    for at, run_id, jobs in reversed(runs):
        total = total_by(jobs, lambda _: "").whole
        rows.append(
            (
                Cell(run_id, href=cells.link("run", dag_id=dag_id, run_id=run_id)),
                cells.moment(at),
                cells.duration(_took(jobs)),
                cells.count(total.jobs),
                Cell(str(total.failed), sort=total.failed, tone="bad" if total.failed else ""),
                cells.count(total.rows),
                cells.usd(total.waste),
                cells.usd(total.spent),
            )
        )
    heads = (
        Column("Run"),
        Column("First submission"),
        Column("Took", is_number=True, hint="From its first submission to its last job's end."),
        Column("Jobs", is_number=True, hint="One for every try that submitted one."),
        Column("Failed", is_number=True, hint=FAILED),
        Column("Rows written", is_number=True, hint=ROWS),
        Column("Waste, USD", is_number=True, hint=WASTE),
        Column("USD", is_number=True, hint="All jobs of the run, those of tries that failed among them."),
    )
    return Table("runs", "Runs", heads, rows, empty="No job of this DAG in this time.")


def _waits(entries: Sequence[Entry]) -> Table:
    """Half and 95 of 100 of each task's jobs waited, started and ran no longer than this."""
    rows = []
    for waits in waits_by(entries, lambda entry: entry.task_id):
        figures = (
            *(waits.queue_seconds_p50, waits.queue_seconds_p95),
            *(waits.start_seconds_p50, waits.start_seconds_p95),
            *(waits.run_seconds_p50, waits.run_seconds_p95),
        )
        late = Cell(str(waits.out_of_time), sort=waits.out_of_time, tone="bad" if waits.out_of_time else "")
        rows.append((Cell(waits.key), cells.count(waits.jobs), late, *map(cells.duration, figures)))
    heads = [
        Column("Task"),
        Column("Jobs", is_number=True, hint="One for every try that submitted one."),
        Column("Out of time", is_number=True, hint=OUT_OF_TIME),
    ]
    for name, hint in (
        ("Queued", "From submission until it was scheduled."),
        ("Starting", "Until its driver ran."),
        ("Running", "From there until the job's end."),
    ):
        heads += [
            Column(f"{name} p50", is_number=True, hint=f"{hint} Half of the jobs took no longer."),
            Column(f"{name} p95", is_number=True, hint=f"{hint} 95 of 100 jobs took no longer."),
        ]
    return Table("waits", "How long jobs wait and run", heads, rows)


def _misses(dag_id: str, missed: Sequence[Missed] | None) -> Table:
    """Deadlines of runs, as Airflow keeps them, that passed before the run ended."""
    rows = [
        (
            Cell(miss.run_id, href=cells.link("run", dag_id=dag_id, run_id=miss.run_id)),
            cells.moment(miss.due),
            cells.moment(miss.ended) if miss.ended else Cell("not yet"),
            cells.duration(cells.seconds_between(miss.due, miss.ended)),
        )
        for miss in missed or ()
    ]
    heads = (
        Column("Run"),
        Column("Deadline"),
        Column("Ended"),
        Column("Late by", is_number=True, hint="From the deadline to the run's end."),
    )
    empty = "No run missed a deadline in this time, or none has one." if missed is not None else _NO_DEADLINES
    return Table("misses", "Missed deadlines", heads, rows, empty=empty)


def _jumps(dag_id: str, entries: Sequence[Entry]) -> Table:
    """Where a task's job cost half as much again as the one before, and what else was different."""
    by_task: dict[tuple[str, int], list[Entry]] = {}
    for entry in entries:
        if entry.usd and entry.at and not entry.has_failed:
            by_task.setdefault((entry.task_id, entry.map_index), []).append(entry)
    found = []
    for jobs in by_task.values():
        jobs.sort(key=lambda entry: str(entry.at))
        found += [
            (after.usd - before.usd, before, after)
            for before, after in itertools.pairwise(jobs)
            if before.usd and after.usd and after.usd > before.usd * _JUMP
        ]
    found.sort(key=lambda jump: jump[0], reverse=True)
    rows = [
        (
            Cell(
                cells.task_name(after.task_id, after.map_index),
                href=cells.link(
                    "task", dag_id=dag_id, run_id=after.run_id, task_id=after.task_id, map_index=after.map_index
                ),
            ),
            cells.moment(after.at),
            cells.usd(before.usd),
            cells.usd(after.usd),
            Cell("; ".join(_differences(before, after)) or "nothing that the records hold"),
        )
        for _, before, after in found[:_JUMPS]
    ]
    heads = (
        Column("Task"),
        Column("At"),
        Column("USD before", is_number=True),
        Column("USD", is_number=True),
        Column("What changed"),
    )
    return Table(
        "jumps", "Where cost jumped", heads, rows, empty="No job cost half as much again as the one before it."
    )


def _differences(before: Entry, after: Entry) -> Iterator[str]:
    if before.spec_hash != after.spec_hash:
        yield "what was submitted (code, arguments or configuration)"
    for name, words in (("inputs", "rows read"), ("outputs", "rows written")):
        old, new = rows_of([before], name), rows_of([after], name)
        if old and new and old != new:
            yield f"{words}: {cells.count(old).text} to {cells.count(new).text}"
    if before.priced_as != after.priced_as:
        yield f"instance: {before.priced_as or 'seen nodes'} to {after.priced_as or 'seen nodes'}"
    if _capacity(before) != _capacity(after):
        yield f"capacity: {_capacity(before)} to {_capacity(after)}"
    old_seconds = cells.seconds_between(before.started, before.ended)
    new_seconds = cells.seconds_between(after.started, after.ended)
    if old_seconds and new_seconds and new_seconds > old_seconds * float(_JUMP):
        yield f"ran {cells.duration(new_seconds).text} instead of {cells.duration(old_seconds).text}"


def _capacity(entry: Entry) -> str:
    return " and ".join(sorted(name for name, _ in entry.vcpu_seconds_by_capacity)) or "unknown"
