"""The keys of a job as Kubernetes carries them: labels, and annotations with the full value where a label cuts it."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_doeks.model.identity import PREFIX, label_value

GPU = "nvidia.com/gpu"  # what a device plugin calls it, and the taint of its nodes
YUNIKORN = "yunikorn.apache.org/"  # what Apache YuniKorn's annotations begin with
GPU_CLAIMS = f"{PREFIX}gpu-claims"  # annotation of a pod that claims its GPUs instead: how many


def label_forms(tags: Mapping[str, str]) -> dict[str, str]:
    """Every key in its label form."""
    return {label_key(key): label_value(value) for key, value in tags.items()}


def full_values(tags: Mapping[str, str]) -> dict[str, str]:
    """The keys whose value no label can hold, in full."""
    return {label_key(key): value for key, value in tags.items() if label_value(value) != value}


def label_key(key: str) -> str:
    """``prefix/name`` whose name is legal."""
    prefix, name = key.split("/", 1)
    return f"{prefix}/{label_value(name)}"
