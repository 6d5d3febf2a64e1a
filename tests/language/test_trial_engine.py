"""An engine is one row: compiler, lint, schema, docs and DAG builder know it, and no file is touched."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from airflow_doeks.cli import main
from airflow_doeks.language import check_file, compile_file, rules
from airflow_doeks.model.engine import ENGINES
from airflow_doeks.platforms.registry import EMBEDDED, TYPES
from tests.fakes.trial_engine import TRIAL, TrialOperator, check_job

TOOLS = Path(__file__).parents[2] / "tools"
GOOD = """\
defaults: {trial: {args: [a], worker: {cpu: 2}}}
tasks:
  t:
    platform: laptop
    trial: {script: ../jobs/clean.py, presets: [careful], conf: {mode: full}}
"""


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """The generators as `make` runs them, with the row of a trial engine that platform type local runs and checks."""
    monkeypatch.setitem(ENGINES, TRIAL.name, TRIAL)
    row = TYPES[EMBEDDED]
    monkeypatch.setitem(TYPES, EMBEDDED, replace(row, engines=row.engines | {TRIAL}, checks=check_job.__module__))
    monkeypatch.syspath_prepend(str(TOOLS))
    names = ("language", "project_language", "write_schema", "write_reference")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    write_schema = importlib.import_module("write_schema")
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    for name in write_schema.FILES:
        (schemas / f"{name}.schema.json").write_text(write_schema.render(name), "utf-8")
    monkeypatch.setattr(rules, "HERE", schemas)
    forget()
    yield {name: importlib.import_module(name) for name in names}
    for name in names:
        sys.modules.pop(name, None)
    forget()


def forget() -> None:
    """Read the schemas anew."""
    rules.schema.cache_clear()
    rules.rule_of.cache_clear()


def test_the_compiler_makes_a_plan_of_it(project, tools):
    """Defaults and the task merge into the job of the new engine."""
    file = project.pipeline(GOOD)
    compiled = compile_file(file)
    assert [str(one) for one in compiled.diagnostics] == []
    (task,) = compiled.plan.tasks
    assert (task.kind, task.platform["name"]) == ("trial", "laptop")
    assert task.job["args"] == ["a"]
    assert task.job["conf"] == {"mode": "full"}
    assert task.source["trial.worker.cpu"].endswith("p.yaml:1:45")


def test_lint_checks_it_by_its_row(project, tools):
    """Unknown keys, files, presets, quantities, properties and platforms are told as for every engine."""
    project.pipeline(
        "tasks:\n"
        "  nothing: {platform: laptop, trial: {scrip: jobs/clean.py}}\n"
        "  wrong: {platform: laptop, trial: {script: ../jobs/no.py, presets: [spot], worker: {cpu: 0m},"
        " conf: {x: y}}}\n"
        "  elsewhere: {platform: lake, trial: {script: ../jobs/clean.py}}\n"
    )
    result = CliRunner().invoke(main, ["lint", "pipelines", "--format", "json"])
    assert result.exit_code == 1, result.output
    found = [(one["code"], one["message"]) for one in json.loads(result.output)]
    assert found == [
        ("DK104", 'unknown key "scrip" in trial'),
        ("DK212", '"../jobs/no.py" does not exist'),
        ("DK216", 'there is no preset "spot"'),
        ("DK210", "0m is no CPU at all"),
        ("DK217", "x is not a property of trials"),
        ("DK209", 'platform "lake" (emr_on_eks) runs spark, not trial'),
    ]
    assert check_file(project.pipeline("tasks: {t: {platform: laptop, trial: {args: [a]}}}"))[0].message == (
        "the job has no script, which is what is run"
    )


def test_the_docs_tell_of_it(tools):
    """The generated reference has the engine's task and job."""
    page = tools["write_reference"].yaml_page()
    assert "### TrialTask" in page
    assert "| `script` | string or null |  | What is tried." in page
    assert "Of `trial`: `careful`." in page


def test_the_dag_builder_finds_its_operator(project, tools):
    """The operator behind a task is the row's."""
    builder = pytest.importorskip("airflow_doeks.dag_builder")
    plan = compile_file(project.pipeline(GOOD)).plan
    assert builder.operator_class(plan.tasks[0], plan) is TrialOperator
