"""What a job operator does with its job: submit, wait or resume, close.

Apart from the operator, so that building a DAG of a thousand tasks imports none of this.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_doeks.attempt.announcement import pull_job, push_job
from airflow_doeks.attempt.closing import CANCEL_SECONDS, close, close_refused
from airflow_doeks.attempt.delivery import note_submitted
from airflow_doeks.attempt.hand import Books, JobInHand, JobTask, books_of
from airflow_doeks.attempt.identity import check_instance, is_last_try, read_context
from airflow_doeks.attempt.job import read_rendered_job
from airflow_doeks.compat import AirflowException, AirflowFailException, is_deferral_timeout, is_task_timeout
from airflow_doeks.hooks.platforms import connect
from airflow_doeks.hooks.settings import load_settings
from airflow_doeks.lifecycle import Budgets, Submission, end, submission_of, submit, wait
from airflow_doeks.lifecycle.endings import ENDINGS, Ending, is_worth_a_retry, of_itself
from airflow_doeks.model.errors import PlatformError, SpecError
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.record import JobFailure, JobRecord
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from airflow_doeks.platforms.protocol import Platform
from airflow_doeks.platforms.registry import TYPES
from airflow_doeks.triggers.job import event_status

# Airflow 2 fails a deferred task at execution_timeout without a word to the trigger: ours must come first.
_DEADLINE_MARGIN = timedelta(seconds=3)
_LOG_TAIL_LINES = 200


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
        books = books_of(self.operator, self.context, settings)
        try:
            platform = connect(self.operator.platform, settings)
            check_instance(settings.instance, self.operator.platform)
            submission = submit(
                platform,
                self._read_job(),
                facts.identity,
                engine=self.operator.engine,
                base_try=facts.base_try,
                cancel_seconds=settings.cancel_timeout,
                on_replaced=lambda status: self._close_replaced(books, platform, status),
            )
        except (SpecError, PlatformError) as error:
            raise self._refused(books, error) from error
        return JobInHand(books, platform, submission)

    def announce(self, job: JobInHand) -> None:
        """Write the XCom that survives whatever comes, and the ledger's record of a running job."""
        push_job(self.context, job)
        note_submitted(job)

    def has_ended(self, job: JobInHand) -> bool:
        """True if the job that was adopted is over: nothing is left to wait for."""
        return job.submission.adopted and job.platform.observe(job.submission.ref).state.is_terminal

    def wait_here(self, job: JobInHand, spent: str | None = None) -> JobRecord:
        """Wait on the worker; a kill, a time-out or an interrupt of the task ends the job.

        ``spent`` is a budget for which the trigger cancelled the job, or tried to.
        """
        ref = job.submission.ref
        try:
            status, overdue = wait(job.platform, job.submission, self.budgets(), on_change=self._log_state)
        except PlatformError as error:  # refused for good
            closed = close(job, Ending.UNFOLLOWED, why=str(error), context=self.context)
            fate = "may still run" if closed.status.state is JobState.LOST else "was cancelled"
            msg = f"{ref} could not be followed and {fate}: {error}"
            raise AirflowException(msg) from error
        except BaseException as error:  # killed, timed out or interrupted: the job must not outlive the task
            if isinstance(error, Exception) and not is_task_timeout(error):
                raise  # a fault says nothing of the job: a try adopts it, or the callback of the last one ends it
            close(job, Ending.TASK_TIMED_OUT if is_task_timeout(error) else Ending.TASK_ENDED, context=self.context)
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

    def take_failed_deferral(self, error: str) -> JobRecord | None:
        """Airflow failed the deferral, not we. Out of time: the job ends, and None says that the task fails.

        A trigger that broke says nothing of its job: the worker waits for it and gives its record.
        """
        known = pull_job(self.context)
        if not known:
            return None
        job = self._in_hand(known["submission"])
        if not is_deferral_timeout(error):
            return self.complete(job, {"error": error})
        close(job, Ending.TASK_TIMED_OUT, context=self.context)
        return None

    def budgets(self) -> Budgets:
        """The task's time budgets, execution_timeout as an absolute deadline."""
        budgets, allowed = Budgets(**self.operator.budgets), self.operator.execution_timeout
        if allowed is None:
            return budgets
        started = self.context["ti"].start_date or datetime.now(timezone.utc)
        return replace(budgets, deadline=started + max(allowed - _DEADLINE_MARGIN, allowed / 2))

    def _read_job(self) -> SparkJob:
        operator = self.operator
        engines = TYPES[operator.platform["type"]].engines
        if operator.engine not in engines:
            runs = ", ".join(sorted(engine.title for engine in engines))
            msg = f"platform {operator.platform.get('name')!r} runs {runs}, not {operator.engine.title}"
            raise SpecError(msg)
        return read_rendered_job(
            operator.job,
            operator.engine,
            folder=operator.code_folder(),
            source=operator.source,
            platform=operator.platform,
            render=lambda text: str(operator.render_template(text, self.context)),
        )

    def _refused(self, books: Books, error: SpecError | PlatformError) -> Exception:
        ending = Ending.MISWRITTEN
        if isinstance(error, PlatformError):
            ending = Ending.UNANSWERED if error.retryable else Ending.REFUSED
        is_retried = bool(ENDINGS[ending].is_retried)
        if not is_retried or is_last_try(self.context["ti"]):
            close_refused(books, self.operator, ending, str(error), self.context)
        wrapped: Exception = (AirflowException if is_retried else AirflowFailException)(str(error))
        return wrapped

    def _close_replaced(self, books: Books, platform: Platform, status: JobStatus) -> None:
        """The record of an earlier try's job that was ended for this attempt's; in the ledger alone."""
        name = str(self.operator.platform.get("name", ""))
        submission = submission_of(status, books.identity, engine=self.operator.engine, platform=name)
        if submission is not None:
            job = JobInHand(books, platform, replace(submission, adopted=True))
            close(job, Ending.REPLACED, status, why=str(books.identity.try_number))

    def _in_hand(self, submission: Mapping[str, Any]) -> JobInHand:
        settings = load_settings()
        books = books_of(self.operator, self.context, settings)
        job = JobInHand(books, connect(self.operator.platform, settings), Submission.from_json(submission))
        self.operator.job_in_hand = job  # for on_kill
        return job

    def _finish(self, job: JobInHand, status: JobStatus, overdue: str | None) -> JobRecord:
        ending = Ending.OVER_BUDGET if overdue else of_itself(status)
        closed = close(job, ending, status, why=overdue or "", context=self.context)
        if closed.failure is not None:
            for line in closed.failure.log_tail[-_LOG_TAIL_LINES:]:
                self.log.info("driver | %s", line)
        self.log.info("%s", _summary(closed.record))
        for difference in closed.record.lineage.differences:
            self.log.warning("Lineage: %s", difference)
        self.operator.record = closed.record
        if closed.failure is not None:
            raise self._failed(job.submission.ref, closed.status, closed.failure, ending)
        return closed.record

    def _failed(self, ref: JobRef, status: JobStatus, failure: JobFailure, ending: Ending) -> Exception:
        lines = [
            f"{self.operator.engine.title} job {status.state.value}: {failure.category}: {failure.message}",
            f"job: {ref}",
        ]
        lines += failure.evidence
        lines += [f"{name}: {url}" for name, url in failure.links.items()]
        is_retried = is_worth_a_retry(ending, failure.category, self.operator.retry_on)
        wrapped: Exception = (AirflowException if is_retried else AirflowFailException)("\n".join(lines))
        return wrapped

    def _log_state(self, status: JobStatus) -> None:
        self.log.info("%s", status)


def end_killed(job: JobInHand) -> None:
    """The task is killed on its worker: end its job, if it has an end; whoever is interrupted writes the record."""
    if not job.books.may_outlive:
        end(job.platform, job.submission.ref, seconds=CANCEL_SECONDS, is_awaited=False)


def _summary(record: JobRecord) -> str:
    cost = record.cost
    price = f"{cost.usd_total:.6f} USD" if cost.usd_total is not None else f"cost unknown ({cost.why_unknown})"
    rows = ", ".join(f"{out.name}: {'?' if out.rows is None else out.rows} rows" for out in record.lineage.outputs)
    return f"Record {record.record_id}: {price}, basis {cost.basis}; wrote {rows or 'nothing that is known'}"
