"""README and docs/ say what is so: links lead somewhere, commands exist, YAML is valid, versions are those we test."""

import json
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from airflow_doeks.cli import COMMANDS, main
from tests.matrix import COMBINATIONS

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Every relative link of a page names a file that is there."""
    text = FENCE.sub("", page.read_text("utf-8"))
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text)]

    local = [target for target in targets if target and "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page):
    """Every `doeks` and `make` command that a page shows is one."""
    text = page.read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))

    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets
    assert set(re.findall(r"(?:^|`)doeks ([a-z]+)", text, re.MULTILINE)) <= set(COMMANDS)


def test_readme_is_short():
    """The README has at most 150 lines."""
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


def test_readme_pipeline_runs():
    """The README's pipeline is the one that `doeks init` writes, which a test runs."""
    scaffold = ROOT / "airflow_doeks" / "cli" / "scaffold" / "project" / "pipelines" / "first.yaml"
    blocks = dict(FENCE.findall((ROOT / "README.md").read_text("utf-8")))

    assert yaml.safe_load(blocks["yaml"]) == yaml.safe_load(scaffold.read_text("utf-8"))


def test_project_of_the_walkthrough_is_valid(tmp_path):
    """The example has no fault with the walkthrough's doeks.yaml, but that EMR runs no Flink, as the page says."""
    blocks = dict(FENCE.findall((ROOT / "docs" / "walkthrough.md").read_text("utf-8")))
    for folder in ("pipelines", "jobs", "sql"):
        (tmp_path / folder).mkdir()
        for source in (ROOT / "dags" / folder).iterdir():
            if source.is_file():
                (tmp_path / folder / source.name).write_bytes(source.read_bytes())
    presets = yaml.safe_load((ROOT / "dags" / "doeks.yaml").read_text("utf-8"))["presets"]
    project = {**yaml.safe_load(blocks["yaml"]), "presets": presets}
    (tmp_path / "doeks.yaml").write_text(yaml.safe_dump(project), encoding="utf-8")

    done = CliRunner().invoke(main, ["lint", str(tmp_path), "--format", "json"])

    found = [(Path(one["file"]).name, one["code"]) for one in json.loads(done.output)]
    flink = ("flights_stream.yaml", "flights_stream_stop.yaml", "late_flights.yaml")
    assert sorted(found) == [(name, "DK209") for name in flink], done.output


@pytest.mark.parametrize("page", ["README.md", "docs/mwaa.md"])
def test_versions_are_those_that_are_tested(page):
    """README and docs/mwaa.md name every Airflow and Python of `make test-all`, and none not tested or resolved."""
    text = (ROOT / page).read_text("utf-8")
    tested = {entry.airflow for entry in COMBINATIONS if not entry.is_trial}
    named = set(re.findall(r"(?<![\d.-])([23]\.\d{1,2}\.\d)(?![\d.])", text))
    told: dict[str, set[str]] = {}
    for words, pythons in re.findall(r"((?:[\d.]+(?:, | and )?)+) \([^()]*?Python ((?:3\.\d+(?:, | and )?)+)\)", text):
        told |= {airflow: set(re.findall(r"3\.\d+", pythons)) for airflow in re.findall(r"\d\.\d+\.\d", words)}

    assert tested <= named <= tested | {"2.11.0"}
    assert told == {one: {entry.python for entry in COMBINATIONS if entry.airflow == one} for one in tested}


def test_every_command_tells_what_it_does():
    """`doeks COMMAND --help` works for every command."""
    for command in COMMANDS:
        done = CliRunner().invoke(main, [command, "--help"])

        assert done.exit_code == 0, (command, done.output)
        assert "Usage:" in done.output


def test_every_key_of_the_language_has_a_meaning():
    """No row of the reference of YAML that tells of a key has an empty last cell."""
    rows = re.findall(r"^\| `.*\|$", (ROOT / "docs" / "yaml.md").read_text("utf-8"), re.MULTILINE)
    assert rows
    assert [row for row in rows if row.count("|") == 5 and row.endswith("|  |")] == []
