"""What a job asks of its pods in Kubernetes' own words, whatever the engine: as patches of its pods. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_doeks.platforms.kubernetes.pod_template import PodPatch
from airflow_doeks.platforms.protocol import Finding, JobValues

_OURS = "airflow-doeks/"


def word_findings(job: JobValues) -> list[Finding]:
    """Labels that would take the place of ours, and volumes of two kinds."""
    found = [
        Finding(f"{kind}.{key}", f"keys that start with {_OURS} name the job; they are not a job's to set", "rename it")
        for kind in ("labels", "annotations")
        for key in job[kind]
        if key.startswith(_OURS)
    ]
    for name, volume in job["volumes"].items():
        kinds = [kind for kind in _SOURCES if volume.get(kind)]
        if len(kinds) > 1:
            found.append(Finding(f"volumes.{name}", f"it is {' and '.join(kinds)}, and can be one", "keep one of them"))
    return found


_SOURCES = {  # our key -> Kubernetes' volume of that kind
    "claim": lambda value: {"persistentVolumeClaim": {"claimName": value}},
    "secret": lambda value: {"secret": {"secretName": value}},
    "config_map": lambda value: {"configMap": {"name": value}},
    "host_path": lambda value: {"hostPath": {"path": value}},
}


def words_patch(job: JobValues) -> PodPatch | None:
    """Tolerations and volumes; None where the job names none."""
    spec: dict[str, Any] = {}
    if job["tolerations"]:
        spec["tolerations"] = [dict(one) for one in job["tolerations"]]
    mounts = []
    for name, volume in job["volumes"].items():
        kind = next((kind for kind in _SOURCES if volume.get(kind)), None)
        limit = {"sizeLimit": volume["size"]} if volume.get("size") else {}
        source = {"emptyDir": limit} if kind is None else _SOURCES[kind](volume[kind])
        spec.setdefault("volumes", []).append({"name": name, **source})
        mounts.append({"name": name, "mountPath": volume["path"], "readOnly": bool(volume.get("read_only"))})
    return PodPatch(spec=spec, container={"volumeMounts": mounts} if mounts else {}) if spec else None


def template_patch(template: Any) -> PodPatch | None:
    """A pod template as a patch, its first container the engine's; None for none, and for a path that is read later."""
    if not isinstance(template, Mapping):
        return None
    spec = dict(template.get("spec") or {})
    first, *others = spec.pop("containers", None) or [{}]
    if others:
        spec["containers"] = others
    container = {key: value for key, value in first.items() if key != "name"}
    annotations = {
        key: str(value) for key, value in ((template.get("metadata") or {}).get("annotations") or {}).items()
    }
    return PodPatch(annotations=annotations, spec=spec, container=container)
