"""The commands of the language: lint, schema, explain and render."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from airflow_doeks.cli import main
from tests.language.conftest import DOEKS
from tests.language.test_compile import DAILY

GOOD = DAILY.replace("../../", "../")
BAD = "schedul: null\ntasks: {t: {uses: empty}}\n"


def doeks(*arguments: str) -> tuple[int, str]:
    """Exit code and output of `doeks ...`."""
    result = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
    return result.exit_code, result.output


def test_lint_shows_the_line_a_caret_and_the_next_step(project):
    """Two source lines, a caret under the word, a suggestion; exit code 1."""
    project.pipeline(BAD.replace("schedul", "# A comment.\nschedul"))
    assert doeks("lint", ".") == (
        1,
        """\
pipelines/p.yaml:2:1: DK104 unknown key "schedul"
  1 | # A comment.
  2 | schedul: null
    | ^^^^^^^
  help: did you mean "schedule"?

1 pipeline: 1 error
""",
    )


def test_lint_of_a_long_line_shows_the_part_that_matters(project):
    """The caret stands under the word also at column 300."""
    project.pipeline(f"params: {{a: {'x' * 300}}}\ntasks: {{t: {{doc: {'x' * 300}, uses: emtpy}}}}\n")
    _, output = doeks("lint", ".")
    *_, line, caret, _help, _, _ = output.splitlines()
    assert line[caret.index("^") : caret.rindex("^") + 1] == "emtpy"


def test_lint_speaks_json(project):
    """A list of objects with code, place, message and help."""
    project.pipeline(BAD)
    code, output = doeks("lint", ".", "--json")
    assert code == 1
    assert json.loads(output) == [
        {
            "code": "DK104",
            "severity": "error",
            "file": "pipelines/p.yaml",
            "line": 1,
            "column": 1,
            "message": 'unknown key "schedul"',
            "help": 'did you mean "schedule"?',
            "dag_id": "p",
            "task_id": None,
            "environments": [],
        }
    ]


def test_lint_annotates_on_github(project):
    """A workflow command a fault, line breaks and per cents escaped."""
    project.pipeline(BAD.replace("schedul", "sche%dule"))
    _, output = doeks("lint", ".", "--format", "github")
    assert output == (
        "::error file=pipelines/p.yaml,line=1,col=1,title=DK104::"
        'unknown key "sche%25dule"%0Ahelp: did you mean "schedule"?\n'
    )


def test_lint_of_good_files_is_quiet(project):
    """Exit code 0 and one line; a warning does not change that."""
    project.pipeline(GOOD)
    project.pipeline(
        "schedule: {assets: {any: [s3://raw/orders]}}\n"
        "tasks: {t: {uses: bash, with: {bash_command: 'echo {{ ds }}'}}}\n",
        "warned",
    )
    code, output = doeks("lint", "pipelines", "doeks.yaml")
    assert (code, output.splitlines()[-1]) == (0, "2 pipelines: 0 errors, 1 warning")


def test_lint_finds_doubles_and_faults_of_doeks_yaml_once(project):
    """What concerns several files is said once for each that must change."""
    project.write("doeks.yaml", "policy: {}\n")
    for name in ("a.yaml", "a.yml", "b.yaml"):
        project.write(f"pipelines/{name}", "tasks: {t: {uses: empty}}\n")
    _, output = doeks("lint", ".", "--json")
    assert [(one["file"], one["code"]) for one in json.loads(output)] == [
        ("doeks.yaml", "DK104"),
        ("pipelines/a.yaml", "DK223"),
        ("pipelines/a.yml", "DK223"),
    ]


def test_explain_tells_a_code_at_length():
    """Title, meaning, a wrong and a right example."""
    code, output = doeks("explain", "dk104")
    assert code == 0
    assert output.startswith("## DK104 Unknown key\n")
    assert "Right (pipeline):" in output
    assert doeks("explain", "DK999")[0] == 2


def test_explain_tells_where_every_value_comes_from(project):
    """Each resolved value of a task with the file:line:col that wrote it; defaults are called so."""
    project.pipeline(GOOD)
    code, output = doeks("explain", "pipelines/p.yaml", "--task", "rollup")
    assert code == 0
    assert output == (
        """\
rollup
  platform = "lake"  pipelines/p.yaml:7:22
  spark.conf.spark.sql.shuffle.partitions = 2000  doeks.yaml:11:67
  spark.presets = []  pipelines/p.yaml:19:46
  spark.sql = "../sql/rollup.sql"  pipelines/p.yaml:19:18
  needs.0 = "clean_orders"  inferred
  cost_tags.cost_center = "4711"  pipelines/p.yaml:6:39
  cost_tags.team = "sales"  pipelines/p.yaml:6:19
  reads.0 = "s3://clean/orders"  pipelines/p.yaml:20:13
  writes.0 = "s3://mart/orders_daily"  pipelines/p.yaml:21:14
  trigger_rule = "all_success"  default
  retries = 2  pipelines/p.yaml:7:37
  retry_delay = 300.0  default
  priority_weight = 1  default
"""
    )
    rows = json.loads(doeks("explain", "pipelines/p.yaml", "--json")[1])
    assert list(rows) == ["pipeline", "clean_orders", "rollup", "notify"]
    assert {"key": "owner", "value": "sales-data", "from": "pipelines/p.yaml:4:8"} in rows["pipeline"]


def test_explain_of_a_broken_file_shows_its_diagnostics(project):
    """Exit code 1 with what is wrong; 2 for a file or task that does not exist."""
    project.pipeline(BAD)
    assert doeks("explain", "pipelines/p.yaml")[0] == 1
    assert doeks("explain", "pipelines/none.yaml")[0] == 2
    project.pipeline(GOOD)
    assert doeks("explain", "pipelines/p.yaml", "--task", "none")[0] == 2


def test_render_shows_the_request_that_emr_would_receive(project):
    """Code as staged, cost tags as AWS tags, memory split into heap and overhead; nothing is sent."""
    project.pipeline(GOOD)
    code, output = doeks("render", "pipelines/p.yaml", "--task", "clean_orders")
    assert code == 0
    request = json.loads(output)["clean_orders"]["request"]["body"]["start_job_run"]
    driver = request["jobDriver"]["sparkSubmitJobDriver"]
    conf = request["configurationOverrides"]["applicationConfiguration"][0]["properties"]
    assert driver["entryPoint"].startswith("s3://acme-code/")
    assert driver["entryPointArguments"] == ["--run", "{{ run_id }}"]
    assert request["tags"]["airflow-doeks/tag-team"] == "sales"
    assert [conf[f"spark.driver.{key}"] for key in ("memory", "memoryOverhead")] == ["2925m", "1171m"]
    assert doeks("render", "pipelines/p.yaml") == doeks("render", "pipelines/p.yaml")


def test_render_of_another_operator_shows_its_arguments(project):
    """A task that is no job is shown as what Airflow will construct."""
    project.pipeline(GOOD)
    shown = json.loads(doeks("render", "pipelines/p.yaml", "--task", "notify")[1])
    assert shown == {
        "notify": {
            "operator": "airflow.providers.standard.operators.bash.BashOperator",
            "arguments": {"bash_command": "echo done"},
            "expand": None,
        }
    }


@pytest.mark.parametrize("name", ["pipeline", "doeks"])
def test_schema_prints_what_the_wheel_carries(name):
    """JSON Schema 2020-12, strict, with a title."""
    code, output = doeks("schema", name)
    found = json.loads(output)
    assert code == 0
    assert (found["$schema"], found["additionalProperties"]) == ("https://json-schema.org/draft/2020-12/schema", False)
    assert doeks("schema", name, "--path")[1].strip().endswith(f"{name}.schema.json")


@pytest.mark.parametrize("command", ["lint", "explain", "render", "schema"])
def test_the_language_works_without_airflow(project, command):
    """Where no Airflow, boto3 or Kubernetes client can be imported, every command of this room still runs."""
    project.pipeline(GOOD)
    block = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('airflow', 'boto3', 'kubernetes', 'pyspark'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "from airflow_doeks.cli import main\n"
        "main()\n"
    )
    arguments = [] if command == "schema" else ["pipelines/p.yaml"]
    done = subprocess.run(
        [sys.executable, "-c", block, command, *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_lint_builds_no_models(project):
    """Neither pydantic nor croniter, difflib or rich is imported for good files: start-up is most of a small lint."""
    project.pipeline(GOOD)
    code = (
        "import sys\n"
        "from airflow_doeks.cli import main\n"
        "try:\n    main(['lint', '.'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "print(sorted({'pydantic', 'croniter', 'difflib', 'rich', 'airflow'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_no_secret_of_a_pipeline_is_printed(project):
    """Neither where a value is refused, also one of a variable, nor among the values that explain tells."""
    job = "spark: {main: ../jobs/clean.py, env: {DB_PASSWORD: %s}, args: [--token, %s]}"
    job = f"tasks: {{t: {{platform: laptop, {job}}}}}\n"
    project.write("doeks.yaml", f"{DOEKS}environments: {{dev: {{variables: {{pw: 99887766}}}}}}\n")
    for written in ("99887766", '"${pw}"'):
        project.pipeline(job % (written, "x99887766"))
        output = doeks("lint", ".")[1]
        assert ("DK105" in output, "DK214" in output, "99887766" in output) == (
            written == "99887766",
            written != "99887766",
            False,
        )
    project.pipeline(job % ("x99887766", "y99887766"))
    for form in ([], ["--json"]):
        code, output = doeks("explain", "pipelines/p.yaml", *form)
        assert (code, output.count('"***"'), "99887766" in output) == (0, 2, False)
