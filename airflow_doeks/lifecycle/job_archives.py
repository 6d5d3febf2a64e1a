"""What a Flink application left of its jobs: archives that its job manager wrote, and the last values of counters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from airflow_doeks.lineage.flink import Counted, SeenJob, flink_lineage
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.stores import ByteStore
from airflow_doeks.platforms.flink.job_manager import facts

COUNTERS = "counters.jsonl"  # FinalCounters.java writes it
_JOB = re.compile(r"/jobs/(?P<id>[0-9a-f]{32})(?P<part>/config|/plan|/checkpoints|/exceptions)?")


def read_job_archives(store: ByteStore, name: str = "") -> EventLogSummary:
    """What the folder ``name`` tells of an application's jobs, lineage included; OSError where it cannot be read."""
    found, counters, why = [], None, []
    for one in store.list(name):
        if one.endswith(COUNTERS):
            counters = list(_counters(store, one))
        elif (parts := _parts(store, one)) is not None:
            found.append(parts)
    if not found:
        why.append("its job manager kept nothing of its jobs: it was killed, or it never ran one")
    if counters is None:
        why.append("the last values of its counters were not kept")
    lost = {one.job_id for one in counters or ()} - {parts[""].get("jid") for parts in found}
    if found and lost:
        why.append(f"{len(lost)} of its jobs left only counters: its job manager was killed")
    jobs = sorted(found, key=lambda parts: parts[""].get("start-time") or 0)
    told = [facts(parts[""], parts.get("/checkpoints") or {}) for parts in jobs]
    seen = [
        SeenJob(parts[""], parts.get("/config", {}), parts.get("/plan", {}), counters, one["restarts"] or 0)
        for parts, one in zip(jobs, told, strict=True)
    ]
    lineage, missing = flink_lineage(seen)
    starts = [moment for parts in jobs if (moment := _moment(parts[""].get("start-time")))]
    ends = [_moment(parts[""].get("end-time")) for parts in jobs]
    return EventLogSummary(
        started=min(starts, default=None),
        ended=max((end for end in ends if end), default=None) if all(ends) else None,
        ended_cleanly=bool(jobs) and not lost,
        lineage=lineage.model_copy(update={"complete": lineage.complete and not why}),
        jobs=tuple(told),
        why=(*why, *missing),
    )


def _parts(store: ByteStore, name: str) -> dict[str, Any] | None:
    """Part of the REST API below the job -> its answer; None for a file that is no job's."""
    with store.open(name) as file:
        try:
            entries = json.loads(file.read())["archive"]
            parts = {
                match["part"] or "": json.loads(entry["json"])
                for entry in entries
                if (match := _JOB.fullmatch(entry["path"]))
            }
        except (ValueError, KeyError, TypeError):
            return None
    return parts if "" in parts else None


def _counters(store: ByteStore, name: str) -> Iterator[Counted]:
    """Each whole line; the last one may be cut."""
    with store.open(name) as file:
        found = map(_counted, file.read().splitlines())
        yield from (one for one in found if one is not None)


def _counted(line: bytes) -> Counted | None:
    try:
        told = json.loads(line)
        return Counted(
            job_id=told["job_id"],
            vertex=told["task_id"],
            operator=told["operator_name"],
            name=told["name"],
            subtask=told["subtask_index"],
            attempt=int(told["task_attempt_num"]),
            value=int(told["value"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _moment(millis: Any) -> datetime | None:
    """Of Flink's milliseconds since 1970; None for what did not happen."""
    return datetime.fromtimestamp(millis / 1000, timezone.utc) if isinstance(millis, int) and millis > 0 else None
