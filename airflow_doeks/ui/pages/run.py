"""The page of a DAG run: its tasks on one time axis, what each cost, and the run beside those before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_doeks.report.entry import Entry
from airflow_doeks.report.spending import Sum, total_by
from airflow_doeks.ui import cells
from airflow_doeks.ui.blocks import Block, Cell, Chart, Column, Fact, Notice, Page, Series, Table
from airflow_doeks.ui.pages.airflow_facts import Announced, RunTimes, TaskTimes
from airflow_doeks.ui.pages.rows import sum_facts
from airflow_doeks.ui.pages.tasks_of_run import tasks_table

HISTORY = 30  # runs that a run is shown beside


def run_page(
    dag_id: str,
    run: RunTimes,
    tries: Sequence[TaskTimes],
    entries: Sequence[Entry],
    history: Sequence[tuple[RunTimes, Sequence[Entry]]],
    *,
    announced: Mapping[tuple[str, int], Announced] | None = None,
) -> Page:
    """``entries`` are the run's own; ``history`` holds runs up to this one with theirs, the newest last."""
    trail = (Cell("Data costs", href=cells.link("costs")), Cell(dag_id, href=cells.link("dag", dag_id=dag_id)))
    total = total_by(entries, lambda entry: entry.task_id)
    plan = (_estimate(entries), _budget((announced or {}).values(), total.whole))
    blocks: list[Block] = [*_failed(entries), sum_facts("This run", total.whole, plan)]
    spans = list(_spans(tries, entries))
    if spans:
        blocks += [_timeline(spans)]
    blocks += [tasks_table(dag_id, run.run_id, tries, entries), _span_table(spans), *_history(dag_id, run, history)]
    is_over = run.state in {"success", "failed"}
    return Page(
        run.run_id,
        f"Run of {dag_id}, {run.state or 'unknown to Airflow'}",
        trail,
        blocks=tuple(blocks),
        reload_seconds=None if is_over or not run.state else 15,
    )


def _failed(entries: Sequence[Entry]) -> Iterator[Notice]:
    names = sorted({cells.task_name(entry.task_id, entry.map_index) for entry in entries if entry.has_failed})
    if names:
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""  # noqa: PLR2004 - a line is read, not scrolled
        yield Notice(
            "bad",
            f"Jobs failed in {', '.join(names[:10])}{more}",
            ("Why, and what helps, stands on the task's page: its name in the table of tasks leads there.",),
        )


def _estimate(entries: Sequence[Entry]) -> Fact:
    """What the jobs of the newest tries were estimated to cost before they ran."""
    newest: dict[tuple[str, int], Entry] = {}
    for entry in sorted(entries, key=lambda entry: entry.try_number):
        newest[entry.task_id, entry.map_index] = entry
    known = [entry.estimate_usd for entry in newest.values() if entry.estimate_usd is not None]
    lacking = len(newest) - len(known)
    hint = "Of the newest try of each task." if known else "No job of this run was estimated before it ran."
    if known and lacking:
        hint = f"{lacking} of {len(newest)} tasks were not estimated and are not in it."
    return Fact("Estimate, USD", cells.usd(sum(known, cells.ZERO) if known else None), hint)


def _budget(announced: Iterable[Announced], whole: Sum) -> Fact:
    """What the tasks that set a budget may cost together."""
    tasks = list(announced)
    known = [task.budget_usd for task in tasks if task.budget_usd is not None]
    if not known:
        return Fact("Budget, USD", cells.text("none"), "No task of this run sets budget_usd.")
    budget = sum(known, cells.ZERO)
    is_over = whole.spent is not None and whole.spent > budget and len(known) == len(tasks)
    hint = f"budget_usd of {len(known)} of its {len(tasks)} tasks, added up."
    return Fact("Budget, USD", cells.usd(budget, tone="bad" if is_over else ""), hint)


@dataclass(frozen=True)
class _Span:
    name: str
    phase: str
    start: datetime
    end: datetime


def _spans(tries: Sequence[TaskTimes], entries: Sequence[Entry]) -> Iterator[_Span]:
    """Phases of every job (queued, starting, running, settling), and the whole of tasks that have no job."""
    jobs = {(entry.task_id, entry.map_index, entry.try_number): entry for entry in entries}
    closing = {(one.task_id, one.map_index, one.try_number): one.ended for one in tries}
    for key, entry in jobs.items():
        name = cells.task_name(entry.task_id, entry.map_index)
        marks = (
            ("queued", entry.submitted, entry.scheduled or entry.started),
            ("starting", entry.scheduled, entry.started),
            ("running", entry.started, entry.ended),
            ("settling", entry.ended, closing.get(key)),
        )
        for phase, start, end in marks:
            if start and end and end > start:
                yield _Span(name, phase, start, end)
    for one in tries:
        if (one.task_id, one.map_index, one.try_number) not in jobs and one.started and one.ended:
            yield _Span(one.name, "task", one.started, one.ended)


def _timeline(spans: Sequence[_Span]) -> Chart:
    names = sorted({span.name for span in spans}, key=lambda name: min(s.start for s in spans if s.name == name))
    series = []
    for phase in ("queued", "starting", "running", "settling", "task"):
        found = [span for name in names for span in spans if span.name == name and span.phase == phase]
        if found:
            series.append(Series(phase, [s.start for s in found], [s.name for s in found], [s.end for s in found]))
    return Chart("timeline", "Tasks over time", "timeline", series, "time", "phases")


def _span_table(spans: Sequence[_Span]) -> Table:
    rows = [
        (
            Cell(span.name),
            Cell(span.phase),
            cells.moment(span.start),
            cells.moment(span.end),
            cells.duration(cells.seconds_between(span.start, span.end)),
        )
        for span in sorted(spans, key=lambda span: (span.start, span.name))
    ]
    heads = (Column("Task"), Column("Phase"), Column("From"), Column("To"), Column("For", is_number=True))
    hint = (
        "Queued: from submission until it was scheduled. Starting: until its driver ran. Settling: from the job's end "
        "to the task's, when its record was made."
    )
    return Table("phases", "Phases", heads, rows, hint=hint, is_folded=True)


def _history(dag_id: str, run: RunTimes, history: Sequence[tuple[RunTimes, Sequence[Entry]]]) -> Sequence[Block]:
    if len(history) < 2:  # noqa: PLR2004 - one run has nothing beside it
        return ()
    sums = [(one, total_by(entries, lambda _: "").whole) for one, entries in history]
    rows = [
        (
            Cell(
                one.run_id, href="" if one.run_id == run.run_id else cells.link("run", dag_id=dag_id, run_id=one.run_id)
            ),
            Cell(one.state or "", tone="bad" if one.state == "failed" else ""),
            cells.moment(one.started),
            cells.duration(cells.seconds_between(one.started, one.ended)),
            cells.count(total.rows),
            cells.usd(total.spent if total.jobs else None),
        )
        for one, total in sums
    ]
    heads = (
        Column("Run"),
        Column("State"),
        Column("Started"),
        Column("Took", is_number=True),
        Column("Rows written", is_number=True),
        Column("USD", is_number=True),
    )
    times = [one.started for one, _ in sums if one.started]
    spent = [total.spent if total.jobs else None for one, total in sums if one.started]
    chart = Chart(
        "history-usd",
        f"This run, the last bar, beside the {len(sums) - 1} before it",
        "bars",
        (Series("USD", times, spent),),
        "USD",
        "history",
    )
    return chart, Table("history", "Runs", heads, rows[::-1], is_folded=True)
