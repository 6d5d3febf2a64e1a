"""Building records: of a job that runs, that ended, that was refused, or whose accounts failed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_doeks.lifecycle.clock import Clock
from airflow_doeks.lifecycle.record_size import first_bytes, fitted, shortened
from airflow_doeks.lifecycle.submission import Submission
from airflow_doeks.model.engine import SPARK, Engine
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobFailure, JobRecord, Times
from airflow_doeks.model.status import JobState, JobStatus
from airflow_doeks.model.telemetry import Telemetry

if TYPE_CHECKING:
    from airflow_doeks.lifecycle.account import Account


_TAIL_LINES, _LINE_BYTES = 200, 2000
_STAGE_KEYS = {"stage_id", "attempt", "started", "ended", "tasks", "slot_ms"}


@dataclass(frozen=True)
class Settled:
    """A record and, for the object beside it, what is too large for it."""

    record: JobRecord
    detail: Mapping[str, Any]


def record_id(ref: str | None, token: str) -> str:
    """32 hex of the job ref, or of the token when no job came to be."""
    return hashlib.sha256((ref or token).encode()).hexdigest()[:32]


def submitted_record(submission: Submission, identity: JobIdentity, platform_type: str) -> JobRecord:
    """The record of a job that runs: no cost yet, and why."""
    record = JobRecord(
        record_id=record_id(submission.ref, submission.token),
        attempt=attempt_of(identity, submission.try_number),
        spec_hash=submission.spec_hash,
        job=job_facts(submission, platform_type, JobState.QUEUED),
        times=Times(submitted=submission.submitted),
        cost=Cost(unknown=("compute",), why_unknown="running", estimate_usd=estimate_of(submission)),
        cost_tags=dict(identity.cost_tags),
    )
    return fitted(record)


def estimate_of(submission: Submission) -> Decimal | None:
    """What a job was expected to cost before it ran; of a stream nothing was."""
    return None if submission.estimate_usd is None or submission.is_lasting else Decimal(submission.estimate_usd)


def attempt_of(identity: JobIdentity, try_number: int) -> Attempt:
    """The attempt a record belongs to."""
    return Attempt(
        instance=identity.instance,
        dag_id=identity.dag_id,
        run_id=identity.run_id,
        task_id=identity.task_id,
        map_index=identity.map_index,
        try_number=try_number,
    )


def job_facts(submission: Submission, platform_type: str, state: JobState) -> JobFacts:
    """Which job it is and how it does."""
    return JobFacts(
        ref=submission.ref,
        platform=submission.platform,
        type=platform_type,
        engine=submission.engine,
        name=submission.name,
        state=state,
    )


def times_of(submission: Submission, status: JobStatus, telemetry: Telemetry | None) -> Times:
    """What the status tells, else the telemetry."""

    def known(name: str) -> datetime | None:
        return getattr(status, name) or (getattr(telemetry, name) if telemetry else None)

    return Times(
        submitted=known("submitted") or submission.submitted,
        scheduled=known("scheduled"),
        started=known("started"),
        ended=known("ended"),
    )


def fit(record: JobRecord, account: Account, summary: EventLogSummary) -> Settled:
    """The record within its size, and the detail that takes what does not fit."""
    everything = record.lineage
    datasets = (*everything.inputs, *everything.outputs)
    detail = {
        "lineage": everything.model_dump(mode="json"),
        "cost_tags": record.cost_tags,
        "columns": {
            f"{dataset.namespace}/{dataset.name}": [column.model_dump(mode="json") for column in dataset.columns]
            for dataset in datasets
            if dataset.columns
        },
        "minutes": [run.model_dump(mode="json") for run in account.minutes],
        "advice": [measure.model_dump(mode="json") for measure in account.advice],
        "by_family": [one.model_dump(mode="json") for one in account.by_family],
        "pod_uids": list(account.pod_uids),
        "pods": [pod.model_dump(mode="json", exclude_none=True) for pod in summary.pods],
        "stages": [stage.model_dump(mode="json", include=_STAGE_KEYS) for stage in summary.stages],
        "log_tail": _tail(record.failure),
        "jobs": list(summary.jobs),
        SPARK.name: {
            "app_id": summary.app_id,
            "version": summary.spark_version,
            "slot_ms": summary.slot_ms,
            "cores_per_task": summary.conf.get("spark.task.cpus", "1"),
        },
    }
    update = {"detail": f"{record.record_id}.detail.json.zst", "failure": shortened(record.failure)}
    return Settled(fitted(record.model_copy(update=update)), detail)


def _tail(failure: JobFailure | None) -> list[str]:
    """The last lines of the driver's log, which a record has no room for."""
    return [first_bytes(line, _LINE_BYTES) for line in failure.log_tail[-_TAIL_LINES:]] if failure else []


def refused_record(
    identity: JobIdentity,
    entry: Mapping[str, Any],
    failure: JobFailure,
    clock: Clock | None = None,
    *,
    engine: Engine = SPARK,
) -> Settled:
    """The record of a job that never came to be: no ref, no cost, and why."""
    now = (clock or Clock()).now()
    record = JobRecord(
        record_id=record_id(None, identity.token),
        attempt=attempt_of(identity, identity.try_number),
        settled_by_try=identity.try_number,
        job=JobFacts(
            ref=None,
            platform=str(entry.get("name", entry.get("type", ""))),
            type=str(entry.get("type", "")),
            engine=engine.name,
            name=identity.name,
            state=JobState.FAILED,
        ),
        times=Times(submitted=now, ended=now),
        cost=Cost(unknown=("compute",), why_unknown="no job came to be"),
        cost_tags=dict(identity.cost_tags),
        failure=shortened(failure),
    )
    return Settled(fitted(record), {})


def unsettled_record(
    submission: Submission, identity: JobIdentity, status: JobStatus, failure: JobFailure | None, error: Exception
) -> Settled:
    """The record of a job whose accounts failed by a fault of ours: everything but cost and lineage."""
    record = submitted_record(submission, identity, submission.ref.type)
    why = f"accounting failed: {type(error).__name__}: {error}"
    update = {
        "settled_by_try": identity.try_number,
        "job": job_facts(submission, submission.ref.type, status.state),
        "times": times_of(submission, status, None),
        "cost": record.cost.model_copy(update={"why_unknown": first_bytes(why, 500)}),
        "failure": shortened(failure),
    }
    return Settled(fitted(record.model_copy(update=update)), {})
