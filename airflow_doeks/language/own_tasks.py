"""Tasks that the language has in words of its own beside jobs: what each says to which operator of Airflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from airflow_doeks.language import times

_OURS = "airflow_doeks.operators.function"
_STANDARD = "airflow.providers.standard"


class OwnTask(NamedTuple):
    """A kind of task: the operator behind it, and the arguments that it gets of what stands below the kind."""

    operator: str
    arguments: Callable[[Mapping[str, Any]], dict[str, Any]]


def operator_and_arguments(kind: str, spec: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Import path of the operator of a task of one of the kinds of ``model.plan.OWN_TASKS``, and its arguments."""
    if kind == "wait_for" and "dataset" in spec:
        kind = "dataset"
    row = _TABLE[kind]
    return row.operator, {key: value for key, value in row.arguments(spec).items() if value is not None}


def dag_id(pipeline: str) -> str:
    """The DAG id of a pipeline, which may be written as its path."""
    return pipeline.replace("/", ".")


def _function(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"file": spec["file"], "function": spec["function"], "op_kwargs": dict(spec.get("args") or {})}


def _trigger(spec: Mapping[str, Any]) -> dict[str, Any]:
    is_awaited = bool(spec.get("wait"))
    return {
        "trigger_dag_id": dag_id(spec["pipeline"]),
        "trigger_run_id": spec.get("run_id"),
        "conf": spec.get("conf"),
        "wait_for_completion": is_awaited,
        "deferrable": is_awaited,
    }


def _pipeline(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "external_dag_id": dag_id(spec["pipeline"]),
        "external_task_id": spec.get("task"),
        "execution_delta": _span(spec.get("offset")),
        "failed_states": ["failed", "upstream_failed"] if spec.get("task") else ["failed"],
        **_patience(spec),
    }


def _dataset(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"dataset": spec["dataset"], "connection": spec.get("connection"), **_patience(spec)}


def _patience(spec: Mapping[str, Any]) -> dict[str, Any]:
    """How a sensor waits: between two looks it holds no worker."""
    every, most = _span(spec.get("every")), _span(spec.get("timeout"))
    return {
        "mode": "reschedule",
        "poke_interval": 60.0 if every is None else every.total_seconds(),
        "timeout": None if most is None else most.total_seconds(),
    }


def _span(duration: Any) -> timedelta | None:
    try:
        return None if duration is None else timedelta(seconds=times.seconds(duration))
    except (ValueError, OverflowError):  # a check tells of it
        return None


_TABLE: Mapping[str, OwnTask] = {
    "python": OwnTask(f"{_OURS}.FunctionOperator", _function),
    "branch": OwnTask(f"{_OURS}.BranchOperator", _function),
    "short_circuit": OwnTask(f"{_OURS}.ShortCircuitOperator", _function),
    "trigger": OwnTask(f"{_STANDARD}.operators.trigger_dagrun.TriggerDagRunOperator", _trigger),
    "wait_for": OwnTask(f"{_STANDARD}.sensors.external_task.ExternalTaskSensor", _pipeline),
    "dataset": OwnTask("airflow_doeks.sensors.dataset.DatasetSensor", _dataset),
}
