"""An engine is one row: compiler, lint, schema, docs and DAG builder know it, and no file is touched."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from airflow_doeks.cli import main
from airflow_doeks.language import check_file, compile_file
from airflow_doeks.model.engine import ENGINES
from airflow_doeks.platforms.registry import EMBEDDED, TYPES
from tests.fakes.generators import generators
from tests.fakes.trial_engine import TRIAL, TrialOperator, check_job

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
    yield from generators(tmp_path, monkeypatch)


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
        ("DK216", '"spot" is a preset of Spark, not of Trial'),
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
    assert builder.operator_class(plan.tasks[0]) is TrialOperator
