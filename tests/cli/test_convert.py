"""`doeks convert` writes pipelines and tells what a person must look at."""

from __future__ import annotations

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
