"""What the Kubeflow Spark Operator would refuse of a job, told before it is sent; light to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_doeks.platforms.spark.resource.checks import check_spark_job

if TYPE_CHECKING:
    from airflow_doeks.platforms.kubeflow_spark.config import Config
    from airflow_doeks.platforms.protocol import Finding, JobValues


def check_job(config: Config, job: JobValues) -> list[Finding]:
    """Everything that would be refused or that would break two runs at once; templates are left for later."""
    return check_spark_job(config, job)
