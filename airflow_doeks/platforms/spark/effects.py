"""What presets add to a Spark job on Kubernetes, and what they may know of its platform; pure.

Labels of nodes: Karpenter 1.x, EKS managed node groups and Fargate, read November 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_doeks.platforms.kubernetes.pod_template import PodPatch
from airflow_doeks.platforms.protocol import JobValues

if TYPE_CHECKING:
    from airflow_doeks.model.telemetry import CapacityType

ROLES = ("driver", "executor")
ARCH, ZONE = "kubernetes.io/arch", "topology.kubernetes.io/zone"
CAPACITY = {  # who labels the nodes -> label, on-demand, Spot, reserved; Karpenter 1.x and EKS, read November 2026
    "karpenter": ("karpenter.sh/capacity-type", "on-demand", "spot", "reserved"),
    "managed": ("eks.amazonaws.com/capacityType", "ON_DEMAND", "SPOT", "CAPACITY_BLOCK"),
}
KINDS: tuple[CapacityType, ...] = ("on_demand", "spot", "reserved")  # of those words
# A pod with this label runs on the Fargate profile of that name, whose selectors must match it too; EKS User Guide,
# "Define which Pods use AWS Fargate when launched", read November 2026.
FARGATE_LABEL = "eks.amazonaws.com/fargate-profile"


@dataclass(frozen=True)
class Surroundings:
    """What a preset may know of the platform.

    Attributes:
        labels: identity labels of the driver's pod; empty while the spec hash is computed.
        owner: ``uid:gid`` that Spark runs as in the image (EMR 999:1000, Apache 185:0).
    """

    queue: str | None = None
    priority_class: str | None = None
    gpu_claim_template: str | None = None
    fargate_profile: str | None = None
    storage_class: str = "gp3"
    nodes: str = "karpenter"
    owner: str = "185:0"
    labels: Mapping[str, str] = field(default_factory=dict)


def surroundings(config: Any, owner: str, labels: Mapping[str, str]) -> Surroundings:
    """What presets may know of a platform on Kubernetes, from its entry of doeks.yaml."""
    return Surroundings(
        queue=config.queue,
        priority_class=getattr(config, "priority_class", None),  # EMR schedules by YuniKorn only
        gpu_claim_template=config.gpu_claim_template,
        fargate_profile=config.fargate_profile,
        storage_class=config.storage_class,
        nodes=config.node_labels,
        owner=owner,
        labels=labels,
    )


@dataclass(frozen=True)
class Effect:
    """What presets add: Spark properties, node labels of EMR's submitter pod, patches of the pod templates."""

    conf: Mapping[str, str] = field(default_factory=dict)
    submitter_nodes: Mapping[str, str] = field(default_factory=dict)
    pods: Mapping[str, tuple[PodPatch, ...]] = field(default_factory=dict)


Preset: TypeAlias = Callable[[JobValues, Surroundings], Effect]


def together(*effects: Effect) -> Effect:
    """All effects in one; a later property wins."""
    conf: dict[str, str] = {}
    nodes: dict[str, str] = {}
    pods: dict[str, tuple[PodPatch, ...]] = {}
    for effect in effects:
        conf |= effect.conf
        nodes |= effect.submitter_nodes
        for role, patches in effect.pods.items():
            pods[role] = pods.get(role, ()) + tuple(patch for patch in patches if patch not in pods.get(role, ()))
    return Effect(conf, nodes, pods)
