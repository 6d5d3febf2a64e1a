"""Tables on terminals that are too narrow for them: lines end between words, and nothing is lost."""

from __future__ import annotations

from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.table import Column, Table

from airflow_doeks.cli.names import Name

_LEAST_OF_A_NAME = 12  # a name is broken within a word before a figure is
_WIDE = 10_000  # where nothing has to be broken


class _Span(NamedTuple):
    """How wide a column is by itself, with its head in several lines, and with its figures too."""

    natural: int
    heads_broken: int
    words: int


def print_table(console: Console, table: Table) -> None:
    """Print a table: where it is too wide names take more lines, then heads, then figures, which end between words.

    A terminal that is too narrow even then breaks the lines itself.
    """
    wide = console.options.update(width=_WIDE)
    spans = [_span(console, wide, column) for column in table.columns]
    widths = [span.natural for span in spans]
    frame = console.measure(table, options=wide).maximum - sum(widths)
    names_first = sorted(range(len(spans)), key=lambda number: not _holds_names(table.columns[number]))
    for floors in ([span.heads_broken for span in spans], [span.words for span in spans]):
        for number in names_first:
            excess = max(0, frame + sum(widths) - console.width)
            widths[number] = max(floors[number], widths[number] - excess)
    if widths != [span.natural for span in spans]:
        for column, width in zip(table.columns, widths, strict=True):
            column.width, column.no_wrap = width, False
    before = console.width
    console.width = max(before, frame + sum(widths))
    console.print(table)
    console.width = before


def _span(console: Console, options: ConsoleOptions, column: Column) -> _Span:
    figures: list[RenderableType] = [*column.cells, column.footer]
    head = Measurement.get(console, options, column.header)
    found = [Measurement.get(console, options, one) for one in figures]
    natural = max(one.maximum for one in (head, *found))
    words = max(one.minimum for one in (head, *found))
    if _holds_names(column):
        least = min(words, _LEAST_OF_A_NAME)
        return _Span(natural, least, least)
    return _Span(natural, max(head.minimum, *(one.maximum for one in found)), words)


def _holds_names(column: Column) -> bool:
    return any(isinstance(cell, Name) for cell in column.cells)
