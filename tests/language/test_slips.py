"""What lint knows of other tools and of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from airflow_doeks.language import check_file
from airflow_doeks.language.rules import schema

PACKAGE = Path(__file__).parents[2] / "airflow_doeks"
SLIPS = yaml.safe_load((PACKAGE / "language" / "slips.yaml").read_text("utf-8"))
KNOWN = {
    name
    for kind in ("pipeline", "doeks")
    for node in (schema(kind), *schema(kind)["$defs"].values())
    for name in node.get("properties", ())
}
CANARY = "import pathlib\npathlib.Path(__file__).with_name('was-run').touch()\nclass DaySensor: ...\n"


@pytest.mark.parametrize("slip", SLIPS)
def test_what_a_slip_is_answered_with_exists(slip):
    """Each row leads to a key that the language has."""
    row = SLIPS[slip]
    assert set(row if isinstance(row, dict) else [row]) <= KNOWN


def test_an_operator_is_looked_for_and_never_imported(project):
    """A class in the project's plugins is found by its file; a package that would run code is not run."""
    project.write("plugins/acme/__init__.py", CANARY)
    project.write("plugins/acme/sensors/day.py", CANARY)
    uses = ["acme.sensors.day.DaySensor", "acme.sensors.day.NightSensor", "acme.sensors.hour.HourSensor"]
    tasks = "".join(f"  t{number}: {{uses: {name}}}\n" for number, name in enumerate(uses))
    found = check_file(project.pipeline(f"tasks:\n{tasks}"))
    assert [(one.code, one.message) for one in found] == [
        ("DK242", 'module acme.sensors.day has no class "NightSensor"'),
        ("DK242", "there is no module acme.sensors.hour here"),
    ]
    assert list(project.path.rglob("was-run")) == []


def test_a_secret_is_not_repeated_by_its_diagnostic(project):
    """The excerpt masks what lint warns of: a CI's log is read by more people than the repository."""
    text = "tasks: {t: {platform: lake, spark: {main: ../jobs/clean.py, env: {DB_PASSWORD: hunter2}}}}\n"
    (found,) = check_file(project.pipeline(text))
    assert found.code == "DK241"
    assert "hunter2" not in found.text() + found.github() + str(found.to_json())
    assert "DB_PASSWORD: ***" in found.text()


@pytest.mark.parametrize(
    ("job", "shown"),
    [
        ("secrets: {DB_PASSWORD: hunter2}", "secrets: {DB_PASSWORD: ***"),
        ("secrets: {db: hunter2}", "secrets: {db: ***}"),
        ("env: {DB_PASSWORD: [hunter2]}", "env: {DB_PASSWORD: ***"),
        ("env: {DB_PASSWORD: ['a hunter2', 'hunter2']}", "env: {DB_PASSWORD: ***"),
        ("env: {DB_PASSWORD: a hunter2, X: y}", "env: {DB_PASSWORD: ***, X: y}"),
        ("secrets: {db: {k8s: acme/db}}, memory: 4Gi", "secrets: {db: {k8s: acme/db}}"),
        ("env: {A: 'x: {y: ', PASSWORD: 'a: {b: hunter2'}", "env: {A: 'x: {y: ', PASSWORD: '***'}"),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated_either(project, job, shown):
    """Neither in words nor in the excerpt; where a secret is kept is shown."""
    text = f"tasks: {{t: {{platform: lake, spark: {{main: ../jobs/clean.py, {job}}}}}}}\n"
    found = check_file(project.pipeline(text))
    told = "".join(one.text() + str(one.to_json()) for one in found)
    assert found
    assert "hunter2" not in told
    assert shown in told


@pytest.mark.parametrize(
    "value",
    [
        "a hunter2, hunter2",
        "['a hunter2',\n          hunter2]",
        "\n          - a hunter2\n          - hunter2",
        "\n        - a hunter2",
        "|\n          a hunter2",
        "a\n          hunter2",
    ],
)
def test_no_line_of_a_secret_is_shown(project, value):
    """However many words and lines it has, beside its own fault and beside the next one's."""
    head = "tasks:\n  t:\n    platform: lake\n    spark:\n      main: ../jobs/clean.py\n      env:\n"
    found = check_file(project.pipeline(f"{head}        DB_PASSWORD: {value}\n        B: [shown]\n"))
    told = "".join(one.text() for one in found)
    assert "hunter2" not in told
    assert "B: [shown]" in told


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("{python: {file: ../jobs/clean.py, function: main, args: {db: {password: hunter2}}}}", "password"),
        ("{uses: bash, with: {bash_command: run, env: {API_TOKEN: hunter2}}}", "API_TOKEN"),
        ("{uses: a.b.C, with: {op_kwargs: {db_password: hunter2}}}", "db_password"),
        ("{uses: a.b.C, with: {op_args: [--password, hunter2]}}", "password"),
        ("{uses: a.b.C, expand: [{token: hunter2}]}", "token"),
        ("{uses: a.b.C, with: {url: 'postgresql://u:hunter2@db/x'}}", "url"),
        ("{trigger: {pipeline: other, conf: {secret: hunter2}}}", "secret"),
    ],
)
def test_a_secret_of_any_task_is_found(project, task, message):
    """Arguments of functions and operators at any depth, as of jobs; what is printed shows none of it."""
    project.write("jobs/clean.py", "def main(db=None): ...\n")
    found = [one for one in check_file(project.pipeline(f"tasks: {{t: {task}}}\n")) if one.code == "DK241"]
    assert [one.message for one in found] == [f"{message} holds a secret in plain text"]
    assert "hunter2" not in found[0].text() + str(found[0].to_json())
    assert "conn.NAME.password" in found[0].text()


@pytest.mark.parametrize(
    "value",
    [
        "{{ conn.db.password }}",
        "$DB_PASSWORD",
        "/run/secrets/db",
        "arn:aws:ssm:us-east-1:1:parameter/db",
        "true",
    ],
)
def test_where_a_secret_is_kept_is_no_secret(project, value):
    """A template, a variable, a path and an ARN under a secret's name are references."""
    job = f"{{main: ../jobs/clean.py, env: {{DB_PASSWORD: '{value}'}}, args: ['--password', '{value}']}}"
    assert check_file(project.pipeline(f"tasks: {{t: {{platform: lake, spark: {job}}}}}\n")) == []


@pytest.mark.parametrize(
    "expression",
    [
        "{{ params.get('x') }}",
        "{{ params.x | default(1) }}",
        "{% if params.x is defined %}{% endif %}",
        "{{ dag_run.conf.params.x }}",
        "{{ ti.xcom_pull(task_ids=params.get('t')) }}",
        "{{ ti.xcom_pull(dag_id='other', task_ids='x') }}",
        "{{ ti.xcom_pull(key='x') }}",
    ],
)
def test_what_may_be_missing_and_what_is_computed_is_left_alone(project, expression):
    """A read that stands a missing parameter, and a task id that only the run knows, give no diagnostic."""
    assert check_file(project.pipeline(f'tasks: {{t: {{uses: bash, with: {{bash_command: "{expression}"}}}}}}\n')) == []
