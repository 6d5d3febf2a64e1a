"""`doeks init`: a project that is right from its first minute."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from airflow_doeks.cli import main


@pytest.fixture
def project(tmp_path) -> Path:
    """A project as `doeks init --mwaa` leaves it."""
    done = CliRunner().invoke(main, ["init", str(tmp_path / "flows"), "--mwaa"])
    assert done.exit_code == 0, done.output
    return tmp_path / "flows"


def test_the_project_is_without_faults(project):
    """`doeks lint` finds nothing in a fresh project."""
    done = CliRunner().invoke(main, ["lint", str(project)])

    assert done.exit_code == 0, done.output


def test_both_dag_files_and_the_ignore_file_are_there(project):
    """Airflow finds the pipelines, and parses no job."""
    assert 'load_dags("pipelines", globals())' in (project / "pipelines.py").read_text("utf-8")
    assert 'report_dag_errors("pipelines")' in (project / "pipelines_errors.py").read_text("utf-8")
    assert "jobs/" in (project / ".airflowignore").read_text("utf-8").splitlines()


def test_editors_find_the_schema(project):
    """The modeline of the first pipeline leads to a schema that is there."""
    modeline = (project / "pipelines" / "first.yaml").read_text("utf-8").splitlines()[0]
    _, _, path = modeline.partition("$schema=")

    assert json.loads((project / "pipelines" / path).read_text("utf-8"))["$schema"].startswith(
        "https://json-schema.org"
    )


def test_nothing_is_overwritten(project):
    """A second `doeks init` leaves what it finds, says so and exits 1."""
    (project / "doeks.yaml").write_text("platforms: {}\n", encoding="utf-8")

    done = CliRunner().invoke(main, ["init", str(project)])

    assert done.exit_code == 1
    assert "doeks.yaml, which was there already" in done.output
    assert (project / "doeks.yaml").read_text("utf-8") == "platforms: {}\n"


def test_mwaa_files_are_usable(project):
    """requirements.txt has its constraint line, and the policy allows jobs only under the job role."""
    lines = (project / "mwaa" / "requirements.txt").read_text("utf-8").splitlines()
    policy = json.loads((project / "mwaa" / "iam-policy.json").read_text("utf-8"))
    start = next(entry for entry in policy["Statement"] if "emr-containers:StartJobRun" in entry["Action"])

    assert next(line for line in lines if not line.startswith("#")).startswith("--constraint ")
    assert lines[-1].startswith("airflow-doeks==")
    assert "emr-containers:ExecutionRoleArn" in start["Condition"]["StringEquals"]
    assert not any("*" in action for entry in policy["Statement"] for action in entry["Action"])


def test_the_policy_allows_what_is_documented_and_no_more(project):
    """Its actions are those of docs/platforms.md, which a test counted; logs in CloudWatch are left to who has them."""
    policy = json.loads((project / "mwaa" / "iam-policy.json").read_text("utf-8"))
    allowed = {action for entry in policy["Statement"] for action in entry["Action"]}
    page = (Path(__file__).parents[2] / "docs" / "platforms.md").read_text("utf-8")
    table = page.split("### IAM actions of the connection")[1].split("###")[0]
    documented = set(re.findall(r"^\| `([a-z0-9-]+:\w+)`", table, re.MULTILINE))

    assert allowed - documented == {"emr-containers:TagResource"}  # checked by AWS when a job starts with tags
    assert documented - allowed == {"logs:DescribeLogStreams", "logs:GetLogEvents"}
    written = next(entry["Resource"] for entry in policy["Statement"] if entry["Action"] == ["s3:PutObject"])
    assert [place.rpartition(":")[2] for place in written] == [
        "acme-code/*",
        "acme-logs/spark-events/*",  # the folder of each job's event log
        "acme-data/doeks-ledger/*",
    ]


@pytest.mark.airflow
@pytest.mark.spark
def test_the_first_pipeline_runs_at_once(project, tmp_path):
    """`doeks run` on the first pipeline ends well, with a record per job, also on a machine without Java."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("doeks")), "run", "pipelines/first.yaml", "--json"],
        cwd=project,
        env=clean_environment()
        | {"AIRFLOW_VAR_ORDERS_DATA": str(tmp_path / "data"), "PATH": without_java(tmp_path / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)

    assert run["state"] == "success"
    assert [record["attempt"]["task_id"] for record in run["records"]] == ["make_orders", "orders_by_day"]
    assert [record["lineage"]["outputs"][0]["rows"] for record in run["records"]] == [100_000, 30]


def clean_environment() -> dict[str, str]:
    """This process's environment without what belongs to another Airflow, and without a Java."""
    foreign = ("AIRFLOW", "DOEKS_ENV", "JAVA_HOME")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def without_java(folder: Path) -> str:
    """A PATH with the machine's programs but Java."""
    folder.mkdir()
    for program in [*Path("/bin").iterdir(), *Path("/usr/bin").iterdir()]:
        if program.name != "java" and not (folder / program.name).is_symlink():
            (folder / program.name).symlink_to(program)
    return str(folder)
