"""Where accounting meets Airflow: settles a job inside the task, and once more from a callback if the task could not.

Accounting never fails a job: this is one of the few places that catch everything, and it logs the traceback.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_doeks.attempt.identity import JOB_KEY, is_last_try
from airflow_doeks.compat import AirflowFailException, Asset, runs_in_dag_processor
from airflow_doeks.hooks.platforms import connect
from airflow_doeks.hooks.settings import Settings, load_settings, open_ledger
from airflow_doeks.lifecycle import (
    Accounting,
    Settled,
    Submission,
    cancel,
    record_id,
    refused_record,
    settle,
    submitted_record,
    unsettled_record,
)
from airflow_doeks.model.errors import DoeksError
from airflow_doeks.model.identity import PREFIX, JobIdentity
from airflow_doeks.model.quantities import is_template
from airflow_doeks.model.record import JobFailure, JobRecord
from airflow_doeks.model.status import JobState, JobStatus
from airflow_doeks.platforms.protocol import Platform

log = logging.getLogger(__name__)

RECORD_KEY = "doeks_record"  # XCom: its record
# Airflow 2 fails a resumed task that is past its execution_timeout before any code of the operator runs.
TIMED_OUT = {"category": "timeout", "message": "used up its execution_timeout and was cancelled"}
ORPHANED = {"category": "cancelled", "message": "its task ended without it, no try was left, and it was cancelled"}
_TAG = f"{PREFIX}tag-"
_CANCEL_WAIT_SECONDS = 12.0  # of the 20 s that Airflow gives a callback


@dataclass(frozen=True)
class TaskAccounts:
    """What the accounts of one task attempt are made from; templates are rendered."""

    identity: JobIdentity
    settings: Settings
    reads: Sequence[str] = ()
    writes: Sequence[str] = ()
    rate_card: Mapping[str, Any] | None = None
    connection: str | None = None  # of the platform: who may read its event logs

    def accounting(self) -> Accounting:
        """Stores and prices for ``lifecycle.settle``."""
        from airflow_doeks.cost import load_rate_card
        from airflow_doeks.hooks.stores import open_log

        card = dict(self.rate_card or {})
        return Accounting(
            open_log=lambda url: open_log(url, self.connection),
            rate_card=lambda: load_rate_card(card.get("file"), region=card.get("region")),
            seconds=self.settings.settle_timeout,
        )


@dataclass(frozen=True)
class JobInHand:
    """A job that exists, with its platform and the accounts of the attempt that follows it."""

    accounts: TaskAccounts
    platform: Platform
    submission: Submission


def note_submitted(job: JobInHand) -> None:
    """Write the record of a running job to the ledger; a ledger that cannot be written gives a warning."""
    if job.submission.adopted:
        return
    try:
        record = submitted_record(job.submission, job.accounts.identity, job.submission.ref.type)
        open_ledger(job.accounts.settings).write(record)
    except Exception as error:  # noqa: BLE001 - a border: accounting never fails a job
        _warn_of_ledger(f"of the running job {job.submission.ref}", job.accounts.settings, error)


def settle_quietly(
    context: Mapping[str, Any], job: JobInHand, status: JobStatus, failure: JobFailure | None = None
) -> JobRecord:
    """The record of an ended job, written to the ledger, XCom, the task state store and outlet events; never raises."""
    accounts, submission = job.accounts, job.submission
    try:
        settled = settle(
            job.platform,
            submission,
            accounts.identity,
            status,
            accounts.accounting(),
            failure=failure,
            reads=accounts.reads,
            writes=accounts.writes,
        )
    except Exception as error:
        log.exception("The accounts of %s could not be made; its record says so", submission.ref)
        settled = unsettled_record(submission, accounts.identity, status, failure, error)
    return _deliver(context, accounts.settings, settled)


def note_refused(
    context: Mapping[str, Any], accounts: TaskAccounts, entry: Mapping[str, Any], failure: JobFailure
) -> None:
    """The record of a job that never came to be; never raises."""
    try:
        settled = refused_record(accounts.identity, entry, failure)
    except Exception:
        log.exception("No record of the refused job was written")
        return
    _deliver(context, accounts.settings, settled)


def settle_again(context: Mapping[str, Any]) -> None:
    """Settle what the task itself could not, and end a job that nobody will wait for; may raise.

    A worker that is lost leaves its job behind: a retry adopts it, and after the last try it is an orphan.
    """
    task = context["task"]
    if not hasattr(task, "accounts") and hasattr(task, "unmap"):  # mapped, in the DAG processor
        task = task.unmap({})
    if not hasattr(task, "accounts"):
        return
    settings = load_settings()
    accounts: TaskAccounts = task.accounts(context, settings)
    platform = connect(task.platform, settings)
    ledger = open_ledger(settings)
    error = context.get("exception")
    timed_out = "Timeout" in type(error).__name__
    is_over = timed_out or isinstance(error, AirflowFailException) or is_last_try(context["ti"])  # nobody will adopt
    for submission, seen in _jobs_of(context, accounts, platform, str(task.platform.get("name", ""))):
        known = ledger.find(record_id(submission.ref, submission.token), submission.submitted.date())
        if known is not None and known.settled_by_try is not None:
            continue
        status, is_left_behind = seen, is_over and not seen.state.is_terminal
        if is_left_behind:
            log.warning("%s outlived its task: it is cancelled", submission.ref)
            status = cancel(platform, submission.ref, wait_seconds=_CANCEL_WAIT_SECONDS)
        if not status.state.is_terminal:
            log.info("%s still runs; its record follows when it ended", submission.ref)
            continue
        failure = None if status.state is JobState.SUCCEEDED else platform.explain(submission.ref)
        if failure is not None and (timed_out or is_left_behind):
            failure = failure.model_copy(update=TIMED_OUT if timed_out else ORPHANED)
        told = _as_submitted(accounts, known, seen.tags)
        settle_quietly(context, JobInHand(told, platform, submission), status, failure)


def _jobs_of(
    context: Mapping[str, Any], accounts: TaskAccounts, platform: Platform, platform_name: str
) -> list[tuple[Submission, JobStatus]]:
    """The job of this attempt from XCom where it can be read, else the task's jobs by their tags on the platform.

    Those of earlier tries are among them: the attempt may have been lost before it adopted one.
    """
    ti = context["ti"]
    if not runs_in_dag_processor(ti):
        job = pull_job(context)
        if job:
            submission = Submission.from_json(job["submission"])
            return [(submission, platform.observe(submission.ref))]
    identity = accounts.identity
    found = []
    for status in platform.find(identity):
        number = status.tags.get(f"{PREFIX}try", "")
        if not number.isdigit() or int(number) > identity.try_number:
            continue
        submission = Submission(
            ref=status.ref,
            platform=platform_name or status.ref.type,
            name=identity.name,
            token=identity.token,
            spec_hash=status.tags.get(f"{PREFIX}spec", ""),
            try_number=int(number),
            submitted=status.submitted or identity.run_started,
        )
        found.append((submission, status))
    return found


def _as_submitted(accounts: TaskAccounts, known: JobRecord | None, tags: Mapping[str, str]) -> TaskAccounts:
    """The accounts without templates, which nobody renders in the DAG processor: as the ledger or the job has them."""
    cost_tags = accounts.identity.cost_tags
    if any(map(is_template, cost_tags.values())):
        of_job = {key.removeprefix(_TAG): value for key, value in tags.items() if key.startswith(_TAG)}
        cost_tags = known.cost_tags if known else of_job
    return replace(
        accounts,
        identity=replace(accounts.identity, cost_tags=cost_tags),
        reads=[uri for uri in accounts.reads if not is_template(uri)],
        writes=[uri for uri in accounts.writes if not is_template(uri)],
    )


def pull_job(context: Mapping[str, Any]) -> Any:
    """The XCom that was written right after submit, or None."""
    ti = context["ti"]
    return ti.xcom_pull(task_ids=ti.task_id, key=JOB_KEY, map_indexes=ti.map_index)


def _deliver(context: Mapping[str, Any], settings: Settings, settled: Settled) -> JobRecord:
    record = settled.record
    try:
        ledger = open_ledger(settings)
        record = ledger.write(record)
        ledger.write_detail(record, dict(settled.detail))
    except Exception as error:  # noqa: BLE001 - a border: accounting never fails a job
        _warn_of_ledger(record.record_id, settings, error)
    plain = record.model_dump(mode="json")
    ti = context["ti"]
    if not runs_in_dag_processor(ti):
        for write in (_push_xcom, _set_task_state, _extend_outlets):
            _attempt(write, context, plain)
    return record


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


def _extend_outlets(context: Mapping[str, Any], plain: dict[str, Any]) -> None:
    """Asset events carry the record's summary; only events of a successful task are stored, and only from execute."""
    events = context.get("outlet_events")
    task = context["task"]
    if events is None:
        return
    extra = {
        "doeks_record_id": plain["record_id"],
        "usd_total": plain["cost"]["usd_total"],
        "rows": {f"{out['namespace']}/{out['name']}": out["rows"] for out in plain["lineage"]["outputs"]},
    }
    for outlet in getattr(task, "outlets", None) or ():
        if isinstance(outlet, Asset):
            events[outlet].extra.update(extra)
