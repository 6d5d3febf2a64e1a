"""What lint tells of a job before a Spark operator would refuse it."""

import pytest

from airflow_doeks.model.job import SparkJob
from airflow_doeks.platforms.registry import TYPES

OPERATORS = ("apache_spark", "kubeflow_spark")
ENTRY = {"namespace": "sales", "image": "acme/spark:3.5.9", "code": "s3://acme-code/"}


def findings(operator, job, **entry):
    """Path and message of each finding."""
    row = TYPES[operator]
    config = row.load().Config.model_validate(ENTRY | {"type": operator} | entry)
    values = SparkJob.model_validate({"main": "a.py"} | job).plain()
    return [(one.path, one.message) for one in row.load_checks().check_job(config, values)]


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(
    ("job", "entry", "path", "words"),
    [
        ({"release": "emr-7.9.0-latest"}, {}, "release", "releases are EMR's"),
        ({"conf": {"spark.kubernetes.driver.pod.name": "etl"}}, {}, "conf.spark.kubernetes.driver.pod.name", "collide"),
        (
            {"conf": {"spark.kubernetes.executor.podTemplateFile": "/t.yaml"}},
            {},
            "conf.spark.kubernetes.executor.podTemplateFile",
            "brings a pod template of the executor",
        ),
        ({}, {"image": "acme/spark:latest"}, "image", "does not tell Spark's version"),
        ({}, {"image": None}, "image", "neither job nor platform names an image"),
        ({}, {"code": None}, "main", "cannot read a file of this machine"),
        ({"presets": ["spot", "on_demand"]}, {}, "presets", "exclude each other"),
        ({"driver": {"memory": "500Mi"}}, {}, "driver.memory", "leave"),
    ],
)
def test_a_fault_is_told_where_it_is(operator, job, entry, path, words):
    """One finding, at the key that is wrong, in words of the author."""
    (found,) = findings(operator, job, **entry)
    assert found[0] == path
    assert words in found[1]


@pytest.mark.parametrize("operator", OPERATORS)
def test_several_versions_and_images_share_a_namespace(operator):
    """A job's own image tells its own version; a version said for the platform's image holds for that one only."""
    assert findings(operator, {"image": "acme/spark:4.0.2"}) == []
    assert findings(operator, {}, image="acme/spark:latest", spark_version="3.5.9") == []


@pytest.mark.parametrize("operator", OPERATORS)
def test_templates_are_left_for_later(operator):
    """What Airflow renders is checked when it is rendered."""
    assert findings(operator, {"main": "{{ params.main }}", "image": "{{ params.image }}"}, code=None) == []


@pytest.mark.parametrize(("image", "found"), [("acme/spark:3.5.9", True), ("acme/spark:4.2.0", False)])
def test_a_gang_that_spark_would_not_make_is_refused(image, found):
    """Spark before 4.2 reads no PodGroup from a property; Kubeflow's operator makes it itself, whatever Spark is."""
    told = [message for _, message in findings("apache_spark", {"presets": ["volcano"]}, image=image)]
    assert told == (["Spark 3.5.9 makes no PodGroup from a property"] if found else [])
    assert findings("kubeflow_spark", {"presets": ["volcano"]}, image=image) == []
