"""What a pipeline may not do, however it is written."""

from __future__ import annotations

import json

import pytest

from airflow_doeks.language import check_file, check_project
from airflow_doeks.language.leniency import POLICIES as POLICY_OF_CODE
from airflow_doeks.language.operators import is_allowed
from airflow_doeks.language.rules import schema

SPARK = "airflow_doeks.operators.job.SparkJobOperator"


@pytest.mark.parametrize("allowed", ["'*'", "airflow_doeks.*", SPARK])
def test_no_allow_list_lets_a_job_past_the_policies(project, allowed):
    """`uses` never names the operator of a Spark job, and the diagnostic tells what to write instead."""
    project.write("doeks.yaml", f"policies: {{allowed_uses: [{allowed}], max_executors: 1}}\n")
    (fault,) = check_file(project.pipeline(f"tasks: {{t: {{uses: {SPARK}, with: {{job: {{main: a.py}}}}}}}}\n"))
    assert (fault.code, fault.help) == ("DK305", "write spark: with the job's keys below it")


def test_of_our_own_only_what_runs_no_job_is_always_allowed():
    """Sensors and the operators of EMR virtual clusters need no allow-list; every other class of ours does."""
    names = ("operators.emr_virtual_cluster.EmrVirtualClusterCreateOperator", "sensors.job.JobSensor")
    assert all(is_allowed(f"airflow_doeks.{name}", f"airflow_doeks.{name}", ()) for name in names)
    assert not is_allowed("airflow_doeks.dag_builder.build_dag", "airflow_doeks.dag_builder.build_dag", ())


POLICIES = {
    "required_cost_tags": ["team"],
    "allowed_cost_tags": {"team": ["sales"]},
    "max_executors": 4,
    "allowed_images": ["acme/*"],
    "max_budget_usd": 5,
    "platforms": {"lake": ["finance/**"]},
}
JOB_PLACES = (
    "preset",
    "preset of a preset",
    "doeks.yaml",
    "environment",
    "pipeline",
    "task",
)
JOBS = [  # what a job must not have, and the policy's code
    ({"executors": {"max": 9}}, "DK303"),
    ({"executors": {"min": 9}}, "DK303"),
    ({"executors": {"max": "{{ var.value.n }}"}}, "DK303"),
    ({"image": "evil/spark"}, "DK304"),
    ({"conf": {"spark.kubernetes.container.image": "evil/spark"}}, "DK304"),
    ({"conf": {"spark.kubernetes.executor.container.image": "evil/spark"}}, "DK304"),
    ({"conf": {"spark.kubernetes.driver.podTemplateFile": "s3://evil/pod.yaml"}}, "DK304"),
]
TASKS = [  # the same of what tasks share
    ({"cost_tags": {"team": "nobody"}}, "DK302"),
    ({"budget_usd": 9}, "DK307"),
    ({"platform": "lake"}, "DK306"),
]


def files(place, *, job=None, shared=None, tags=True):
    """A doeks.yaml with every policy and a pipeline that says something in one place only."""
    lake = {"type": "emr_on_eks", "region": "us-east-1", "virtual_cluster": "abc", "code": "s3://code/"}
    lake |= {"execution_role": "arn:aws:iam::123456789012:role/x", "release": "emr-7.9.0-latest"}
    said = {"spark": job} if job else dict(shared or {})
    task = {"spark": {"main": "s3://code/a.py"}}
    doeks = {
        "platforms": {"laptop": {"type": "local"}, "lake": lake},
        "policies": POLICIES,
        "environments": {"prod": {}},
    }
    pipeline = {"tasks": {"t": task}}
    doeks["defaults"] = {"platform": "laptop", "cost_tags": {"team": "sales"} if tags else {}}
    if place.startswith("preset"):
        doeks["presets"] = {"bad": said, "outer": {"spark": {"presets": ["bad"]}}}
        task["spark"]["presets"] = ["bad" if place == "preset" else "outer"]
    elif place == "doeks.yaml":
        doeks["defaults"] |= said
    elif place == "environment":
        doeks["environments"]["prod"]["defaults"] = said
    elif place == "pipeline":
        pipeline["defaults"] = said
    else:
        task["spark"] |= said.pop("spark", {})
        task |= said
    return json.dumps(doeks), json.dumps(pipeline)


@pytest.mark.parametrize("place", JOB_PLACES)
@pytest.mark.parametrize(("job", "code"), JOBS)
def test_a_policy_sees_a_job_from_wherever_it_comes(project, place, job, code):
    """Executors, images and pod templates that presets or defaults bring are those of the job."""
    doeks, pipeline = files(place, job=job)
    project.write("doeks.yaml", doeks)
    assert [one.code for one in check_file(project.pipeline(pipeline))] == [code]


@pytest.mark.parametrize("place", JOB_PLACES[2:])
@pytest.mark.parametrize(("shared", "code"), TASKS)
def test_a_policy_sees_what_tasks_share_from_wherever_it_comes(project, place, shared, code):
    """So are cost tags, budgets and platforms that defaults bring."""
    doeks, pipeline = files(place, shared=shared)
    project.write("doeks.yaml", doeks)
    assert [one.code for one in check_file(project.pipeline(pipeline))] == [code]


@pytest.mark.parametrize("place", JOB_PLACES[2:])
def test_a_required_cost_tag_may_come_from_anywhere(project, place):
    """A tag that only defaults set is set; one that nobody sets is missed."""
    doeks, pipeline = files(place, shared={"cost_tags": {"team": "sales"}}, tags=False)
    project.write("doeks.yaml", doeks)
    assert check_file(project.pipeline(pipeline)) == []
    doeks, pipeline = files(place, tags=False)
    project.write("doeks.yaml", doeks)
    assert [one.code for one in check_file(project.pipeline(pipeline))] == ["DK301"]


def test_a_policy_sees_the_image_that_the_platform_brings(project):
    """A job without an image of its own runs the platform's, which must be allowed, too."""
    doeks, pipeline = files("task", shared={"platform": "lake"})
    changed = json.loads(doeks)
    changed["policies"] = {"allowed_images": ["acme/*"]}
    changed["platforms"]["lake"]["image"] = "evil/spark"
    project.write("doeks.yaml", json.dumps(changed))
    assert [one.code for one in check_file(project.pipeline(pipeline))] == ["DK304"]


EASED = """\
policies:
  max_cpu: 16
  max_memory: 64Gi
  required_presets: [graviton]
  required_cost_tags: [team]
  warn: [required_cost_tags]
  exceptions:
    - {policy: max_cpu, pipelines: ["lab/**"], reason: trials are small in number}
platforms: {laptop: {type: local}}
environments:
  dev: {policies: {max_memory: 8Gi, warn: [max_memory]}}
  prod: {}
"""


def test_a_job_is_measured_with_all_its_pods(project):
    """CPUs and memory of the driver and of as many executors as may run; what a template says cannot be checked."""
    project.write("doeks.yaml", EASED)
    job = "spark: {main: ../jobs/clean.py, presets: [graviton], "
    job += "driver: {cpu: 1}, executors: {max: 4, cpu: 4, memory: 16Gi}}"
    found = check_file(project.pipeline(f"cost_tags: {{team: a}}\ntasks: {{t: {{{job}}}}}"))
    assert [(one.code, one.severity, one.environments) for one in found] == [
        ("DK308", "error", ()),
        ("DK309", "error", ("prod",)),
        ("DK309", "warning", ("dev",)),
    ]
    assert found[0].message == "17 CPUs in all pods; the policy allows 16"
    text = "cost_tags: {team: a}\ntasks: {t: {spark: {main: ../jobs/clean.py, presets: [graviton], "
    text += "driver: {cpu: '{{ x }}'}}}}"
    assert [one.code for one in check_file(project.pipeline(text))] == ["DK308"]


def test_a_policy_has_exceptions_and_may_only_warn(project):
    """An exception holds for its pipelines alone; a policy under `warn` is told and stops nothing."""
    project.write("doeks.yaml", EASED.replace("dev: {policies: {max_memory: 8Gi, warn: [max_memory]}}", "dev: {}"))
    text = "tasks: {t: {spark: {main: ../../jobs/clean.py, executors: {max: 9, cpu: 2}}}}"
    lab, other = (check_file(project.pipeline(text, name)) for name in ("lab/trial", "sales/trial"))
    assert [(one.code, one.severity) for one in lab] == [("DK301", "warning"), ("DK310", "error")]
    assert [(one.code, one.severity) for one in other] == [
        ("DK301", "warning"),
        ("DK308", "error"),
        ("DK310", "error"),
    ]


def test_an_exception_needs_a_reason_and_a_policy_that_exists(project):
    """Whoever reads doeks.yaml knows why; every policy can be eased, and each has its code."""
    project.write("doeks.yaml", "policies: {exceptions: [{policy: max_cpus, pipelines: [a]}], warn: [max_cpu]}")
    found = check_project(project.path / "doeks.yaml")
    assert [(one.code, one.help) for one in found] == [("DK106", ""), ("DK107", 'did you mean "max_cpu"?')]
    keys = set(schema("doeks")["$defs"]["Policies"]["properties"]) - {"warn", "exceptions"}
    named = schema("doeks")["$defs"]["PolicyException"]["properties"]["policy"]
    assert set(json.loads(json.dumps(named))["anyOf"][0]["enum"] if "anyOf" in named else named["enum"]) == keys
    assert {*POLICY_OF_CODE.values(), "max_task_managers"} == keys
