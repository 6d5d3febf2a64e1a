"""What Kubernetes platforms of any kind would refuse of a Spark job; light to import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_doeks.model.quantities import is_template
from airflow_doeks.platforms.protocol import Finding, JobValues

_MANY = ("py_files", "files", "jars", "archives")
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


def _code(job: JobValues) -> Iterator[tuple[str, Any]]:
    for field in ("main", "sql"):
        yield field, job[field]
    for field in _MANY:
        for number, value in enumerate(job[field]):
            yield f"{field}[{number}]", value
