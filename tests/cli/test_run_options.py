"""What `doeks run` can be asked for, and what it says of what it cannot do."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import click
import pytest

from airflow_doeks.cli.run_options import capacity, moment, part_of, values
from airflow_doeks.language import compile_file
from airflow_doeks.model.plan import Plan

PIPELINE = """\
schedule: null
params: {day: monday}
tasks:
  fetch: {uses: empty}
  clean: {uses: empty, needs: [fetch]}
  count: {uses: empty, needs: [fetch, clean]}
  other: {uses: empty}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Four tasks, three of them in a row."""
    file = tmp_path / "p.yaml"
    file.write_text(PIPELINE, encoding="utf-8")
    compiled = compile_file(file)
    assert compiled.plan is not None, compiled.diagnostics
    return compiled.plan


def shape(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Tasks and what they need."""
    return {task.task_id: task.needs for task in plan.tasks}


def test_one_task_runs_without_what_it_needs(plan: Plan) -> None:
    """`--task` takes what the task needs as done."""
    assert shape(part_of(plan, "count", None)) == {"count": ()}


def test_from_a_task_on_runs_all_that_comes_after_it(plan: Plan) -> None:
    """`--from` keeps the order among them and leaves out the rest."""
    assert shape(part_of(plan, None, "clean")) == {"clean": (), "count": ("clean",)}
    assert part_of(plan, None, None) is plan


@pytest.mark.parametrize(
    ("task", "start", "said"),
    [
        ("cuont", None, "the pipeline has no task 'cuont': did you mean \"count\"?"),
        (None, "xyz", "the pipeline has no task 'xyz': it has fetch, clean, count, other"),
        ("clean", "count", "--task runs one task, --from a task and all after it; give one of them"),
    ],
)
def test_a_task_that_is_not_there_is_a_line(plan: Plan, task: str | None, start: str | None, said: str) -> None:
    """With what was meant, or what there is."""
    with pytest.raises(click.UsageError) as refused:
        part_of(plan, task, start)
    assert refused.value.message == said


def test_a_mapped_task_runs_only_with_what_it_is_mapped_over(tmp_path: Path) -> None:
    """Its instances are the items that another task gives; the line names the way."""
    file = tmp_path / "p.yaml"
    file.write_text(
        "schedule: null\ntasks:\n  list: {uses: empty}\n"
        "  each: {spark: {main: a.py}, platform: local, expand: {task: list}}\n",
        encoding="utf-8",
    )
    (tmp_path / "a.py").touch()
    compiled = compile_file(file)
    assert compiled.plan is not None, compiled.diagnostics
    with pytest.raises(click.UsageError, match="run it with --from list"):
        part_of(compiled.plan, "each", None)
    assert [task.task_id for task in part_of(compiled.plan, None, "list").tasks] == ["list", "each"]


def test_values_are_yaml(plan: Plan) -> None:
    """Numbers are numbers; a param that is declared goes before the conf's."""
    found = values(plan, ["day=tuesday"], ["n=3", "day=x", "names=[a, b]", "at=2026-01-31"])
    assert found == {"day": "tuesday", "n": 3, "names": ["a", "b"], "at": "2026-01-31"}


@pytest.mark.parametrize(
    ("params", "conf", "said"),
    [
        (["dya=x"], [], "the pipeline has no param 'dya': did you mean \"day\"?"),
        ([], ["n"], "--conf n: expected KEY=VALUE"),
        ([], ["n=[1"], "--conf n=[1: the value is no YAML"),
    ],
)
def test_a_value_that_cannot_be_used_is_a_line(plan: Plan, params: list[str], conf: list[str], said: str) -> None:
    """Before anything starts."""
    with pytest.raises(click.UsageError) as refused:
        values(plan, params, conf)
    assert refused.value.message.startswith(said)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("2026-13-45", "month must be in 1..12"),
        ("{2026-01-01: 1}", "keys must be str, int, float, bool or None, not datetime.date"),
        ("&x [*x]", "Circular reference detected"),
        ("[" * 5000, "maximum recursion depth exceeded"),
    ],
)
def test_a_value_that_no_json_holds_is_a_line(plan: Plan, value: str, said: str) -> None:
    """A run's conf is JSON: a date that is none, a date as a key, a list in itself, one that is too deep."""
    with pytest.raises(click.UsageError) as refused:
        values(plan, [], [f"a={value}"])
    assert refused.value.message.startswith(f"--conf a={value}: the value is no JSON: {said}")


def test_a_date_is_in_the_timezone_of_the_pipeline() -> None:
    """Unless it names one of its own."""
    assert moment("2026-01-31", "Europe/Berlin") == datetime(2026, 1, 30, 23, tzinfo=timezone.utc)
    assert moment("2026-01-31T03:00+01:00", "UTC") == datetime(2026, 1, 31, 2, tzinfo=timezone.utc)
    with pytest.raises(click.UsageError, match="expected a date or time such as 2026-01-31"):
        moment("yesterday", "UTC")


def test_every_machine_holds_a_task() -> None:
    """However small it is."""
    assert capacity() >= 1
