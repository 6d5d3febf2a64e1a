"""From a Spark job to the SparkApplication that runs it; pure.

What presets and the job ask of pods stands in Spark properties and pod templates, which need no webhook; sizes and the
number of executors stand in the resource's own fields, which the operator's quota check reads. SparkApplication
v1beta2, operator 2.4, read November 2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.status import Request
from airflow_doeks.platforms.kubeflow_spark.states import OPERATOR
from airflow_doeks.platforms.kubernetes.labels import full_values, label_forms
from airflow_doeks.platforms.spark.conf import spec_hash
from airflow_doeks.platforms.spark.resource.work import KEEP_SECONDS, SparkWork, event_log_of, spark_work

if TYPE_CHECKING:
    from airflow_doeks.model.job import SparkJob
    from airflow_doeks.platforms.clients import Injection
    from airflow_doeks.platforms.kubeflow_spark.config import Config

_SIZES = ("memory", "memoryOverhead")  # spark.<role>.<size> -> the field of that name
_LEAST, _MOST = "spark.dynamicAllocation.minExecutors", "spark.dynamicAllocation.maxExecutors"


def render(config: Config, platform: str, job: SparkJob, identity: JobIdentity, injection: Injection) -> Request:
    """The SparkApplication of an attempt: the body is ``{"resource": object, "event_log": URL or None}``.

    Raises SpecError for a job that the operator cannot run.
    """
    work_hash = spec_hash(_spec(config, job, spark_work(config, job, injection, None, {})))
    tags = identity.tags(work_hash)
    spec = _spec(config, job, spark_work(config, job, injection, identity, label_forms(tags)))
    metadata: dict[str, Any] = {"name": identity.name, "namespace": config.namespace}
    metadata["labels"] = label_forms(tags)  # the operator writes them on both kinds of pods
    full = full_values(tags)
    if full:
        metadata["annotations"] = full
        for role in ("driver", "executor"):
            spec[role]["annotations"] = full
    resource = {"apiVersion": OPERATOR.kind.api_version, "kind": OPERATOR.kind.name, "metadata": metadata, "spec": spec}
    event_log = event_log_of(config, identity.name) if injection.event_log else None
    body = {"resource": resource, "event_log": event_log}
    return Request(platform, OPERATOR.type, identity.name, identity.token, work_hash, body)


def _spec(config: Config, job: SparkJob, work: SparkWork) -> dict[str, Any]:
    conf = dict(work.conf)
    driver, executor = (_pod(role, conf, config) for role in ("driver", "executor"))
    driver["template"], executor["template"] = (
        {"metadata": {}} | _template(work, role) for role in ("driver", "executor")
    )
    spec: dict[str, Any] = {
        **_program(job, work),
        "mode": "cluster",
        "sparkVersion": work.version,
        "image": work.image,
        "imagePullPolicy": config.image_pull_policy,
        **({"arguments": list(work.args)} if work.args else {}),
        **({"deps": work.deps} if work.deps else {}),
        "restartPolicy": {"type": "Never"},  # Airflow retries, or cost and attempts multiply
        "timeToLiveSeconds": KEEP_SECONDS,
        "driver": driver,
        "executor": executor,
    }
    is_dynamic = conf.pop("spark.dynamicAllocation.enabled") == "true"
    if is_dynamic:
        # As a field: the operator (2.4) reads the property under a wrong name and would add `executor.instances: 1`.
        least, most = int(conf.pop(_LEAST)), int(conf.pop(_MOST))
        tracks = conf.pop("spark.dynamicAllocation.shuffleTracking.enabled") == "true"
        dynamic = {"enabled": True, "minExecutors": least, "maxExecutors": most, "shuffleTrackingEnabled": tracks}
        spec["dynamicAllocation"] = dynamic
    else:
        executor["instances"] = int(conf.pop("spark.executor.instances"))
    return spec | {"sparkConf": conf}


def _program(job: SparkJob, work: SparkWork) -> dict[str, Any]:
    """What is run: a Python file, or a jar and its class."""
    if work.main.endswith(".py"):
        return {"type": "Python", "pythonVersion": "3", "mainApplicationFile": work.main}
    language = {"type": "Java", "mainApplicationFile": work.main}
    return language | ({"mainClass": job.class_} if job.class_ else {})


def _pod(role: str, conf: dict[str, str], config: Config) -> dict[str, Any]:
    """The fields of a role, moved out of the properties."""
    pod: dict[str, Any] = {
        "cores": int(conf.pop(f"spark.{role}.cores")),
        "coreRequest": conf.pop(f"spark.kubernetes.{role}.request.cores"),
        **{field: conf.pop(f"spark.{role}.{field}") for field in _SIZES},
        "serviceAccount": config.service_account,
    }
    return pod


def _template(work: SparkWork, role: str) -> dict[str, Any]:
    """The pod template as the resource holds it: without the kind, which its definition does not know."""
    return {key: value for key, value in work.templates[role].items() if key in ("metadata", "spec")}
