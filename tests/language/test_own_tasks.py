"""Functions, other pipelines and datasets that a task names: what stands in the plan, and what is read as text."""

from __future__ import annotations

import pytest

from airflow_doeks.language import check_file, compile_file


def test_a_function_its_inputs_and_what_is_mapped_stand_in_the_plan(project):
    """Inputs and outputs are full ids and edges; lists that are zipped or crossed are items already."""
    text = """\
tasks:
  g:
    tasks:
      days: {python: {file: ../jobs/days.py, function: list_days}}
      each:
        expand: {zip: {day: {task: days}}}
        python: {file: ../jobs/days.py, function: list_days, inputs: {since: days}}
  pairs: {expand: {cross: {a: [1, 2], b: [x]}}, map_name: "{{ ti.map_index }}", uses: empty}
  both: {expand: {zip: {a: [1, 2], b: [x, y]}}, python: {file: ../jobs/days.py, function: list_days}}
"""
    compiled = compile_file(project.pipeline(text))
    assert [one.code for one in compiled.diagnostics] == ["DK222"] * 2, "empty takes no arguments"
    text = text.replace("uses: empty", "uses: bash").replace("{a: [1, 2], b: [x]}", "{bash_command: [a, b], cwd: [/]}")
    compiled = compile_file(project.pipeline(text))
    assert compiled.diagnostics == ()
    days, each, pairs, both = compiled.plan.tasks
    assert days.operator == "airflow_doeks.operators.function.FunctionOperator"
    assert days.arguments == {"file": "../jobs/days.py", "function": "list_days", "op_kwargs": {}}
    assert (each.inputs, each.needs) == ({"since": "g.days"}, ("g.days",))
    assert each.expand == {"zip": {"day": {"task": "g.days"}}}
    assert pairs.expand == [{"bash_command": "a", "cwd": "/"}, {"bash_command": "b", "cwd": "/"}]
    assert pairs.map_name == "{{ ti.map_index }}"
    assert both.expand == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_other_pipelines_and_datasets_become_operators_of_airflow(project):
    """A pipeline may be named by its path; who waits holds no worker."""
    text = """\
tasks:
  start: {trigger: {pipeline: sales/daily, conf: {day: "{{ ds }}"}, wait: true}}
  after: {wait_for: {pipeline: sales/daily, task: g.clean, offset: 1d, timeout: 6h}}
  there: {wait_for: {dataset: "s3://raw/orders/{{ ds }}", every: 5m}}
"""
    project.pipeline("tasks: {t: {uses: empty}}", "sales/daily")
    start, after, there = compile_file(project.pipeline(text)).plan.tasks
    assert start.arguments == {
        "trigger_dag_id": "sales.daily",
        "conf": {"day": "{{ ds }}"},
        "wait_for_completion": True,
        "deferrable": True,
    }
    assert (after.arguments["external_dag_id"], after.arguments["external_task_id"]) == ("sales.daily", "g.clean")
    assert (after.arguments["execution_delta"].days, after.arguments["timeout"]) == (1, 21600.0)
    assert (after.arguments["mode"], there.arguments["mode"]) == ("reschedule", "reschedule")
    assert there.operator == "airflow_doeks.sensors.dataset.DatasetSensor"
    assert (there.arguments["dataset"], there.arguments["poke_interval"]) == ("s3://raw/orders/{{ ds }}", 300.0)


@pytest.mark.parametrize("text", [b"def f(:", b"\xff\xfe", b"x = " + b"(" * 5000, b"\0"])
def test_a_file_that_is_no_python_is_told(project, text):
    """Whatever stands in it is one diagnostic of the task that names it."""
    project.write("jobs/broken.py", text)
    found = check_file(project.pipeline("tasks: {t: {python: {file: ../jobs/broken.py, function: f}}}"))
    assert [one.code for one in found] == ["DK250"]
    assert "cannot be read as Python" in found[0].message


def test_without_leave_no_function_is_called(project):
    """The platform team's allow-list also holds for functions."""
    project.write("doeks.yaml", "policies: {allowed_uses: [bash]}")
    found = check_file(project.pipeline("tasks: {t: {branch: {file: ../jobs/days.py, function: list_days}}}"))
    assert [one.code for one in found] == ["DK305"]


def test_a_function_may_come_from_another_module_or_stand_in_a_branch(project):
    """Names that a file imports or defines in `if` and `try` are its functions, too; what is nowhere is told."""
    project.write(
        "pipelines/many.py", "from days import listed\ntry:\n    def f(a): ...\nexcept OSError:\n    f = None\n"
    )
    text = "tasks: {a: {python: {file: many.py, function: listed, args: {x: 1}}}, "
    text += "b: {python: {file: many.py, function: f}}}"
    assert check_file(project.pipeline(text)) == []
    (fault,) = check_file(project.pipeline("tasks: {a: {python: {file: many.py, function: nowhere}}}"))
    assert fault.code == "DK250"
    project.write("pipelines/many.py", "from days import *\n")
    assert check_file(project.pipeline("tasks: {a: {python: {file: many.py, function: nowhere}}}")) == []


@pytest.mark.parametrize(
    ("task", "code"),
    [
        (f"trigger: {{pipeline: {'a' * 400}}}", "DK251"),
        ("wait_for: {dataset: 's3://['}", "DK252"),
        (f"python: {{file: {'a' * 400}.py, function: f}}", "DK212"),
    ],
)
def test_what_no_disk_and_no_url_can_hold_is_told_in_its_place(project, task, code):
    """A name that is too long and a URI that is none are faults of the file."""
    (fault,) = check_file(project.pipeline(f"tasks: {{t: {{{task}}}}}\n"))
    assert (fault.code, fault.place.line) == (code, 1)
