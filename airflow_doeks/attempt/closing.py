"""The end of a job, whoever brings it about: cancelled, explained, settled, delivered. Nobody else does these four.

Accounting never fails a job: this is one of the few places that catch everything, and it logs the traceback.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_doeks.attempt.delivery import deliver
from airflow_doeks.attempt.hand import Books, JobInHand, JobTask
from airflow_doeks.hooks.settings import open_ledger
from airflow_doeks.lifecycle import (
    Settled,
    end,
    refused_record,
    settle,
    settle_days,
    submitted_record,
    unsettled_record,
)
from airflow_doeks.lifecycle.endings import ENDINGS, Ending, failure_of
from airflow_doeks.lifecycle.shared_cost import write_settled
from airflow_doeks.lifecycle.windows import unclosed
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.record import FailureCategory, JobFailure, JobRecord
from airflow_doeks.model.status import JobState, JobStatus

log = logging.getLogger(__name__)

CANCEL_SECONDS = 20.0  # for a cancel and the job's end, of a worker that is being killed


@dataclass(frozen=True)
class Closed:
    """A job whose end is written down; ``failure`` is None if it succeeded."""

    status: JobStatus
    record: JobRecord
    failure: JobFailure | None


def close(
    job: JobInHand,
    ending: Ending,
    status: JobStatus | None = None,
    *,
    why: str = "",
    context: Mapping[str, Any] | None = None,
    cancel_seconds: float = CANCEL_SECONDS,
    settle_seconds: float | None = None,
) -> Closed:
    """End the job if the ending says so and it lives; find out why; write its record to wherever it is delivered.

    A job without an end of its own is left alone where the ending lets it outlive its task.
    Never raises for a platform or for accounting. ``status`` is the last one seen; ``context`` is Airflow's, None where
    only the ledger is written. Times limit the cancel, and the reading of the event log, in seconds.
    """
    row, ref = ENDINGS[ending], job.submission.ref
    if row.may_outlive and job.books.may_outlive and not (status and status.state.is_terminal):
        return _left(job, status)
    if row.cancels and (status is None or not status.state.is_terminal):
        status = end(job.platform, ref, seconds=cancel_seconds)
    if status is None:
        status = job.platform.observe(ref)
    has_failed = status.state is not JobState.SUCCEEDED
    explained = job.platform.explain(ref) if row.asks and has_failed else None
    failure = failure_of(ending, status, explained, why)
    settled = _settle(job, status, failure, settle_seconds)
    has_days = not job.submission.is_lasting or _write_days(job, status, settle_seconds)
    if not has_days:  # its closing record costs nothing because its days do
        settled = replace(settled, record=unclosed(settled.record))
    closed = Closed(status, deliver(settled, job.books.settings, context), failure)
    if has_days:
        _release(job)
    return closed


def _left(job: JobInHand, status: JobStatus | None) -> Closed:
    """A job without an end of its own, whose task alone ended: its record stays that of a running job."""
    submission = job.submission
    log.info("%s lives on without its task; only a task that stops it ends it", submission.ref)
    unseen = JobStatus(submission.ref, JobState.LOST, reason="its task ended, and nobody looked since")
    record = submitted_record(submission, job.identity, submission.ref.type)
    return Closed(status or unseen, record, None)


def _release(job: JobInHand) -> None:
    """What was kept for the record may go; where that fails, it goes by itself later."""
    try:
        job.platform.release(job.submission.ref)
    except PlatformError as error:
        log.warning("What was kept of %s stays for a while: %s", job.submission.ref, error)


def _write_days(job: JobInHand, status: JobStatus, seconds: float | None) -> bool:
    """Write the records of the days of a job without an end of its own; False if `reconcile` has to do it."""
    books = job.books
    try:
        ledger = open_ledger(books.settings)
        for settled in settle_days(job.platform, job.submission, job.identity, status, books.accounting(seconds)):
            write_settled(ledger, settled)
    except Exception:
        log.exception("The days of %s could not be accounted for; `doeks reconcile` does it", job.submission.ref)
        return False
    return True


def close_refused(
    books: Books,
    task: JobTask,
    ending: Ending,
    why: str,
    context: Mapping[str, Any],
    *,
    category: FailureCategory | None = None,
) -> None:
    """The record of a job that never came to be; ``category`` is its refusal's, where its ending leaves it open."""
    failure = JobFailure(category=ENDINGS[ending].category or category or "unknown", message=why)
    try:
        settled = refused_record(books.identity, task.platform, failure, engine=task.engine)
    except Exception:
        log.exception("No record of the refused job was written")
        return
    deliver(settled, books.settings, context)


def _settle(job: JobInHand, status: JobStatus, failure: JobFailure | None, seconds: float | None) -> Settled:
    books, submission, identity = job.books, job.submission, job.identity
    try:
        return settle(
            job.platform,
            submission,
            identity,
            status,
            books.accounting(seconds),
            failure=failure,
            reads=books.reads,
            writes=books.writes,
        )
    except Exception as error:
        log.exception("The accounts of %s could not be made; its record says so", submission.ref)
        return unsettled_record(submission, identity, status, failure, error)
