"""What executes a job: one row an engine; whoever must tell Spark from Flink asks the row.

A row names code by dotted path (``module:name``), so that `doeks lint` reads rows and builds no models.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True)
class Engine:
    """One engine: how its jobs are written, checked and run.

    Attributes:
        name: the key of its tasks in YAML and its word in records.
        title: as sentences name it.
        noun: the frozen model of its job.
        operator: the Airflow operator that runs its job.
        work: what can be run; a job has exactly one of these keys, each of which names a file but for ``acts``.
        sql: the one of them that is SQL, rendered by Airflow first; None without SQL.
        sql_runner: file of the package that runs it for platforms that code is staged for.
        sql_job: keys of the job that then runs, where ``{runner}`` and ``{sql}`` are the URLs of both, and what else
            stands in braces is a key of the job.
        acts: those of them that do something to the job of another task, which they name.
        starts_from: a key that names a file or a task that returns its path; None without one.
        suffixes: key of ``work`` -> how files end that it runs; SQL may end otherwise.
        code_only: keys that belong to code and not to SQL.
        file_lists: keys that hold a list of files.
        history: function of a store and a name that reads what the engine wrote of its jobs.
        history_title: what that is called.
        pods: keys that describe pods.
        counted: the one of them with ``min`` and ``max``; None where pods are not counted so.
        spread: a key of the job, one of ``pods`` and a key of it: so many of the first are on each of the pods.
        starts_with: a key of ``conf``: so many of the counted pods a job whose number changes begins with.
        most_policy: the policy that says how many of the counted pods a job may have.
        presets: table of the presets that apply, by name; None without any.
        property_fault: function of a key of ``conf`` that gives code, message and help for one the engine ignores.
        image_properties: patterns of the keys of ``conf`` and ``configuration`` that name an image.
        growing_properties: patterns of the keys of ``conf`` that may start more pods than the counts say.
        template_file: a key that holds a pod template, or names a file of the project that does.
        template_properties: patterns of the keys of ``conf`` that name a pod template.
        logs_events: its jobs write event logs, from which their usage and lineage are read.
        endless: a key of a job, and its value for one without an end of its own; None: every job ends by itself.
        endless_only: keys that only a job without an end has, with the value that any may have.
    """

    name: str
    title: str
    noun: str
    operator: str
    work: tuple[str, ...] = ()
    sql: str | None = None
    sql_runner: str = ""
    sql_job: Mapping[str, Any] = field(default_factory=dict, hash=False)
    acts: tuple[str, ...] = ()
    starts_from: str | None = None
    suffixes: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    code_only: tuple[str, ...] = ()
    file_lists: tuple[str, ...] = ()
    history: str = ""
    history_title: str = ""
    pods: tuple[str, ...] = ()
    counted: str | None = None
    spread: tuple[str, str, str] | None = None
    starts_with: str | None = None
    most_policy: str | None = None
    presets: str | None = None
    property_fault: str | None = None
    image_properties: tuple[str, ...] = ()
    growing_properties: tuple[str, ...] = ()
    template_properties: tuple[str, ...] = ()
    template_file: str | None = None
    logs_events: bool = False
    endless: tuple[str, str] | None = None
    endless_only: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def files(self) -> tuple[str, ...]:
        """Keys of what can be run that name a file."""
        return tuple(key for key in self.work if key not in self.acts)

    @property
    def names_task(self) -> tuple[str, ...]:
        """Keys that may name another task."""
        return (*self.acts, *((self.starts_from,) if self.starts_from else ()))

    @property
    def runs_code(self) -> tuple[str, ...]:
        """Keys of what can be run that ``code_only`` goes with."""
        return tuple(key for key in self.files if key != self.sql)

    def replaced_by(self, key: str) -> frozenset[str]:
        """Inherited keys that a job drops when it says itself what it runs."""
        if key not in self.work:
            return frozenset()
        return frozenset(self.work).difference((key,)).union(() if key in self.runs_code else self.code_only)

    def may_outlive(self, job: Mapping[str, Any]) -> bool:
        """True for a job without an end of its own: it lives on where only its task ends."""
        return self.endless is not None and job.get(self.endless[0]) == self.endless[1]

    def names_image(self, key: str) -> bool:
        """True for a property that names a container image."""
        return any(fnmatchcase(key, pattern) for pattern in self.image_properties)

    def may_grow(self, key: str) -> bool:
        """True for a property that may start more pods than the job's counts say."""
        return any(fnmatchcase(key, pattern) for pattern in self.growing_properties)

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
    sql_runner="platforms/spark/sql_runner.py",
    sql_job={"main": "{runner}", "args": ("{sql}",)},
    suffixes={"main": (".py", ".jar"), "sql": (".sql", ".hql")},
    code_only=("class",),
    file_lists=("py_files", "files", "jars", "archives"),
    history="airflow_doeks.lifecycle.event_logs:read_event_log",
    history_title="event log",
    pods=("driver", "executors"),
    counted="executors",
    # Spark 3.5 and 4, ExecutorAllocationManager: it asks for so many at once, also for more than maxExecutors.
    starts_with="spark.dynamicAllocation.initialExecutors",
    most_policy="max_executors",
    presets="airflow_doeks.platforms.spark.presets:PRESETS",
    property_fault="airflow_doeks.language.spark_conf:fault",
    image_properties=("*.image",),  # spark.kubernetes.container, its .driver and .executor; of EMR's classifications
    template_properties=("*.podTemplateFile",),
    template_file="pod_template",
    logs_events=True,
)
FLINK = Engine(
    name="flink",
    title="Flink",
    noun="airflow_doeks.model.flink:FlinkJob",
    operator="airflow_doeks.operators.job:FlinkJobOperator",
    work=("jar", "main", "sql", "stop", "savepoint"),
    sql="sql",
    sql_runner="platforms/flink/doeks-flink.jar",
    sql_job={"jar": "{runner}", "class_": "airflow_doeks.SqlRunner", "args": ("{mode}", "{sql}")},
    suffixes={"jar": (".jar",), "main": (".py",), "sql": (".sql",)},
    acts=("stop", "savepoint"),
    starts_from="from",
    code_only=("class", "args"),
    file_lists=("jars", "py_files"),
    history="airflow_doeks.lifecycle.job_archives:read_job_archives",
    history_title="archive of jobs",
    pods=("job_manager", "task_manager"),
    spread=("parallelism", "task_manager", "slots"),
    most_policy="max_task_managers",
    # Flink 1.20 and 2.0, "Configuration": kubernetes.container.image was the key's name before 1.18.
    image_properties=("kubernetes.container.image", "kubernetes.container.image.ref"),
    template_properties=("kubernetes.pod-template-file*",),
    template_file="pod_template",
    # Flink 1.18 to 2.1 and the operator's autoscaler, November 2026.
    growing_properties=(
        "*job.autoscaler.enabled",
        "kubernetes.jobmanager.replicas",
        "slotmanager.redundant-taskmanager-num",
        "slotmanager.number-of-slots.m*",
        "slotmanager.min-total-resource.*",
        "pipeline.jobvertex-parallelism-overrides",
        "table.exec.resource.default-parallelism",
    ),
    endless=("mode", "streaming"),
    endless_only={"until": "finished", "stable_for": None, "upgrade": None},
)
ENGINES: dict[str, Engine] = {row.name: row for row in (SPARK, FLINK)}


@functools.lru_cache(maxsize=64)
def load(path: str) -> Any:
    """What a dotted path of a row names, imported."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
