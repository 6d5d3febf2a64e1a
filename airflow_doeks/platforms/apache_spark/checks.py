"""What the Apache Spark Kubernetes Operator would refuse of a job, told before it is sent; light to import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_doeks.platforms.spark.resource.checks import check_spark_job

if TYPE_CHECKING:
    from airflow_doeks.platforms.apache_spark.config import Config
    from airflow_doeks.platforms.protocol import Finding


def check_job(config: Config, job: Mapping[str, Any]) -> list[Finding]:
    """Everything that would be refused or that would break two runs at once; templates are left for later."""
    return check_spark_job(config, job)
