"""Flink in YAML: what a job may say, how many task managers it means, and streams that other tasks stop or follow."""

from __future__ import annotations

import pytest

from airflow_doeks.language import check_file, compile_file


@pytest.fixture
def project(project):
    """A project with a platform that runs streams, too."""
    streams = "  streams: {type: apache_flink, namespace: s, image: 'acme/flink:1.20', code: 's3://acme-code/', state: 's3://acme-state/'}"
    text = (project.path / "doeks.yaml").read_text()
    project.write("doeks.yaml", text.replace("platforms:\n", f"platforms:\n{streams}\n"))
    return project


def found(project, tasks: str, **more: str) -> list[tuple[str, str]]:
    """Code and message of everything wrong with the tasks."""
    text = "".join(f"{key}: {value}\n" for key, value in more.items()) + f"tasks:\n{tasks}"
    return [(one.code, one.message) for one in check_file(project.pipeline(text))]


STREAM = "  deploy: {platform: streams, flink: {jar: ../jobs/job.jar, mode: streaming, stable_for: 2m}}\n"


@pytest.mark.parametrize(
    ("job", "faults"),
    [
        ("jar: ../jobs/job.jar, class: com.acme.Job, args: [a]", []),
        ("main: ../jobs/clean.py, py_files: [../jobs/clean.py], parallelism: 4, task_manager: {slots: 2}", []),
        ("sql: ../sql/rollup.sql, jars: [../jobs/job.jar], state: {checkpoints: 's3://acme/c'}", []),
        ("sql: ../sql/rollup.sql, flink_version: '1.20', image: acme/flink", []),
        ("sql: ../sql/rollup.sql, class: X", [("DK211", "class belongs to code, not to sql")]),
        (
            "sql: ../sql/rollup.sql, jar: ../jobs/job.jar",
            [("DK211", "the job has both jar and sql; exactly one of them is run")],
        ),
        ("jar: ../jobs/no.jar", [("DK212", '"../jobs/no.jar" does not exist')]),
        ("main: ../jobs/clean.py, jars: [../jobs/no.jar]", [("DK212", '"../jobs/no.jar" does not exist')]),
        ("main: ../jobs/clean.py, task_manager: {cpu: 0m}", [("DK210", "0m is no CPU at all")]),
        ("main: ../jobs/clean.py, presets: [spot]", [("DK216", '"spot" is a preset of Spark, not of Flink')]),
        ("main: ../jobs/clean.py, presets: [sopt]", [("DK216", 'there is no preset "sopt"')]),
        (
            "main: ../jobs/clean.py, upgrade: stateless",
            [("DK232", "upgrade is for mode: streaming, and this job ends by itself")],
        ),
        (
            "main: ../jobs/clean.py, until: running",
            [("DK232", "until is for mode: streaming, and this job ends by itself")],
        ),
        ("main: ../jobs/clean.py, until: finished, mode: bounded", []),
    ],
)
def test_a_job_is_checked_by_the_rules_of_its_engine(project, job, faults):
    """Work, files, quantities, presets and endings are told as for Spark."""
    assert found(project, f"  t: {{platform: laptop, flink: {{{job}}}}}\n") == faults


def test_a_version_is_text(project):
    """1.20 without quotes is the number 1.2 in YAML, and is asked for in quotes."""
    faults = found(project, "  t: {platform: laptop, flink: {main: ../jobs/clean.py, flink_version: 1.20}}\n")
    assert [code for code, _ in faults] == ["DK105"], faults


def test_defaults_may_speak_of_streams_to_jobs_that_end(project):
    """How streams are upgraded can stand once for a pipeline of both."""
    ends = "  ends: {platform: streams, flink: {main: ../jobs/clean.py}}\n"
    assert found(project, STREAM + ends, defaults="{flink: {upgrade: last-state}}") == []


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ("parallelism: 9, task_manager: {slots: 2}", "5 task managers; the policy allows 4"),
        ("parallelism: 8, task_manager: {slots: 2}", None),
        ("parallelism: 5", "5 task managers; the policy allows 4"),
        ("parallelism: '{{ var.value.n }}'", "parallelism is a template, so the policy's 4 cannot be checked"),
        ("task_manager: {slots: '{{ 1 }}'}", "task_manager.slots is a template, so the policy's 4 cannot be checked"),
    ],
)
def test_policies_count_task_managers(project, job, message):
    """A job has as many task managers as offer the slots of its parallelism; max_executors is for Spark alone."""
    project.write(
        "doeks.yaml",
        "platforms: {laptop: {type: local}}\npolicies: {max_task_managers: 4, max_executors: 1}\n",
    )
    faults = found(project, f"  t: {{flink: {{main: ../jobs/clean.py, {job}}}}}\n")
    assert faults == ([("DK303", message)] if message else [])


def test_a_stream_is_stopped_and_another_starts_from_what_is_returned(project):
    """Tasks are found as `needs` finds them, come after the task that they name, and a returned path is a template."""
    text = (
        "tasks:\n  s:\n    tasks:\n"
        "      deploy: {platform: streams, flink: {jar: ../jobs/job.jar, mode: streaming}}\n"
        "      stop: {platform: streams, flink: {stop: deploy}}\n"
        "      again: {platform: streams, flink: {sql: ../sql/rollup.sql, mode: streaming, from: stop}}\n"
        "      path: {platform: streams, flink: {sql: ../sql/rollup.sql, from: 's3://acme/savepoint-1'}}\n"
        "      other: {platform: streams, flink: {savepoint: 'clicks.hourly:deploy'}}\n"
    )
    compiled = compile_file(project.pipeline(text))
    assert compiled.diagnostics == ()
    tasks = {task.task_id.removeprefix("s."): task for task in compiled.plan.tasks}
    assert {name: task.needs for name, task in tasks.items()} == {
        "deploy": (),
        "stop": ("s.deploy",),
        "again": ("s.stop",),
        "path": (),
        "other": (),
    }
    assert tasks["stop"].job == {"stop": "s.deploy"}
    assert tasks["again"].job["from"] == "{{ ti.xcom_pull(task_ids='s.stop') }}"
    assert tasks["path"].job["from"] == "s3://acme/savepoint-1"
    assert tasks["other"].job == {"savepoint": "clicks.hourly:deploy"}


def test_only_a_stream_can_be_stopped(project):
    """A name that is no task, and a task without a stream, are told where they are written."""
    bounded = "  ends: {platform: streams, flink: {jar: ../jobs/job.jar}}\n"
    stop = "  stop: {{platform: streams, flink: {{stop: {}}}}}\n"
    assert found(project, STREAM + stop.format("deploy")) == []
    assert found(project, STREAM + stop.format("deplox")) == [("DK206", 'there is no task "deplox"')]
    assert found(project, bounded + stop.format("ends")) == [("DK233", '"ends" is no Flink job with mode: streaming')]
    assert found(project, stop.format("stop")) == [("DK207", '"stop" needs itself')]


def test_an_inherited_jar_gives_way_to_what_the_task_does(project):
    """A task that stops a stream runs nothing, whatever the defaults of the pipeline run."""
    tasks = "  deploy: {platform: streams, flink: {}}\n  stop: {platform: streams, flink: {stop: deploy}}\n"
    defaults = "{flink: {jar: ../jobs/job.jar, class: X, args: [a], mode: streaming}}"
    compiled = compile_file(project.pipeline(f"defaults: {defaults}\ntasks:\n{tasks}"))
    assert compiled.diagnostics == ()
    assert compiled.plan.tasks[1].job == {"mode": "streaming", "stop": "deploy"}
