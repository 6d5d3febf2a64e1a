"""`doeks convert` writes pipelines and tells what a person must look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from airflow_doeks.cli import main

SOURCE = """\
sales.daily: {schedule: null, tasks: {a: {operator: airflow.operators.empty.EmptyOperator}}}
other: {schedule: null, tasks: {a: {operator: x.Y}}}
"""
DAILY = """\
# Converted from the dag-factory DAG sales.daily.
schedule: null
tasks:
  a:
    uses: empty
"""


def test_each_dag_is_written_to_the_file_of_its_id(tmp_path):
    """`--out` writes a file a DAG, with its id as path, and never over a file that exists unless told to."""
    source = tmp_path / "old.yml"
    source.write_text(SOURCE)
    command = ["convert", str(source), "--out", str(tmp_path / "pipelines")]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    assert f"{source}: other: a: x.Y must be in `allowed_uses` of doeks.yaml" in done.stderr
    assert (tmp_path / "pipelines" / "sales" / "daily.yaml").read_text() == DAILY
    again = CliRunner().invoke(main, command)
    assert (again.exit_code, "--force" in again.stderr) == (2, True)
    assert CliRunner().invoke(main, [*command, "--force"]).exit_code == 1


def test_without_a_folder_the_pipelines_are_printed(tmp_path):
    """On stdout each pipeline follows the name of the file it belongs in; nothing is written."""
    source = tmp_path / "old.yml"
    source.write_text(SOURCE.splitlines()[0])
    done = CliRunner().invoke(main, ["convert", str(source)])
    assert (done.exit_code, done.stdout) == (0, f"# ---- pipelines/sales/daily.yaml\n{DAILY}\n")
    source.write_text("- nothing")
    done = CliRunner().invoke(main, ["convert", str(source)])
    assert (done.exit_code, "expected dag-factory YAML" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "dag_id", ["'/tmp/doeks-outside/y:'", "../up", "'../../up'", "a/b", "a..b", "'.'", "''", "'a b'"]
)
def test_an_id_that_is_no_path_of_a_pipeline_is_refused(tmp_path, monkeypatch, dag_id):
    """Nothing is written, inside the folder or out of it."""
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "old.yml"
    source.write_text(f"fine: {{schedule: null, tasks: {{}}}}\n{dag_id}: {{schedule: null, tasks: {{}}}}\n")
    done = CliRunner().invoke(main, ["convert", str(source), "--out", "in/pipelines"])
    assert (done.exit_code, "is no path of a pipeline" in done.stderr) == (2, True)
    assert list(tmp_path.rglob("*")) == [source]
    assert not Path("/tmp/doeks-outside").exists()  # noqa: S108 - where the id leads


def test_an_alias_bomb_is_one_line(tmp_path):
    """Nine levels of aliases are refused before they are written out, also where they are merged."""
    source = tmp_path / "old.yml"
    bomb = "".join(f"b{n}: &b{n} {{tasks: [{', '.join([f'*b{n - 1}'] * 9)}]}}\n" for n in range(1, 10))
    merged = "".join(f"b{n}: &b{n} {{<<: [{', '.join([f'*b{n - 1}'] * 9)}]}}\n" for n in range(1, 10))
    for scalar, text in (("x", bomb), ("x", merged), ("x" * 9000, f"b1: {{tasks: [{'*b0, ' * 900}]}}\n")):
        source.write_text(f"b0: &b0 {{tasks: [{scalar}]}}\n{text}")
        done = CliRunner().invoke(main, ["convert", str(source)])
        assert (done.exit_code, done.stdout) == (2, "")
        assert "more than 50,000 values once aliases are expanded" in done.stderr
    source.write_text("a: &a {tasks: [*a]}")
    assert "more than 50,000 values" in CliRunner().invoke(main, ["convert", str(source)]).stderr


@pytest.mark.parametrize(
    ("dag", "said"),
    [
        ("{tasks: 5}", "`tasks` is neither a mapping of mappings nor a list of mappings with `task_id`"),
        ("{tasks: [5]}", "`tasks` is neither"),
        ("{tasks: {a: 5}}", "`tasks` is neither"),
        ("{tasks: [{operator: x}]}", "`tasks` is neither"),
        ("{tasks: {a: {operator: x.Y}}, task_groups: [x]}", "`task_groups` is neither"),
        (
            "{tasks: {a: {operator: x.Y, dependencies: 5}}}",
            "task a is not of dag-factory's shape: `dependencies` is no",
        ),
        ("{tasks: {a: {operator: x.Y, expand: 5}}}", "task a is not of dag-factory's shape"),
        ("{tasks: {a: {operator: x.Y, expand: {b: 5}}}}", "task a is not of dag-factory's shape"),
        ("{tasks: {a: {operator: x.Y, partial: 5}}}", "task a is not of dag-factory's shape"),
        ("{tasks: {a: {operator: x.SparkSubmitOperator, conf: 5}}}", "task a is not of dag-factory's shape"),
        ("{tasks: {}, default_args: 5}", "DAG d is not of dag-factory's shape"),
        ("{tasks: {}, start_date: 2024-13-45}", "month must be in 1..12"),
        ("{tasks: {}, tags: !tag x}", "DAG d is not of dag-factory's shape"),
        (f"{{tasks: {{a: {'[' * 3000}", "nested too deep"),
    ],
)
def test_values_of_another_shape_are_one_line(tmp_path, dag, said):
    """What dag-factory would not take is told with the file and the DAG, never as a traceback."""
    source = tmp_path / "old.yml"
    source.write_text(f"d: {dag}")
    done = CliRunner().invoke(main, ["convert", str(source)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"Error: {source}: " in done.stderr
    assert said in " ".join(done.stderr.split())


def test_an_expansion_that_airflow_would_refuse_is_left_out(tmp_path):
    """Three lists of a thousand are a thousand million tasks; nobody waits for them to be written."""
    source = tmp_path / "old.yml"
    many = str(list(range(1000)))
    source.write_text(
        f"d: {{schedule: null, tasks: {{a: {{operator: x.Y, expand: {{a: {many}, b: {many}, c: {many}}}}}}}}}"
    )
    done = CliRunner().invoke(main, ["convert", str(source)])
    assert "it makes 1,000,000,000 task instances, Airflow at most 1,024" in done.stderr
