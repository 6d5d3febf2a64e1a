"""Spark jobs as SparkApplications of the Apache Spark Kubernetes Operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.status import Request
from airflow_doeks.platforms.apache_spark.checks import check_job
from airflow_doeks.platforms.apache_spark.config import Config
from airflow_doeks.platforms.apache_spark.request import render
from airflow_doeks.platforms.apache_spark.states import OPERATOR
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.spark.resource.platform import SparkPlatform

if TYPE_CHECKING:
    from airflow_doeks.model.job import SparkJob

__all__ = ["Config", "Platform", "check_job"]


class Platform(SparkPlatform):
    """A namespace that the Apache Spark Kubernetes Operator watches."""

    config: Config

    def __init__(self, config: Config, name: str, clients: Clients) -> None:
        super().__init__(config, name, clients, OPERATOR)

    def render(self, job: SparkJob, identity: JobIdentity) -> Request:
        """The SparkApplication."""
        return render(self.config, self.name, job, identity, self.clients.inject)
