"""Values set in a YAML file by their places: everything else stays, comments too."""

from __future__ import annotations

import pytest

from airflow_doeks.language.patching import with_value
from airflow_doeks.language.text import parse
from airflow_doeks.model.errors import SpecError

MEMORY, MAX = ("tasks", "t", "spark", "executors", "memory"), ("tasks", "t", "spark", "executors", "max")
PRESETS = ("tasks", "t", "spark", "presets")

BLOCK = """\
# the day's orders
tasks:
  t:
    spark:  # a job
      main: a.py
      executors:
        memory: 16Gi  # too much, says Ann
        max: "20"
"""


def patched(text: str, path: tuple[str, ...], value: str) -> str:
    """The text with one value."""
    return with_value(parse(text.encode(), "p.yaml"), path, value)


def test_a_value_is_replaced_where_it_stands() -> None:
    """Its comment and its neighbours stay; quotes are part of the value."""
    assert patched(BLOCK, MEMORY, "5Gi") == BLOCK.replace("16Gi", "5Gi")
    assert patched(BLOCK, MAX, "8") == BLOCK.replace('"20"', "8")


@pytest.mark.parametrize(
    ("before", "path", "value", "after"),
    [
        ("      executors: {max: 4}\n", MEMORY, "5Gi", "      executors: {max: 4, memory: 5Gi}\n"),
        ("      executors: {}\n", MEMORY, "5Gi", "      executors: {memory: 5Gi}\n"),
        ("      executors:\n        max: 4 # four\n", MEMORY, "5Gi", None),
        ("      main: b.py\n", MEMORY, "5Gi", "      executors: {memory: 5Gi}\n      main: b.py\n"),
        ("      main: b.py\n", PRESETS, "[graviton]", "      presets: [graviton]\n      main: b.py\n"),
        ("      presets: [spot]\n", PRESETS, "graviton", "      presets: [spot, graviton]\n"),
        ("      presets: []\n", PRESETS, "graviton", "      presets: [graviton]\n"),
        ("      presets:\n        - spot # cheap\n", PRESETS, "graviton", None),
    ],
)
def test_what_is_missing_is_written_in_the_style_that_is_there(
    before: str, path: tuple[str, ...], value: str, after: str | None
) -> None:
    """Braces and brackets get one more entry, blocks one more line before the first."""
    head = "tasks:\n  t:\n    spark:\n"
    lines = {
        MEMORY: "      executors:\n        memory: 5Gi\n        max: 4 # four\n",
        PRESETS: "      presets:\n        - graviton\n        - spot # cheap\n",
    }
    assert patched(head + before, path, value) == head + (lines[path] if after is None else after)


def test_a_task_on_one_line_is_patched_in_its_braces() -> None:
    """The comma of an anchor's neighbour and the comment behind it stay."""
    text = "tasks: {t: {spark: {main: a.py, executors: {memory: 16Gi}}}} # short\n"
    assert patched(text, MEMORY, "5Gi") == text.replace("16Gi", "5Gi")
    assert patched(text, PRESETS, "[spot]") == text.replace("16Gi}}", "16Gi}, presets: [spot]}")


@pytest.mark.parametrize(
    "text",
    [
        "x: &big {memory: 16Gi}\ntasks: {t: {spark: {executors: *big}}}\n",
        "tasks: {t: {spark: {executors: [1]}}}\n",
        "tasks: {t: 5}\n",
    ],
)
def test_what_others_share_or_is_something_else_is_left_alone(text: str) -> None:
    """An anchor's value is another task's, too; a list has no memory."""
    with pytest.raises(SpecError, match=r"p\.yaml: tasks\.t"):
        patched(text, MEMORY, "5Gi")


def test_non_ascii_text_before_it_moves_nothing() -> None:
    """Places count characters."""
    text = BLOCK.replace("the day's orders", "Aufträge — 注文")
    assert patched(text, MEMORY, "5Gi") == text.replace("16Gi", "5Gi")
