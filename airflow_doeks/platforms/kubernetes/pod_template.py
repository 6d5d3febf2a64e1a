"""Pod templates of Spark on Kubernetes: what presets ask of a pod, as the one template that Spark takes a role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class PodPatch:
    """What a pod template must say: required and preferred node labels, annotations, fields of the pod's spec."""

    require: tuple[Mapping[str, Any], ...] = ()
    prefer: tuple[Mapping[str, Any], ...] = ()
    annotations: dict[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    container: Mapping[str, Any] = field(default_factory=dict)


def pod_template(role: str, patches: Sequence[PodPatch]) -> dict[str, Any] | None:
    """The pod template that says what all patches say; None if they say nothing."""
    if not patches:
        return None
    spec: dict[str, Any] = {}
    for patch in patches:
        spec = merged(spec, patch.spec)
    required = [expression for patch in patches for expression in patch.require]
    preferred = [term for patch in patches for term in patch.prefer]
    node: dict[str, Any] = {}
    if required:  # one term: its expressions must all hold
        node["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": [{"matchExpressions": required}]}
    if preferred:
        node["preferredDuringSchedulingIgnoredDuringExecution"] = preferred
    if node:
        spec = merged(spec, {"affinity": {"nodeAffinity": node}})
    container: dict[str, Any] = {"name": f"spark-kubernetes-{role}"}
    annotations: dict[str, str] = {}
    for patch in patches:
        container, annotations = merged(container, patch.container), annotations | patch.annotations
    template: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod"}
    if annotations:
        template["metadata"] = {"annotations": annotations}
    return template | {"spec": spec | {"containers": [container, *spec.get("containers", ())]}}


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two trees in one: mappings merge, lists follow each other, of two scalars the second holds."""
    result = dict(one)
    for key, value in other.items():
        mine = result.get(key)
        if isinstance(mine, Mapping) and isinstance(value, Mapping):
            result[key] = merged(mine, value)
        elif isinstance(mine, list) and isinstance(value, list):
            result[key] = mine + [item for item in value if item not in mine]
        else:
            result[key] = value
    return result
