"""Answers of `doeks report` as tables of a terminal and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from rich.table import Table

from airflow_doeks.cli.figures import UNKNOWN, count, decimal, duration, percent, usd
from airflow_doeks.cli.names import Name
from airflow_doeks.model.noun import Noun
from airflow_doeks.report import Report, Total
from airflow_doeks.report.comparison import Change, Comparison
from airflow_doeks.report.sla import SPANS, Sla
from airflow_doeks.report.totals import WHOLE
from airflow_doeks.report.upstream import Upstream

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def report_table(result: Report) -> Table:
    """A line a key, the total below."""
    heads = ["Jobs", "Failed", "vCPU-h", "GiB-h", "USD", "Waste", "Share"]
    lines = [(line.key, *_cells(line)) for line in result.lines]
    foot = ("Total", *_cells(result.total)[:-1], "")
    if any(0 < line.unpriced < line.jobs for line in result.lines):  # else a line's ? says it, or the note below
        heads.append("No price")
        lines = [(*cells, count(line.unpriced)) for cells, line in zip(lines, result.lines, strict=True)]
        foot = (*foot, count(result.total.unpriced))
    if result.total.estimate_usd is not None and result.by in WHOLE:  # a job that was not estimated has no part in it
        heads.append("Estimate / actual")
        lines = [(*cells, _ratio(line)) for cells, line in zip(lines, result.lines, strict=True)]
        foot = (*foot, _ratio(result.total))
    return _table(f"Cost by {result.by}", (result.by.capitalize(), *heads), lines, foot)


def _ratio(line: Total) -> str:
    """How the estimates of those that had one were to what they cost."""
    if line.estimate_usd is None or not line.usd_of_estimated:
        return UNKNOWN
    return f"{line.estimate_usd / line.usd_of_estimated:.2f}"


def _cells(line: Total) -> tuple[str, ...]:
    share = "" if line.share is None and line.usd is not None else percent(line.share)
    hours = decimal(line.vcpu_hours), decimal(line.memory_gib_hours)
    return count(line.jobs), count(line.failed), *hours, usd(line.usd), usd(line.usd_waste), share


def comparison_table(result: Comparison) -> Table:
    """What a line cost in the days before and in those that were asked for."""
    before, now = (f"{days.since or 'first'} to {days.until}" for days in (result.before, result.now))
    return _table(
        f"Cost by {result.by}: {before}, then {now}",
        (result.by.capitalize(), "Jobs before", "Jobs", "USD before", "USD", "Change", "Ratio"),
        (_changed(line.key, line) for line in result.lines),
        _changed("Total", result.total),
    )


def _changed(key: str, line: Change) -> tuple[str, ...]:
    change = usd(line.usd_change)
    sign = "+" if line.usd_change and line.usd_change > 0 else ""
    ratio = (
        UNKNOWN if line.usd is None or line.usd_before is None else "new" if line.ratio is None else f"{line.ratio:.2f}"
    )
    return key, count(line.jobs_before), count(line.jobs), usd(line.usd_before), usd(line.usd), sign + change, ratio


def comparison_notes(result: Comparison) -> list[str]:
    """What is in no sum of a comparison."""
    total = result.total
    if not total.unpriced_before and not total.unpriced:
        return []
    then, now = (
        f"{unpriced} of {jobs} jobs"
        for unpriced, jobs in ((total.unpriced_before, total.jobs_before), (total.unpriced, total.jobs))
    )
    return [f"{then} then and {now} now have no known cost and are not in the sums."]


def sla_notes(result: Sla) -> list[str]:
    """Of how many jobs which wait is not known, and so in no figure."""
    jobs = sum(line.jobs for line in result.lines)
    lacking = {name: sum(line.unknown.get(name, 0) for line in result.lines) for name, _, _ in SPANS}
    told = ", ".join(f"{name} of {number}" for name, number in lacking.items() if number)
    return [f"Not known, and in no figure: {told} of {jobs} jobs."] if told else []


def sla_table(result: Sla) -> Table:
    """How long half and 95 of 100 jobs waited, started and ran."""
    heads = [f"{name} {part}" for name in ("Queue", "Start", "Run") for part in ("p50", "p95")]
    rows = (
        (
            line.key,
            count(line.jobs),
            count(line.out_of_time),
            *(duration(seconds) for seconds in (line.queue_seconds_p50, line.queue_seconds_p95)),
            *(duration(seconds) for seconds in (line.start_seconds_p50, line.start_seconds_p95)),
            *(duration(seconds) for seconds in (line.run_seconds_p50, line.run_seconds_p95)),
        )
        for line in result.lines
    )
    return _table(f"Waits by {result.by}", (result.by.capitalize(), "Jobs", "Out of time", *heads), rows)


def upstream_table(result: Upstream) -> Table:
    """What a dataset cost by what it was made from."""
    rows = (
        (source.dataset, usd(source.usd), percent(source.share), usd(source.usd_share)) for source in result.sources
    )
    head = ("Dataset", "USD", "Share", "USD of the share")
    return _table(f"What {result.dataset} cost", head, rows, ("Total", "", "", usd(result.usd)))


def datasets_table(results: Iterable[Upstream]) -> Table:
    """All datasets, each with what it cost itself and with everything upstream."""
    rows = (
        (one.dataset, usd(one.usd_own), usd(one.usd), count(len(one.sources) - 1), count(len(one.unknown)))
        for one in results
    )
    head = ("Dataset", "USD of itself", "With everything upstream", "Made from", "Unknown")
    return _table("What datasets cost", head, rows)


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], foot: Sequence[str] = ()) -> Table:
    table = Table(title=title, title_justify="left", show_footer=bool(foot))
    for number, (head, cell) in enumerate(zip(heads, foot or ("",) * len(heads), strict=True)):
        if number:
            table.add_column(head, justify="right", footer=cell, no_wrap=True)
        else:
            table.add_column(head, footer=cell)
    for name, *cells in rows:
        table.add_row(Name(name), *cells)
    return table


def csv_text(rows: Iterable[Noun], *, without: Sequence[str] = ()) -> str:
    """A line a noun below a head of its names: dollars with all their digits, what is unknown empty."""
    plain = [row.model_dump(mode="json", exclude=set(without)) for row in rows]
    out = io.StringIO()
    if plain:
        writer = csv.DictWriter(out, list(plain[0]), lineterminator="\r\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in plain)
    return out.getvalue()


def _cell(value: Any) -> Any:
    """A value that no spreadsheet would run: a name that looks like a formula is quoted, a number is one."""
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return " ".join(f"{name}={number}" for name, number in value.items())
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    try:
        Decimal(value)
    except ArithmeticError:
        return f"'{value}"
    return value
