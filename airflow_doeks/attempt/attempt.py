"""What a job operator does with its job: submit, wait or resume, explain, settle.

Apart from the operator, so that building a DAG of a thousand tasks imports none of this.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from airflow_doeks.attempt.accounts import (
    TIMED_OUT,
    JobInHand,
    TaskAccounts,
    note_refused,
    note_submitted,
    pull_job,
    settle_quietly,
)
from airflow_doeks.attempt.identity import JOB_KEY, is_last_try, read_context
from airflow_doeks.attempt.job import read_rendered_job
from airflow_doeks.compat import AirflowException, AirflowFailException
from airflow_doeks.hooks.platforms import connect
from airflow_doeks.hooks.settings import Settings, load_settings
from airflow_doeks.lifecycle import Budgets, Submission, cancel, submit, wait
from airflow_doeks.model.errors import PlatformError, SpecError
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.record import JobFailure, JobRecord
from airflow_doeks.model.status import JobState, JobStatus
from airflow_doeks.platforms.registry import storage_connection
from airflow_doeks.triggers.job import event_status

# Categories that another try will not mend; `retry_on` says otherwise.
NOT_RETRIED = frozenset({"user_code", "cancelled"})
# Airflow 2 fails a deferred task at execution_timeout without a word to the trigger: ours must come first.
_DEADLINE_MARGIN = timedelta(seconds=3)
_CANCEL_WAIT_SECONDS = 20.0
_LOG_TAIL_LINES = 200


class JobTask(Protocol):
    """What an attempt asks of its operator; templates are rendered."""

    log: logging.Logger
    job: Mapping[str, Any]
    platform: Mapping[str, Any]
    cost_tags: Mapping[str, str]
    reads: Sequence[str]
    writes: Sequence[str]
    budgets: Mapping[str, Any]
    retry_on: Sequence[str] | None
    rate_card: Mapping[str, Any]
    source: Mapping[str, str]
    execution_timeout: timedelta | None
    job_in_hand: JobInHand | None
    record: JobRecord | None

    def code_folder(self) -> str:
        """Where relative paths of the job start."""

    def render_template(self, content: Any, context: Any) -> Any:
        """Airflow's rendering of a text."""


def accounts_of(operator: JobTask, context: Any, settings: Settings) -> TaskAccounts:
    """What this attempt's record is made from."""
    identity = read_context(context, instance=settings.instance, cost_tags=operator.cost_tags).identity
    return TaskAccounts(
        identity=identity,
        settings=settings,
        reads=tuple(operator.reads),
        writes=tuple(operator.writes),
        rate_card=operator.rate_card,
        connection=storage_connection(operator.platform),
    )


@dataclass(frozen=True)
class TaskAttempt:
    """One attempt: the operator, its templates rendered, and Airflow's context."""

    operator: JobTask
    context: Any

    @property
    def log(self) -> logging.Logger:
        """The task's log."""
        return self.operator.log

    def submit(self) -> JobInHand:
        """The job of this attempt, adopted or new; raises Airflow's exceptions."""
        settings = load_settings()
        facts = read_context(self.context, instance=settings.instance, cost_tags=self.operator.cost_tags)
        accounts = accounts_of(self.operator, self.context, settings)
        try:
            platform = connect(self.operator.platform, settings)
            submission = submit(
                platform,
                self._read_job(),
                facts.identity,
                base_try=facts.base_try,
                cancel_seconds=settings.cancel_timeout,
            )
        except (SpecError, PlatformError) as error:
            raise self._refused(accounts, error) from error
        return JobInHand(accounts, platform, submission)

    def announce(self, job: JobInHand) -> None:
        """Write the XCom that survives whatever comes, and the ledger's record of a running job."""
        plain = job.submission.to_json()
        tags = job.accounts.identity.tags(job.submission.spec_hash)
        told = {key: plain[key] for key in ("ref", "platform", "token", "submitted")} | {"tags": tags}
        links = job.platform.links(job.submission.ref)
        self.context["ti"].xcom_push(key=JOB_KEY, value=told | {"submission": plain, "links": links})
        note_submitted(job)

    def has_ended(self, job: JobInHand) -> bool:
        """True if the job that was adopted is over: nothing is left to wait for."""
        return job.submission.adopted and job.platform.observe(job.submission.ref).state.is_terminal

    def wait_here(self, job: JobInHand, spent: str | None = None) -> JobRecord:
        """Wait on the worker; whatever ends the task early ends the job.

        ``spent`` is a budget for which the trigger cancelled the job, or tried to.
        """
        try:
            status, overdue = wait(job.platform, job.submission, self.budgets(), on_change=self._log_state)
        except PlatformError as error:  # refused for good
            status = self._stop(job)
            failure = JobFailure(category="platform", message=f"could not be followed: {error}")
            settle_quietly(self.context, job, status, failure)
            fate = "may still run" if status.state is JobState.LOST else "was cancelled"
            msg = f"{job.submission.ref} could not be followed and {fate}: {error}"
            raise AirflowException(msg) from error
        except BaseException:  # killed, timed out or interrupted: the job must not outlive the task
            status = self._stop(job)
            settle_quietly(self.context, job, status, _cancelled(status))
            raise
        return self._finish(job, status, overdue or spent)

    def resume(self, submission: Mapping[str, Any] | None) -> JobInHand:
        """The job that was deferred, on a connection of this worker's own."""
        return self._in_hand(submission or pull_job(self.context)["submission"])

    def lives_on(self, job: JobInHand, event: Mapping[str, Any]) -> bool:
        """True if the trigger could not follow a job, had not to cancel it either, and the worker sees it alive."""
        if "error" not in event or "overdue" in event:
            return False
        try:
            status = job.platform.observe(job.submission.ref)
        except PlatformError as error:
            self.log.warning("The worker does not see %s: %s", job.submission.ref, error)
            return False
        return not status.state.is_terminal

    def complete(self, job: JobInHand, event: Mapping[str, Any]) -> JobRecord:
        """The trigger fired: the job ended, a deadline passed, or the worker has to look because the trigger cannot."""
        status = event_status(event)
        if status is None or status.state is JobState.LOST:  # perhaps to the triggerer alone
            why = event.get("error") if status is None else status.reason
            self.log.warning("The triggerer does not see %s (%s): the worker looks", job.submission.ref, why)
            return self.wait_here(job, event.get("overdue"))
        return self._finish(job, status, event.get("overdue"))

    def end_failed_deferral(self, error: str) -> None:
        """Airflow failed the deferral ("Trigger/execution timeout" on 2, "Trigger timeout" on 3): end the job."""
        known = pull_job(self.context)
        if not known:
            return
        job = self._in_hand(known["submission"])
        status = self._stop(job)
        failure = _cancelled(status)
        if failure is not None and "timeout" in error.lower():
            failure = failure.model_copy(update=TIMED_OUT)
        settle_quietly(self.context, job, status, failure)

    def budgets(self) -> Budgets:
        """The task's time budgets, execution_timeout as an absolute deadline."""
        budgets, allowed = Budgets(**self.operator.budgets), self.operator.execution_timeout
        if allowed is None:
            return budgets
        started = self.context["ti"].start_date or datetime.now(timezone.utc)
        return replace(budgets, deadline=started + max(allowed - _DEADLINE_MARGIN, allowed / 2))

    def _read_job(self) -> SparkJob:
        operator = self.operator
        return read_rendered_job(
            operator.job,
            folder=operator.code_folder(),
            source=operator.source,
            platform=operator.platform,
            render=lambda text: str(operator.render_template(text, self.context)),
        )

    def _refused(self, accounts: TaskAccounts, error: SpecError | PlatformError) -> Exception:
        retryable = isinstance(error, PlatformError) and error.retryable
        if not retryable or is_last_try(self.context["ti"]):
            category = "platform" if isinstance(error, PlatformError) else "user_code"
            failure = JobFailure(category=category, message=str(error))
            note_refused(self.context, accounts, self.operator.platform, failure)
        wrapped: Exception = (AirflowException if retryable else AirflowFailException)(str(error))
        return wrapped

    def _in_hand(self, submission: Mapping[str, Any]) -> JobInHand:
        settings = load_settings()
        accounts = accounts_of(self.operator, self.context, settings)
        job = JobInHand(accounts, connect(self.operator.platform, settings), Submission.from_json(submission))
        self.operator.job_in_hand = job  # for on_kill
        return job

    def _finish(self, job: JobInHand, status: JobStatus, overdue: str | None) -> JobRecord:
        failure = None
        if status.state is not JobState.SUCCEEDED:
            failure = job.platform.explain(job.submission.ref)
            if overdue:
                update = {"category": "timeout", "message": f"used up its {overdue} and was cancelled"}
                failure = failure.model_copy(update=update)
            for line in failure.log_tail[-_LOG_TAIL_LINES:]:
                self.log.info("driver | %s", line)
        record = settle_quietly(self.context, job, status, failure)
        self.log.info("%s", _summary(record))
        for difference in record.lineage.differences:
            self.log.warning("Lineage: %s", difference)
        self.operator.record = record
        if failure is not None:
            raise self._failed(job.submission, status, failure)
        return record

    def _failed(self, submission: Submission, status: JobStatus, failure: JobFailure) -> Exception:
        lines = [f"Spark job {status.state.value}: {failure.category}: {failure.message}", f"job: {submission.ref}"]
        lines += failure.evidence
        lines += [f"{name}: {url}" for name, url in failure.links.items()]
        retry_on = self.operator.retry_on
        wanted = failure.category in retry_on if retry_on is not None else failure.category not in NOT_RETRIED
        wrapped: Exception = (AirflowException if wanted else AirflowFailException)("\n".join(lines))
        return wrapped

    def _stop(self, job: JobInHand) -> JobStatus:
        ref = job.submission.ref
        try:
            return cancel(job.platform, ref, wait_seconds=_CANCEL_WAIT_SECONDS)
        except PlatformError as error:
            self.log.warning("%s could not be cancelled: %s", ref, error)
            return JobStatus(ref, JobState.LOST, reason=str(error))

    def _log_state(self, status: JobStatus) -> None:
        self.log.info("%s", status)


def _cancelled(status: JobStatus) -> JobFailure | None:
    if status.state is JobState.SUCCEEDED:
        return None
    return JobFailure(category="cancelled", message="the task ended before its job, which was cancelled")


def _summary(record: JobRecord) -> str:
    cost = record.cost
    price = f"{cost.usd_total:.6f} USD" if cost.usd_total is not None else f"cost unknown ({cost.why_unknown})"
    rows = ", ".join(f"{out.name}: {'?' if out.rows is None else out.rows} rows" for out in record.lineage.outputs)
    return f"Record {record.record_id}: {price}, basis {cost.basis}; wrote {rows or 'nothing that is known'}"
