"""A job minute by minute: dollars, and executors held; from its detail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from airflow_doeks.ui import cells
from airflow_doeks.ui.blocks import Block, Cell, Chart, Column, Series, Table

_MINUTE = timedelta(minutes=1)
_MOST = 1440  # minutes that are drawn and listed one by one; a longer job is shown by larger steps


def minute_blocks(detail: Mapping[str, Any]) -> Sequence[Block]:
    """Two charts over one table; nothing where the detail has no minutes."""
    spent = _dollars(detail.get("minutes", ()))
    if not spent:
        return ()
    step = timedelta(minutes=-(-len(spent) // _MOST))
    spans = _spans(spent, step)
    held = _held(detail.get("pods", ()), [at for at, _ in spans], step)
    times = [at for at, _ in spans]
    per = "minute" if step == _MINUTE else f"{step // _MINUTE} minutes"
    rows = [
        (cells.moment(at), cells.usd(usd), cells.text(number)) for (at, usd), number in zip(spans, held, strict=True)
    ]
    heads = (
        Column(f"From (a {per})" if step == _MINUTE else f"From (steps of {per})"),
        Column("USD", is_number=True),
        Column("Executors held", is_number=True, hint="Executor pods that were there at some moment of it."),
    )
    table = Table("minutes", f"By {per}", heads, [(a, b, Cell(c.text, sort=None)) for a, b, c in rows], is_folded=True)
    charts = [
        Chart(
            "usd-minutes",
            f"USD per {per}",
            "bars",
            (Series("USD", times, [usd for _, usd in spans]),),
            "USD",
            "minutes",
        )
    ]
    if any(held):
        charts.append(
            Chart(
                "held-minutes", "Executors held", "lines", (Series("executors", times, held),), "executors", "minutes"
            )
        )
    return (*charts, table)


def _dollars(runs: Sequence[Mapping[str, Any]]) -> list[tuple[datetime, Decimal]]:
    """Dollars by minute, without gaps."""
    found: dict[datetime, Decimal] = {}
    for run in runs:
        since = datetime.fromisoformat(run["since"])
        for index in range(int(run["minutes"])):
            at = since + index * _MINUTE
            found[at] = found.get(at, Decimal(0)) + Decimal(run["usd_per_minute"])
    if not found:
        return []
    first, last = min(found), max(found)
    return [
        (at, found.get(at, Decimal(0)))
        for at in (first + index * _MINUTE for index in range((last - first) // _MINUTE + 1))
    ]


def _spans(spent: Sequence[tuple[datetime, Decimal]], step: timedelta) -> list[tuple[datetime, Decimal]]:
    width = step // _MINUTE
    return [
        (spent[index][0], sum((usd for _, usd in spent[index : index + width]), Decimal(0)))
        for index in range(0, len(spent), width)
    ]


def _held(pods: Sequence[Mapping[str, Any]], times: Sequence[datetime], step: timedelta) -> list[int]:
    """Executors that were there in each span; one without an end was there to the last."""
    lives = [
        (datetime.fromisoformat(pod["started"]), datetime.fromisoformat(pod["ended"]) if pod.get("ended") else None)
        for pod in pods
        if pod.get("role") == "executor" and pod.get("started")
    ]
    return [sum(1 for start, end in lives if start < at + step and (end is None or end > at)) for at in times]
