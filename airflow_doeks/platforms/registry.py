"""One row a platform type: where its code is, what it runs, and how its jobs are addressed. Light to import.

A new type is its module (or folder), its row, a harness of the conformance suite and its `rendered/` cases.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from airflow_doeks.model.engine import FLINK, SPARK, Engine


@dataclass(frozen=True)
class PlatformType:
    """A row of the registry.

    Attributes:
        module: path of the module with ``Config`` (pydantic model of its doeks.yaml entry) and ``Platform``.
        checks: path of the module with ``check_job`` and perhaps ``check_cost_tags``; imports no pydantic.
        ref: form of its jobs' refs.
        storage: key of its entry that names the AWS connection of code, logs and event logs; None: it has no storage.
        connections: keys of its entry that name an Airflow connection.
        has_pods: its feed tells pods while they live; what was seen is kept for their cost.
        runs_here: its jobs run on the machine of their task, which their pods are cut to.
    """

    module: str
    checks: str
    engines: frozenset[Engine]
    ref: str
    storage: str | None = None
    connections: tuple[str, ...] = ()
    has_pods: bool = False
    runs_here: bool = False

    def load(self) -> ModuleType:
        """Its module; imported when used."""
        return importlib.import_module(self.module)

    def load_checks(self) -> ModuleType:
        """The module of its checks."""
        return importlib.import_module(self.checks)


EMBEDDED = "local"  # the type, and the platform's name, that there is without a doeks.yaml
TYPES: dict[str, PlatformType] = {
    "apache_flink": PlatformType(
        module="airflow_doeks.platforms.apache_flink.platform",
        checks="airflow_doeks.platforms.apache_flink.checks",
        engines=frozenset({FLINK}),
        ref="apache_flink://<api-server>/<namespace>/<name>/<uid>",
        storage="aws_connection",
        connections=("connection", "aws_connection"),
        has_pods=True,
    ),
    "apache_spark": PlatformType(
        module="airflow_doeks.platforms.apache_spark.platform",
        checks="airflow_doeks.platforms.apache_spark.checks",
        engines=frozenset({SPARK}),
        ref="apache_spark://<api-server>/<namespace>/<name>/<uid>",
        storage="aws_connection",
        connections=("connection", "aws_connection"),
        has_pods=True,
    ),
    "emr_on_eks": PlatformType(
        module="airflow_doeks.platforms.emr_on_eks.platform",
        checks="airflow_doeks.platforms.emr_on_eks.checks",
        engines=frozenset({SPARK}),
        ref="emr_on_eks://<account>.<region>/<virtual-cluster>/<job-run>",
        storage="connection",
        connections=("connection", "kubernetes"),
    ),
    "kubeflow_spark": PlatformType(
        module="airflow_doeks.platforms.kubeflow_spark.platform",
        checks="airflow_doeks.platforms.spark.resource.checks",
        engines=frozenset({SPARK}),
        ref="kubeflow_spark://<api-server>/<namespace>/<name>/<uid>",
        storage="aws_connection",
        connections=("connection", "aws_connection"),
        has_pods=True,
    ),
    "local": PlatformType(
        module="airflow_doeks.platforms.local.platform",
        checks="airflow_doeks.platforms.local.checks",
        engines=frozenset({FLINK, SPARK}),
        ref="local://<host>/<run-dir>",
        runs_here=True,
    ),
}


def storage_connection(entry: Mapping[str, Any]) -> str | None:
    """The AWS connection behind the storage of a platform's entry; None if it names none."""
    key = TYPES[entry["type"]].storage
    return entry.get(key) if key else None
