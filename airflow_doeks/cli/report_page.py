"""The report as one HTML file: the page of data costs as Airflow shows it, with nothing to load and nowhere to go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from airflow_doeks.model.record import JobRecord
from airflow_doeks.report import By, Report
from airflow_doeks.report.entry import entry_of
from airflow_doeks.ui import cells
from airflow_doeks.ui.blocks import Block, Cell, Column, Notice, Table
from airflow_doeks.ui.html import render_alone
from airflow_doeks.ui.pages.costs import Filters, costs_page

_TABLES: dict[By, str] = {"pipeline": "pipelines", "dataset": "datasets", "team": "teams", "platform": "platforms"}
_DEAREST = 20


def page(records: Sequence[JobRecord], asked: Report, *, ledger: str, now: datetime) -> str:
    """The whole page, the grouping that was asked for before the others. Same arguments, same bytes."""
    entries = [entry_of(record) for record in records]
    days = [entry.at.date() for entry in entries if entry.at] or [now.date()]
    costs = costs_page(entries, Filters(min(days), max(days)))
    first = costs.table(_TABLES.get(asked.by, "")) or _by_time(asked)
    facts, *others = (block for block in costs.blocks if block is not first)
    blocks: list[Block] = [facts, first, *others, _jobs(records), _notes(records)]
    about = f"{len(records):,} jobs in {ledger}, {now:%Y-%m-%d %H:%M} UTC"
    return render_alone(replace(costs, title="Cost of data pipelines", subtitle=about, blocks=blocks))


def _by_time(asked: Report) -> Table:
    """A row a day or minute."""
    rows = [
        (
            Cell(line.key),
            cells.count(line.jobs),
            cells.count(line.failed),
            cells.count(line.unpriced),
            cells.hours(None if line.vcpu_hours is None else line.vcpu_hours * 3600),
            cells.usd(line.usd_waste),
            cells.usd(line.usd),
            cells.share(line.share),
        )
        for line in asked.lines
    ]
    heads = ("Jobs", "Failed", "No price", "vCPU-hours", "Waste, USD", "USD", "Share")
    columns = (Column(asked.by.capitalize()), *(Column(name, is_number=True) for name in heads))
    return Table(asked.by, f"By {asked.by}", columns, rows)


def _jobs(records: Sequence[JobRecord]) -> Table:
    dearest = sorted(records, key=lambda record: record.cost.usd_total or Decimal(-1), reverse=True)[:_DEAREST]
    rows = [
        (
            Cell(record.attempt.dag_id),
            Cell(cells.task_name(record.attempt.task_id, record.attempt.map_index)),
            Cell(record.attempt.run_id),
            Cell(str(record.attempt.try_number)),
            Cell(record.job.platform),
            cells.state(record.job.state),
            cells.text(record.cost.confidence),
            cells.usd(record.cost.usd_waste),
            cells.usd(record.cost.usd_total),
        )
        for record in dearest
    ]
    names = ("Pipeline", "Task", "Run", "Try", "Platform", "State", "Confidence")
    columns = (
        *(Column(name) for name in names),
        Column("Waste, USD", is_number=True),
        Column("USD", is_number=True),
    )
    return Table("jobs", f"Dearest {_DEAREST} jobs" if len(records) > _DEAREST else "Jobs", columns, rows)


def _notes(records: Sequence[JobRecord]) -> Notice:
    """How the numbers were made, and what is not in them."""
    cards = sorted({record.cost.rate_card for record in records if record.cost.rate_card})
    priced_as = sorted({record.cost.priced_as for record in records if record.cost.priced_as})
    whys = sorted({record.cost.why_unknown for record in records if record.cost.why_unknown})
    lines = [f"Rate cards: {', '.join(cards)}." if cards else "No rate card."]
    if priced_as:
        lines.append(f"Some jobs are priced as if they had run on {', '.join(priced_as)}.")
    return Notice("soft", "Notes", [*lines, *(f"Not known: {why}" for why in whys)])
