"""No file takes another one with it: what is no mapping is a diagnostic, and so is a bug of ours."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from airflow_doeks.cli import main
from airflow_doeks.language import check_file, check_project, compile_file, compiler

JOB = "tasks: {t: {platform: lake, spark: {main: ../jobs/clean.py, presets: [big]}}}\n"
NOT_A_MAPPING = ["5", "[1, 2]", "[null]", "[{name: dev}]", "text", "${x}", "{dev: 5}", "{dev: null}", "{dev: [a]}"]


@pytest.mark.parametrize("key", ["environments", "platforms", "presets", "policies", "defaults", "rate_card"])
@pytest.mark.parametrize("value", NOT_A_MAPPING)
def test_a_doeks_yaml_of_wrong_shape_is_told_once_and_its_pipelines_are_read(project, key, value):
    """Whatever stands where a mapping belongs has one place in doeks.yaml, for `doeks lint` and for the DAG files."""
    doeks, pipeline = project.write("doeks.yaml", f"{key}: {value}\n"), project.pipeline(JOB)
    (fault,) = check_project(doeks)
    assert (fault.place.line, fault.is_error) == (1, True)
    found = [*check_file(pipeline), *compile_file(pipeline, environment="dev").diagnostics]
    assert fault.code in {"DK104", "DK105", "DK108", "DK213"}
    assert "DK901" not in {one.code for one in found}


@pytest.mark.parametrize("text", ["${x}\n", "[a, b]\n", "5\n"])
def test_a_doeks_yaml_that_is_no_mapping_is_told_once(project, text):
    """The whole file may be a variable, a list or a number."""
    doeks, pipeline = project.write("doeks.yaml", text), project.pipeline(JOB)
    assert len(check_project(doeks)) == 1
    assert compile_file(pipeline).plan is None


@pytest.mark.parametrize("cpu", ["1e16", "0.00001", "1e300"])
def test_a_number_that_python_writes_with_an_exponent_is_cpu(project, cpu):
    """The check of the pod's size reads what the schema took."""
    text = JOB.replace(", presets: [big]", f", executors: {{cpu: {cpu}}}")
    assert {one.code for one in check_file(project.pipeline(text))} <= {"DK401", "DK404"}


@pytest.fixture
def bug(project, monkeypatch):
    """Two pipelines, of which one meets a bug in ours."""
    run = compiler.compiled_document

    def fails(document, setting, dag_id):
        if dag_id == "one":
            raise RuntimeError(dag_id, "lost")
        return run(document, setting, dag_id)

    monkeypatch.setattr(compiler, "compiled_document", fails)
    project.pipeline("tasks: {t: {uses: empty}}\n", "one")
    project.pipeline("tasks: {t: {uses: emtpy}}\n", "two")
    return project


def test_a_bug_is_a_diagnostic_of_the_file_that_met_it(bug, caplog):
    """Its type and text stand in the diagnostic, its traceback in the log; the next file is compiled."""
    (fault,) = compile_file("pipelines/one.yaml").diagnostics
    assert fault.line() == (
        "pipelines/one.yaml:1:1: DK901 a bug of airflow_doeks, not of this file: RuntimeError: ('one', 'lost')"
    )
    assert "Traceback" in caplog.text
    assert [one.code for one in compile_file("pipelines/two.yaml").diagnostics] == ["DK221"]


def test_lint_prints_json_when_it_meets_a_bug(bug):
    """The faults of the other files are told with it."""
    done = CliRunner().invoke(main, ["lint", "--json", "pipelines"])
    assert [one["code"] for one in json.loads(done.stdout)] == ["DK901", "DK221"]
    assert done.exit_code == 1


def test_a_bug_that_doeks_yaml_meets_is_its_own(project, monkeypatch):
    """Also the project's file is one of the files."""
    monkeypatch.setattr("airflow_doeks.language.checks.project.check_variables", lambda _: 1 / 0)
    (fault,) = check_project(project.path / "doeks.yaml")
    assert (fault.code, "ZeroDivisionError" in fault.message) == ("DK901", True)
