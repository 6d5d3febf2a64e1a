"""Queues and gangs of batch schedulers, sized from the job: YuniKorn by task groups, Volcano by a PodGroup; pure.

YuniKorn 1.x, Volcano 1.13 and Spark's VolcanoFeatureStep, read November 2026.
"""

from __future__ import annotations

import json
from typing import Any

from airflow_doeks.model.quantities import MIB
from airflow_doeks.platforms.kubernetes.labels import GPU, YUNIKORN
from airflow_doeks.platforms.kubernetes.pod_template import PodPatch
from airflow_doeks.platforms.protocol import JobValues
from airflow_doeks.platforms.spark.conf import memory_bytes, vcpu
from airflow_doeks.platforms.spark.effects import ROLES, Effect, Surroundings
from airflow_doeks.platforms.spark.gpu import CLAIM

SCHEDULER = "spark.kubernetes.scheduler.name"
FEATURE_STEPS = "spark.kubernetes.{}.pod.featureSteps"
POD_GROUP = "spark.kubernetes.scheduler.volcano.podGroupTemplateJson"  # Spark 4.2 and later
VOLCANO = "volcano"
_STEP = "org.apache.spark.deploy.k8s.features.VolcanoFeatureStep"


def yunikorn(job: JobValues, around: Surroundings) -> Effect:
    """Queue and gang: the groups' resources are the pods' own, so that placeholders are as large as what follows."""
    conf = {SCHEDULER: "yunikorn"}
    patches: dict[str, tuple[PodPatch, ...]] = {}
    groups = []
    executors = job["executors"]
    for role, pod, members in (("driver", job["driver"], 1), ("executor", executors, int(executors["min"]))):
        if around.queue:
            conf[f"spark.kubernetes.{role}.label.queue"] = around.queue
        conf[f"spark.kubernetes.{role}.annotation.{YUNIKORN}app-id"] = "{{APP_ID}}"  # Spark fills it in
        if members:  # 0 members is invalid
            resources = {"cpu": f"{int(vcpu(pod) * 1000)}m", "memory": f"{memory_bytes(pod) // MIB}Mi"}
            resources |= _devices(job, 1) if role == "executor" else {}
            groups.append({"name": f"spark-{role}", "minMember": members, "minResource": resources})
            patches[role] = (PodPatch(annotations={f"{YUNIKORN}task-group-name": f"spark-{role}"}),)
    text = json.dumps(groups, separators=(",", ":"))
    patches["driver"] += (PodPatch(annotations={f"{YUNIKORN}task-groups": text}),)
    return Effect(conf, pods=patches)


def volcano(job: JobValues, around: Surroundings) -> Effect:
    """A PodGroup that waits until driver and least executors have room; the driver starts alone and makes them."""
    executors, count = job["executors"], int(job["executors"]["min"])
    least: dict[str, Any] = {
        "cpu": f"{int((vcpu(job['driver']) + count * vcpu(executors)) * 1000)}m",
        "memory": f"{(memory_bytes(job['driver']) + count * memory_bytes(executors)) // MIB}Mi",
    }
    spec: dict[str, Any] = {"minMember": 1, "minResources": least | _devices(job, count)}
    spec |= {"queue": around.queue} if around.queue else {}
    spec |= {"priorityClassName": around.priority_class} if around.priority_class else {}
    group = {"apiVersion": "scheduling.volcano.sh/v1beta1", "kind": "PodGroup", "spec": spec}
    steps = {FEATURE_STEPS.format(role): _STEP for role in ROLES}
    return Effect({SCHEDULER: VOLCANO, POD_GROUP: json.dumps(group, separators=(",", ":")), **steps})


def _devices(job: JobValues, count: int) -> dict[str, str]:
    """The GPUs of so many executors as their pods request them; none where they are claimed instead."""
    amount = 0 if CLAIM in job["presets"] else count * int(job["executors"]["gpu"])
    return {GPU: str(amount)} if amount else {}
