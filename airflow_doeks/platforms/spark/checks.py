"""What Kubernetes platforms of any kind would refuse of a Spark job; light to import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_doeks.model.code_path import is_url
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.quantities import is_template
from airflow_doeks.platforms.protocol import Finding, JobValues

_MANY = ("py_files", "files", "jars", "archives")
_FILE_PROPERTIES = ("spark.jars", "spark.files", "spark.archives", "spark.submit.pyFiles")
_OTHERWISE = "write files, jars, archives or py_files of the job; what the image holds is local:///path"
_FIXED_NAMES = ("spark.kubernetes.driver.pod.name", "spark.kubernetes.executor.podNamePrefix")


def code_findings(job: JobValues, code: str | None, message: str) -> list[Finding]:
    """Files of this machine, where the platform has no place to stage them to."""
    help_ = "set `code` of the platform in doeks.yaml"
    return [
        Finding(path, message, help_)
        for path, value in _code(job)
        if isinstance(value, str) and "://" not in value and not is_template(value) and not code
    ]


def pod_name_findings(job: JobValues) -> list[Finding]:
    """Properties that give every run's pods the same names."""
    text = "a fixed pod name makes two runs at once collide"
    return [Finding(f"conf.{key}", text, "remove it") for key in _FIXED_NAMES if key in job["conf"]]


def submitter_file_findings(job: JobValues) -> list[Finding]:
    """Properties whose files spark-submit would upload from its own pod, where keys of others lie."""
    return [
        Finding(f"conf.{key}", f'"{file}" is a file of the pod that runs spark-submit', _OTHERWISE)
        for key in _FILE_PROPERTIES
        for file in str(job["conf"].get(key, "")).split(",")
        if file.strip() and not is_template(file) and not is_url(file.strip())
    ]


def refuse_submitter_files(job: JobValues) -> None:
    """The same for a rendered job: SpecError."""
    for found in submitter_file_findings(job):
        msg = f"{found.path}: {found.message}; {found.help}"
        raise SpecError(msg)


def _code(job: JobValues) -> Iterator[tuple[str, Any]]:
    for field in ("main", "sql"):
        yield field, job[field]
    for field in _MANY:
        for number, value in enumerate(job[field]):
            yield f"{field}[{number}]", value
