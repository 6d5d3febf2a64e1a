"""A fault of doeks.yaml is told once, there, and not again at every task that it leaves without a platform."""

from __future__ import annotations

import pytest

from airflow_doeks.language import check_file, check_project, compile_file

BAD_ROLE = """\
platforms:
  lake: {type: emr_on_eks, region: us-east-1, virtual_cluster: x, execution_role: me, release: emr-7.9.0-latest}
"""
JOB = "spark: {main: ../jobs/clean.py}"
PIPELINE = f"tasks: {{one: {{{JOB}}}, two: {{uses: bash, with: {{bash_command: '${{command}}'}}}}}}\n"


@pytest.mark.parametrize(
    ("doeks", "told"),
    [
        ("platforms:\n laptop: {type: local}\n  b: x\n", ["doeks.yaml:3:3: DK101 not YAML: did not find expected key"]),
        ("", ["doeks.yaml:1:1: DK112 the file is empty; it starts with platforms, as `doeks init` writes them"]),
        ("[a, b]", ["doeks.yaml:1:1: DK105 expected a mapping, found a list"]),
        (b"platforms: {a\xff: 1}", ["doeks.yaml:1:14: DK102 not UTF-8: byte 13 is 0xff"]),
    ],
)
def test_a_file_that_cannot_be_read_is_the_only_fault(project, doeks, told):
    """What it would have set, such as platforms, variables and the allow-list, is not missing in any pipeline."""
    path, pipeline = project.write("doeks.yaml", doeks), project.pipeline(PIPELINE)
    assert [one.line() for one in check_project(path)] == told
    assert check_file(pipeline) == []
    compiled = compile_file(pipeline)
    assert (compiled.plan, [one.line() for one in compiled.diagnostics]) == (None, told)


def test_slips_of_the_pipeline_are_told_all_the_same(project):
    """They are there whatever doeks.yaml says."""
    project.write("doeks.yaml", "")
    (found,) = check_file(project.pipeline("tasks: {one: {spark: {main: ../jobs/clean.py, memroy: 4Gi}}}\n"))
    assert found.message == 'unknown key "memroy" in spark'


@pytest.mark.parametrize(
    ("doeks", "message"),
    [
        ("platforms: {laptop: {type: locl}}\n", '"locl" is not a platform type'),
        ("platforms: {lake: {type: emr_on_eks, region: us-east-1}}\n", 'key "virtual_cluster" is missing'),
        ("platform: {laptop: {type: local}}\n", 'unknown key "platform"'),
        ("platforms: {laptop: {type: local}}\nenvironments: {dev: {platform: lap}}\n", 'there is no platform "lap"'),
        ("platforms: {laptop: {type: local}}\ndefaults: {platform: lap}\n", 'there is no platform "lap"'),
        (BAD_ROLE, 'execution_role: "me" is not'),
    ],
)
def test_a_broken_platform_is_told_where_it_stands(project, doeks, message):
    """Its tasks lack nothing that they could mend."""
    (found,) = check_project(project.write("doeks.yaml", doeks))
    assert message in found.message
    assert check_file(project.pipeline(f"tasks: {{one: {{{JOB}}}, two: {{{JOB}}}}}\n")) == []


def test_without_any_platform_the_next_step_is_in_doeks_yaml(project):
    """A task cannot choose what there is not."""
    project.write("doeks.yaml", "policies: {}\n")
    (found,) = check_file(project.pipeline(f"tasks: {{one: {{{JOB}}}}}\n"))
    assert (found.code, found.help) == ("DK208", "write platforms: {laptop: {type: local}} there")


def test_without_a_doeks_yaml_the_project_is_the_folder_of_the_pipeline(project):
    """That is said where a file beside it is out of reach."""
    (project.path / "doeks.yaml").unlink()
    (found,) = check_file(project.pipeline(f"tasks: {{one: {{{JOB}}}}}\n"))
    assert (found.code, found.help) == (
        "DK212",
        "no doeks.yaml stands here or above, so the project is this folder; doeks init DIR writes one",
    )


def test_a_doeks_yml_is_told_its_name(project):
    """It is no pipeline, though nobody reads it as what it is."""
    (project.path / "doeks.yaml").rename(project.path / "doeks.yml")
    (found,) = check_file("doeks.yml")
    assert (found.code, found.help) == ("DK224", "rename the file")
    assert "is called doeks.yaml" in found.message


@pytest.mark.parametrize(
    ("card", "told"),
    [
        ("{region: us-east-1}", []),
        (
            "{region: eu-moon-1}",
            ['there is no rate card of "eu-moon-1", no job has a price; bundled are eu-west-1, us-east-1'],
        ),
        ("{region: eu-moon-1, file: own.yaml}", []),
        ("{region: eu-moon-1, file: rates}", []),
        (
            "{region: eu-west-1, file: rates}",
            ['there is no rate card of "eu-west-1", no job has a price; rates has eu-moon-1'],
        ),
    ],
)
def test_a_region_without_a_rate_card_is_told(project, card, told):
    """Neither the package nor the folder that is named has one; a single card is of whichever region it says."""
    for name in ("own.yaml", "rates/eu-moon-1.2026-11-01.yaml"):
        project.write(name, "v: 1\nregion: eu-moon-1\nas_of: 2026-11-01\n")
    path = project.write("doeks.yaml", f"platforms: {{laptop: {{type: local}}}}\nrate_card: {card}\n")
    found = [one for one in check_project(path) if one.code == "DK231"]
    assert [one.message for one in found] == told
    assert [one.place.line for one in found] == [2] * len(told)
