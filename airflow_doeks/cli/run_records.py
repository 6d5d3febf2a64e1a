"""The records of one run: of every attempt, also of those that failed and were tried again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from airflow_doeks.model.record import JobRecord
from airflow_doeks.model.status import JobState


def all_attempts(
    ledger: Iterable[JobRecord], known: Sequence[JobRecord], dag_id: str, run_id: str, order: Mapping[str, int]
) -> list[JobRecord]:
    """What the ledger has of a run, with the records ``known`` from elsewhere; by task in ``order``, then by try.

    Airflow keeps the record of a task's last try alone. A later revision of a record takes the place of an earlier one.
    """
    found = [record for record in ledger if (record.attempt.dag_id, record.attempt.run_id) == (dag_id, run_id)]
    newest: dict[str, JobRecord] = {}
    for record in (*found, *known):
        before = newest.get(record.record_id)
        if before is None or record.revision >= before.revision:
            newest[record.record_id] = record
    last = len(order)

    def place(record: JobRecord) -> tuple[int, str, int, int]:
        attempt = record.attempt
        return order.get(attempt.task_id, last), attempt.task_id, attempt.map_index, attempt.try_number

    return sorted(newest.values(), key=place)


def tries_before(records: Sequence[JobRecord]) -> tuple[int, Decimal | None]:
    """How many attempts did not succeed although a later one was made, and what they cost; None if that is unknown."""
    last = {_task(record): record.attempt.try_number for record in records}
    earlier = [
        record
        for record in records
        if record.attempt.try_number < last[_task(record)] and record.job.state is not JobState.SUCCEEDED
    ]
    usd = [record.cost.usd_total for record in earlier]
    return len(earlier), None if None in usd else sum((amount for amount in usd if amount), Decimal(0))


def _task(record: JobRecord) -> tuple[str, int]:
    return record.attempt.task_id, record.attempt.map_index
