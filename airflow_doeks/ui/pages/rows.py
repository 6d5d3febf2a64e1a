"""Sums as rows of a table: the same columns on every page that adds entries up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from airflow_doeks.report.entry import Entry
from airflow_doeks.report.spending import Sum, Total
from airflow_doeks.ui import cells
from airflow_doeks.ui.blocks import Cell, Column, Fact, Facts, Table

WASTE = "Dollars of failed jobs, and of Spark tasks that had to be done again, as far as they are known."
FAILED = "Jobs that ended without success, cancelled ones among them."
VCPU_HOURS = "vCPUs requested times the hours that pods held them, of jobs whose usage is known."
ROWS = "Of outputs whose rows are known; ? where none is."


def sums_table(key: str, title: str, name: str, total: Total, href: Callable[[str], str] | None = None) -> Table:
    """A row a key, dearest first, and the total below."""
    rows = [_row(one, total.whole, href) for one in total.by_key]
    return Table(
        key,
        title,
        (
            Column(name),
            Column("USD", is_number=True, hint="Of all tries whose cost is known."),
            Column("Share", is_number=True, hint="Of the dollars of the whole table."),
            Column("Waste, USD", is_number=True, hint=WASTE),
            Column("Jobs", is_number=True, hint="One for every try that submitted one."),
            Column("Failed", is_number=True, hint=FAILED),
            Column("No price", is_number=True, hint="Jobs whose cost is not known; they add no dollars."),
            Column("Rows written", is_number=True, hint=ROWS),
            Column("vCPU-hours", is_number=True, hint=VCPU_HOURS),
        ),
        rows,
        total=_row(total.whole, total.whole, None) if rows else (),
        empty="No job in this time.",
    )


def _row(one: Sum, whole: Sum, href: Callable[[str], str] | None) -> Sequence[Cell]:
    return (
        Cell(one.key, href=href(one.key) if href and not one.key.startswith("(") else ""),
        cells.usd(one.spent),
        cells.share(one.usd / whole.usd if whole.usd and one.spent is not None else None),
        cells.usd(one.waste),
        cells.count(one.jobs),
        cells.count(one.failed),
        cells.count(one.unpriced),
        cells.count(one.rows),
        cells.hours(one.vcpu_seconds),
    )


def sum_facts(title: str, whole: Sum, more: Sequence[Fact] = ()) -> Facts:
    """The figures of all of some entries; ``more`` stand behind what was spent."""
    no_price = "1 job has no price and is not in it." if whole.unpriced == 1 else ""
    if whole.unpriced > 1:
        no_price = f"{whole.unpriced:,} jobs have no price and are not in it."
    facts = [
        Fact("Cost, USD", cells.usd(whole.spent), no_price or "Of all tries."),
        Fact("of which waste, USD", cells.usd(whole.waste), WASTE),
        *more,
        Fact("Jobs", cells.count(whole.jobs), "One for every try that submitted one."),
        Fact("Failed", Cell(str(whole.failed), sort=whole.failed, tone="bad" if whole.failed else ""), FAILED),
        Fact("vCPU-hours", cells.hours(whole.vcpu_seconds), VCPU_HOURS),
        Fact("Rows written", cells.count(whole.rows), ROWS),
    ]
    return Facts(title, facts)


def rows_of(entries: Sequence[Entry], name: str) -> int | None:
    """Rows of all ``inputs`` or ``outputs`` of some entries; None where none is known."""
    known = [flow.rows for entry in entries for flow in getattr(entry, name) if flow.rows is not None]
    return sum(known) if known else None
