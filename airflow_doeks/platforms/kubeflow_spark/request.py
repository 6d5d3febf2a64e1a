"""From a Spark job to the SparkApplication that runs it; pure.

What presets and the job ask of pods stands in Spark properties and pod templates, which need no webhook; sizes and the
number of executors stand in the resource's own fields, which the operator's quota check reads. SparkApplication
v1beta2, operator 2.4, read November 2026.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_doeks.platforms.kubernetes.labels import full_values
from airflow_doeks.platforms.spark.effects import ROLES
from airflow_doeks.platforms.spark.gang import FEATURE_STEPS, POD_GROUP, SCHEDULER
from airflow_doeks.platforms.spark.resource.work import KEEP_SECONDS, SparkWork

if TYPE_CHECKING:
    from airflow_doeks.model.job import SparkJob
    from airflow_doeks.platforms.spark.resource.config import SparkConfig

_SIZES = ("memory", "memoryOverhead")  # spark.<role>.<size> -> the field of that name
_LEAST, _MOST = "spark.dynamicAllocation.minExecutors", "spark.dynamicAllocation.maxExecutors"


def spec(config: SparkConfig, job: SparkJob, work: SparkWork, tags: Mapping[str, str]) -> dict[str, Any]:
    """The ``spec`` of the SparkApplication; labels of the resource come to both kinds of pods by the operator."""
    conf = dict(work.conf)
    driver, executor = (_pod(role, conf, work) for role in ROLES)
    found: dict[str, Any] = {
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
        found["dynamicAllocation"] = dynamic
    else:
        executor["instances"] = int(conf.pop("spark.executor.instances"))
    if POD_GROUP in conf:
        found |= _batch(conf)
    full = full_values(tags)
    for pod in (driver, executor) if full else ():
        pod["annotations"] = full
    return found | {"sparkConf": conf}


def _batch(conf: dict[str, str]) -> dict[str, Any]:
    """A PodGroup that the operator makes itself, moved out of the properties, for which its Spark has no classes."""
    group, scheduler = json.loads(conf.pop(POD_GROUP))["spec"], conf.pop(SCHEDULER)
    for role in ROLES:
        del conf[FEATURE_STEPS.format(role)]
    options = {"resources": group["minResources"]}
    options |= {key: group[key] for key in ("queue", "priorityClassName") if key in group}
    return {"batchScheduler": scheduler, "batchSchedulerOptions": options}


def _program(job: SparkJob, work: SparkWork) -> dict[str, Any]:
    """What is run: a Python file, or a jar and its class."""
    if work.main.endswith(".py"):
        return {"type": "Python", "pythonVersion": "3", "mainApplicationFile": work.main}
    language = {"type": "Java", "mainApplicationFile": work.main}
    return language | ({"mainClass": job.class_} if job.class_ else {})


def _pod(role: str, conf: dict[str, str], work: SparkWork) -> dict[str, Any]:
    """The fields of a role, moved out of the properties, and its pod template."""
    return {
        "cores": int(conf.pop(f"spark.{role}.cores")),
        "coreRequest": conf.pop(f"spark.kubernetes.{role}.request.cores"),
        **{field: conf.pop(f"spark.{role}.{field}") for field in _SIZES},
        "serviceAccount": work.service_account,
        "template": {"metadata": {}} | work.templates[role],
    }
