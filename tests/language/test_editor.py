"""What an editor knows of a project: names to choose from, and faults in words; asked of a real language server."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from airflow_doeks.cli import main
from airflow_doeks.language.editor import KINDS, schema_texts
from airflow_doeks.language.project import load_project
from airflow_doeks.language.rules import schema
from airflow_doeks.language.text import parse
from tests.language.language_server import Editor

ROOT = Path(__file__).parents[2]
SERVER = ROOT / ".venvs" / "editor" / "node_modules" / ".bin" / "yaml-language-server"
MODELINE = "# yaml-language-server: $schema=../pipeline.schema.json\n"
DOEKS = """\
platforms:
  laptop: {type: local}
  lake: {type: emr_on_eks, region: us-east-1, virtual_cluster: abc}
environments:
  dev: {platform: laptop, variables: {bucket: acme-dev}}
  prod: {variables: {bucket: acme-prod}}
presets: {big_join: {spark: {conf: {spark.sql.shuffle.partitions: 2000}}}}
policies: {allowed_uses: [bash], required_cost_tags: [team], allowed_cost_tags: {team: [sales, growth]}}
"""
JOB = "tasks:\n  t:\n    platform: lake\n    spark:\n      main: ../jobs/clean.py\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A project with the schemas that `doeks schema --write` writes beside its doeks.yaml."""
    folder = tmp_path_factory.mktemp("flows")
    (folder / "pipelines").mkdir()
    (folder / "doeks.yaml").write_text(DOEKS, "utf-8")
    done = CliRunner().invoke(main, ["schema", "--project", str(folder / "pipelines"), "--write"])
    assert done.output.splitlines() == [
        f"wrote {os.path.relpath(folder / 'pipeline.schema.json')}",
        f"wrote {os.path.relpath(folder / 'doeks.schema.json')}",
    ]
    return folder


@pytest.fixture(scope="module")
def editor(folder):
    """A language server on the project."""
    command = str(SERVER) if SERVER.exists() else shutil.which("yaml-language-server")
    if command is None or shutil.which("node") is None:
        assert os.environ.get("DOEKS_EDITOR") != "must", "`make editor` has left no yaml-language-server"
        pytest.skip("no yaml-language-server here: `make editor` gets it, with node and npm")
    editor = Editor(command, folder)
    yield editor
    editor.close()


@pytest.mark.parametrize(
    ("text", "some"),
    [
        ("tasks:\n  t:\n    uses: |", ["bash", "empty", "s3_key_sensor"]),
        ("tasks:\n  t:\n    uses: bash\n    with:\n      |", ["bash_command", "append_env"]),
        ("tasks:\n  t:\n    uses: empty\n    platform: |", ["lake", "laptop"]),
        (f"{JOB}      presets:\n        - |", ["big_join", "graviton", "spot"]),
        (f"{JOB}      driver: {{memory: |}}", ["${bucket}"]),
        ("cost_tags:\n  |", ["team"]),
        ("cost_tags:\n  team: |", ["sales", "growth"]),
    ],
    ids=lambda value: value.rpartition("\n")[2].strip() if isinstance(value, str) else "",
)
def test_an_editor_offers_what_the_project_has(editor, folder, text, some, request):
    """Aliases that the policies allow and their arguments, platforms, presets, variables and cost tags."""
    file = folder / "pipelines" / f"{abs(hash(request.node.name))}.yaml"
    offered = editor.completions(file, MODELINE + text)
    assert set(some) <= set(offered)
    assert "trigger_dag_run" not in offered


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (
            f"{JOB}      driver: {{memory: 4g, cpu: lots}}\n      presets: [big_jion]\n",
            [
                "expected a CPU quantity such as 1, 0.5 or 500m",
                "expected a memory quantity such as 512Mi, 4Gi or 16G",
                "expected a preset of ours or of doeks.yaml: ",
            ],
        ),
        ("tasks:\n  t: {uses: empty, platform: laek}\n", ["expected a platform of doeks.yaml: laptop, lake"]),
        ("tasks:\n  t: {uses: bsh}\n", ["expected an alias (bash, empty, "]),
        ("tasks:\n  t: {uses: empty, retry_delay: 5 minutes}\n", ["expected a duration such as 0s, 90s, 30m "]),
        ("tasks:\n  t: {uses: empty, writes: [s3//x]}\n", ["expected a URI such as s3://bucket/path"]),
        ("start_date: yesterday\ntasks:\n  t: {uses: empty}\n", ["expected a date such as 2026-01-31"]),
        ("tasks:\n  t: {uses: empty, depends_on: []}\n", ["Property depends_on is not allowed."]),
        ("cost_tags: {team: finance}\ntasks:\n  t: {uses: empty}\n", ["Value is not accepted. Valid values: "]),
        (f'schedule: "@daily"\n{JOB}      driver: {{memory: "${{bucket}}"}}\n', []),
    ],
    ids=lambda value: value.partition(": ")[2][:40] if isinstance(value, str) else "",
)
def test_an_editor_tells_faults_in_words(editor, folder, text, faults, request):
    """What is expected is said as `doeks lint` says it, never as a pattern."""
    file = folder / "pipelines" / f"{abs(hash(request.node.name))}.yaml"
    file.write_text(MODELINE + text, "utf-8")
    found = sorted(editor.faults(file))
    assert [one for one, start in zip(found, faults, strict=True) if not one.startswith(start)] == []


@pytest.mark.parametrize("home", ["dags", "airflow_doeks/cli/scaffold/project"])
def test_what_lint_accepts_an_editor_accepts(home):
    """The schema of a project that ships with the package refuses none of its files."""
    texts = schema_texts(load_project(ROOT / home / "doeks.yaml"))
    for file in (ROOT / home / "doeks.yaml", *(ROOT / home / "pipelines").glob("*.yaml")):
        own = json.loads(texts[KINDS["doeks" if file.name == "doeks.yaml" else "pipeline"]])
        jsonschema.Draft202012Validator.check_schema(own)
        faults = jsonschema.Draft202012Validator(own).iter_errors(parse(file.read_bytes(), str(file)).data)
        assert [one.message for one in faults] == [], file


def test_the_schema_of_the_compiler_is_untouched(folder):
    """A project's names never reach the rules that lint reads."""
    assert "big_join" in (folder / "pipeline.schema.json").read_text("utf-8")
    assert "big_join" not in json.dumps(schema("pipeline"))


def test_a_folder_without_a_project_has_no_schema_of_its_own(tmp_path):
    """`doeks schema --project` of a folder without doeks.yaml is told, with exit code 2."""
    done = CliRunner().invoke(main, ["schema", "--project", str(tmp_path)])
    assert (done.exit_code, "has no doeks.yaml" in done.output) == (2, True)
