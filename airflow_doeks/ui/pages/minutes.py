"""A job minute by minute: dollars, vCPUs that its executors held and that Spark tasks kept busy; from its detail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from airflow_doeks.model.engine import SPARK
from airflow_doeks.ui import cells
from airflow_doeks.ui.blocks import Block, Chart, Column, Series, Table

_MINUTE = timedelta(minutes=1)
_MOST = 1440  # minutes that are drawn and listed one by one; a longer job is shown by larger steps
_HELD = (
    "vCPUs that its executors requested, on average over the time of a row; of a job without executors its driver's."
)
_BUSY = (
    "vCPUs on which Spark tasks ran, on average: each stage's slot time spread evenly from its submission to its "
    "completion. Stages that did not complete are not in it."
)


@dataclass(frozen=True)
class _Span:
    """A stretch of a job's life, with averages over it."""

    at: datetime
    usd: Decimal
    executors: int | None
    held: float | None
    busy: float | None


def minute_blocks(detail: Mapping[str, Any]) -> Sequence[Block]:
    """Two charts over one table; a single minute is no chart, and without minutes there is nothing."""
    spent = _dollars(detail.get("minutes", ()))
    if not spent:
        return ()
    step = timedelta(minutes=-(-len(spent) // _MOST))
    spans = _spans(detail, spent, step)
    per = "minute" if step == _MINUTE else f"{step // _MINUTE} minutes"
    charts = _charts(spans, per) if len(spans) > 1 else ()
    return (*charts, _table(spans, f"By {per}", f"From (steps of {per})" if step > _MINUTE else "From (a minute)"))


def _charts(spans: Sequence[_Span], per: str) -> Iterator[Chart]:
    times = [span.at for span in spans]
    usd = Series("USD", times, [span.usd for span in spans])
    yield Chart("usd-minutes", f"USD per {per}", "bars", (usd,), "USD", "minutes")
    held = Series("held", times, [span.held for span in spans])
    busy = Series("busy", times, [span.busy for span in spans])
    if lines := [series for series in (held, busy) if any(series.y)]:
        title = f"vCPUs {' and '.join(series.name for series in lines)}"
        yield Chart("cpu-minutes", title, "lines", lines, "vCPUs", "minutes")


def _table(spans: Sequence[_Span], title: str, first: str) -> Table:
    heads = (
        Column(first),
        Column("USD", is_number=True),
        Column("Executors held", is_number=True, hint="Executor pods that were there at some moment of it."),
        Column("vCPUs held", is_number=True, hint=_HELD),
        Column("vCPUs busy", is_number=True, hint=_BUSY),
    )
    rows = [
        (
            cells.moment(span.at),
            cells.usd(span.usd),
            cells.count(span.executors),
            cells.average(span.held),
            cells.average(span.busy),
        )
        for span in spans
    ]
    return Table("minutes", title, heads, rows, is_folded=True)


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


def _spans(detail: Mapping[str, Any], spent: Sequence[tuple[datetime, Decimal]], step: timedelta) -> list[_Span]:
    width = step // _MINUTE
    times = [spent[index][0] for index in range(0, len(spent), width)]
    pods = [pod for pod in detail.get("pods", ()) if pod.get("started")]
    executors = [pod for pod in pods if pod.get("role") == "executor"]
    lives = [(*_life(pod, times[-1] + step), float(pod.get("vcpu") or 0)) for pod in executors or pods]
    there = [sum(start < at + step and end > at for start, end, _ in lives) if executors else None for at in times]
    held = _averages(times, step, lives) if all(pod.get("vcpu") for pod in executors or pods) and lives else None
    busy = _averages(times, step, _work(detail)) if detail.get("stages") else None
    return [
        _Span(
            at,
            sum((usd for _, usd in spent[number * width : (number + 1) * width]), Decimal(0)),
            there[number],
            held[number] if held else None,
            busy[number] if busy else None,
        )
        for number, at in enumerate(times)
    ]


def _life(pod: Mapping[str, Any], last: datetime) -> tuple[datetime, datetime]:
    """From a pod's start to its end; one without an end was there to the last."""
    start = datetime.fromisoformat(pod["started"])
    return start, datetime.fromisoformat(pod["ended"]) if pod.get("ended") else max(start, last)


def _work(detail: Mapping[str, Any]) -> list[tuple[datetime, datetime, float]]:
    """Start, end and busy vCPUs of each stage that completed."""
    cores = float(detail.get(SPARK.name, {}).get("cores_per_task") or 1)
    found = []
    for stage in detail["stages"]:
        if stage.get("started") and stage.get("ended"):
            start, end = datetime.fromisoformat(stage["started"]), datetime.fromisoformat(stage["ended"])
            end = max(end, start + timedelta(milliseconds=1))
            found.append((start, end, cores * stage["slot_ms"] / 1000 / (end - start).total_seconds()))
    return found


def _averages(
    times: Sequence[datetime], step: timedelta, levels: Sequence[tuple[datetime, datetime, float]]
) -> list[float]:
    """The sum of some levels, each from a start to an end, on average over every span."""
    sums = [0.0] * len(times)
    for start, end, level in levels:
        first = max(0, (start - times[0]) // step)
        for number in range(first, min(len(times), (end - times[0]) // step + 1)):
            inside = min(end, times[number] + step) - max(start, times[number])
            sums[number] += level * max(0.0, inside / step)
    return sums
