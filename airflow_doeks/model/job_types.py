"""Jobs as types, for editors of hand-written DAGs. Written by tools/write_schema.py; nothing runs here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict


class SecretRefValues(TypedDict, total=False):
    """Where a secret lives, on Kubernetes and on a laptop; only `local` reads it, when it starts the job."""

    k8s: str
    env: str | None
    connection: str | None


class DriverValues(TypedDict, total=False):
    """The driver's pod: what it requests."""

    cpu: float | str
    memory: str


class ExecutorsValues(TypedDict, total=False):
    """The executors: how many pods, and what each requests."""

    cpu: float | str
    memory: str
    min: int | str
    max: int | str | None
    gpu: int | str
    capacity: Literal["on_demand", "spot", "fargate"] | None


class ConfigurationValues(TypedDict, total=False):
    """Properties of what EMR runs beside Spark; `spark-defaults` is written from `conf`."""

    classification: str
    properties: Mapping[str, str | int | float | bool]
    configurations: Sequence[ConfigurationValues]


class VolumeValues(TypedDict, total=False):
    """A volume of both kinds of pods: a claim, secret, config map or host path; an empty one if it names none."""

    path: str
    claim: str | None
    secret: str | None
    config_map: str | None
    host_path: str | None
    size: str | None
    read_only: bool


SparkJobValues = TypedDict(
    "SparkJobValues",
    {
        "main": str | None,
        "sql": str | None,
        "class": str | None,
        "args": Sequence[str | int | float],
        "conf": Mapping[str, str | int | float | bool],
        "packages": Sequence[str],
        "jars": Sequence[str],
        "py_files": Sequence[str],
        "files": Sequence[str],
        "archives": Sequence[str],
        "env": Mapping[str, str],
        "secrets": Mapping[str, SecretRefValues],
        "driver": DriverValues,
        "executors": ExecutorsValues,
        "image": str | None,
        "release": str | None,
        "configuration": Sequence[ConfigurationValues],
        "service_account": str | None,
        "node_selector": Mapping[str, str],
        "tolerations": Sequence[Mapping[str, str | int]],
        "volumes": Mapping[str, VolumeValues],
        "labels": Mapping[str, str],
        "annotations": Mapping[str, str],
        "pod_template": str | Mapping[str, Any] | None,
        "presets": Sequence[str],
        "on_retry": Literal["adopt", "restart"],
    },
    total=False,
)


class JobManagerValues(TypedDict, total=False):
    """The job manager's pod: what it requests."""

    cpu: float | str
    memory: str


class TaskManagerValues(TypedDict, total=False):
    """Each task manager's pod; `parallelism` and `slots` say how many there are."""

    cpu: float | str
    memory: str
    slots: int | str


class StateValues(TypedDict, total=False):
    """Where the job keeps what it must not forget."""

    checkpoints: str | None
    savepoints: str | None


FlinkJobValues = TypedDict(
    "FlinkJobValues",
    {
        "jar": str | None,
        "main": str | None,
        "sql": str | None,
        "stop": str | None,
        "savepoint": str | None,
        "class": str | None,
        "args": Sequence[str | int | float],
        "conf": Mapping[str, str | int | float | bool],
        "packages": Sequence[str],
        "jars": Sequence[str],
        "py_files": Sequence[str],
        "env": Mapping[str, str],
        "secrets": Mapping[str, SecretRefValues],
        "parallelism": int | str,
        "job_manager": JobManagerValues,
        "task_manager": TaskManagerValues,
        "state": StateValues,
        "mode": Literal["bounded", "streaming"],
        "until": Literal["finished", "running"] | None,
        "stable_for": float | str | None,
        "upgrade": Literal["savepoint", "last-state", "stateless"],
        "from": str | None,
        "allow_non_restored_state": bool,
        "image": str | None,
        "release": str | None,
        "flink_version": str | None,
        "service_account": str | None,
        "node_selector": Mapping[str, str],
        "tolerations": Sequence[Mapping[str, str | int]],
        "volumes": Mapping[str, VolumeValues],
        "labels": Mapping[str, str],
        "annotations": Mapping[str, str],
        "pod_template": str | Mapping[str, Any] | None,
        "presets": Sequence[str],
        "on_retry": Literal["adopt", "restart"],
    },
    total=False,
)
