"""A job's plain JSON behind the attributes of `SparkJob`, unchecked: what `doeks lint` reads, so as to build no models.

Importing pydantic takes longer than linting a file; a test holds this view and `SparkJob` together.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from airflow_doeks.model.quantities import is_template, parse_cpu, parse_memory

if TYPE_CHECKING:
    from airflow_doeks.model.job import SparkJob

_POD = {"cpu": 1, "memory": "2Gi"}
_EXECUTORS = {**_POD, "min": 1, "max": None, "gpu": 0, "capacity": None}
_LISTS = ("args", "packages", "jars", "py_files", "files", "archives", "configuration", "presets")
_MAPPINGS = ("conf", "env", "secrets")


class _Values:
    """Values as attributes, defaults filled in."""

    def __init__(self, defaults: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        self.__dict__.update(defaults)
        self.__dict__.update(values)

    @property
    def vcpu(self) -> Decimal:
        return parse_cpu(self.__dict__["cpu"])

    @property
    def memory_bytes(self) -> int:
        return parse_memory(self.__dict__["memory"])

    @property
    def count_max(self) -> int:
        return int(self.__dict__["min"] if self.__dict__["max"] is None else self.__dict__["max"])


def view(job: Mapping[str, Any]) -> SparkJob:
    """The job as code that takes a SparkJob sees it; properties of a template raise ValueError, as there."""
    values = {name: tuple(job.get(name) or ()) for name in _LISTS} | {name: job.get(name) or {} for name in _MAPPINGS}
    pods = {
        "driver": _Values(_POD, job.get("driver") or {}),
        "executors": _Values(_EXECUTORS, job.get("executors") or {}),
    }
    scalars = {name: job.get(name) for name in ("main", "sql", "image", "release")} | {"class_": job.get("class")}
    rest = {"on_retry": job.get("on_retry") or "adopt", "sql_text": None}
    return cast("SparkJob", _Values({**values, **pods, **scalars, **rest}, {}))


def has_templated_pods(job: Mapping[str, Any]) -> bool:
    """True if a pod's size is known only after rendering."""
    return any(is_template(value) for pod in ("driver", "executors") for value in (job.get(pod) or {}).values())
