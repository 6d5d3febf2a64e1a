"""Spark jobs as SparkApplications of the Kubeflow Spark Operator."""

from __future__ import annotations

from airflow_doeks.platforms.kubeflow_spark.config import Config
from airflow_doeks.platforms.kubeflow_spark.request import spec
from airflow_doeks.platforms.kubeflow_spark.states import OPERATOR
from airflow_doeks.platforms.spark.resource.platform import SparkPlatform

__all__ = ["Config", "Platform"]


class Platform(SparkPlatform):
    """A namespace that the Kubeflow Spark Operator watches."""

    operator, spec = OPERATOR, staticmethod(spec)
