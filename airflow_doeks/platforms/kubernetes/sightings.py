"""Pods and nodes as the API shows them, in our nouns: what was requested, where, and from when to when. Pure.

Words of Kubernetes 1.34, Karpenter 1.x, EKS managed node groups and Fargate, read November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from airflow_doeks.model.quantities import gib, parse_cpu, parse_memory
from airflow_doeks.model.telemetry import CapacityType, Node, Pod
from airflow_doeks.platforms.kubernetes.labels import GPU, GPU_CLAIMS
from airflow_doeks.platforms.kubernetes.operator import PodNames, moment

Json = Mapping[str, Any]
# Labels of a node -> what it is bought as; the first label that is there holds.
CAPACITY_LABELS: tuple[tuple[str, Mapping[str, CapacityType]], ...] = (
    ("karpenter.sh/capacity-type", {"on-demand": "on_demand", "spot": "spot", "reserved": "reserved"}),
    ("eks.amazonaws.com/capacityType", {"ON_DEMAND": "on_demand", "SPOT": "spot", "CAPACITY_BLOCK": "reserved"}),
    ("eks.amazonaws.com/compute-type", {"fargate": "fargate"}),
)
# On pods of EMR's images, whoever sent them (its operators, spark-submit): AWS, Cloud Intelligence Dashboards, "SCAD",
# cost allocation tags of EMR on EKS; read November 2026.
EMR_LABEL = "eks-subscription.amazonaws.com/emr.internal.id"
# Of images that are EMR's own, wherever they are kept: spark/emr-7.9.0, notebook-spark/emr-..., flink/emr-7.9.0-flink
# (EMR on EKS development guide, base image URIs, read November 2026). One that was built on them may have any name.
_EMR_IMAGE = re.compile(r"(?:^|[/-])(?:spark|flink)/emr-\d")
_CLAIMS = ("persistentVolumeClaim", "ephemeral")  # of a volume of a pod; the second makes a claim of the first kind
TYPE_LABEL, ZONE_LABEL = "node.kubernetes.io/instance-type", "topology.kubernetes.io/zone"


class PodLife(NamedTuple):
    """A pod of a job as last seen.

    ``scheduled`` is when it had a node, ``started`` and ``ended`` are those of its working container by the kubelet.
    """

    pod: Pod
    seen: datetime
    scheduled: datetime | None
    started: datetime | None
    ended: datetime | None


def life_of(item: Json, names: PodNames, *, is_gone: bool, now: datetime) -> PodLife | None:
    """What a pod tells; None for one without a role in a job.

    A pod that is gone without its kubelet having told its end (its node went with it) ended when that was seen.
    """
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    labels = metadata.get("labels") or {}
    role = names.role(item)
    if role is None:
        return None
    conditions = {entry.get("type"): entry for entry in status.get("conditions") or ()}
    placed = conditions.get("PodScheduled") or {}
    scheduled = moment(placed.get("lastTransitionTime")) if placed.get("status") == "True" else None
    started, ended, why = _times(status, names.containers[role])
    if _will_restart(item) and not is_gone:
        ended = None
    elif ended is None and is_gone:
        ended = now
    held = scheduled or started  # a node is taken from the binding on, before the image is pulled
    begun = held if _was_restarted(status, names.containers[role]) else started
    pod = Pod(
        uid=metadata["uid"],
        role=role,
        vcpu=_sum(spec, "cpu"),
        memory_gib=_sum(spec, "memory"),
        gpu=int(_sum(spec, GPU) or 0) + _claimed_gpus(metadata),
        storage_gib=None if _has_claims(spec) else Decimal(0),
        requested=moment(metadata.get("creationTimestamp")),
        started=begun or (held if ended else None),
        ended=ended,
        node=spec.get("nodeName"),
        reason=why,
        is_emr_image=names.is_emr or EMR_LABEL in labels or _has_emr_image(spec),
        executor_id=labels.get(names.number_label),
    )
    return PodLife(pod, now, scheduled, started, ended)


def is_emrs(image: str) -> bool:
    """True for the name of an image of EMR's own."""
    return bool(_EMR_IMAGE.search(image))


def _has_emr_image(spec: Json) -> bool:
    return any(is_emrs(container.get("image") or "") for container in spec.get("containers") or ())


def node_of(item: Json) -> Node:
    """What a node tells of type, capacity and zone; its size is its capacity, as AWS and OpenCost split prices."""
    labels, capacity = item["metadata"].get("labels") or {}, (item.get("status") or {}).get("capacity") or {}
    bought: CapacityType | None = None
    for label, words in CAPACITY_LABELS:
        if label in labels:
            bought = words.get(labels[label])
            break
    return Node(
        uid=item["metadata"]["name"],
        instance_type=labels.get(TYPE_LABEL),
        capacity_type=bought,
        zone=labels.get(ZONE_LABEL),
        vcpu=parse_cpu(capacity["cpu"]) if "cpu" in capacity else None,
        memory_gib=gib(parse_memory(capacity["memory"])) if "memory" in capacity else None,
        gpu=int(capacity.get(GPU, 0)),
    )


def _working(status: Json, working: str) -> Json:
    """What is told of the working container; of the first container where it has another name."""
    containers: Sequence[Json] = status.get("containerStatuses") or ()
    mine = next((entry for entry in containers if entry.get("name") == working), None)
    return mine or (containers[0] if containers else {})


def _will_restart(item: Json) -> bool:
    """True of a pod whose containers the kubelet starts again when they end, as a Deployment's: its end is another."""
    phase = (item.get("status") or {}).get("phase")
    is_kept = (item.get("spec") or {}).get("restartPolicy") == "Always" and phase not in ("Succeeded", "Failed")
    return is_kept and "deletionTimestamp" not in item["metadata"]


def _was_restarted(status: Json, working: str) -> bool:
    """True of a container whose start is that of its last run (ContainerStateRunning.startedAt), not its pod's."""
    return int(_working(status, working).get("restartCount") or 0) > 0


def _times(status: Json, working: str) -> tuple[datetime | None, datetime | None, str]:
    """Start, end and reason of the working container's last run."""
    state = _working(status, working).get("state") or {}
    ended = state.get("terminated") or {}
    if ended:
        return moment(ended.get("startedAt")), moment(ended.get("finishedAt")), str(ended.get("reason") or "")
    started = moment((state.get("running") or {}).get("startedAt"))
    return started, None, str(status.get("reason") or "")


def _sum(spec: Json, resource: str) -> Decimal | None:
    """What a pod requests: vCPU, GiB or pieces; None if a container does not say, or not in a form we know.

    All containers and side-cars, or its largest first step if that is more, as `neighbours.requests_of` of any pod.
    """
    first = spec.get("initContainers") or ()
    beside = [one for one in first if one.get("restartPolicy") == "Always"]
    steps = [one for one in first if one.get("restartPolicy") != "Always"]
    try:
        held = [_request(one, resource) for one in spec.get("containers") or ()]
        if None in held and resource != GPU:
            return None
        held += [_request(one, resource) for one in beside]
        most = max((_request(one, resource) or Decimal(0) for one in steps), default=Decimal(0))
        overhead = _request({"resources": {"requests": spec.get("overhead")}}, resource) or Decimal(0)
    except ValueError:
        return None
    return max(sum((one for one in held if one is not None), Decimal(0)), most) + overhead


def _request(container: Json, resource: str) -> Decimal | None:
    text = ((container.get("resources") or {}).get("requests") or {}).get(resource)
    if text is None:
        return None
    return gib(parse_memory(text)) if resource == "memory" else parse_cpu(text)


def _claimed_gpus(metadata: Json) -> int:
    """GPUs by claims of dynamic resource allocation, which a pod's requests do not show."""
    text = str((metadata.get("annotations") or {}).get(GPU_CLAIMS, ""))
    return int(text) if text.isdecimal() else 0


def _has_claims(spec: Json) -> bool:
    """True of a pod with a volume claim: one that it mounts, or that is made for it and goes with it."""
    return any(kind in volume for volume in spec.get("volumes") or () for kind in _CLAIMS)
