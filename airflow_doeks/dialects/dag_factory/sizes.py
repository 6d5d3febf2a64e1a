"""Sizes of pods out of Spark properties."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_doeks.dialects.dag_factory.notes import Note, lost
from airflow_doeks.language.rules import schema

_MEMORY = re.compile(r"(\d+)\s*(?:([kmgt])b?|(b))?", re.IGNORECASE)
SIZES = {  # Spark property -> where our pods say it; the later of two goes before
    "spark.driver.cores": ("driver", "cpu"),
    "spark.driver.memory": ("driver", "memory"),
    "spark.executor.cores": ("executors", "cpu"),
    "spark.executor.memory": ("executors", "memory"),
    "spark.executor.instances": ("executors", "min"),
    "spark.dynamicAllocation.minExecutors": ("executors", "min"),
    "spark.dynamicAllocation.maxExecutors": ("executors", "max"),
}
# What ours sets from other keys and refuses under `conf` -> what to do.
_OWNED = {
    "spark.app.name": "a job is named after its task",
    "spark.dynamicAllocation.enabled": "`executors.min` below `executors.max` turns it on",
    "spark.eventLog.dir": "`event_logs` of the platform says where",
    "spark.eventLog.enabled": "it is always on",
    "spark.kubernetes.driver.pod.name": "a fixed name makes two runs at once collide",
    "spark.kubernetes.executor.podNamePrefix": "a fixed name makes two runs at once collide",
    "spark.master": "the platform is chosen by `platform`",
    "spark.submit.deployMode": "the platform is chosen by `platform`",
}
_IMAGE = "spark.kubernetes.container.image"
_MAX, _IS_DYNAMIC = "spark.dynamicAllocation.maxExecutors", "spark.dynamicAllocation.enabled"
_STATIC = Note("`executors.max` turns dynamic allocation on here, which the source leaves off: take it away")
_DEFAULT_EXECUTORS = 2  # spark.executor.instances on Kubernetes and YARN where nothing says it, Spark 2 to 4
_COUNTED = Note(f"`executors.min: {_DEFAULT_EXECUTORS}` is Spark's own, the source counts none", todo=False)
_HEAP = Note("memory is the pod's whole memory here, overhead inside; the source gave the heap")


def sized(conf: Mapping[str, Any]) -> tuple[dict[str, Any], list[Note]]:
    """The keys of a job that Spark properties say: `driver`, `executors`, `image`, and the rest as `conf`."""
    job: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    notes: list[Note] = []
    for name in [*(name for name in SIZES if name in conf), *(name for name in conf if name not in SIZES)]:
        value = conf[name]
        if name in SIZES:
            role, key = SIZES[name]
            pod = job.setdefault(role, {})
            if key in pod:
                notes.append(lost(f"{role}.{key}", pod[key], f"{name} goes before it"))
            pod[key] = _quantity(value) if key == "memory" else _number(value)
            notes += [_HEAP] if key == "memory" and _HEAP not in notes else []
        elif name == _IMAGE:
            job["image"] = value
        elif name in _OWNED:
            notes.append(lost(name, value, _OWNED[name]))
        else:
            rest[name] = value
    is_dynamic, executors = str(conf.get(_IS_DYNAMIC, False)).lower() != "false", job.get("executors", {})
    if _MAX in conf and not is_dynamic:
        notes.append(_STATIC)
    if not (is_dynamic or {"min", "max"} & executors.keys()):
        job["executors"] = executors | {"min": _DEFAULT_EXECUTORS}
        notes.append(_COUNTED)
    if rest:
        job["conf"] = rest
    return job, notes


def in_order(job: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a job in the order of the language."""
    return {key: job[key] for key in schema("pipeline")["$defs"]["SparkJob"]["properties"] if key in job}


def _quantity(value: Any) -> Any:
    """Memory in Kubernetes' form; Spark's number without a unit is mebibytes."""
    match = _MEMORY.fullmatch(str(value))
    if match is None:
        return value
    return match[1] if match[3] else f"{match[1]}{(match[2] or 'm').upper()}i"


def _number(value: Any) -> Any:
    return int(value) if str(value).isascii() and str(value).isdigit() else value
