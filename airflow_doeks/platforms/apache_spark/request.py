"""From a Spark job to the SparkApplication (spark.apache.org/v1) that runs it; pure.

This operator has no fields for drivers and executors and no webhook: everything is a Spark property or a pod template.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.status import Request
from airflow_doeks.platforms.apache_spark.states import OPERATOR
from airflow_doeks.platforms.kubernetes.labels import full_values, label_forms
from airflow_doeks.platforms.spark.conf import spec_hash
from airflow_doeks.platforms.spark.pods import key_conf
from airflow_doeks.platforms.spark.resource.work import KEEP_SECONDS, SparkWork, event_log_of, spark_work

if TYPE_CHECKING:
    from airflow_doeks.model.job import SparkJob
    from airflow_doeks.platforms.apache_spark.config import Config
    from airflow_doeks.platforms.clients import Injection

# The operator's own 5 minutes would fail a job that waits in a queue; Airflow's time-outs limit a job.
WAIT_MILLIS = KEEP_SECONDS * 1000
_AS_CONF = {"jars": "spark.jars", "pyFiles": "spark.submit.pyFiles", "archives": "spark.archives"}
_AS_CONF |= {"packages": "spark.jars.packages", "files": "spark.files"}


def render(config: Config, platform: str, job: SparkJob, identity: JobIdentity, injection: Injection) -> Request:
    """The SparkApplication of an attempt: the body is ``{"resource": object, "event_log": URL or None}``.

    Raises SpecError for a job that the operator cannot run.
    """
    work_hash = spec_hash(_spec(config, job, spark_work(config, job, injection, None, {}), {}))
    tags = identity.tags(work_hash)
    spec = _spec(config, job, spark_work(config, job, injection, identity, label_forms(tags)), key_conf(tags))
    metadata: dict[str, Any] = {"name": identity.name, "namespace": config.namespace, "labels": label_forms(tags)}
    full = full_values(tags)
    metadata |= {"annotations": full} if full else {}
    resource = {"apiVersion": OPERATOR.kind.api_version, "kind": OPERATOR.kind.name, "metadata": metadata, "spec": spec}
    event_log = event_log_of(config, identity.name) if injection.event_log else None
    body = {"resource": resource, "event_log": event_log}
    return Request(platform, OPERATOR.type, identity.name, identity.token, work_hash, body)


def _spec(config: Config, job: SparkJob, work: SparkWork, keys: dict[str, str]) -> dict[str, Any]:
    conf = {
        **work.conf,
        **{_AS_CONF[field]: ",".join(urls) for field, urls in work.deps.items()},
        **keys,
        "spark.kubernetes.namespace": config.namespace,
        "spark.kubernetes.container.image": work.image,
        "spark.kubernetes.container.image.pullPolicy": config.image_pull_policy,
        "spark.kubernetes.authenticate.driver.serviceAccountName": config.service_account,
        "spark.kubernetes.authenticate.executor.serviceAccountName": config.service_account,
    }
    return {
        **({"pyFiles": work.main} if work.main.endswith(".py") else {"jars": work.main}),
        **({"mainClass": job.class_} if job.class_ else {}),
        **({"driverArgs": list(work.args)} if work.args else {}),
        "deploymentMode": "ClusterMode",
        "runtimeVersions": {"sparkVersion": work.version},
        "sparkConf": dict(sorted(conf.items())),
        "driverSpec": {"podTemplateSpec": _template(work, "driver")},
        "executorSpec": {"podTemplateSpec": _template(work, "executor")},
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


def _template(work: SparkWork, role: str) -> dict[str, Any]:
    """The pod template as the resource holds it."""
    return {key: value for key, value in work.templates[role].items() if key in ("metadata", "spec")}
