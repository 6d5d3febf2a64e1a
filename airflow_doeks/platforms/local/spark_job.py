"""A Spark job on this machine: what is asked, how it is run, and what it occupied.

A job is one JVM, driver and executors together, capped to the machine. It is counted as ONE pod that requests
``driver.cpu + executors.max * executors.cpu`` vCPU and the same sum of memory, each at most what the machine has (vCPU
whole: they are the n of ``local[n]``).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.quantities import GIB, MIB
from airflow_doeks.model.status import JobStatus
from airflow_doeks.model.telemetry import Pod
from airflow_doeks.platforms import root_cause as jvm
from airflow_doeks.platforms.local import launch, runs
from airflow_doeks.platforms.spark.conf import (
    event_log_conf,
    executors_max,
    identity_conf,
    memory_bytes,
    split_memory,
    vcpu,
    work_conf,
)

if TYPE_CHECKING:
    from airflow_doeks.platforms.clients import Injection

plan, event_log, root_cause = launch.plan, runs.event_log, jvm.root_cause


def work(job: SparkJob, injection: Injection) -> dict[str, Any]:
    """What the job asks for, whoever asks: the part of the request that is hashed."""
    values = job.plain()
    driver, executors, most = values["driver"], values["executors"], executors_max(values)
    total_bytes = memory_bytes(driver) + most * memory_bytes(executors)
    return {
        "main": job.main,
        "class": job.class_,
        "sql": job.sql if job.sql_text is None else None,
        "sql_text": job.sql_text,
        "args": [str(arg) for arg in job.args],
        **{name: list(getattr(job, name)) for name in launch.FILE_OPTIONS},
        "env": dict(job.env),
        **({"secrets": {name: secret.here for name, secret in job.secrets.items()}} if job.secrets else {}),
        "conf": work_conf(values, injection, event_log_dir=None),
        "asked": {
            "vcpu": str(vcpu(driver) + most * vcpu(executors)),
            "memory_mib": total_bytes // MIB,
            "heap_mib": split_memory(values, "driver", total_bytes).heap_mib,
        },
    }


def for_run(asked: Mapping[str, Any], run: Path, identity: JobIdentity, injection: Injection) -> dict[str, Any]:
    """What of the request belongs to this attempt: where it keeps things, and whose it is."""
    conf = {
        **launch.default_conf(run),
        **asked["conf"],
        "spark.app.name": f"{identity.dag_id}.{identity.task_id}",
        **event_log_conf((run / runs.EVENTS).as_uri(), injection),
        **identity_conf(identity, injection),
    }
    return {"conf": conf}


def links(run: Path) -> dict[str, str]:  # noqa: ARG001 - one shape for all engines
    """None: Spark's UI is off, its event log stays."""
    return {}


def pods(run: Path, request: Mapping[str, Any], status: JobStatus) -> tuple[Pod, ...]:
    """One pod, the size the job was granted."""
    granted = request["launch"]["granted"]
    pod = Pod(
        uid=run.name,
        role="driver",
        vcpu=Decimal(granted["vcpu"]),
        memory_gib=Decimal(granted["memory_mib"]) * MIB / GIB,
        storage_gib=Decimal(0),
        started=status.started,
        ended=status.ended,
    )
    return (pod,)
