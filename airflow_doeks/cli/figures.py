"""Numbers on a terminal: the words of `report.figures` and a console that is wide enough for them."""

from __future__ import annotations

from typing import IO

from rich.console import Console

from airflow_doeks.report.figures import UNKNOWN, count, decimal, duration, hours, percent, size, usd

__all__ = ["UNKNOWN", "console", "count", "decimal", "duration", "hours", "percent", "size", "usd"]
_PIPED_WIDTH = 150  # a pipe has no width; the widest table fits


def console(file: IO[str] | None = None) -> Console:
    """Standard output or a file, wide enough when it is not a terminal; square brackets and :words: are text."""
    out = Console(file=file, markup=False, emoji=False)
    return out if out.is_terminal else Console(file=file, markup=False, emoji=False, width=_PIPED_WIDTH)
