"""Limits, quoting, hashes and labels of what is sent to EMR on EKS."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest

from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.job import SparkJob
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.emr_on_eks.platform import Config, Platform, check_cost_tags, check_job
from airflow_doeks.platforms.emr_on_eks.request import all_conf
from tests.fakes.emr_containers import MODEL
from tests.fakes.shapes import violations
from tests.platforms.harness_emr_on_eks import ENTRY
from tests.platforms.test_emr_rendered import IDENTITY

MAIN = "s3://acme-code/jobs/clean.py"
NASTY = [
    "two words",
    "it's",
    'a "quote"',
    "$(rm -rf /)",
    "`x`",
    "$HOME",
    "a\\b",
    "line\nbreak",
    "ünïcödé ✓",
    "*",
    "--x=1;",
]


def platform(**entry) -> Platform:
    """A platform whose clients are never asked for."""
    return Platform(Config.model_validate(ENTRY | entry), "lake", Clients())


def start(job: SparkJob, identity=IDENTITY, **entry) -> dict:
    """The StartJobRun of a job."""
    return platform(**entry).render(job, identity).body["start_job_run"]


def properties(request: dict) -> dict:
    """The spark-defaults of a request."""
    return request["configurationOverrides"]["applicationConfiguration"][0]["properties"]


def test_more_than_100_properties_move_to_parameters():
    """EMR takes 100 properties; the ones beyond travel as --conf and none is lost."""
    conf = {f"spark.acme.p{number:03d}": f"value {number}" for number in range(150)}
    request = start(SparkJob(main=MAIN, conf=conf))
    assert len(properties(request)) == 100
    assert conf.items() <= all_conf(request).items()
    assert all_conf(request)["spark.kubernetes.driver.label.airflow-doeks/task-key"] == IDENTITY.task_key[:16]
    assert violations(request, MODEL.operation_model("StartJobRun").input_shape) == []


@pytest.mark.parametrize("value", [*NASTY, "", " ", "x" * 1025 + "'\"$()"])
def test_moved_properties_are_quoted_for_a_shell_like_split(value):
    """A property that had to move reads the same after a shell-like split, whatever characters it holds."""
    conf = {"spark.acme.nasty": value, **{f"spark.acme.p{n:03d}": "1" for n in range(119)}, "spark.acme.p119": value}
    request = start(SparkJob(main=MAIN, conf=conf))
    line = request["jobDriver"]["sparkSubmitJobDriver"]["sparkSubmitParameters"]
    assert f"spark.acme.p119={value}" in shlex.split(line)
    assert all_conf(request).items() >= conf.items()


def test_arguments_are_a_list_and_need_no_quotes():
    """Arguments travel as a list: what the author wrote is what EMR is given, character by character."""
    request = start(SparkJob(main=MAIN, args=NASTY))
    assert request["jobDriver"]["sparkSubmitJobDriver"]["entryPointArguments"] == NASTY


def test_equal_work_has_an_equal_hash_whoever_asks():
    """Another try, run or Airflow changes name, token and tags, never the spec hash; other work changes it."""
    job = SparkJob(main=MAIN, presets=("spot", "same_zone"))
    other = replace(IDENTITY, run_id="another", try_number=7, attempt_id="x", instance="test", cost_tags={})
    one, two = platform().render(job, IDENTITY), platform().render(job, other)
    assert one.spec_hash == two.spec_hash
    assert (one.name, one.token) != (two.name, two.token)
    changed = job.model_copy(update={"args": ("1",)})
    assert platform().render(changed, IDENTITY).spec_hash != one.spec_hash
    assert platform(release="emr-7.5.0-latest").render(job, IDENTITY).spec_hash != one.spec_hash


def test_executors_are_named_by_the_attempt_within_every_sparks_limit():
    """The name of executor pods starts alike for one attempt only, and fits the 47 characters of Spark 3.2."""
    long = replace(IDENTITY, dag_id="a" * 35, task_id="clean")
    prefix = all_conf(start(SparkJob(main=MAIN), long))["spark.kubernetes.executor.podNamePrefix"]
    assert len(long.name) == 48
    assert re.fullmatch("[a-z0-9][a-z0-9-]{,46}", prefix)
    assert prefix.endswith(long.token[:12])


def test_full_values_stand_in_tags_and_annotations():
    """A value that no label can hold is shortened in the label and whole in the EMR tag and the annotation."""
    long = "Team Ünï / " + "x" * 80
    request = start(SparkJob(main=MAIN), replace(IDENTITY, cost_tags={"cost center": long}))
    conf = all_conf(request)
    key = next(key for key in conf if key.startswith("spark.kubernetes.driver.label.airflow-doeks/tag-cost-center-"))
    assert len(conf[key]) <= 63
    assert conf[key.replace(".label.", ".annotation.")] == long
    assert request["tags"]["airflow-doeks/tag-cost center"] == long


@pytest.mark.parametrize("key", ["k" * 111, "a#b", "two\nlines", " "])
def test_a_cost_tag_that_no_aws_tag_can_be_is_refused(key):
    """Its key goes into a tag behind ours: too long, or of other characters, EMR would refuse each of its jobs."""
    with pytest.raises(SpecError, match=r"^cost_tags: .* is no key for an AWS tag, which takes 1 to 110 letters"):
        start(SparkJob(main=MAIN), replace(IDENTITY, cost_tags={key: "x"}))
    assert [(finding.path, finding.help) for finding in check_cost_tags({key: "x"})] == [(key, "rename it")]


@pytest.mark.parametrize(
    ("value", "sent"), [("a\nb\t", "a_b_"), ("  ", ""), ("Größe 1/2 @x", "Größe 1/2 @x"), ("a#b", "a_b")]
)
def test_what_aws_refuses_in_the_value_of_a_tag_is_replaced(value, sent):
    """A line break of a YAML block and the like; the annotation of the pods has the value whole."""
    request = start(SparkJob(main=MAIN), replace(IDENTITY, cost_tags={"k" * 110: value}))
    assert request["tags"][f"airflow-doeks/tag-{'k' * 110}"] == sent
    assert violations(request, MODEL.operation_model("StartJobRun").input_shape) == []


def test_too_many_or_too_long_tags_are_refused():
    """EMR takes 50 tags of 256 characters; more is an error with the number to drop, never a silent drop."""
    many = {f"t{number}": "x" for number in range(42)}
    with pytest.raises(SpecError, match=r"51 tags with our own; EMR takes 50\. Drop 1"):
        start(SparkJob(main=MAIN), replace(IDENTITY, cost_tags=many))
    assert [finding.message for finding in check_cost_tags(many)] == ["42 cost tags; EMR takes 50 in all, 41 are left"]
    assert check_cost_tags({"team": "x" * 257})[0].path == "team"
    assert check_cost_tags({f"t{number}": "x" for number in range(41)}) == []


def test_a_preset_that_needs_a_template_needs_a_place_for_it():
    """EMR reads pod templates from S3: without `code` the render says what to set."""
    with pytest.raises(SpecError, match="set `code` of the platform"):
        start(SparkJob(main=MAIN, presets=("ndots",)), code=None)


@pytest.mark.parametrize(
    ("job", "entry", "expected"),
    [
        ({"main": MAIN}, {}, []),
        ({"main": "jobs/a.py"}, {"code": None}, ["main: EMR cannot read a local file"]),
        ({"main": "{{ var.value.main }}"}, {"code": None}, []),
        ({"main": "s3://b/" + "x" * 250}, {}, ["main: 257 characters once staged; EMR takes 256"]),
        (
            {"main": "jobs/" + "x" * 190 + ".py"},
            {"code": "s3://acme-code"},
            ["main: 273 characters once staged; EMR takes 256"],
        ),
        ({"main": MAIN, "args": ["ok", " "]}, {}, ["args[1]: EMR refuses a blank argument"]),
        ({"main": MAIN, "args": ["x" * 10281]}, {}, ["args[0]: 10281 characters; EMR takes 10280"]),
        ({"main": MAIN}, {"release": None}, ["release: EMR needs a release"]),
        ({"main": MAIN}, {"execution_role": None}, ["execution_role: EMR needs an execution_role"]),
        ({"main": MAIN}, {"release": None, "execution_role": None, "job_template": "0000000t"}, []),
        (
            {"main": MAIN, "conf": {"spark.kubernetes.driver.pod.name": "x"}},
            {},
            ["conf.spark.kubernetes.driver.pod.name: a fixed pod name makes two runs at once collide"],
        ),
        (
            {"main": MAIN, "presets": ["termination_log"]},
            {"code": None},
            ["presets: they need a pod template of the driver, read from S3"],
        ),
        ({"main": MAIN, "presets": ["spot", "on_demand"]}, {}, ["presets: spot and on_demand exclude each other"]),
        (
            {"main": MAIN, "presets": ["ndots"], "conf": {"spark.kubernetes.driver.podTemplateFile": "s3://x/y"}},
            {},
            ["conf.spark.kubernetes.driver.podTemplateFile: the presets bring a pod template of the driver too"],
        ),
        ({"main": MAIN, "presets": ["yunikorn"], "driver": {"cpu": "{{ params.cpu }}"}}, {}, []),
    ],
)
def test_lint_tells_what_emr_would_refuse(job, entry, expected):
    """What EMR would refuse is a finding with the place in the job and the limit, before anything is sent."""
    found = check_job(Config.model_validate(ENTRY | entry), SparkJob.model_validate(job).plain())
    assert [f"{finding.path}: {finding.message}" for finding in found] == expected
    assert all(finding.help for finding in found)


def test_pods_are_asked_for_in_one_namespace():
    """`kubernetes` without `namespace` is found by lint, and refused when a worker connects."""
    entry = ENTRY | {"kubernetes": "kubernetes_default"}
    found = check_job(Config.model_construct(**entry), SparkJob(main=MAIN).plain())
    assert [(finding.path, finding.message) for finding in found] == [
        ("namespace", "`kubernetes` asks for the pods of one namespace")
    ]
    with pytest.raises(ValueError, match="set `namespace` beside it"):
        Config.model_validate(entry)
    assert not check_job(Config.model_validate(entry | {"namespace": "sales"}), SparkJob(main=MAIN).plain())
