"""From a Spark job to the SparkApplication (spark.apache.org/v1) that runs it; pure.

This operator has no fields for drivers and executors and no webhook: everything is a Spark property or a pod template.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_doeks.model.errors import SpecError
from airflow_doeks.platforms.apache_spark.checks import volcano_findings
from airflow_doeks.platforms.spark.gang import POD_GROUP
from airflow_doeks.platforms.spark.pods import key_conf
from airflow_doeks.platforms.spark.resource.work import KEEP_SECONDS, SparkWork

if TYPE_CHECKING:
    from airflow_doeks.model.job import SparkJob
    from airflow_doeks.platforms.spark.resource.config import SparkConfig

# The operator's own 5 minutes would fail a job that waits in a queue; Airflow's time-outs limit a job.
WAIT_MILLIS = KEEP_SECONDS * 1000
_AS_CONF = {"jars": "spark.jars", "pyFiles": "spark.submit.pyFiles", "archives": "spark.archives"}
_AS_CONF |= {"packages": "spark.jars.packages", "files": "spark.files"}


def spec(config: SparkConfig, job: SparkJob, work: SparkWork, tags: Mapping[str, str]) -> dict[str, Any]:
    """The ``spec`` of the SparkApplication; the job's keys come to both kinds of pods as properties."""
    faults = volcano_findings(work.version) if POD_GROUP in work.conf else []
    if faults:
        msg = f"{faults[0].path}: {faults[0].message}; {faults[0].help}."
        raise SpecError(msg)
    conf = {
        **work.conf,
        **{_AS_CONF[field]: ",".join(urls) for field, urls in work.deps.items()},
        **key_conf(tags),
        "spark.kubernetes.namespace": config.namespace,
        "spark.kubernetes.container.image": work.image,
        "spark.kubernetes.container.image.pullPolicy": config.image_pull_policy,
        "spark.kubernetes.authenticate.driver.serviceAccountName": work.service_account,
        "spark.kubernetes.authenticate.executor.serviceAccountName": work.service_account,
    }
    return {
        **({"pyFiles": work.main} if work.main.endswith(".py") else {"jars": work.main}),
        **({"mainClass": job.class_} if job.class_ else {}),
        **({"driverArgs": list(work.args)} if work.args else {}),
        "deploymentMode": "ClusterMode",
        "runtimeVersions": {"sparkVersion": work.version},
        "sparkConf": dict(sorted(conf.items())),
        "driverSpec": {"podTemplateSpec": work.templates["driver"]},
        "executorSpec": {"podTemplateSpec": work.templates["executor"]},
        "applicationTolerations": {
            "restartConfig": {"restartPolicy": "Never"},  # Airflow retries, or cost and attempts multiply
            "applicationTimeoutConfig": {
                "driverStartTimeoutMillis": WAIT_MILLIS,
                "executorStartTimeoutMillis": WAIT_MILLIS,
            },
            "resourceRetainPolicy": "OnFailure",  # a failed driver's log explains it
            "ttlAfterStopMillis": KEEP_SECONDS * 1000,
        },
    }
