"""Time budgets as absolute deadlines: whichever passes first cancels the job before it fails the task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from airflow_doeks.model.status import JobState, JobStatus


@dataclass(frozen=True)
class Budgets:
    """Seconds, None for no limit.

    Attributes:
        queue_timeout: from submission until the job leaves QUEUED.
        startup_timeout: from scheduling until it runs.
        run_timeout: from its start until its end.
        deadline: no job of this attempt lives past this moment (Airflow's execution_timeout made absolute).
    """

    queue_timeout: float | None = None
    startup_timeout: float | None = None
    run_timeout: float | None = None
    deadline: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON for a trigger."""
        return asdict(self) | {"deadline": self.deadline.isoformat() if self.deadline else None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Budgets:
        """What ``to_json`` gave, here or in another version: a key that this one does not know is ignored."""
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        deadline = known.get("deadline")
        return cls(**{**known, "deadline": datetime.fromisoformat(deadline) if deadline else None})


_PHASES = (  # budget, the state it limits, the time of the status it counts from
    ("queue_timeout", JobState.QUEUED, "submitted"),
    ("startup_timeout", JobState.STARTING, "scheduled"),
    ("run_timeout", JobState.RUNNING, "started"),
)


def next_deadline(
    status: JobStatus, budgets: Budgets, *, submitted: datetime, entered: datetime
) -> tuple[datetime, str] | None:
    """The first moment at which the job is overdue in its present state, and the name of the budget; None for never.

    ``entered`` is when the present state was first seen; it stands in where the platform does not tell.
    """
    found: list[tuple[datetime, str]] = []
    if budgets.deadline is not None:
        found.append((budgets.deadline, "execution_timeout"))
    for name, state, since in _PHASES:
        seconds = getattr(budgets, name)
        if seconds is not None and _limited(status) is state:
            told = status.changed if since == "submitted" and status.changed else getattr(status, since)
            start = told or (submitted if since == "submitted" else entered)
            found.append((start + timedelta(seconds=seconds), name))
    return min(found) if found and not status.state.is_terminal else None


def rests_on_entry(status: JobStatus, budgets: Budgets) -> bool:
    """True if a budget counts from when the present state was first seen, for the platform does not tell."""
    return any(
        getattr(budgets, name) is not None and _limited(status) is state and getattr(status, since) is None
        for name, state, since in _PHASES
        if since != "submitted"
    )


def _limited(status: JobStatus) -> JobState:
    """The state whose budget holds: a job that its operator never took up still waits to be scheduled.

    Nothing but execution_timeout limits one that stalled later: it may have ended well.
    """
    never_up = status.scheduled is None and status.started is None
    return JobState.QUEUED if status.state is JobState.STALLED and never_up else status.state
