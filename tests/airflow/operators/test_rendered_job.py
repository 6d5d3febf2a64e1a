"""A job is held to the same rules once it is rendered, and when it was written in Python, as in YAML."""

from __future__ import annotations

import pytest

from airflow_doeks.attempt.job import read_rendered_job
from airflow_doeks.language import check_file
from airflow_doeks.model.engine import SPARK
from airflow_doeks.model.errors import SpecError
from tests.language.conftest import ProjectFolder

URL = "s3://code/a.py"
FAULTS = [  # the job, the path that is to blame, and what is said of it
    ({}, "spark", "the job has neither main nor sql; exactly one of them is run"),
    ({"main": URL, "sql": URL}, "spark", "the job has both main and sql; exactly one of them is run"),
    ({"sql": URL, "class": "a.B"}, "class", "class belongs to code, not to sql"),
    ({"main": URL, "executors": {"min": 5, "max": 2}}, "executors.min", "executors.min 5 is above executors.max 2"),
    ({"main": URL, "executors": {"max": 0}}, "executors.max", "a job without executors cannot run"),
    ({"main": URL, "executors": {"min": -1}}, "executors.min", "-1 is out of range; expected at least 0"),
    ({"main": URL, "executors": {"max": -3}}, "executors.max", "-3 is out of range; expected at least 0"),
    ({"main": URL, "driver": {"cpu": "0m"}}, "driver.cpu", "0m is no CPU at all"),
    ({"main": URL, "driver": {"memory": "4"}}, "driver.memory", "4 is less than a mebibyte"),
]


def read(job):
    """What the operator reads from a rendered job."""
    places = {"": "p.yaml:1:1"}
    return read_rendered_job(job, SPARK, folder="/tmp", source=places, platform={"type": "local"}, render=str)  # noqa: S108


@pytest.mark.parametrize(("job", "path", "message"), FAULTS)
def test_a_rendered_job_is_refused_in_the_words_of_lint(tmp_path, job, path, message):
    """Exactly one thing to run, numbers that can be meant: the finding is the same wherever the job comes from."""
    with pytest.raises(SpecError) as told:
        read(job)
    assert f"p.yaml:1:1: {path}: {message} (after rendering)" in str(told.value).splitlines()
    found = check_file(
        ProjectFolder(tmp_path).pipeline(f"tasks: {{t: {{platform: laptop, spark: {job}}}}}".replace("'", '"'))
    )
    assert any(one.message.removeprefix(f"tasks.t.spark.{path}: ").endswith(message) for one in found), found


@pytest.mark.parametrize("executors", ["{max: 0}", "{min: 0}", "{min: 5, max: 0}", "{min: 0, max: 0}"])
def test_a_job_without_executors_is_told_once(tmp_path, executors):
    """One fault, one finding: that none is fewer than the least is the same fault."""
    text = f"tasks: {{t: {{platform: laptop, spark: {{main: {URL}, executors: {executors}}}}}}}"
    found = [one.message for one in check_file(ProjectFolder(tmp_path).pipeline(text)) if one.code == "DK210"]
    assert found == ["a job without executors cannot run"]


@pytest.mark.parametrize(
    ("memory", "meant"),
    [("16", "did you mean 16Gi?"), ("4096", "did you mean 4096Mi?"), ("0", "write for example 4Gi")],
)
def test_memory_in_quotes_gets_the_unit_of_a_number(tmp_path, memory, meant):
    """Few are gibibytes, many mebibytes, in quotes as without them."""
    text = f"tasks: {{t: {{platform: laptop, spark: {{main: {URL}, driver: {{memory: '{memory}'}}}}}}}}"
    (found,) = [one for one in check_file(ProjectFolder(tmp_path).pipeline(text)) if one.code == "DK210"]
    assert found.help == meant


@pytest.mark.parametrize(("value", "count"), [("3", 3), (" 3 ", 3), (3, 3)], ids=["text", "padded", "number"])
def test_rendered_text_is_the_number_it_says(value, count):
    """A template renders to text; a whole number in it is one."""
    assert read({"main": URL, "executors": {"min": value}}).executors.min == count


@pytest.mark.parametrize("value", ["-1", "2.0", 2.0, True, "", "many"])
def test_rendered_text_that_is_no_count_is_refused(value):
    """What is no whole number, or below 0, is told with its place."""
    with pytest.raises(SpecError, match=r"^p.yaml:1:1: executors.min: .*whole number|out of range"):
        read({"main": URL, "executors": {"min": value}})
