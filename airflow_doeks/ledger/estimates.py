"""What the last jobs of each task took and cost, in one small object that every starting job can read."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from airflow_doeks.model.past import LOOK_BACK, Past, PastRun, past_of, run_of
from airflow_doeks.model.record import JobRecord
from airflow_doeks.model.stores import ByteStore

NAME = "v1/estimates.json"
_FRESH = timedelta(hours=20)  # days of records are read for it: not every hour


def are_due(store: ByteStore, now: datetime) -> bool:
    """True if nobody has looked back for most of a day. May raise OSError."""
    try:
        with store.open(NAME) as file:
            return now - datetime.fromisoformat(json.loads(file.read())["as_of"]) > _FRESH
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return True


def first_day(now: datetime) -> datetime:
    """From when on records count."""
    return now - LOOK_BACK


def write_estimates(store: ByteStore, records: Iterable[JobRecord], *, now: datetime) -> None:
    """Write what the newest jobs of each task that succeeded took and cost."""
    runs: defaultdict[str, list[PastRun]] = defaultdict(list)
    for record in records:
        if (run := run_of(record)) is not None:
            runs[_key(record.attempt.dag_id, record.attempt.task_id)].append(run)
    tasks = {key: past_of(found).model_dump(mode="json") for key, found in sorted(runs.items())}
    store.write(NAME, json.dumps({"as_of": now.isoformat(), "tasks": tasks}, separators=(",", ":")).encode())


def expected_usd(store: ByteStore, dag_id: str, task_id: str) -> Decimal | None:
    """What a job of a task is expected to cost: the median; None if none of them is known. OSError, ValueError."""
    try:
        with store.open(NAME) as file:
            found = json.loads(file.read())["tasks"].get(_key(dag_id, task_id))
    except FileNotFoundError:
        return None
    return None if found is None else Past.model_validate(found).usd_p50


def _key(dag_id: str, task_id: str) -> str:
    return f"{dag_id}/{task_id}"
