"""Classifications beside spark-defaults: what we find wrong is what botocore's model of EMR would refuse."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_doeks.model.job import SparkJob
from airflow_doeks.platforms.emr_on_eks.checks import check_job
from airflow_doeks.platforms.emr_on_eks.config import Config
from airflow_doeks.platforms.emr_on_eks.configuration import configuration_findings, merged
from tests.fakes.emr_containers import MODEL
from tests.fakes.shapes import violations

SHAPE = MODEL.shape_for("ConfigurationOverrides").members["applicationConfiguration"]
TEXTS = st.sampled_from(["a", "b c", "", "  ", "x" * 1024, "x" * 1025])
VALUES = st.one_of(TEXTS, st.integers(), st.booleans())
CONFIGURATION = st.recursive(
    st.fixed_dictionaries(
        {"classification": TEXTS}, optional={"properties": st.dictionaries(TEXTS, VALUES, max_size=3)}
    ),
    lambda inner: st.fixed_dictionaries({"classification": TEXTS, "configurations": st.lists(inner, max_size=2)}),
    max_leaves=4,
)
MANY = [{"classification": "a", "properties": {str(n): "v" for n in range(101)}}]


@settings(deadline=None)
@given(st.lists(CONFIGURATION, max_size=3), st.lists(CONFIGURATION, max_size=3))
def test_we_refuse_what_the_service_model_refuses(of_platform, of_job):
    """Lengths, blanks and counts; what we find nothing wrong with fits the shape, merged."""
    refused = [bool(violations(merged(part), SHAPE)) for part in (of_platform, of_job)]
    found = configuration_findings(of_platform, of_job)
    assert bool(found) == any(refused), found
    assert found or violations(merged(of_platform, of_job), SHAPE) == []


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (MANY, "configuration[0].properties"),
        ([{"classification": "spark-defaults"}], "configuration[0].classification"),
        ([{"classification": "{{ x }}"}], "configuration[0].classification"),
        ([{"classification": f"c{n}"} for n in range(99)], "configuration"),
    ],
)
def test_what_emr_has_no_room_for_is_told(job, said):
    """With its place below the job."""
    assert [one.path for one in configuration_findings((), job)] == [said]


def test_a_job_template_brings_its_own():
    """Beside one, classifications would be dropped without a word."""
    config = Config(type="emr_on_eks", region="us-east-1", virtual_cluster="abc", job_template="x")
    job = {"main": "s3://code/a.py", "configuration": [{"classification": "core-site"}]}
    assert [one.message for one in check_job(config, SparkJob.of_rendered(job).plain())] == [
        "a job template brings its own"
    ]


def test_a_rendered_job_reads_its_classifications():
    """The same model checks YAML and reads what Airflow rendered."""
    given_ = [{"classification": "core-site", "properties": {"a": 1}, "configurations": [{"classification": "x"}]}]
    job = SparkJob.of_rendered({"main": "a.py", "configuration": given_})
    assert merged(job.configuration) == [
        {"classification": "core-site", "properties": {"a": "1"}, "configurations": [{"classification": "x"}]}
    ]
    assert "configuration" in Config.model_fields
