"""GPUs of executors: RAPIDS, nodes that only GPU jobs may use, and devices that are claimed; pure.

NVIDIA's RAPIDS Accelerator 25.x, EMR's and Apache Spark's images, dynamic resource allocation of Kubernetes 1.34; read
November 2026.
"""

from __future__ import annotations

from decimal import Decimal

from airflow_doeks.platforms.kubernetes.labels import GPU, GPU_CLAIMS
from airflow_doeks.platforms.kubernetes.pod_template import PodPatch
from airflow_doeks.platforms.protocol import Finding, JobValues
from airflow_doeks.platforms.spark.conf import cores, vcpu
from airflow_doeks.platforms.spark.effects import Effect, Surroundings

RAPIDS, CLAIM = "rapids", "gpu_claim"
CLAIMED = f"spark.kubernetes.executor.annotation.{GPU_CLAIMS}"
DISCOVERY = "spark.executor.resource.gpu.discoveryScript"
# Spark asks a script for the devices of an executor, and fails without one; owner of Spark in an image -> its script.
SCRIPTS = {
    "999:1000": "/home/hadoop/entrypoint/getGpusResources.sh",
    "185:0": "/opt/spark/examples/src/main/scripts/getGpusResources.sh",
}
# The taint that keeps others off GPU nodes.
GPU_NODES = Effect(
    pods={"executor": (PodPatch(spec={"tolerations": [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]}),)}
)


def rapids(job: JobValues, _around: Surroundings) -> Effect:
    """SQL on GPUs: as many Spark tasks share an executor's GPU as it has cores."""
    conf = {"spark.plugins": "com.nvidia.spark.SQLPlugin", "spark.rapids.sql.concurrentGpuTasks": "2"}
    if CLAIM not in job["presets"]:
        share = Decimal(int(job["executors"]["gpu"]) or 1) / max(cores(vcpu(job["executors"])), 1)
        conf["spark.task.resource.gpu.amount"] = f"{share.quantize(Decimal('0.0001')).normalize():f}"
    return Effect(conf)


def gpu_claim(job: JobValues, around: Surroundings) -> Effect:
    """A claim a GPU from the platform's template, in place of a device plugin's resource; each gives one device."""
    names = [f"gpu-{number}" for number in range(int(job["executors"]["gpu"]))]
    claims = [{"name": name, "resourceClaimTemplateName": around.gpu_claim_template or ""} for name in names]
    of_container = {"resources": {"claims": [{"name": name} for name in names]}}
    patch = PodPatch(spec={"resourceClaims": claims}, container=of_container)
    return Effect({CLAIMED: str(len(names))}, pods={"executor": (patch,)})


def gpu_conf(job: JobValues, owner: str) -> dict[str, str]:
    """The executors' GPUs as Spark asks a device plugin for them; nothing for a job without, or that claims them."""
    amount = int(job["executors"]["gpu"])
    if not amount or CLAIM in job["presets"]:
        return {}
    conf = {"spark.executor.resource.gpu.amount": str(amount), "spark.executor.resource.gpu.vendor": "nvidia.com"}
    return conf | ({} if DISCOVERY in job["conf"] else {DISCOVERY: SCRIPTS[owner]})


def gpu_findings(job: JobValues, around: Surroundings) -> list[Finding]:
    """Presets for GPUs of a job that asks for none, and claims without a template."""
    asked = [name for name in (RAPIDS, CLAIM) if name in job["presets"]]
    found = []
    if asked and not int(job["executors"]["gpu"]):
        found.append(Finding("executors.gpu", f"{asked[0]} needs a GPU", "write how many an executor has"))
    if CLAIM in asked and not around.gpu_claim_template:
        text = "the platform names no ResourceClaimTemplate"
        found.append(Finding("presets", text, "set `gpu_claim_template` of the platform in doeks.yaml"))
    return found
