"""The table of checks: each row is a function from facts to findings, and none is forgotten."""

from __future__ import annotations

import inspect
from pathlib import Path

from airflow_doeks.language import checks
from airflow_doeks.language.diagnostics import Finding
from airflow_doeks.model.engine import load

MODULES = {name.partition(":")[0] for _, name in checks.CHECKS}


def functions(module: str) -> set[str]:
    """Public functions of a module of checks that give findings."""
    found = vars(__import__(f"{checks.__name__}.{module}", fromlist=["_"]))
    return {
        f"{module}:{name}"
        for name, one in found.items()
        if inspect.isfunction(one)
        and one.__module__.endswith(f".{module}")
        and one.__annotations__.get("return") == f"list[{Finding.__name__}]"
        and not name.startswith("_")
    }


def test_every_row_is_a_function_of_facts():
    """A row names a function that takes the facts of a pipeline or of a task and gives findings."""
    for of, name in checks.CHECKS:
        (argument,) = inspect.signature(load(f"{checks.__name__}.{name}")).parameters.values()
        assert argument.annotation == ("PipelineFacts" if of.startswith("pipeline") else "Facts"), name


def test_no_check_is_left_out_of_the_table():
    """A function that gives findings is a row; doeks.yaml has a room of its own."""
    files = {file.stem for file in Path(checks.__file__).parent.glob("*.py")} - {"__init__", "project"}
    assert files == MODULES
    assert {name for _, name in checks.CHECKS} == set().union(*map(functions, MODULES))
