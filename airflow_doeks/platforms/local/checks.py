"""What platform type local would refuse of a job; light to import."""

from __future__ import annotations

from typing import Any

from airflow_doeks.model.code_path import is_url
from airflow_doeks.model.engine import FLINK
from airflow_doeks.model.quantities import is_template
from airflow_doeks.platforms.flink import conf as flink
from airflow_doeks.platforms.protocol import Finding, JobValues
from airflow_doeks.platforms.spark.conf import conf_findings

NO_SECRETS = "platform type local has no Kubernetes secrets"
SAY_WHERE = "add env: VARIABLE of the worker, or connection: ID of Airflow"
# Property of a Flink job that this type sets -> what to write instead.
_OWNED = {
    "jobmanager.archive.fs.dir": "the platform reads it at the end; remove it",
    "metrics.reporters": "the platform counts with it; remove it",
}


def check_job(config: Any, job: JobValues) -> list[Finding]:  # noqa: ARG001 - the contract of all types
    """What this platform would refuse of a job, templates allowed."""
    secrets = [
        Finding(f"secrets.{name}", NO_SECRETS, SAY_WHERE)
        for name, secret in job["secrets"].items()
        if not secret.get("env") and not secret.get("connection")
    ]
    is_flinks = set(FLINK.pods) <= set(job)
    return [*(_flink_findings(job) if is_flinks else conf_findings(job)), *secrets]


def _flink_findings(job: JobValues) -> list[Finding]:
    found = flink.conf_findings(job)
    found += [Finding(f"conf.{key}", f"{key} is not set by a job", _OWNED[key]) for key in job["conf"] if key in _OWNED]
    named = [(key, job[key]) for key in FLINK.files] + [
        (f"{key}[{index}]", value) for key in FLINK.file_lists for index, value in enumerate(job[key])
    ]
    for path, value in named:
        if value and not is_template(value) and is_url(value):
            found.append(Finding(path, f'"{value}" is not on this machine', "Flink here reads local files alone"))
    if job["packages"]:
        found.append(Finding("packages", "Flink fetches no packages here", "name the jars under `jars`"))
    return found
