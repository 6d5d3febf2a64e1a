"""Values of a record as cells: figures with a key to sort by, times, datasets, links to the other pages."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from urllib.parse import urlencode

from airflow_doeks.model.noun import meant
from airflow_doeks.model.status import JobState
from airflow_doeks.report import figures
from airflow_doeks.report.sla import seconds_between as seconds_between  # noqa: PLC0414 - a word of the pages, too
from airflow_doeks.ui.blocks import Cell, Tone

ZERO = Decimal(0)
TONES: dict[JobState, Tone] = {
    JobState.SUCCEEDED: "good",
    JobState.FAILED: "bad",
    JobState.LOST: "bad",
    JobState.CANCELLED: "warn",
    JobState.STALLED: "warn",
}


def text(value: object, *, tone: Tone = "", href: str = "") -> Cell:
    """Any text; what is unknown is a question mark."""
    return Cell(figures.UNKNOWN if value is None else str(value), tone=tone, href=href)


def usd(amount: Decimal | None, *, tone: Tone = "") -> Cell:
    """Dollars."""
    return Cell(figures.usd(amount), sort=amount, tone=tone)


def count(number: int | None) -> Cell:
    """A whole number."""
    return Cell(figures.count(number), sort=number)


def average(number: float | None) -> Cell:
    """A number that need not be whole, to two places."""
    return Cell(figures.UNKNOWN if number is None else f"{number:,.2f}", sort=number)


def size(number: int | None) -> Cell:
    """Bytes."""
    return Cell(figures.size(number), sort=number)


def hours(seconds: Decimal | None) -> Cell:
    """Resource-hours of resource-seconds."""
    value = None if seconds is None else seconds / 3600
    return Cell(figures.decimal(value, 4 if value is not None and value < 1 else 2), sort=value)


def duration(seconds: float | None) -> Cell:
    """A span of time; CSV holds seconds."""
    return Cell(figures.duration(seconds), sort=seconds)


def share(part: Decimal | float | None) -> Cell:
    """A share of 0 to 1, with a bar."""
    value = None if part is None else float(part)
    return Cell(figures.percent(part), sort=value, bar=value)


def moment(at: datetime | None) -> Cell:
    """A time: UTC in the text, the reader's zone in the browser."""
    if at is None:
        return Cell(figures.UNKNOWN)
    return Cell(f"{at:%Y-%m-%d %H:%M:%S} UTC", sort=at.isoformat(), moment=at)


def state(value: JobState) -> Cell:
    """A job's state in lower case."""
    return Cell(value.value.lower(), tone=TONES.get(value, ""))


def link(page: str, **query: object) -> str:
    """The address of another page, relative, so that it holds wherever Airflow is mounted."""
    return f"{page}?{urlencode({key: str(value) for key, value in query.items() if value not in (None, '')})}"


def task_name(task_id: str, map_index: int) -> str:
    """A task id with the index of a mapped task."""
    return task_id if map_index < 0 else f"{task_id}[{map_index}]"


def money(value: object) -> Decimal | None:
    """Dollars of a detail or a bill, which are plain JSON; None for what is no amount."""
    try:
        return None if value is None else meant(Decimal(str(value)))
    except (ArithmeticError, ValueError):
        return None
