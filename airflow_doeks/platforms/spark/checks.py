"""What Kubernetes platforms of any kind would refuse of a Spark job; light to import."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_doeks.model.quantities import is_template
from airflow_doeks.platforms.protocol import Finding

_MANY = ("py_files", "files", "jars", "archives")
_FIXED_NAMES = ("spark.kubernetes.driver.pod.name", "spark.kubernetes.executor.podNamePrefix")


def code_findings(job: Mapping[str, Any], code: str | None, message: str) -> list[Finding]:
    """Files of this machine, where the platform has no place to stage them to."""
    help_ = "set `code` of the platform in doeks.yaml"
    return [
        Finding(path, message, help_)
        for path, value in _code(job)
        if isinstance(value, str) and "://" not in value and not is_template(value) and not code
    ]


def pod_name_findings(job: Mapping[str, Any]) -> list[Finding]:
    """Properties that give every run's pods the same names."""
    conf = job.get("conf") or {}
    text = "a fixed pod name makes two runs at once collide"
    return [Finding(f"conf.{key}", text, "remove it") for key in _FIXED_NAMES if key in conf]


def _code(job: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for field in ("main", "sql"):
        yield field, job.get(field)
    for field in _MANY:
        for number, value in enumerate(job.get(field) or ()):
            yield f"{field}[{number}]", value
