"""What executes a job: one row an engine; whoever must tell Spark from Flink asks the row.

A row names code by dotted path (``module:name``), so that `doeks lint` reads rows and builds no models.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True)
class Engine:
    """One engine: how its jobs are written, checked and run.

    Attributes:
        name: the key of its tasks in YAML and its word in records.
        title: as sentences name it.
        noun: the frozen model of its job.
        operator: the Airflow operator that runs its job; None: no platform of this version does.
        work: what can be run; a job has exactly one of these keys, each of which names a file.
        sql: the one of them that is SQL, rendered by Airflow first; None without SQL.
        code_only: keys that belong to code and not to SQL.
        file_lists: keys that hold a list of files.
        pods: keys that describe pods.
        counted: the one of them with ``min`` and ``max``; None where pods are not counted.
        presets: table of the presets that apply, by name; None without any.
        property_fault: function of a key of ``conf`` that gives code, message and help for one the engine ignores.
        image_properties: patterns of the keys of ``conf`` that name an image.
        template_properties: patterns of the keys of ``conf`` that name a pod template.
        endless: a key of a job, and its value for one without an end of its own; None: every job ends by itself.
    """

    name: str
    title: str
    noun: str
    operator: str | None = None
    work: tuple[str, ...] = ()
    sql: str | None = None
    code_only: tuple[str, ...] = ()
    file_lists: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    counted: str | None = None
    presets: str | None = None
    property_fault: str | None = None
    image_properties: tuple[str, ...] = ()
    template_properties: tuple[str, ...] = ()
    endless: tuple[str, str] | None = None

    def replaced_by(self, key: str) -> frozenset[str]:
        """Inherited keys that a job drops when it says itself what it runs."""
        if key not in self.work:
            return frozenset()
        return frozenset(self.work).difference((key,)).union(self.code_only if key == self.sql else ())

    def may_outlive(self, job: Mapping[str, Any]) -> bool:
        """True for a job without an end of its own: it lives on where only its task ends."""
        return self.endless is not None and job.get(self.endless[0]) == self.endless[1]

    def names_image(self, key: str) -> bool:
        """True for a property that names a container image."""
        return any(fnmatchcase(key, pattern) for pattern in self.image_properties)

    def names_template(self, key: str) -> bool:
        """True for a property that names a pod template."""
        return any(fnmatchcase(key, pattern) for pattern in self.template_properties)

    def preset_names(self) -> list[str]:
        """The presets that apply, sorted."""
        table: Mapping[str, Any] = load(self.presets) if self.presets else {}
        return sorted(table)


SPARK = Engine(
    name="spark",
    title="Spark",
    noun="airflow_doeks.model.job:SparkJob",
    operator="airflow_doeks.operators.job:SparkJobOperator",
    work=("main", "sql"),
    sql="sql",
    code_only=("class",),
    file_lists=("py_files", "files", "jars", "archives"),
    pods=("driver", "executors"),
    counted="executors",
    presets="airflow_doeks.platforms.spark.presets:PRESETS",
    property_fault="airflow_doeks.language.spark_conf:fault",
    image_properties=("*.container.image",),  # spark.kubernetes, its .driver and its .executor
    template_properties=("*.podTemplateFile",),
)
FLINK = Engine(
    name="flink",
    title="Flink",
    noun="airflow_doeks.model.flink:FlinkJob",
    work=("jar", "sql"),
    sql="sql",
    code_only=("class",),
    pods=("job_manager", "task_managers"),
    # Flink 1.20 and 2.0, "Configuration": kubernetes.container.image was the key's name before 1.18.
    image_properties=("kubernetes.container.image", "kubernetes.container.image.ref"),
    template_properties=("kubernetes.pod-template-file*",),
    endless=("mode", "streaming"),
)
ENGINES: dict[str, Engine] = {row.name: row for row in (SPARK, FLINK)}


@functools.lru_cache(maxsize=64)
def load(path: str) -> Any:
    """What a dotted path of a row names, imported."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
