"""The last jobs of a pipeline, from the ledger's view."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow_doeks.model.past import PastRun, past_run
from airflow_doeks.model.status import JobState

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# As `past.run_of`: no closing record of a stream.
# A record of one UTC day has its day in its JSON only, which is read of one pipeline's jobs.
_RUNS = f"""SELECT task_id, submitted, started, ended, spec_hash, usd_total FROM (
        SELECT task_id, submitted, started, ended, usd_total, record::JSON->>'$.spec_hash' AS spec_hash,
            record::JSON->>'$.window' AS of_day
        FROM records WHERE dag_id = ? AND state = '{JobState.SUCCEEDED.value}' AND submitted IS NOT NULL
            AND NOT (coalesce(usd_total, 1) = 0 AND coalesce(vcpu_seconds, 1) = 0)
    ) WHERE of_day IS NULL"""  # noqa: S608 - the state is ours


def asked_past(database: DuckDBPyConnection, dag_id: str) -> list[tuple[str, PastRun]]:
    """Task and figures of each job of a pipeline that succeeded."""

    def utc(at: datetime | None) -> datetime | None:
        return at and at.replace(tzinfo=timezone.utc)

    return [
        (task_id, past_run(submitted.replace(tzinfo=timezone.utc), utc(started), utc(ended), spec_hash, usd))
        for task_id, submitted, started, ended, spec_hash, usd in database.execute(_RUNS, [dag_id]).fetchall()
    ]
