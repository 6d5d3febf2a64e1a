"""Sums as rows of a table: the same columns on every page that adds entries up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from airflow_doeks.report.entry import Entry
from airflow_doeks.report.spending import Sum, Total
from airflow_doeks.ui import cells
from airflow_doeks.ui.blocks import Cell, Column, Fact, Facts, Table

WASTE = "Dollars of failed jobs, and of Spark tasks that had to be done again."


def sums_table(key: str, title: str, name: str, total: Total, href: Callable[[str], str] | None = None) -> Table:
    """A row a key, dearest first, and the total below."""
    rows = [_row(one, total.whole, href) for one in total.by_key]
    return Table(
        key,
        title,
        (
            Column(name),
            Column("USD", is_number=True),
            Column("Share", is_number=True),
            Column("Waste, USD", is_number=True, hint=WASTE),
            Column("Jobs", is_number=True),
            Column("Failed", is_number=True),
            Column("No price", is_number=True, hint="Jobs whose cost is not known; they add no dollars."),
            Column("Rows written", is_number=True),
            Column("vCPU-hours", is_number=True),
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


def sum_facts(title: str, whole: Sum) -> Facts:
    """The figures of all of some entries."""
    facts = [
        Fact("Cost, USD", cells.usd(whole.spent), f"{whole.unpriced} jobs have no price." if whole.unpriced else ""),
        Fact("of which waste, USD", cells.usd(whole.waste), WASTE),
        Fact("Jobs", cells.count(whole.jobs)),
        Fact("Failed", Cell(str(whole.failed), sort=whole.failed, tone="bad" if whole.failed else "")),
        Fact("vCPU-hours", cells.hours(whole.vcpu_seconds)),
        Fact("Rows written", cells.count(whole.rows)),
    ]
    return Facts(title, facts)


def rows_of(entries: Sequence[Entry], name: str) -> int | None:
    """Rows of all ``inputs`` or ``outputs`` of some entries; None where none is known."""
    known = [flow.rows for entry in entries for flow in getattr(entry, name) if flow.rows is not None]
    return sum(known) if known else None
