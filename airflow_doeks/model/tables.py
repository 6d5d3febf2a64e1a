"""The ledger as tables: columns and a record's rows in each. A promise: columns are added, none changes its meaning.

Times are UTC without a zone, amounts are rounded to ten places, what is unknown is null. A record stands in
``records`` once for every revision that was compacted; readers take the highest one, and of ``datasets`` and
``minutes`` the rows of that revision.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from decimal import Context, Decimal
from typing import Any, Literal, NamedTuple

from airflow_doeks.model.bill import PLACES
from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.minutes import Run, runs_of
from airflow_doeks.model.noun import meant
from airflow_doeks.model.record import JobRecord

log = logging.getLogger(__name__)
Kind = Literal["text", "whole", "amount", "share", "moment", "flag"]
Row = dict[str, Any]
_TOO_LARGE = Decimal(10) ** 28  # of 38 digits ten stand behind the point
_EXACT = Context(prec=40)


class TableColumn(NamedTuple):
    """A column: its name, what kind of values it holds, and what they are."""

    name: str
    kind: Kind
    meaning: str


_KEY = (
    TableColumn("record_id", "text", "the record: one job, or one day of a job that has no end of its own"),
    TableColumn("revision", "whole", "which writing of the record; the highest holds"),
)
_PARTS = ("compute", "uplift", "storage", "transfer", "shared", "idle")
TABLES: Mapping[str, tuple[TableColumn, ...]] = {
    "records": (
        *_KEY,
        TableColumn("is_settled", "flag", "the job ended and was counted"),
        TableColumn("dag_id", "text", "pipeline of the attempt that submitted the job"),
        TableColumn("run_id", "text", "its run"),
        TableColumn("task_id", "text", "its task"),
        TableColumn("map_index", "whole", "its index among mapped tasks, -1 for none"),
        TableColumn("try_number", "whole", "its try"),
        TableColumn("job_ref", "text", "where the job is; null when none came to be"),
        TableColumn("job_name", "text", "its name on the platform"),
        TableColumn("platform", "text", "entry of doeks.yaml"),
        TableColumn("platform_type", "text", "its type"),
        TableColumn("engine", "text", "spark or flink"),
        TableColumn("state", "text", "the job's last state"),
        TableColumn("has_failed", "flag", "it ended and did not succeed"),
        TableColumn("failure_category", "text", "why it failed"),
        TableColumn("failure_message", "text", "the root cause in a line"),
        TableColumn("submitted", "moment", "when it was submitted"),
        TableColumn("scheduled", "moment", "when it was scheduled"),
        TableColumn("started", "moment", "when its driver ran"),
        TableColumn("ended", "moment", "when it ended"),
        TableColumn("vcpu_seconds", "amount", "vCPUs requested times seconds held"),
        TableColumn("memory_gib_seconds", "amount", "GiB requested times seconds held"),
        TableColumn("gpu_seconds", "amount", "GPUs requested times seconds held"),
        TableColumn("usd_total", "amount", "dollars; null when unknown"),
        *(TableColumn(f"usd_{part}", "amount", f"of which {part}; null when unknown") for part in _PARTS),
        TableColumn("usd_waste", "amount", "of which of a failed job, or of Spark tasks that were done again"),
        TableColumn("usd_unattributed", "amount", "of which no dataset claims"),
        TableColumn("estimate_usd", "amount", "what was estimated before it ran"),
        TableColumn("actual_usd", "amount", "what the bill said"),
        TableColumn("basis", "text", "what the cost was computed from"),
        TableColumn("confidence", "text", "high, medium or low"),
        TableColumn("rate_card", "text", "the prices"),
        TableColumn("priced_as", "text", "instance types that were assumed"),
        TableColumn("why_unknown", "text", "why something is unknown"),
        TableColumn("team", "text", "cost tag team"),
        TableColumn("is_complete", "flag", "lineage is complete"),
        TableColumn("record", "text", "the whole record as JSON"),
    ),
    "datasets": (
        *_KEY,
        TableColumn("direction", "text", "input or output"),
        TableColumn("position", "whole", "its place among the record's inputs or outputs, from 0"),
        TableColumn("namespace", "text", "OpenLineage namespace"),
        TableColumn("dataset", "text", "its name there"),
        TableColumn("row_count", "whole", "rows read or written"),
        TableColumn("byte_count", "whole", "bytes in storage"),
        TableColumn("file_count", "whole", "files"),
        TableColumn("slot_share", "share", "share of the job's slot time, 0 to 1; outputs only"),
        TableColumn("usd", "amount", "its part of the job's dollars; outputs only"),
    ),
    "minutes": (
        *_KEY,
        TableColumn("position", "whole", "its place among the record's runs of equal minutes, from 0"),
        TableColumn("since", "moment", "its first minute"),
        TableColumn("minute_count", "whole", "how many minutes in a row cost the same"),
        TableColumn("usd_per_minute", "amount", "dollars of each"),
    ),
}


def rows_of(record: JobRecord, detail: Mapping[str, Any]) -> dict[str, list[Row]]:
    """A record's rows by table; its ``detail`` has its minutes, and the datasets that it had no room for.

    A part of the detail that has another shape is named in a warning and left out.
    """
    lineage = whole_lineage(record, detail)
    key = {"record_id": record.record_id, "revision": record.revision}
    datasets = [
        {**key, **_dataset(direction, position, dataset)}
        for direction, found in (("input", lineage.inputs), ("output", lineage.outputs))
        for position, dataset in enumerate(found)
    ]
    runs = [
        {
            **key,
            "position": position,
            "since": _moment(run.since),
            "minute_count": run.minutes,
            "usd_per_minute": amount(run.usd_per_minute),
        }
        for position, run in enumerate(told_runs(record, detail))
    ]
    return {"records": [{**key, **_record(record)}], "datasets": datasets, "minutes": runs}


def whole_lineage(record: JobRecord, detail: Mapping[str, Any]) -> Lineage:
    """The record's lineage with the datasets that it had no room for, where its detail tells them."""
    if record.lineage.truncated and detail.get("lineage"):
        try:
            return Lineage.model_validate(detail["lineage"])
        except ValueError as error:
            _warn(record, "datasets", error)
    return record.lineage


def told_runs(record: JobRecord, detail: Mapping[str, Any]) -> Sequence[Run]:
    """The cost per minute of a record's detail; none, with a warning, where that has another shape."""
    try:
        return runs_of(detail)
    except ValueError as error:
        _warn(record, "minutes", error)
        return ()


def _warn(record: JobRecord, part: str, error: ValueError) -> None:
    log.warning("The %s of record %s are skipped: %s", part, record.record_id, str(error).splitlines()[0])


def _record(record: JobRecord) -> Row:
    attempt, job, times, usage, cost = record.attempt, record.job, record.times, record.usage, record.cost
    failure, billed = record.failure, (record.actual or {}).get("usd_total")
    return {
        "is_settled": record.settled_by_try is not None,
        **{name: getattr(attempt, name) for name in ("dag_id", "run_id", "task_id", "map_index", "try_number")},
        "job_ref": job.ref,
        "job_name": job.name,
        "platform": job.platform,
        "platform_type": job.type,
        "engine": job.engine,
        "state": job.state.value,
        "has_failed": job.state.has_failed,
        "failure_category": failure.category if failure else None,
        "failure_message": failure.message if failure else None,
        **{name: _moment(getattr(times, name)) for name in ("submitted", "scheduled", "started", "ended")},
        **{name: amount(getattr(usage, name)) for name in ("vcpu_seconds", "memory_gib_seconds", "gpu_seconds")},
        **{name: amount(getattr(cost, name)) for name in _amounts("usd_")},
        "estimate_usd": amount(cost.estimate_usd),
        "actual_usd": amount(_billed(billed)),
        **{name: getattr(cost, name) for name in ("basis", "confidence", "rate_card", "priced_as", "why_unknown")},
        "team": record.cost_tags.get("team"),
        "is_complete": record.lineage.complete,
        "record": record.model_dump_json(),
    }


def _billed(text: str | None) -> Decimal | None:
    """Dollars of a bill, which is text; None for what is no amount."""
    try:
        return None if text is None else meant(Decimal(text))
    except (ArithmeticError, ValueError):
        return None


def _amounts(start: str) -> Sequence[str]:
    return [column.name for column in TABLES["records"] if column.name.startswith(start)]


def _dataset(direction: str, position: int, dataset: Dataset) -> Row:
    return {
        "direction": direction,
        "position": position,
        "namespace": dataset.namespace,
        "dataset": dataset.name,
        "row_count": dataset.rows,
        "byte_count": dataset.bytes,
        "file_count": dataset.files,
        "slot_share": dataset.slot_share,
        "usd": amount(dataset.usd),
    }


def amount(value: Decimal | None) -> str | None:
    """An amount as the tables have it; a number that no column holds is no amount."""
    return None if value is None or abs(value) >= _TOO_LARGE else format(value.quantize(PLACES, context=_EXACT), "f")


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(timezone.utc).replace(tzinfo=None).isoformat(" ", "microseconds")
