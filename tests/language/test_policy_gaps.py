"""Ways past the policies that were found open, and doeks.yaml files whose policies are broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_doeks.language import check_file, check_project, compile_file
from airflow_doeks.language.operators import is_allowed

EMR = """\
platforms:
  lake: {type: emr_on_eks, region: us-east-1, virtual_cluster: abc, code: "s3://code/", image: acme/spark,
         execution_role: "arn:aws:iam::123456789012:role/x", release: emr-7.9.0-latest}
  streams: {type: apache_flink, image: "acme/flink:1.20", namespace: x, code: "s3://code/c", state: "s3://acme/x"}
"""


def codes(project, policies, tasks):
    """Codes of the errors of a pipeline under some policies."""
    project.write("doeks.yaml", f"{EMR}policies: {policies}\n")
    return [one.code for one in check_file(project.pipeline(tasks)) if one.is_error]


@pytest.mark.parametrize(
    "name", ["airflow.providers.standard.sensors.bash.Popen", "sales.sensors.notes.Note", "sales.EmptyOperator"]
)
def test_a_notifier_must_be_on_the_allow_list_whatever_its_module_is_called(project, name):
    """What tells somebody is no sensor: `sensors` in a path lets no class run as a callback."""
    tasks = f"tasks: {{t: {{uses: empty, on_failure: {{uses: {name}, with: {{args: id, shell: true}}}}}}}}\n"
    assert codes(project, "{allowed_uses: [bash]}", tasks) == ["DK305"]
    assert codes(project, f"{{allowed_uses: ['{name}']}}", tasks) == []


def test_only_the_empty_operator_of_airflow_needs_no_allow_list():
    """A class of another module may run anything under that name."""
    names = ("airflow.providers.standard.operators.empty.EmptyOperator", "sales.jobs.EmptyOperator")
    assert [is_allowed(name, name, ()) for name in names] == [True, False]


@pytest.mark.parametrize(
    "eased", ["warn: [allowed_uses]", "exceptions: [{policy: allowed_uses, pipelines: ['**', p], reason: a trial}]"]
)
def test_no_exception_lets_a_job_past_the_policies(project, eased):
    """Easing the allow-list eases no other policy: a job's operator under `uses` stays refused."""
    operator = "airflow_doeks.operators.job.SparkJobOperator"
    tasks = f"tasks: {{t: {{uses: {operator}, with: {{platform: lake, job: {{main: s3://any/a.py}}}}}}}}\n"
    assert codes(project, f"{{allowed_images: [acme/*], {eased}}}", tasks) == ["DK305"]


@pytest.mark.parametrize(
    "policies",
    [
        "exceptions: [1]",
        "exceptions: [{}]",
        "exceptions: [{policy: max_cpu, pipelines: [1], reason: x}]",
        "exceptions: [{policy: [], pipelines: [p], reason: x}]",
        "exceptions: [{policy: max_cpu}]",
        "warn: [{}]",
        "max_cpu: '{{ var.value.n }}'",
        "max_memory: '{{ var.value.n }}'",
    ],
)
def test_broken_policies_are_told_where_they_stand(project, policies):
    """A fault of doeks.yaml is told there, no pipeline is built under it, and none is a bug of ours."""
    doeks = project.write("doeks.yaml", f"{EMR}policies: {{required_cost_tags: [team], {policies}}}\n")
    file = project.pipeline("tasks: {t: {platform: lake, spark: {main: s3://code/a.py}}}\n")
    assert [one.code for one in check_file(file)] == ["DK301"]
    assert [one.code for one in check_project(doeks) if one.code not in {"DK105", "DK106", "DK107", "DK108"}] == []
    compiled = compile_file(file)
    assert compiled.plan is None
    assert "doeks.yaml" in {Path(one.place.file).name for one in compiled.diagnostics}


@pytest.mark.parametrize(
    ("classification", "key"),
    [("emr-job-submitter", "jobsubmitter.container.image"), ("emr-containers-defaults", "logging.image")],
)
def test_images_of_classifications_must_be_allowed(project, classification, key):
    """EMR's own pods run the image that a classification names, at any depth."""
    inner = f"{{classification: {classification}, properties: {{{key}: evil/x}}}}"
    outer = f"{{classification: emr-containers-defaults, properties: {{}}, configurations: [{inner}]}}"
    for written in (inner, outer):
        tasks = f"tasks: {{t: {{platform: lake, spark: {{main: s3://code/a.py, configuration: [{written}]}}}}}}\n"
        assert codes(project, "{allowed_images: [acme/*]}", tasks) == ["DK304"]
        assert codes(project, "{allowed_images: [acme/*, evil/*]}", tasks) == []


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("{{ 'evil/x' if true else '.ecr/acme/' }}", ["DK304"]),
        ("evil/{{ '.ecr/acme/' }}", ["DK304"]),
        ("1.ecr/acme/spark:{{ params.tag }}", []),
    ],
)
def test_an_image_is_allowed_by_what_stands_before_its_template(project, image, expected):
    """Text inside of a template fits a pattern and is not what runs."""
    tasks = f'params: {{tag: x}}\ntasks: {{t: {{platform: lake, spark: {{main: s3://code/a.py, image: "{image}"}}}}}}\n'
    assert codes(project, "{allowed_images: ['*.ecr/acme/*', 'acme/*']}", tasks) == expected


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_containers_of_a_pod_template_cannot_hide_from_the_size(project, kind):
    """A pod is as large as all of its containers; a template without any is no larger than the job says."""
    big = f"{kind}: [{{name: big, resources: {{requests: {{cpu: 100}}}}}}]"
    for spec, expected in ((big, ["DK308", "DK309"]), ("priorityClassName: low", [])):
        job = f"{{main: s3://code/a.py, pod_template: {{spec: {{{spec}}}}}}}"
        tasks = f"tasks: {{t: {{platform: lake, spark: {job}}}}}\n"
        assert codes(project, "{max_cpu: 8, max_memory: 64Gi}", tasks) == expected


@pytest.mark.parametrize(
    "key",
    [
        "kubernetes.jobmanager.replicas",
        "job.autoscaler.enabled",
        "kubernetes.operator.job.autoscaler.enabled",
        "slotmanager.redundant-taskmanager-num",
        "slotmanager.number-of-slots.min",
        "slotmanager.number-of-slots.max",
        "pipeline.jobvertex-parallelism-overrides",
    ],
)
def test_no_property_adds_task_managers_past_the_policy(project, key):
    """What makes Flink start more task managers than parallelism and slots say cannot be checked and is refused."""
    tasks = f"tasks: {{t: {{platform: streams, flink: {{jar: 's3://code/a.jar', conf: {{{key}: '50'}}}}}}}}\n"
    assert codes(project, "{max_task_managers: 4}", tasks) == ["DK303"]
    assert codes(project, "{max_cpu: 8}", tasks) == ["DK308"]
    assert codes(project, "{max_budget_usd: 8}", tasks) == []


def test_a_required_preset_may_come_with_another(project):
    """A job that lists a preset has also what that one lists."""
    project.write(
        "doeks.yaml",
        f"{EMR}presets: {{base: {{spark: {{env: {{A: b}}}}}}, team: {{spark: {{presets: [base, spot]}}}}}}\n"
        "policies: {required_presets: [base, spot]}\n",
    )
    tasks = "tasks: {t: {platform: lake, spark: {main: s3://acme-code/a.py, presets: [team]}}}\n"
    assert [one for one in check_file(project.pipeline(tasks)) if one.is_error] == []
    assert [one.code for one in check_file(project.pipeline(tasks.replace("team", "spot")))] == ["DK310"]


@pytest.mark.parametrize("value", ["4711", "''", "[a]"])
def test_a_cost_tag_that_is_refused_is_not_also_missing(project, value):
    """One slip, one diagnostic: the tag stands there, its value is wrong."""
    tasks = "tasks: {t: {platform: lake, spark: {main: s3://acme-code/a.py}}}\n"
    found = codes(project, "{required_cost_tags: [center]}", f"cost_tags: {{center: {value}}}\n{tasks}")
    assert found in (["DK105"], ["DK110"])
    assert codes(project, "{required_cost_tags: [center]}", tasks) == ["DK301"]


@pytest.mark.parametrize(("first", "told"), [("2", []), ("9", ["DK308", "DK303"]), ("'{{ x }}'", ["DK308", "DK303"])])
def test_executors_that_a_job_begins_with_are_counted(project, first, told):
    """Spark asks for initialExecutors at once, also where they are more than executors.max."""
    sizes = f"executors: {{min: 1, max: 2}}, conf: {{spark.dynamicAllocation.initialExecutors: {first}}}"
    tasks = f"tasks: {{t: {{platform: lake, spark: {{main: s3://acme-code/a.py, {sizes}}}}}}}\n"
    assert codes(project, "{max_executors: 3, max_cpu: 4}", tasks) == told
    assert codes(project, "{max_executors: 3, max_cpu: 4}", tasks.replace("min: 1, max: 2", "min: 2")) == []
