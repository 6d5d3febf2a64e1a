"""Properties that every Flink platform adds to a job, and those that a job may not set itself. Pure.

Names are those of Flink 1.17 to 2.1, "Configuration", and of the Flink Kubernetes Operator 1.7 to 1.13, November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_doeks.platforms.protocol import Finding, JobValues

# Property, or start of one that ends in a dot -> what to write instead.
OWNED = {
    "jobmanager.memory.process.size": "write job_manager.memory, the total of the pod",
    "kubernetes.cluster-id": "it is set from the DAG and task, so that jobs are found again; remove it",
    "kubernetes.jobmanager.cpu": "write job_manager.cpu",
    "kubernetes.jobmanager.cpu.amount": "write job_manager.cpu",
    "kubernetes.namespace": "the platform says where jobs run; remove it",
    "kubernetes.taskmanager.cpu": "write task_manager.cpu",
    "kubernetes.taskmanager.cpu.amount": "write task_manager.cpu",
    "parallelism.default": "write parallelism",
    "taskmanager.memory.process.size": "write task_manager.memory, the total of the pod",
    "taskmanager.numberOfTaskSlots": "write task_manager.slots",
}
CHECKPOINT_INTERVAL = "1 min"  # of a stream that says none: without checkpoints a failure loses all of its state


class Places(NamedTuple):
    """Where a job keeps its state: URLs of folders, None where nobody says."""

    checkpoints: str | None
    savepoints: str | None


def places(job: JobValues, state: str | None, name: str) -> Places:
    """The job's own folders, else folders of its name below the platform's ``state``."""
    said, base = job["state"], state.rstrip("/") if state else None

    def place(kind: str) -> str | None:
        own: str | None = said[kind]
        return own or (f"{base}/{kind}/{name}" if base else None)

    return Places(place("checkpoints"), place("savepoints"))


def state_conf(
    where: Places, version: tuple[int, int] | None, *, is_stream: bool, has_restarts: bool
) -> dict[str, str]:
    """Where state is kept; a stream takes checkpoints and survives its job manager, a bounded job does not restart."""
    is_new = version is not None and version >= (2, 0)
    names = ("execution.checkpointing.dir", "execution.checkpointing.savepoint-dir")
    keys = names if is_new else ("state.checkpoints.dir", "state.savepoints.dir")
    conf = {key: url for key, url in zip(keys, where, strict=True) if url}
    is_old = version is not None and version < (1, 18)
    if is_stream and where.checkpoints:
        conf |= {
            "execution.checkpointing.interval": CHECKPOINT_INTERVAL,
            "high-availability" if is_old else "high-availability.type": "kubernetes",
            "high-availability.storageDir": f"{where.checkpoints.rstrip('/')}/ha",
        }
    if not is_stream and not has_restarts:  # Airflow retries, or cost and attempts multiply
        conf["restart-strategy" if is_old else "restart-strategy.type"] = "none"
    return conf


def conf_text(value: str | float | bool) -> str:
    """A property's value as Flink reads it: ``true``, not ``True``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def own_conf(job: JobValues) -> dict[str, str]:
    """The job's own properties."""
    return {key: conf_text(value) for key, value in job["conf"].items()}


def restarts(conf: Mapping[str, Any]) -> bool:
    """True if a job says itself how Flink restarts it."""
    return any(key.startswith("restart-strategy") for key in conf)


def conf_findings(job: JobValues) -> list[Finding]:
    """Properties that we own."""
    return [Finding(f"conf.{key}", f"{key} is not set by a job", OWNED[key]) for key in job["conf"] if key in OWNED]
