"""What Airflow knows and the ledger does not: runs, tries, deadlines, and what a task said of its job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from airflow_doeks.ui import cells


@dataclass(frozen=True)
class RunTimes:
    """One run of a DAG; times are UTC."""

    run_id: str
    state: str | None
    started: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True)
class TaskTimes:
    """One try of a task; times are UTC."""

    task_id: str
    map_index: int
    try_number: int
    state: str | None
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def name(self) -> str:
        """The task with its map index."""
        return cells.task_name(self.task_id, self.map_index)


@dataclass(frozen=True)
class Missed:
    """A deadline that passed before its run ended; ``ended`` is None while the run goes on."""

    run_id: str
    due: datetime
    ended: datetime | None
    dag_id: str = ""


@dataclass(frozen=True)
class Announced:
    """What the newest try of a task said when it had submitted its job.

    Attributes:
        links: name -> URL of the platform.
        source: ``file:line:col`` of the task in its YAML; empty for a task that stands in none.
        budget_usd: what one run of the task may cost; None where it sets none.
        budget_told: the budgets that its job neared while it ran, in words; empty if it neared none.
        ref, submitted: the job, by which its record is found without reading the days around it.
    """

    links: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    budget_usd: Decimal | None = None
    budget_told: str = ""
    ref: str = ""
    submitted: datetime | None = None

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Announced:
        """As the XCom has it; what is missing or of another shape is left out."""
        links = told.get("links")
        return cls(
            links={str(name): str(url) for name, url in links.items()} if isinstance(links, Mapping) else {},
            source=str(told.get("source") or ""),
            budget_usd=cells.money(told.get("budget_usd")),
            budget_told=str(told.get("budget_told") or ""),
            ref=str(told.get("ref") or ""),
            submitted=_moment(told.get("submitted")),
        )


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))  # Python 3.10 knows no Z
    except ValueError:
        return None
