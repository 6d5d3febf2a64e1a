"""What Airflow refuses when it builds or runs a DAG, told by lint with its place."""

from __future__ import annotations

import pytest

from airflow_doeks.language import check_file

LONG = "a" * 90


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # TypeError in each instance: unmappable or already specified argument
        (
            "tasks: {t: {uses: bash, with: {bash_command: a}, expand: [{bash_command: b}]}}\n",
            ["DK222 bash_command stands under `with`, too"],
        ),
        (
            "tasks: {t: {uses: bash, with: {bash_command: a}, expand: {cross: {bash_command: [b]}}}}\n",
            ["DK222 bash_command stands under `with`, too"],
        ),
        (
            "tasks: {t: {uses: bash, expand: [{bash_command: b, retries: 2}]}}\n",
            ["DK222 retries is not set under `expand`"],
        ),
        (
            "tasks: {t: {trigger: {pipeline: p, conf: {a: 1}}, expand: [{a: 2}]}}\n",
            ["DK227 each item of expand is the conf of its run"],
        ),
        # ValueError: Setup tasks must be followed with trigger rule ALL_SUCCESS.
        (
            "tasks: {s: {uses: empty, role: setup}, t: {uses: empty, needs: [s], trigger_rule: all_done}}\n",
            ['DK226 what "s" sets up runs when all succeeded; its trigger_rule cannot be chosen'],
        ),
        ("tasks: {s: {uses: empty, role: setup}, t: {uses: empty, needs: [s], trigger_rule: all_success}}\n", []),
        ("tasks: {s: {uses: empty, role: setup}, t: {uses: empty, needs: [s], role: teardown}}\n", []),
        # validate_key and TAG_MAX_LEN
        (
            f"tasks: {{{LONG}: {{tasks: {{{LONG}: {{tasks: {{{LONG}: {{uses: empty}}}}}}}}}}}}\n",
            ["DK110 an id of 272 characters, groups' included; Airflow keeps 250"],
        ),
        (
            f"tags: [b, {LONG}{LONG}]\ntasks: {{t: {{uses: empty}}}}\n",
            ["DK110 a tag of 180 characters; Airflow keeps 100"],
        ),
    ],
)
def test_what_airflow_would_refuse_is_told_before(project, text, found):
    """A pipeline that lints clean is built, and its instances get their arguments."""
    assert [f"{one.code} {one.message}" for one in check_file(project.pipeline(text)) if one.is_error] == found


def test_a_path_longer_than_a_dag_id_is_told(project):
    """Airflow keeps 250 characters of the id that a path gives."""
    (fault,) = check_file(project.pipeline("tasks: {t: {uses: empty}}\n", f"{LONG}/{LONG}/{LONG}"))
    assert (fault.code, fault.message) == ("DK224", "a DAG id of 272 characters; Airflow keeps 250")


@pytest.mark.parametrize(
    ("operator", "near"),
    [
        ("airflow.operators.bash.BashOperator", "airflow.providers.standard.operators.bash.BashOperator"),
        ("airflow.providers.apache.spark.operators.spark_submit.SparkSubmitOperator", None),
        ("airflow.providers.standard.operators.python.PythonOperator", None),
    ],
)
def test_only_a_class_of_nearly_that_name_is_meant(project, operator, near):
    """An operator that is not allowed is not taken for one of another name in a folder of the same name."""
    project.write("doeks.yaml", "platforms: {laptop: {type: local}}\n")
    found = [
        one for one in check_file(project.pipeline(f"tasks: {{t: {{uses: {operator}}}}}\n")) if one.code == "DK305"
    ]
    assert [one.help.startswith("did you mean") for one in found] == [near is not None]
    assert near is None or near in found[0].help


@pytest.mark.parametrize("task", ["needs: [1]", "needs: [[]]", "inlets: [1]", "reads: [true]"])
def test_an_item_that_is_refused_is_told_once(project, task):
    """No check speaks of what stands in for it."""
    found = check_file(project.pipeline(f"tasks: {{a: {{uses: empty, {task}}}, b: {{uses: empty}}}}\n"))
    assert [one.code for one in found] == ["DK105"]


@pytest.mark.parametrize("job", ["presets: [1]", "py_files: [1]", "files: [{}]"])
def test_an_item_of_a_job_that_is_refused_is_told_once(project, job):
    """Neither a preset nor a file is looked for in its place."""
    text = f"tasks: {{a: {{platform: laptop, spark: {{main: ../jobs/clean.py, {job}}}}}}}\n"
    assert [one.code for one in check_file(project.pipeline(text))] == ["DK105"]
