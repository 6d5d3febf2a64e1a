"""Names in narrow tables: broken between their words, and never cut."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from airflow_doeks.cli.names import Name


@pytest.mark.parametrize(
    ("name", "width", "lines"),
    [
        ("flights_with_weather", 30, ["flights_with_weather"]),
        ("flights_with_weather", 13, ["flights_with_", "weather"]),
        ("flights_with_weather", 5, ["fligh", "ts_", "with_", "weath", "er"]),
        ("s3://lake/clean/flights", 12, ["s3://lake/", "clean/", "flights"]),
        ("a, b.c-d", 4, ["a, ", "b.c-", "d"]),
        ("", 4, [""]),
    ],
)
def test_a_name_is_broken_behind_what_separates_its_words(name: str, width: int, lines: list[str]) -> None:
    """A word is broken only where no line of that width holds it."""
    assert Name(name).lines(width) == lines


@given(st.text("ab_/-. ", max_size=40), st.integers(1, 20))
def test_nothing_of_a_name_is_lost_and_no_line_is_too_long(name: str, width: int) -> None:
    """Whatever the name and the width."""
    lines = Name(name).lines(width)
    assert "".join(lines) == name
    assert all(len(line.rstrip()) <= width for line in lines)


def test_a_table_gives_a_name_the_room_that_its_figures_leave() -> None:
    """Figures stay whole; the name takes as many lines as it needs."""
    output = Console(file=io.StringIO(), width=30)
    table = Table("Dataset", box=None)
    table.add_column("Rows", justify="right", no_wrap=True)
    table.add_row(Name("/lake/orders/by_day_and_customer"), "1,000,000,000")
    output.print(table)
    assert output.file.getvalue().split() == [  # type: ignore[attr-defined]
        "Dataset",
        "Rows",
        "/lake/orders/",
        "1,000,000,000",
        "by_day_and_",
        "customer",
    ]
