"""The checked result of one pipeline file in one environment: all a DAG builder needs, and nothing left to check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

BUDGETS = ("queue_timeout", "startup_timeout", "run_timeout")  # a task's time budgets; each cancels its job


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """One task.

    Attributes:
        task_id: with its group ids, ``group.task``, as Airflow names it.
        kind: an engine's name (with ``job`` and ``platform``), or ``uses`` (with ``operator`` and ``arguments``).
        job: plain JSON of the job, defaults and presets merged, templates unrendered, paths relative to
            ``Plan.folder``.
        platform: the whole platform entry, plus ``name``; no secret in it.
        operator: import path of the class behind ``uses``.
        needs: full task ids, written and inferred.
        expand: a list, or ``{"task": id}`` for another task's output; None if the task is not mapped. An item is what
            ``{{ task.item }}`` gives; of ``uses`` it is a mapping of arguments.
        budgets: name of BUDGETS -> seconds, only those that are set.
        retry_on: failure categories that are worth a retry; None: all but ``user_code`` and ``cancelled``.
        source: dotted path below the task -> ``file:line:col`` that supplied the value; ``""`` is the task itself.
    """

    task_id: str
    kind: str
    job: Mapping[str, Any] | None = None
    platform: Mapping[str, Any] | None = None
    operator: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    cost_tags: Mapping[str, str] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    inlets: tuple[str, ...] = ()
    outlets: tuple[str, ...] = ()
    trigger_rule: str = "all_success"
    retries: int = 0
    retry_delay_seconds: float = 300.0
    retry_on: tuple[str, ...] | None = None
    execution_timeout_seconds: float | None = None
    budgets: Mapping[str, float] = field(default_factory=dict)
    budget_usd: str | None = None
    pool: str | None = None
    priority_weight: int = 1
    expand: Any = None
    role: Literal["setup", "teardown"] | None = None
    doc: str | None = None
    source: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """One pipeline.

    Attributes:
        file: path of the YAML as given to the compiler; ``folder`` is where its relative paths start.
        schedule: None, ``{"cron", "timezone", "covers"}`` or ``{"assets": {"any" | "all": [uri, ...]}}``; presets
            such as ``@daily`` stand as their cron text.
        start_date, end_date: ISO dates or times, in ``timezone``.
        groups: group id -> tooltip, outermost first.
        rate_card: the ``rate_card`` entry of doeks.yaml.
        text: the file's own text with comments, the DAG's documentation.
        source: dotted path below the pipeline -> ``file:line:col``, as of a task.
    """

    dag_id: str
    file: str
    folder: str
    tasks: tuple[TaskPlan, ...]
    description: str | None = None
    schedule: Mapping[str, Any] | None = None
    start_date: str | None = None
    end_date: str | None = None
    timezone: str = "UTC"
    catchup: bool = False
    max_active_runs: int | None = None
    owner: str = "airflow"
    tags: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    dagrun_timeout_seconds: float | None = None
    environment: str | None = None
    rate_card: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    source: Mapping[str, str] = field(default_factory=dict)


def pool_of(task: TaskPlan) -> str | None:
    """The Airflow pool of a task: its own, else that of a platform with ``max_jobs``; None is Airflow's default."""
    platform = task.platform or {}
    return task.pool or (f"doeks_{platform['name']}" if platform.get("max_jobs") else None)
