"""Named settings for Spark on Kubernetes: each preset is a pure function from a job to properties and pod patches.

Keys were checked against the classes of Spark 3.5.9 and 4.3.0 (November 2026). A preset yields to the job's own conf.
Two presets that want different values are a Finding, never a silent winner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_doeks.model.errors import SpecError
from airflow_doeks.platforms.kubernetes.pod_template import PodPatch
from airflow_doeks.platforms.protocol import Finding, JobValues
from airflow_doeks.platforms.spark.effects import (
    ARCH,
    CAPACITY,
    FARGATE_LABEL,
    KINDS,
    ROLES,
    ZONE,
    Effect,
    Preset,
    Surroundings,
    together,
)
from airflow_doeks.platforms.spark.gang import volcano, yunikorn
from airflow_doeks.platforms.spark.gpu import CLAIM, GPU_NODES, RAPIDS, gpu_claim, gpu_findings, rapids
from airflow_doeks.platforms.spark.words import pod_words

if TYPE_CHECKING:
    from airflow_doeks.model.telemetry import CapacityType

# What Fargate has not: Spot, arm64, instance disks, volumes of EBS. The same page's list of considerations.
_NOT_ON_FARGATE = ("spot", "spot_only", "on_demand", "reserved", "graviton", "graviton_preferred", "nvme", "pvc_reuse")
SPOT_GRACE_SECONDS = 115  # AWS gives 120 s notice; Kubernetes' default of 30 s would cut decommissioning short
_EXCLUSIVE = (
    {"spot", "spot_only", "on_demand", "reserved"},
    {"graviton", "graviton_preferred"},
    {"nvme", "pvc_reuse"},
    {"yunikorn", "volcano"},
)


def _in(key: str, *values: str, operator: str = "In") -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


def _capacity(around: Surroundings, driver: CapacityType, executor: CapacityType | None) -> Effect:
    label, *words = CAPACITY[around.nodes]
    names = dict(zip(KINDS, words, strict=True))
    conf = {f"spark.kubernetes.driver.node.selector.{label}": names[driver]}
    if executor:
        conf[f"spark.kubernetes.executor.node.selector.{label}"] = names[executor]
    return Effect(conf, submitter_nodes={label: names["on_demand"]})


DECOMMISSION = Effect(
    conf={
        "spark.decommission.enabled": "true",
        "spark.storage.decommission.enabled": "true",
        "spark.storage.decommission.rddBlocks.enabled": "true",
        "spark.storage.decommission.shuffleBlocks.enabled": "true",
        "spark.executor.decommission.forceKillTimeout": "120s",
    },
    pods={"executor": (PodPatch(spec={"terminationGracePeriodSeconds": SPOT_GRACE_SECONDS}),)},
)


def _spot(_job: JobValues, around: Surroundings) -> Effect:
    label, *words = CAPACITY[around.nodes]
    either = PodPatch(require=(_in(label, words[1], words[0]),))
    return together(_capacity(around, "on_demand", None), Effect(pods={"executor": (either,)}), DECOMMISSION)


def _graviton_preferred(_job: JobValues, around: Surroundings) -> Effect:
    label, *words = CAPACITY[around.nodes]
    arm, spot = _in(ARCH, "arm64"), _in(label, words[1])
    # Order: arm64 Spot, x86 Spot, arm64 on-demand, x86 on-demand.
    first, second = ({"weight": n, "preference": {"matchExpressions": [term]}} for n, term in ((2, spot), (1, arm)))
    return Effect(pods={"driver": (PodPatch(prefer=(second,)),), "executor": (PodPatch(prefer=(first, second)),)})


def _nvme(_job: JobValues, around: Surroundings) -> Effect:
    # Spark uses a volume as local disk only if its name starts with spark-local-dir-.
    volume = "spark.kubernetes.executor.volumes.hostPath.spark-local-dir-1"
    conf = {f"{volume}.options.path": "/mnt/k8s-disks/0", f"{volume}.mount.path": "/data1"}
    own = {
        "name": "own-local-dir",
        "image": "public.ecr.aws/docker/library/busybox:1.36",
        "command": ["chown", "-R", around.owner, "/data1"],
        "volumeMounts": [{"name": "spark-local-dir-1", "mountPath": "/data1"}],
    }
    disk = _in("karpenter.k8s.aws/instance-local-nvme", "0", operator="Gt")
    patch = PodPatch(require=(disk,), spec={"initContainers": [own]})
    return Effect(conf | {f"{volume}.mount.readOnly": "false"}, pods={"executor": (patch,)})


def _pvc_reuse(_job: JobValues, around: Surroundings) -> Effect:
    volume = "spark.kubernetes.executor.volumes.persistentVolumeClaim.spark-local-dir-1"
    return Effect(
        {
            f"{volume}.options.claimName": "OnDemand",
            f"{volume}.options.storageClass": around.storage_class,
            f"{volume}.options.sizeLimit": "100Gi",
            f"{volume}.mount.path": "/data1",
            f"{volume}.mount.readOnly": "false",
            "spark.kubernetes.driver.ownPersistentVolumeClaim": "true",
            "spark.kubernetes.driver.reusePersistentVolumeClaim": "true",
            "spark.kubernetes.driver.waitToReusePersistentVolumeClaim": "true",
            "spark.shuffle.sort.io.plugin.class": "org.apache.spark.shuffle.KubernetesLocalDiskShuffleDataIO",
        }
    )


def _same_zone(_job: JobValues, around: Surroundings) -> Effect:
    term = {"topologyKey": ZONE, "labelSelector": {"matchLabels": {"spark-role": "driver", **around.labels}}}
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    return Effect(pods={"executor": (PodPatch(spec={"affinity": affinity}),)})


def _both(patch: PodPatch) -> Effect:
    return Effect(pods=dict.fromkeys(ROLES, (patch,)))


def _fixed(effect: Effect) -> Preset:
    return lambda _job, _around: effect


_ROLLING = {"spark.eventLog.rolling.enabled": "true", "spark.eventLog.rolling.maxFileSize": "64m"}
PRESETS: dict[str, Preset] = {
    # driver on demand, executors on Spot with on-demand as fallback, moved off within the 120 s notice
    "spot": _spot,
    # the same without fallback: executors wait for Spot
    "spot_only": lambda _job, around: together(_capacity(around, "on_demand", "spot"), DECOMMISSION),
    "on_demand": lambda _job, around: _capacity(around, "on_demand", "on_demand"),
    # executors in a capacity block or on-demand reservation only
    "reserved": lambda _job, around: _capacity(around, "on_demand", "reserved"),
    # executors save their shuffle and cached blocks elsewhere before their node goes
    "decommission": _fixed(DECOMMISSION),
    "graviton": _fixed(Effect({f"spark.kubernetes.node.selector.{ARCH}": "arm64"})),
    "graviton_preferred": _graviton_preferred,
    # shuffle on the node's own disks / on volumes that a new executor takes over (Spark >= 3.4, EMR >= 6.12)
    "nvme": _nvme,
    "pvc_reuse": _pvc_reuse,
    "dynamic_allocation": _fixed(
        Effect(
            {
                "spark.dynamicAllocation.shuffleTracking.enabled": "true",
                "spark.dynamicAllocation.executorIdleTimeout": "60s",
                "spark.dynamicAllocation.shuffleTracking.timeout": "10min",
            }
        )
    ),
    # queue of the platform and gang scheduling
    "yunikorn": yunikorn,
    "volcano": volcano,
    # SQL on the executors' GPUs / on nodes that only GPU jobs may use / by claims in place of a device plugin
    RAPIDS: rapids,
    "gpu_nodes": _fixed(GPU_NODES),
    CLAIM: gpu_claim,
    # executors run in the zone of their driver: no transfer between zones
    "same_zone": _same_zone,
    # Karpenter does not move the driver
    "do_not_disrupt": _fixed(Effect({"spark.kubernetes.driver.annotation.karpenter.sh/do-not-disrupt": "true"})),
    # fewer DNS queries per S3 call
    "ndots": _fixed(_both(PodPatch(spec={"dnsConfig": {"options": [{"name": "ndots", "value": "2"}]}}))),
    "prometheus": _fixed(
        Effect(
            {
                "spark.ui.prometheus.enabled": "true",
                "spark.executor.processTreeMetrics.enabled": "true",
                "spark.metrics.conf.*.sink.prometheusServlet.class": "org.apache.spark.metrics.sink.PrometheusServlet",
                "spark.metrics.conf.*.sink.prometheusServlet.path": "/metrics/driver/prometheus/",
                "spark.kubernetes.driver.annotation.prometheus.io/scrape": "true",
                "spark.kubernetes.driver.annotation.prometheus.io/path": "/metrics/executors/prometheus/",
                "spark.kubernetes.driver.annotation.prometheus.io/port": "4040",
            }
        )
    ),
    "rolling_event_log": _fixed(Effect(_ROLLING)),
    # the last 2 KiB of the driver's log land in its pod's status
    "termination_log": _fixed(
        Effect(pods={"driver": (PodPatch(container={"terminationMessagePolicy": "FallbackToLogsOnError"}),)})
    ),
}


def effect_of(job: JobValues, around: Surroundings) -> Effect:
    """What the job's built-in presets and ``executors.capacity`` add; names of doeks.yaml's own presets are skipped."""
    names = [name for name in job["presets"] if name in PRESETS]
    of_capacity = {"spot": "spot_only", "on_demand": "on_demand"}.get(job["executors"]["capacity"] or "")
    if of_capacity and not _EXCLUSIVE[0] & set(names):
        names.append(of_capacity)
    effects = [PRESETS[name](job, around) for name in names]
    if job["executors"]["capacity"] == "fargate":
        faults = fargate_findings(job, around)
        if faults:
            msg = f"{faults[0].path}: {faults[0].message}; {faults[0].help}."
            raise SpecError(msg)
        effects.append(Effect({f"spark.kubernetes.executor.label.{FARGATE_LABEL}": around.fargate_profile or ""}))
    return together(*effects, pod_words(job))


def fargate_findings(job: JobValues, around: Surroundings) -> list[Finding]:
    """Why the executors cannot run on Fargate, if they ask for it."""
    if job["executors"]["capacity"] != "fargate":
        return []
    found = [
        Finding("presets", f"{name} is nothing that Fargate has", f"leave out {name}, or `executors.capacity`")
        for name in job["presets"]
        if name in _NOT_ON_FARGATE
    ]
    if not around.fargate_profile:
        help_ = "set `fargate_profile` of the platform in doeks.yaml, or choose spot or on_demand"
        found.insert(0, Finding("executors.capacity", "the platform names no Fargate profile", help_))
    if job["executors"]["gpu"]:
        found.append(Finding("executors.gpu", "Fargate has no GPUs", "leave out `executors.capacity`"))
    return found


def preset_findings(job: JobValues, around: Surroundings) -> list[Finding]:
    """Presets of one job that exclude each other or set one property to two values."""
    names = [name for name in dict.fromkeys(job["presets"]) if name in PRESETS]
    found = [*fargate_findings(job, around), *gpu_findings(job, around)]
    groups = [[name for name in names if name in group] for group in _EXCLUSIVE]
    found += [
        Finding("presets", f"{' and '.join(rivals)} exclude each other", f"keep one: {rivals[0]}")
        for rivals in groups
        if len(rivals) > 1
    ]
    seen: dict[str, tuple[str, str]] = {}
    for name in names:
        for key, value in PRESETS[name](job, around).conf.items():
            other, taken = seen.setdefault(key, (name, value))
            if taken != value and not found:
                found.append(Finding("presets", f"{other} and {name} set {key} to {taken} and {value}", "keep one"))
    return found
