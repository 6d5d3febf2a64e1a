"""Records to make pages of."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobFailure, JobRecord, Times, Usage, UsageAmounts
from airflow_doeks.model.status import JobState

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


@pytest.fixture
def record():
    """A record of a job that was submitted ``minutes`` after noon, queued 20 s, started 10 s and ran for a minute."""

    def make(key: str, usd: str | None = "1.5", *, minutes: float = 0, state=JobState.SUCCEEDED, **fields) -> JobRecord:
        at = NOON + timedelta(minutes=minutes)
        dag, task = fields.pop("dag", "sales"), fields.pop("task", "clean")
        failure = (
            JobFailure(category="user_code", message="ValueError: no such month") if state is JobState.FAILED else None
        )
        part = None if usd is None else Decimal(usd)
        values = {
            "record_id": key,
            "attempt": Attempt(
                dag_id=dag, run_id=fields.pop("run", "r1"), task_id=task, try_number=fields.pop("tried", 1)
            ),
            "settled_by_try": 1,
            "spec_hash": "a" * 64,
            "job": JobFacts(
                ref=f"local://h/{key}", platform="lake", type="local", engine="spark", name=key, state=state
            ),
            "times": Times(
                submitted=at,
                scheduled=at + timedelta(seconds=20),
                started=at + timedelta(seconds=30),
                ended=at + timedelta(seconds=90),
            ),
            "usage": Usage(
                vcpu_seconds=Decimal(7200),
                memory_gib_seconds=Decimal(28800),
                gpu_seconds=Decimal(0),
                by_capacity_type={"spot": UsageAmounts(vcpu_seconds=Decimal(7200), memory_gib_seconds=Decimal(28800))},
            ),
            "cost": Cost(usd_total=part, usd_compute=part, unknown=("idle",), why_unknown="idle: nobody looked"),
            "lineage": Lineage(
                inputs=(Dataset(namespace="s3://lake", name="raw", rows=100, bytes=2048, files=2),),
                outputs=(Dataset(namespace="s3://lake", name="clean", rows=90, usd=part, slot_share=1.0),),
                complete=True,
            ),
            "cost_tags": {"team": "a"},
            "failure": failure,
        }
        return JobRecord.model_validate(values | fields)

    return make
