"""What platform type local would refuse of a job; light to import."""

from __future__ import annotations

from typing import Any

from airflow_doeks.platforms.protocol import Finding, JobValues
from airflow_doeks.platforms.spark.conf import conf_findings

NO_SECRETS = "secrets are Kubernetes secrets, which platform type local does not have"


def check_job(config: Any, job: JobValues) -> list[Finding]:  # noqa: ARG001 - the contract of all types
    """What this platform would refuse of a job, templates allowed."""
    help_ = "pass a value in `env`, or use a platform on Kubernetes"
    secrets = [Finding(f"secrets.{name}", NO_SECRETS, help_) for name in job["secrets"]]
    return [*conf_findings(job), *secrets]
