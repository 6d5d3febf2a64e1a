"""From Airflow's task context to the identity that a job carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.identity import JobIdentity, digest
from airflow_doeks.platforms.registry import TYPES

_ANYBODY = frozenset({"localhost", "127.0.0.1", "0.0.0.0", "::1"})  # noqa: S104 - names, nobody listens


@dataclass(frozen=True)
class TaskInstanceFacts:
    """The identity of this attempt and the last try of the task's life before it was cleared."""

    identity: JobIdentity
    base_try: int


def read_context(context: Mapping[str, Any], *, instance: str, cost_tags: Mapping[str, str]) -> TaskInstanceFacts:
    """Identity of the attempt that this context belongs to; on resume from deferral it is the same attempt."""
    ti, run = context["ti"], context["dag_run"]
    run_started = _utc(getattr(run, "start_date", None) or getattr(run, "run_after", None) or ti.start_date)
    # A try has a UUID on Airflow 3. On 2.x run ids and dag_run.id repeat, so the run's creation goes in as well.
    # Until Airflow 2 is dropped: the second branch.
    attempt_id = str(getattr(ti, "id", "") or "") or digest(
        ti.run_id,
        _utc(getattr(run, "queued_at", None) or run_started).isoformat(),
        run_started.isoformat(),
        ti.try_number,
    )
    identity = JobIdentity(
        instance=instance,
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        try_number=ti.try_number,
        run_started=run_started,
        attempt_id=attempt_id,
        cost_tags=dict(cost_tags),
    )
    retries = getattr(context.get("task"), "retries", 0) or 0
    max_tries = getattr(ti, "max_tries", None)
    return TaskInstanceFacts(identity, (retries if max_tries is None else max_tries) - retries)


def check_instance(instance: str, entry: Mapping[str, Any]) -> None:
    """Raises SpecError for a name that another Airflow may have as well, where platforms are shared.

    Two Airflows of one name would adopt and cancel each other's jobs.
    """
    if instance in _ANYBODY and not TYPES[entry["type"]].runs_here:
        msg = (
            f"this Airflow has no name of its own: [doeks] instance is not set, and its base_url says {instance!r}\n"
            f"Jobs on platform {entry.get('name')!r} are found by that name, and every Airflow on a laptop has it. "
            "Set [doeks] instance (AIRFLOW__DOEKS__INSTANCE), for example to laptop-ann."
        )
        raise SpecError(msg)


def is_last_try(ti: Any) -> bool:
    """True if Airflow has no try left for the task; False where it does not tell how many there are."""
    max_tries = getattr(ti, "max_tries", None)
    return max_tries is not None and ti.try_number > max_tries


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(timezone.utc)
