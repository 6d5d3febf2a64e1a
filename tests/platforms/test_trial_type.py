"""A platform type is its module and one row: lint, render, run, schema and docs know it, and no file is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

from airflow_doeks.cli import main
from airflow_doeks.platforms.registry import TYPES
from tests.fakes.generators import TOOLS, generators
from tests.fakes.memory_platform import MEMORY, PLACES, MemoryPlatform

PROJECT = "platforms: {trial: {type: memory, place: here}}\ndefaults: {platform: trial}\n"
PIPELINE = "schedule: null\nstart_date: 2026-01-01\ntasks: {clean: {spark: {main: jobs/clean.py, args: [a]}}}\n"
RUN = """\
import sys
from pathlib import Path
from airflow_doeks.cli import main
from airflow_doeks.language import rules
from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.registry import TYPES
from tests.fakes.memory_platform import MEMORY, PLACES, MemoryPlatform
TYPES["memory"] = MEMORY
rules.HERE = Path(sys.argv[1])
PLACES["here"] = MemoryPlatform(script=((0, JobState.SUCCEEDED),))
main(["run", "p.yaml", "--json"])
"""


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """The generators as `make` runs them, with the row of the trial type; what they write goes into ``schemas``."""
    monkeypatch.setitem(TYPES, "memory", MEMORY)
    monkeypatch.setitem(PLACES, "here", MemoryPlatform())
    yield from generators(tmp_path, monkeypatch)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project whose platform is of the trial type."""
    project = tmp_path / "project"
    (project / "jobs").mkdir(parents=True)
    (project / "jobs/clean.py").write_text("print(1)\n")
    (project / "doeks.yaml").write_text(PROJECT)
    (project / "p.yaml").write_text(PIPELINE)
    monkeypatch.chdir(project)
    return project


def doeks(*arguments: str) -> tuple[int, object]:
    """Exit code and JSON of a command."""
    result = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.usefixtures("tools")
def test_lint_knows_its_entry_and_asks_its_checks(folder):
    """Its Config says which keys there are, its checks what it would refuse of a job."""
    assert doeks("lint", "p.yaml", "--format", "json") == (0, [])
    (folder / "doeks.yaml").write_text(PROJECT.replace("place: here", "place: here, plaice: there"))
    code, found = doeks("lint", "p.yaml", "--format", "json")
    assert (code, [(one["code"], one["help"]) for one in found]) == (1, [("DK104", 'did you mean "place"?')])
    (folder / "doeks.yaml").write_text(PROJECT)
    (folder / "p.yaml").write_text(PIPELINE.replace("args: [a]", "secrets: {KEY: {k8s: a/b}}"))
    code, found = doeks("lint", "p.yaml", "--format", "json")
    assert (code, [(one["code"], one["message"]) for one in found]) == (
        1,
        [("DK401", "secrets.KEY: memory has no secrets")],
    )


@pytest.mark.usefixtures("tools", "folder")
def test_render_shows_its_request():
    """The request in the words of the type."""
    result = CliRunner().invoke(main, ["render", "p.yaml"], catch_exceptions=False)
    assert result.exit_code == 0
    request = yaml.safe_load(result.stdout)["clean"]["request"]
    assert (request["type"], request["body"]["args"]) == ("memory", ["a"])
    assert PLACES["here"].sent == {}


def test_the_docs_tell_of_it(tools):
    """The generated reference has its entry of doeks.yaml."""
    page = tools["write_reference"].yaml_page()
    assert "memory" in page
    assert "Which memory." in page


@pytest.mark.airflow
@pytest.mark.usefixtures("tools")
def test_run_takes_a_pipeline_through_it(folder, tmp_path):
    """YAML in, a DAG run in Airflow, the job in memory, its record out."""
    pytest.importorskip("airflow")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DOEKS_"))}
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path / "schemas")],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(TOOLS.parent), "AIRFLOW__DOEKS__INSTANCE": "trial"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout[done.stdout.index("{") :])
    (record,) = told["records"]
    assert (told["state"], record["job"]["type"], record["job"]["state"]) == ("success", "memory", "SUCCEEDED")
    assert record["job"]["ref"].startswith("memory://here/p-clean-")
