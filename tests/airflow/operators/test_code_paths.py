"""No file of the worker but the project's own reaches a job, whatever a path says once it is rendered."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_doeks import compat
from airflow_doeks.attempt.attempt import TaskAttempt
from airflow_doeks.model.engine import ENGINES, SPARK
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.job import SparkJob
from airflow_doeks.operators.job import SparkJobOperator
from airflow_doeks.platforms.registry import TYPES

PRIVATE = "password of the database"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A DAG folder with a project of ours beside a file that is nobody's business."""
    files = {
        "dags/other/secret.sql": PRIVATE,
        "dags/sales/doeks.yaml": "platforms: {}\n",
        "dags/sales/pipelines/sql/q.sql": "select '{{ params.x }}'",
        "dags/sales/pipelines/sql/shared.sql": "{% include 'sales/pipelines/sql/q.sql' %}",
        "dags/sales/pipelines/sql/curious.sql": "{% include 'other/secret.sql' %}",
        "dags/sales/pipelines/sql/linked.sql": "{% include 'sales/pipelines/link.sql' %}",
        "dags/sales/pipelines/sql/imported.sql": "{% import 'other/secret.sql' as s %}{{ s }}",
        "dags/sales/pipelines/latin.sql": "",
    }
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "dags/sales/pipelines/link.sql").symlink_to(tmp_path / "dags/other/secret.sql")
    (tmp_path / "dags/sales/pipelines/latin.sql").write_bytes("select 'é'".encode("latin-1"))
    return tmp_path


def read(home: Path, x: str, **job: Any) -> Any:
    """The job of a task of the project after Airflow rendered it with a parameter that whoever starts it chose."""
    with compat.DAG(dag_id="d", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)) as dag:
        operator = SparkJobOperator(
            task_id="t",
            job=job or {"sql": "{{ params.x }}"},
            platform={"name": "laptop", "type": "local"},
            folder="sales/pipelines",
            source={"": "p.yaml:2:3", "spark.sql": "p.yaml:3:10"},
        )
    dag.fileloc = str(home / "dags/pipelines.py")
    context: Any = {"params": {"x": x}, "home": str(home)}
    operator.job = operator.render_template(operator.job, context)
    return TaskAttempt(operator, context)._read_job()


@pytest.mark.parametrize(
    "path",
    [
        "{home}/dags/other/secret.sql",
        "../../other/secret.sql",
        "link.sql",
        "sql/../../../other/secret.sql",
        "file:{home}/dags/other/secret.sql",
        "FILE:///{home}/dags/other/secret.sql",
        "/proc/self/environ",
        "",
        "q.sql\0",
    ],
)
def test_a_rendered_path_stays_in_the_project(home, path):
    """What a parameter makes of `sql` is held to the same rule as what is written, and refused by name and place."""
    with pytest.raises(SpecError) as told:
        read(home, path.format(home=home))
    assert str(told.value).startswith("p.yaml:3:10: sql: ")
    assert PRIVATE not in str(told.value)


@pytest.mark.parametrize("key", ["main", "jars", "files", "py_files", "archives"])
def test_every_key_that_names_a_file_is_held_to_it(home, key):
    """A rendered `files`, `jars` or `main` reaches no other file either."""
    value: Any = "{{ params.x }}"
    job = {"main": "sql/q.sql", key: value if key == "main" else [value]}
    with pytest.raises(SpecError, match="is outside the project"):
        read(home, "../../other/secret.sql", **job)


@pytest.mark.parametrize("name", ["curious", "imported", "linked"])
def test_a_template_includes_only_files_of_the_project(home, name):
    """`include` and `import` of Jinja stop at the project's border, in a SQL file and in a value of the job."""
    with pytest.raises(SpecError, match="is outside the project"):
        read(home, "1", sql=f"sql/{name}.sql")
    text = (home / f"dags/sales/pipelines/sql/{name}.sql").read_text()
    with pytest.raises(SpecError, match="is outside the project"):
        read(home, "1", main="sql/q.sql", args=[text])


def test_what_is_in_the_project_is_read_and_rendered(home):
    """A rendered path to the project's own SQL, and an include of another file of it, work as before."""
    assert read(home, "sql/q.sql").sql_text == "select 'sql/q.sql'"
    assert read(home, "1", sql="sql/shared.sql").sql_text == "select '1'"
    assert read(home, "s3://code/q.sql").sql == "s3://code/q.sql"


def test_a_sql_file_that_is_not_utf_8_is_told_with_its_place(home):
    """A file in another encoding is the author's fault, named with the line of the YAML."""
    with pytest.raises(SpecError, match=r"^p.yaml:3:10: sql: .*latin.sql is not UTF-8"):
        read(home, "latin.sql")


class Careful(SparkJob):
    """What a trial engine runs."""

    care: int = 1


def test_a_job_is_read_as_its_engine_describes_it(home, monkeypatch):
    """The model of a rendered job is that of its engine's row."""
    trial = replace(SPARK, noun=f"{__name__}:Careful")
    monkeypatch.setitem(ENGINES, SPARK.name, trial)
    monkeypatch.setattr(SparkJobOperator, "engine", trial)
    monkeypatch.setitem(TYPES, "local", replace(TYPES["local"], engines=frozenset({trial})))
    assert read(home, "", main="s3://code/a.py", care="{{ params.x or 3 }}").care == 3
