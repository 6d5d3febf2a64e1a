"""Estimates as nouns, as tables of a terminal, and as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from airflow_doeks.cli.figures import UNKNOWN, console, count, duration, usd
from airflow_doeks.cli.names import Name
from airflow_doeks.cli.tables import print_table
from airflow_doeks.lifecycle.estimate import TaskEstimate
from airflow_doeks.model.noun import Amount, Noun


class Estimate(Noun):
    """What a pipeline will cost; sums are of what is known, and ``unknown`` names what is not in them.

    Attributes:
        runs_per_month: in 30 days by its schedule; None without one that has a clock.
    """

    pipeline: str
    file: str
    environment: str | None
    rate_card: str
    tasks: tuple[TaskEstimate, ...]
    usd: Amount | None
    usd_min: Amount | None
    usd_max: Amount | None
    runs_per_month: int | None
    usd_per_month: Amount | None
    usd_per_month_max: Amount | None
    unknown: tuple[str, ...] = ()


class Estimates(Noun):
    """All files, and whether they are over a budget; ``usd`` is the sum of what is known of one run each.

    Attributes:
        is_over_budget: None where what is known is not over it, and something is not known.
    """

    estimates: tuple[Estimate, ...]
    usd: Amount | None
    budget_usd: Amount | None = None
    is_over_budget: bool | None = False

    @property
    def verdict(self) -> str:
        """What to say of the budget."""
        if self.is_over_budget is not None:
            return "over" if self.is_over_budget else "not over"
        lacking = len(lacking_tasks(self.estimates))
        who = "1 task is" if lacking == 1 else f"{lacking} tasks are"
        return f"not over by what is known; {who} not, or not wholly, in the sum"


def lacking_tasks(estimates: Sequence[Estimate]) -> list[TaskEstimate]:
    """Tasks whose dollars no sum has, or only those of one of their instances."""
    return [task for one in estimates for task in one.tasks if task.usd is None or task.instances is None]


def _executors(task: TaskEstimate) -> str:
    if task.executors_max is None:
        return UNKNOWN
    least = task.executors_min
    return count(task.executors_max) if least in (None, task.executors_max) else f"{least} to {task.executors_max}"


def _cells(task: TaskEstimate) -> tuple[str, ...]:
    hour = f"{usd(task.usd_per_hour_min)} to {usd(task.usd_per_hour_max)}"
    took = f"{duration(task.past.seconds_p50)} / {duration(task.past.seconds_p95)}"
    return (
        _executors(task),
        hour if task.usd_per_hour_max is not None else UNKNOWN,
        f"{took} ({task.past.runs})" if task.past.runs else UNKNOWN,
        usd(task.usd_min),
        usd(task.usd),
        usd(task.usd_max),
    )


_HEADS = ("Task", "Executors", "USD per hour", "p50 / p95 (runs)", "USD at least", "Expected", "At most")


def print_tables(result: Estimates) -> None:
    """A table a pipeline on standard output, and what is not known."""
    out = console()
    for one in result.estimates:
        table = Table(
            title=f"Estimate of {one.pipeline}, rate card {one.rate_card}", title_justify="left", show_footer=True
        )
        feet = ("One run", "", "", "", usd(one.usd_min), usd(one.usd), usd(one.usd_max))
        for number, (head, foot) in enumerate(zip(_HEADS, feet, strict=True)):
            table.add_column(head, footer=foot, justify="right" if number else "left", no_wrap=bool(number))
        for task in one.tasks:
            table.add_row(Name(task.task_id), *_cells(task))
        print_table(out, table)
        if one.usd_per_month is not None:
            month = f"{usd(one.usd_per_month)} USD a month expected, {usd(one.usd_per_month_max)} at most"
            out.print(f"{one.runs_per_month} runs in 30 days: {month}.", highlight=False)
        for why in _whys(one):
            out.print(f"Not known: {why}", highlight=False, soft_wrap=True)
    if result.budget_usd is not None:
        out.print(f"Budget {usd(result.budget_usd)} USD: {result.verdict}.")


def _whys(one: Estimate) -> list[str]:
    return [*one.unknown, *(f"{task.task_id}: {why}" for task in one.tasks for why in task.unknown)]


def markdown_lines(result: Estimates) -> list[str]:
    """A table a pipeline; names cannot break out of their cells."""
    lines = ["### Estimated cost"]
    for one in result.estimates:
        place = f" in {one.environment}" if one.environment else ""
        lines += ["", f"**{_plain(one.pipeline)}**{place}, rate card {one.rate_card}", ""]
        lines += [f"| {' | '.join(_HEADS)} |", f"|{' --- |' * len(_HEADS)}"]
        lines += [f"| {' | '.join((f'`{_plain(task.task_id)}`', *_cells(task)))} |" for task in one.tasks]
        lines.append(f"| **one run** | | | | {usd(one.usd_min)} | **{usd(one.usd)}** | {usd(one.usd_max)} |")
        if one.usd_per_month is not None:
            month = f"{usd(one.usd_per_month)} USD expected, {usd(one.usd_per_month_max)} at most"
            lines += ["", f"{one.runs_per_month} runs in 30 days: {month}."]
        if whys := _whys(one):
            lines += ["", "Not known:", "", *(f"* {_plain(why)}" for why in whys)]
    if result.budget_usd is not None:
        verdict = "**over**" if result.is_over_budget else result.verdict
        lines += ["", f"Budget of {usd(result.budget_usd)} USD for one run: {verdict}."]
    return lines


def _plain(text: str) -> str:
    """Text that no Markdown table or HTML of a pull request takes for its own."""
    found = "".join(f"\\{letter}" if letter in "|`*_[]" else letter for letter in text)
    return found.replace("<", "&lt;").replace("\n", " ")
