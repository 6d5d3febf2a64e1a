"""Where a record goes: the ledger, XCom, the task state store, asset events; one that fails hinders no other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from airflow_doeks.attempt.asset_events import announce_seen, extend_outlets
from airflow_doeks.attempt.hand import JobInHand
from airflow_doeks.compat import runs_in_dag_processor
from airflow_doeks.hooks.settings import Settings, open_ledger
from airflow_doeks.lifecycle import Settled, record_id, submitted_record
from airflow_doeks.lifecycle.shared_cost import write_settled
from airflow_doeks.model.errors import DoeksError
from airflow_doeks.model.record import JobRecord

log = logging.getLogger(__name__)

RECORD_KEY = "doeks_record"  # XCom: the record of the task's job


def deliver(settled: Settled, settings: Settings, context: Mapping[str, Any] | None = None) -> JobRecord:
    """Write a settled record and give it as the ledger has it; never raises. Without a context: to the ledger alone."""
    record = settled.record
    try:
        record = write_settled(open_ledger(settings), settled)
    except Exception as error:  # noqa: BLE001 - a border: accounting never fails a job
        _warn_of_ledger(record.record_id, settings, error)
    if context is not None and not runs_in_dag_processor(context["ti"]):
        plain = record.model_dump(mode="json")
        for write in (_push_xcom, _set_task_state, extend_outlets, announce_seen):
            _attempt(write, context, plain)
    return record


def note_submitted(job: JobInHand) -> None:
    """Write the record of a running job to the ledger; a ledger that cannot be written gives a warning."""
    if job.submission.adopted:
        return
    try:
        record = submitted_record(job.submission, job.identity, job.submission.ref.type)
        open_ledger(job.books.settings).write(record)
    except Exception as error:  # noqa: BLE001 - a border: accounting never fails a job
        _warn_of_ledger(f"of the running job {job.submission.ref}", job.books.settings, error)


def withdraw_refused(job: JobInHand) -> None:
    """Take back the record that says of this job that it never came to be: its submit was not answered."""
    submission, settings = job.submission, job.books.settings
    if submission.token:
        try:
            open_ledger(settings).withdraw(record_id(None, submission.token), submission.submitted)
        except (OSError, DoeksError) as error:
            log.warning("The ledger may hold a second record of %s: %s", submission.ref, error)


def _warn_of_ledger(what: str, settings: Settings, error: Exception) -> None:
    """One line for what an operator can mend, the traceback for what only we can."""
    text = "The record %s was not written to [doeks] ledger_path = %s: %s"
    log.warning(text, what, settings.ledger_path, error, exc_info=not isinstance(error, (OSError, DoeksError)))


def _attempt(write: Callable[..., None], context: Mapping[str, Any], plain: dict[str, Any]) -> None:
    try:
        write(context, plain)
    except Exception:
        log.exception("The record %s was not written by %s", plain["record_id"], write.__name__.strip("_"))


def _push_xcom(context: Mapping[str, Any], plain: dict[str, Any]) -> None:
    context["ti"].xcom_push(key=RECORD_KEY, value=plain)


def _set_task_state(context: Mapping[str, Any], plain: dict[str, Any]) -> None:
    """Where Airflow has a store of task state: it outlives retries and clears, XCom does not."""
    store = context.get("task_state_store")
    if store is not None:
        store.set(f"doeks_record_{plain['attempt']['try_number']}", plain)
