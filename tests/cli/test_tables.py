"""Tables on narrow terminals."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from airflow_doeks.cli.names import Name
from airflow_doeks.cli.tables import print_table


def _printed(table: Table, width: int) -> str:
    out = Console(file=io.StringIO(), width=width)
    print_table(out, table)
    return out.file.getvalue()  # type: ignore[attr-defined]


def _table(names: list[str], numbers: list[str]) -> Table:
    table = Table(show_footer=True)
    table.add_column("Task", footer="Total")
    for head in ("Jobs before", "USD at least", "p50 / p95 (runs)", "With everything upstream"):
        table.add_column(head, justify="right", footer="1,234,567.89", no_wrap=True)
    for name, number in zip(names, numbers, strict=False):
        table.add_row(Name(name), number, number, number, number)
    return table


def test_heads_go_on_in_the_next_line_before_a_name_is_lost() -> None:
    """The figures are whole, and so is the name: 80 columns are what most terminals have."""
    assert _printed(_table(["flights_with_weather"], ["0.0123"]), 80).splitlines() == [
        "┏━━━━━━━━━━┳━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━┓",
        "┃          ┃              ┃              ┃    p50 / p95 ┃      With everything ┃",
        "┃ Task     ┃  Jobs before ┃ USD at least ┃       (runs) ┃             upstream ┃",
        "┡━━━━━━━━━━╇━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━┩",
        "│ flights_ │       0.0123 │       0.0123 │       0.0123 │               0.0123 │",
        "│ with_    │              │              │              │                      │",
        "│ weather  │              │              │              │                      │",
        "├──────────┼──────────────┼──────────────┼──────────────┼──────────────────────┤",
        "│ Total    │ 1,234,567.89 │ 1,234,567.89 │ 1,234,567.89 │         1,234,567.89 │",
        "└──────────┴──────────────┴──────────────┴──────────────┴──────────────────────┘",
    ]


@given(
    st.lists(st.text("ab_/-.", min_size=1, max_size=40), min_size=1, max_size=4),
    st.lists(st.sampled_from(["?", "0.0345", "12,345,678,901.23"]), min_size=4, max_size=4),
    st.integers(1, 160),
)
def test_no_figure_is_broken_and_nothing_is_left_out(names: list[str], numbers: list[str], width: int) -> None:
    """Whatever the terminal's width."""
    printed = _printed(_table(names, numbers), width)
    assert "…" not in printed
    for number in numbers[: len(names)]:
        assert printed.count(number) >= 4  # a column each
    first = "".join(line[1:].split("│")[0].strip() for line in printed.splitlines() if line.startswith("│"))
    assert first == "".join(names) + "Total"
