"""`doeks init`: a project that is right from its first minute."""

import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
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


def test_commands_hold_a_folder_whose_name_has_blanks(tmp_path):
    """In the CI check and in what is printed: a shell takes the name as one word, a quote of its own included."""
    (tmp_path / ".git").mkdir()
    folder = tmp_path / "my team's dags"
    done = CliRunner().invoke(main, ["init", str(folder)])
    assert done.exit_code == 0, done.output
    jobs = yaml.safe_load((tmp_path / ".github/workflows/pipelines.yml").read_text("utf-8"))["jobs"]
    lint, find = (jobs[name]["steps"][at]["run"] for name, at in (("lint", 3), ("estimate", 3)))
    assert shlex.split(lint) == ["doeks", "lint", "--format", "github", folder.name]
    assert shlex.split(find)[1] == f"{folder.name}/pipelines"
    commands = [shlex.split(line.removeprefix("Next:")) for line in done.output.splitlines() if " doeks " in line]
    assert commands[:2] == [["doeks", "lint", str(folder)], ["doeks", "run", f"{folder}/pipelines/first.yaml"]]


def test_nothing_is_overwritten(project):
    """A second `doeks init` leaves what it finds, says so, and starts no pipelines in a project that exists."""
    (project / "doeks.yaml").write_text("platforms: {}\n", encoding="utf-8")
    (project / "pipelines" / "first.yaml").unlink()

    done = CliRunner().invoke(main, ["init", str(project)])

    assert done.exit_code == 0
    assert "doeks.yaml, which was there already" in done.output
    assert (project / "doeks.yaml").read_text("utf-8") == "platforms: {}\n"
    assert not (project / "pipelines" / "first.yaml").exists()


def test_schemas_are_brought_up_to_date(project):
    """After an upgrade, or with other platforms in doeks.yaml, `doeks init` refreshes what editors check against."""
    (project / "pipeline.schema.json").write_text("{}", encoding="utf-8")

    done = CliRunner().invoke(main, ["init", str(project)])

    assert f"wrote {project / 'pipeline.schema.json'}" in done.output
    assert "laptop" in (project / "pipeline.schema.json").read_text("utf-8")


def test_a_wheel_that_is_named_once_goes_with_the_project(tmp_path):
    """CI at the root of the repository installs it from the checkout, MWAA from plugins.zip, of an existing project."""
    (tmp_path / ".git").mkdir()
    wheel = tmp_path / "airflow_doeks-9.9.9-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    flows = tmp_path / "data" / "flows"
    assert CliRunner().invoke(main, ["init", str(flows), "--package", str(wheel)]).exit_code == 0

    done = CliRunner().invoke(main, ["init", str(flows), "--mwaa", "--package", str(wheel)])

    assert done.exit_code == 0, done.output
    check = yaml.safe_load((tmp_path / ".github" / "workflows" / "pipelines.yml").read_text("utf-8"))
    assert [step["run"] for step in check["jobs"]["lint"]["steps"] if "run" in step] == [
        'pip install "./data/flows/wheels/airflow_doeks-9.9.9-py3-none-any.whl"',
        "doeks lint --format github data/flows",
    ]
    estimate = 'find data/flows/pipelines -name "*.y*ml" -print0 | xargs -0 doeks estimate --markdown > estimate.md'
    assert estimate in [step.get("run") for step in check["jobs"]["estimate"]["steps"]]
    assert check["jobs"]["estimate"]["if"] == "github.event_name == 'pull_request'"
    assert (flows / "wheels" / wheel.name).read_bytes() == b"a wheel"
    assert zipfile.ZipFile(flows / "mwaa" / "plugins.zip").read(wheel.name) == b"a wheel"
    assert (flows / "mwaa" / "requirements.txt").read_text("utf-8").splitlines()[-1] == (
        f"/usr/local/airflow/plugins/{wheel.name}"
    )


def test_what_ci_estimates_of_a_new_project_is_a_markdown_table(tmp_path):
    """The command of the CI check, on the files that `doeks init` wrote: what never ran is not known, and said."""
    assert CliRunner().invoke(main, ["init", str(tmp_path)]).exit_code == 0
    files = sorted(str(file) for file in (tmp_path / "pipelines").rglob("*.y*ml"))
    done = CliRunner().invoke(main, ["estimate", "--markdown", *files], env={"DOEKS_ENV": "dev", "DOEKS_LEDGER": None})
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("### Estimated cost\n")
    assert "its dollars are not known and not in the sum" in done.stdout


def test_a_repository_that_is_named_once_is_where_pip_installs_from(tmp_path):
    """In CI and on MWAA; without one, or where it is unknown, the last line says what to do."""
    url = "git+https://git.example.com/data/airflow-doeks@v1"
    done = CliRunner().invoke(main, ["init", str(tmp_path / "a"), "--mwaa", "--package", url])

    assert done.exit_code == 0, done.output
    check = (tmp_path / "a" / ".github" / "workflows" / "pipelines.yml").read_text("utf-8")
    assert f'pip install "airflow-doeks @ {url}"' in check
    assert (tmp_path / "a" / "mwaa" / "requirements.txt").read_text("utf-8").endswith(f"\nairflow-doeks @ {url}\n")
    unknown = CliRunner().invoke(main, ["init", str(tmp_path / "b")])
    assert "doeks init DIR --package WHEEL, or git+https://" in unknown.output
    wrong = CliRunner().invoke(main, ["init", str(tmp_path / "c"), "--package", "nowhere.whl"])
    assert (wrong.exit_code, "make wheel builds" in wrong.output) == (2, True)


def test_mwaa_files_are_usable(project):
    """requirements.txt has its constraint line, and the policy allows jobs only under the job role."""
    lines = (project / "mwaa" / "requirements.txt").read_text("utf-8").splitlines()
    policy = json.loads((project / "mwaa" / "iam-policy.json").read_text("utf-8"))
    start = next(entry for entry in policy["Statement"] if "emr-containers:StartJobRun" in entry["Action"])

    assert next(line for line in lines if not line.startswith("#")).startswith("--constraint ")
    assert lines[-1].startswith("airflow-doeks @ ")
    assert "emr-containers:ExecutionRoleArn" in start["Condition"]["StringEquals"]
    assert not any("*" in action for entry in policy["Statement"] for action in entry["Action"])


def test_the_policy_allows_what_is_documented_and_no_more(project):
    """Its actions are those of docs/platforms.md, which a test counted; logs in CloudWatch are left to who has them."""
    policy = json.loads((project / "mwaa" / "iam-policy.json").read_text("utf-8"))
    allowed = {action for entry in policy["Statement"] for action in entry["Action"]}
    page = (Path(__file__).parents[2] / "docs" / "platforms.md").read_text("utf-8")
    table = page.split("### IAM actions of the connection")[1].split("###")[0]
    documented = set(re.findall(r"^\| `([a-z0-9-]+:\w+)`", table, re.MULTILINE))

    # AWS checks the first when a job starts with tags; the second is the ledger's, which compacts finished days.
    assert allowed - documented == {"emr-containers:TagResource", "s3:DeleteObject"}
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
