"""What an engine's own jobs inside of one job did, from its detail: checkpoints, restarts, records, lag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_doeks.ui import cells
from airflow_doeks.ui.blocks import Cell, Column, Table

_COLUMNS = (
    Column("Job"),
    Column("State"),
    Column("Ran for", is_number=True, hint="Since it was started last."),
    Column("Restarts", is_number=True, hint="How often it went back to a checkpoint."),
    Column("Checkpoints", is_number=True, hint="Completed since it was started last."),
    Column("The last took", is_number=True, hint="From its trigger until all tasks had acknowledged it."),
    Column("Its size", is_number=True, hint="State that it wrote or refers to."),
    Column("Records in", is_number=True, hint="Of its sources, since it was started last."),
    Column("Records out", is_number=True, hint="Into its sinks; unknown where source and sink are one task."),
    Column("Records behind", is_number=True, hint="What waits in its sources, where their connector tells."),
    Column("Time behind", is_number=True, hint="Age of what it emits, where the connector tells."),
)


def inner_jobs(detail: Mapping[str, Any]) -> Table | None:
    """A row a job; None where the detail tells of none."""
    jobs = [job for job in detail.get("jobs") or () if isinstance(job, Mapping)]
    seen = max((str(job["seen"]) for job in jobs if job.get("seen")), default="")
    hint = f"As its manager told at {seen[:19].replace('T', ' ')} UTC." if seen else ""
    return Table("inner", "Inside the job", _COLUMNS, [_row(job) for job in jobs], hint=hint) if jobs else None


def _row(job: Mapping[str, Any]) -> tuple[Cell, ...]:
    def number(key: str) -> int | None:
        value = job.get(key)
        return value if isinstance(value, int) else None

    def span(key: str) -> Cell:
        value = number(key)
        return cells.duration(None if value is None else value / 1000)

    return (
        cells.text(job.get("name")),
        cells.text(None if job.get("state") is None else str(job["state"]).lower()),
        span("duration_ms"),
        cells.count(number("restarts")),
        cells.count(number("checkpoints")),
        span("checkpoint_ms"),
        cells.size(number("checkpoint_bytes")),
        cells.count(number("records_in")),
        cells.count(number("records_out")),
        cells.count(number("lag_records")),
        span("lag_ms"),
    )
