"""The doeks.yaml entry of a platform of type ``apache_spark``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from airflow_doeks.platforms.spark.resource.config import SparkConfig


class Config(SparkConfig):
    """A namespace that the Apache Spark Kubernetes Operator watches, and how jobs are sent to it."""

    type: Literal["apache_spark"] = Field(description="Apache Spark Kubernetes Operator (SparkApplication v1).")
