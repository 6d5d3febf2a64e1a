"""A record as pages and totals over many records need it: a hundredth of its text, with the shared rules applied.

An entry is made from a record's JSON without the checks of the model, because a hundred thousand are read at a time;
keys that are missing are unknown.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from airflow_doeks.model.noun import counted, meant
from airflow_doeks.model.record import JobRecord
from airflow_doeks.model.status import JobState

_WIDE_SCHEME = "://"
_FIRST_YEAR = 1970


@dataclass(frozen=True, slots=True)
class Flow:
    """A dataset that a job read or wrote; ``usd`` is its part of the job's dollars, None for what was read."""

    label: str
    rows: int | None
    bytes: int | None
    usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One record, small.

    Attributes:
        has_failed: it ended and did not succeed.
        day: the folder that its record stands in, ``2026-11-20``.
        usd_waste: with the dollars of a job that did not succeed, where its waste is unknown.
        vcpu_seconds_by_capacity: pairs of capacity type and vCPU-seconds.
        is_complete: the datasets are all that its job read and wrote.
    """

    record_id: str
    revision: int
    is_settled: bool
    day: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    state: JobState
    has_failed: bool
    platform: str
    team: str
    spec_hash: str
    priced_as: str
    category: str
    submitted: datetime | None
    scheduled: datetime | None
    started: datetime | None
    ended: datetime | None
    usd: Decimal | None
    usd_waste: Decimal | None
    estimate_usd: Decimal | None
    vcpu_seconds: Decimal | None
    memory_gib_seconds: Decimal | None
    vcpu_seconds_by_capacity: Sequence[tuple[str, Decimal]]
    inputs: Sequence[Flow]
    outputs: Sequence[Flow]
    is_complete: bool = True

    @property
    def at(self) -> datetime | None:
        """The moment it is filed under: its submission where that is known."""
        return self.submitted or self.started or self.ended


def entry_of(record: JobRecord, day: str = "") -> Entry:
    """The entry of a record."""
    return entry_from_json(record.model_dump(mode="json"), day)


def entry_from_json(plain: Mapping[str, Any], day: str) -> Entry:
    """The entry of a record's JSON; ValueError or KeyError if it is none."""
    attempt, job, cost, times = plain["attempt"], plain["job"], plain["cost"], plain.get("times") or {}
    usage, lineage, failure = plain.get("usage") or {}, plain.get("lineage") or {}, plain.get("failure") or {}
    state, usd = JobState(job["state"]), _amount(cost.get("usd_total"))
    waste, has_failed = _amount(cost.get("usd_waste")), state.has_failed
    if waste is None and has_failed:
        waste = usd
    return Entry(
        record_id=plain["record_id"],
        revision=plain.get("revision", 1),
        is_settled=plain.get("settled_by_try") is not None,
        day=day,
        dag_id=_shared(attempt["dag_id"]),
        run_id=_shared(attempt["run_id"]),
        task_id=_shared(attempt["task_id"]),
        map_index=attempt.get("map_index", -1),
        try_number=attempt["try_number"],
        state=state,
        has_failed=has_failed,
        platform=_shared(job["platform"]),
        team=_shared((plain.get("cost_tags") or {}).get("team", "")),
        spec_hash=_shared(plain.get("spec_hash") or ""),
        priced_as=_shared(cost.get("priced_as") or ""),
        category=_shared(failure.get("category") or ""),
        submitted=_moment(times.get("submitted")),
        scheduled=_moment(times.get("scheduled")),
        started=_moment(times.get("started")),
        ended=_moment(times.get("ended")),
        usd=usd,
        usd_waste=waste,
        estimate_usd=_amount(cost.get("estimate_usd")),
        vcpu_seconds=_amount(usage.get("vcpu_seconds")),
        memory_gib_seconds=_amount(usage.get("memory_gib_seconds")),
        vcpu_seconds_by_capacity=tuple(
            (_shared(name), Decimal(amounts["vcpu_seconds"]))
            for name, amounts in (usage.get("by_capacity_type") or {}).items()
        ),
        inputs=tuple(_flow(dataset) for dataset in lineage.get("inputs") or ()),
        outputs=tuple(_flow(dataset) for dataset in lineage.get("outputs") or ()),
        is_complete=bool(lineage.get("complete")) and not lineage.get("truncated"),
    )


def label_of(namespace: str, name: str) -> str:
    """A dataset as people write it: ``s3://bucket/key``, ``/local/path``, else ``namespace:name``."""
    if namespace == "file":
        return name
    if _WIDE_SCHEME in namespace:
        return f"{namespace}/{name.lstrip('/')}"
    return f"{namespace}:{name}"


def _flow(dataset: Mapping[str, Any]) -> Flow:
    label = _shared(label_of(dataset["namespace"], dataset["name"]))
    return Flow(label, _count(dataset.get("rows")), _count(dataset.get("bytes")), _amount(dataset.get("usd")))


def _count(number: int | None) -> int | None:
    return None if number is None else counted(number)


def _amount(text: str | None) -> Decimal | None:
    """An amount; ValueError for what is no number, which would make none of every sum."""
    return None if text is None else meant(Decimal(text))


def _moment(text: str | None) -> datetime | None:
    """A moment; None for one at the ends of the calendar, which no job has, ValueError for one without a zone."""
    found = None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 knows no Z
    if found is None or not _FIRST_YEAR <= found.year < date.max.year:
        return None
    if found.tzinfo is None:
        msg = f"{text} has no time zone"
        raise ValueError(msg)
    return found


def _shared(text: str) -> str:
    """One object for equal texts: a name stands in thousands of records."""
    return sys.intern(text)
