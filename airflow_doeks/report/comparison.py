"""Two reports beside each other: what a line cost then and now."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from airflow_doeks.model.noun import Amount, Noun
from airflow_doeks.report.totals import By, Report, Total


class Days(Noun):
    """Days of submission (UTC), both included; ``since`` None is the ledger's first."""

    since: date | None
    until: date


class Change(Noun):
    """A line of two reports; dollars are None where no job of that time has a known cost, and 0 where there was none.

    Attributes:
        ratio: now by then; None where one is unknown or nothing was spent then.
    """

    key: str
    jobs_before: int
    jobs: int
    unpriced_before: int
    unpriced: int
    usd_before: Amount | None
    usd: Amount | None
    usd_change: Amount | None
    ratio: float | None


class Comparison(Noun):
    """Lines by how much they changed, the largest change first."""

    by: By
    before: Days
    now: Days
    lines: tuple[Change, ...]
    total: Change


def compared(before: Report, now: Report, days_before: Days, days: Days) -> Comparison:
    """Lines of either report, each with the other's where that has one."""
    old = {line.key: line for line in before.lines}
    new = {line.key: line for line in now.lines}
    changes = (_change(key, old.get(key, Total(key=key)), new.get(key, Total(key=key))) for key in sorted({*old, *new}))
    lines = sorted(changes, key=lambda one: abs(one.usd_change or Decimal(0)), reverse=True)
    total = _change("total", before.total, now.total)
    return Comparison(by=now.by, before=days_before, now=days, lines=tuple(lines), total=total)


def _change(key: str, before: Total, now: Total) -> Change:
    old, new = before.usd, now.usd
    return Change(
        key=key,
        jobs_before=before.jobs,
        jobs=now.jobs,
        unpriced_before=before.unpriced,
        unpriced=now.unpriced,
        usd_before=old,
        usd=new,
        usd_change=None if old is None or new is None else new - old,
        ratio=float(new / old) if old and new is not None else None,
    )
