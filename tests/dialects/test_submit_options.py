"""Each option of spark-submit has a place in our job, or is told."""

from __future__ import annotations

import pytest
import yaml

from airflow_doeks.dialects.dag_factory.document import convert
from airflow_doeks.dialects.dag_factory.options import OPTIONS, read_options

COUNTED = "`executors.min: 2` is Spark's own, the source counts none"
EMR = "airflow.providers.amazon.aws.operators.emr.EmrContainerOperator"


def job_of(parameters: str, kind: str = "Submit", **arguments: object):
    """The task of an EmrContainerOperator with these parameters, and the notes of it."""
    driver = {f"spark{kind}JobDriver": {"entryPoint": "s3://code/x", f"spark{kind}Parameters": parameters}}
    task = {"operator": EMR, "job_driver": driver, **arguments}
    (found,) = convert(yaml.safe_dump({"d": {"schedule": None, "tasks": {"t": task}}}))
    return yaml.safe_load(found.text)["tasks"]["t"], found.notes


def test_a_flag_without_a_value_shifts_nothing():
    """What follows `--verbose` keeps its own value."""
    parameters = (
        "--verbose --archives s3://code/env.tar.gz#environment --conf spark.executor.memory=20G "
        "--conf spark.sql.shuffle.partitions=700"
    )
    task, notes = job_of(parameters, tags={"team": "shop"}, job_retry_max_attempts=3)
    assert task == {
        "spark": {
            "main": "s3://code/x",
            "conf": {"spark.sql.shuffle.partitions": "700"},
            "archives": ["s3://code/env.tar.gz#environment"],
            "executors": {"memory": "20Gi", "min": 2},
        },
        "cost_tags": {"team": "shop"},
    }
    assert "`job_retry_max_attempts: 3` did not carry over: EMR's own tries are `max_attempts`" in " ".join(notes)


def test_every_spelling_of_an_option_is_read():
    """`--x=y`, `-c`, one dash before a long word, quotes, a template with spaces."""
    task, notes = job_of(
        "--conf=spark.sql.shuffle.partitions=700 -c spark.executor.cores=4 --driver-cores 2 "
        '--conf \'spark.x=a b\' --conf spark.day={{ ds | replace("-", "") }}'
    )
    assert task["spark"] == {
        "main": "s3://code/x",
        "conf": {
            "spark.sql.shuffle.partitions": "700",
            "spark.x": "a b",
            "spark.day": '{{ ds | replace("-", "") }}',
        },
        "driver": {"cpu": 2},
        "executors": {"cpu": 4, "min": 2},
    }
    assert notes == (f"t: {COUNTED}",)


@pytest.mark.parametrize(
    ("parameters", "kind", "told"),
    [
        ("-hivevar day=2026-01-01", "Sql", "`--hivevar: day=2026-01-01` did not carry over"),
        ("--hivevar day=2026-01-01", "Sql", "`--hivevar: day=2026-01-01` did not carry over"),
        ("--properties-file s3://code/p.conf", "Submit", "`--properties-file: s3://code/p.conf` did not carry over"),
        (
            "--repositories https://repo/m2",
            "Submit",
            "`--repositories: https://repo/m2` is the property spark.jars.repos",
        ),
        ("--frobnicate yes", "Submit", "`sparkSubmitParameters: --frobnicate` did not carry over: it is no option"),
        ("--frobnicate yes", "Submit", "`sparkSubmitParameters: yes` did not carry over"),
        ("--conf", "Submit", "`sparkSubmitParameters: --conf` did not carry over: its value is missing"),
        ("--conf spark.x", "Submit", "`--conf: spark.x` did not carry over: it is no property=value"),
        ("--conf 'spark.x=1", "Submit", "it cannot be split into words (No closing quotation)"),
        ("{% if x %}--verbose{% endif %}", "Submit", "it cannot be split into words (a template with {% %})"),
        ("--conf spark.x=1 --conf spark.x=2", "Submit", "`spark.x: 1` did not carry over: --conf gives it again"),
        (
            "--executor-memory 4g --conf spark.executor.memory=8g",
            "Submit",
            "`--conf: spark.executor.memory=8g` did not carry over: --executor-memory goes before it",
        ),
        ("--conf spark.master=yarn", "Submit", "`spark.master: yarn` did not carry over: the platform is chosen"),
        (
            "--num-executors 3 --conf spark.dynamicAllocation.minExecutors=2",
            "Submit",
            "`executors.min: 3` did not carry",
        ),
        ("--conf spark.dynamicAllocation.maxExecutors=9", "Submit", "`executors.max` turns dynamic allocation on here"),
        ("--supervise", "Submit", "`--supervise: true` did not carry over: write `retries`"),
    ],
)
def test_what_has_no_place_is_told(parameters, kind, told):
    """Options of other platforms, unknown words, a value that another one replaces."""
    _, notes = job_of(parameters, kind)
    assert told in " ".join(notes)


@pytest.mark.parametrize(("value", "is_told"), [("true", False), ("{{ x }}", False), ("false", True), ("False", True)])
def test_a_source_that_leaves_dynamic_allocation_off_is_told_what_turns_it_on(value, is_told):
    """Spark heeds the most executors only where dynamic allocation is on; ours turns it on by them."""
    dynamic = f"spark.dynamicAllocation.enabled='{value}' --conf spark.dynamicAllocation.maxExecutors=9"
    _, notes = job_of(f"--num-executors 3 --conf {dynamic}")
    assert any("which the source leaves off" in note for note in notes) is is_told


@pytest.mark.parametrize("name", [*OPTIONS, "--conf"])
def test_no_option_takes_the_word_of_another(name):
    """After any option, flag or not, the next one is still read."""
    flag = name in OPTIONS and OPTIONS[name].is_flag
    for text in (f"{name} a=b" if not flag else name, f"{name}=a=b"):
        found = read_options(f"{text} --conf spark.after=1", "here")
        assert found.conf["spark.after"] == "1"
        assert flag or "a=b" in f"{found.job}{found.conf}{found.notes}" or found.conf.get("a") == "b"


@pytest.mark.parametrize(
    ("memory", "ours"),
    [
        ("20G", "20Gi"),
        ("512m", "512Mi"),
        ("2048", "2048Mi"),
        ("4gb", "4Gi"),
        ("64k", "64Ki"),
        ("1073741824b", "1073741824"),
    ],
)
def test_memory_has_spark_s_units(memory, ours):
    """A number without a unit is mebibytes."""
    assert job_of(f"--executor-memory {memory}")[0]["spark"]["executors"]["memory"] == ours


def test_submitted_options_go_before_the_configuration():
    """As on EMR; the property that loses is told."""
    overrides = {
        "applicationConfiguration": [
            {"classification": "spark-defaults", "properties": {"spark.executor.cores": "8", "spark.x": "1"}}
        ]
    }
    task, notes = job_of("--executor-cores 2", configuration_overrides=overrides)
    assert task["spark"] == {"main": "s3://code/x", "conf": {"spark.x": "1"}, "executors": {"cpu": 2, "min": 2}}
    assert notes == (
        "t: `spark.executor.cores: 8` did not carry over: sparkSubmitParameters go before it",
        f"t: {COUNTED}",
    )


def test_arguments_of_the_submit_operator_are_the_same_options():
    """One table reads words of a command line and arguments of SparkSubmitOperator."""
    task = {
        "operator": "airflow.providers.apache.spark.operators.spark_submit.SparkSubmitOperator",
        "application": "s3://code/a.jar",
        "java_class": "com.acme.A",
        "exclude_packages": "org:x",
        "driver_class_path": "/opt/x",
        "properties_file": "/etc/p",
        "yarn_queue": "q",
        "conn_id": "spark",
        "verbose": True,
    }
    (found,) = convert(yaml.safe_dump({"d": {"schedule": None, "tasks": {"t": task}}}))
    assert yaml.safe_load(found.text)["tasks"]["t"]["spark"] == {
        "main": "s3://code/a.jar",
        "class": "com.acme.A",
        "conf": {"spark.jars.excludes": "org:x", "spark.driver.extraClassPath": "/opt/x"},
        "executors": {"min": 2},
    }
    told = " ".join(found.notes)
    assert all(
        f"`{key}: {task[key]}`" in told for key in ("properties_file", "yarn_queue", "conn_id", "driver_class_path")
    )


def test_classifications_beside_spark_defaults_stay_with_the_job():
    """As EMR takes them; one that holds more than EMR's keys is told."""
    log4j = {"classification": "spark-log4j", "properties": {"rootLogger.level": "warn"}}
    env = {"classification": "spark-env", "configurations": [{"classification": "export", "properties": {"TZ": "UTC"}}]}
    odd = {"classification": "core-site", "comment": "x"}
    overrides = {"applicationConfiguration": [log4j, env, odd], "managedLogs": {"allow": "yes"}}
    task, notes = job_of("", configuration_overrides=overrides)
    assert task["spark"] == {"main": "s3://code/x", "configuration": [log4j, env], "executors": {"min": 2}}
    odd_ones = "{managedLogs: {allow: 'yes'}, applicationConfiguration: [{classification: core-site, comment: x}]}"
    assert notes == (f"t: `configuration_overrides: {odd_ones}` did not carry over", f"t: {COUNTED}")
