"""A table as CSV: exact values, every row."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

from airflow_doeks.ui.blocks import Cell, Table

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(table: Table) -> str:
    """The table with a head; dollars with all their digits, times in UTC, what is unknown empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([column.name for column in table.columns])
    writer.writerows([[_value(cell) for cell in row] for row in table.rows])
    return out.getvalue()


def _value(cell: Cell) -> str:
    if isinstance(cell.sort, Decimal):
        return format(cell.sort, "f")
    if cell.sort is not None and not isinstance(cell.sort, str):
        return str(cell.sort)
    text = cell.text if cell.sort is None else cell.sort
    if text == "?":
        return ""
    return f"'{text}" if text.startswith(_FORMULA) else text  # a spreadsheet would run it
