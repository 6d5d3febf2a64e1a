"""The doeks.yaml entry of a platform of type ``kubeflow_spark``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from airflow_doeks.platforms.spark.resource.config import SparkConfig


class Config(SparkConfig):
    """A namespace that the Kubeflow Spark Operator watches, and how jobs are sent to it."""

    type: Literal["kubeflow_spark"] = Field(description="Kubeflow Spark Operator (SparkApplication v1beta2).")
