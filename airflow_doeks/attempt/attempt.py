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
from airflow_doeks.attempt.budgets import Purse, adopt_budgets, check_budgets, tell, with_told
from airflow_doeks.attempt.closing import CANCEL_SECONDS, close, close_refused
from airflow_doeks.attempt.delivery import note_submitted
from airflow_doeks.attempt.estimates import with_estimate
from airflow_doeks.attempt.hand import Books, JobInHand, JobTask, books_of
from airflow_doeks.attempt.identity import check_instance, is_last_try, read_context
from airflow_doeks.attempt.job import read_rendered_job
from airflow_doeks.compat import AirflowException, AirflowFailException, is_deferral_timeout, is_task_timeout
from airflow_doeks.hooks.platforms import connect
from airflow_doeks.hooks.settings import load_settings
from airflow_doeks.lifecycle import Budgets, Submission, end, submission_of, submit, wait
from airflow_doeks.lifecycle.budget import Allowance
from airflow_doeks.lifecycle.endings import ENDINGS, Ending, is_worth_a_retry, of_itself, over
from airflow_doeks.lifecycle.machine import Goal
from airflow_doeks.model.errors import PlatformError, SpecError
from airflow_doeks.model.jobs import Job
from airflow_doeks.model.quantities import parse_duration
from airflow_doeks.model.record import JobFailure, JobRecord
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from airflow_doeks.platforms.protocol import Platform, saving
from airflow_doeks.platforms.registry import TYPES
from airflow_doeks.triggers.job import event_status

# Airflow 2 fails a deferred task at execution_timeout without a word to the trigger: ours must come first.
_DEADLINE_MARGIN = timedelta(seconds=3)
_LOG_TAIL_LINES = 200
STABLE_SECONDS, SAVE_SECONDS = 60.0, 600.0


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
                before_new=lambda: check_budgets(self.operator, self.context, books, platform),
            )
            if submission.adopted:
                adopt_budgets(self.operator, self.context, books, platform, submission.ref)
        except (SpecError, PlatformError) as error:
            raise self._refused(books, error) from error
        return JobInHand(books, platform, with_estimate(submission, books))

    def announce(self, job: JobInHand) -> None:
        """Write the XCom that survives whatever comes, and the ledger's record of a running job."""
        self._push(job)
        note_submitted(job)

    def has_ended(self, job: JobInHand) -> bool:
        """True if the job that was adopted is seen to be over: nothing is left to wait for."""
        return job.submission.adopted and self._is_seen(job, is_over=True)

    def wait_here(self, job: JobInHand, spent: str | None = None) -> JobRecord:
        """Wait on the worker; a kill, a time-out or an interrupt of the task ends the job.

        ``spent`` is a budget for which the trigger cancelled the job, or tried to.
        """
        ref, purse = job.submission.ref, Purse(self.operator, self.context, job)
        try:
            status, overdue = wait(
                job.platform,
                job.submission,
                self.budgets(),
                goal=Goal(self.stable_for()),
                on_change=self._log_state,
                spent=purse.spent,
            )
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

    def resume(self, submission: Mapping[str, Any] | None, money: Mapping[str, Any] | None = None) -> JobInHand:
        """The job that was deferred, on a connection of this worker's own."""
        self.operator.allowances = [Allowance.from_json(one) for one in (money or {}).get("allowances", ())]
        return self._in_hand(submission or pull_job(self.context)["submission"])

    def lives_on(self, job: JobInHand, event: Mapping[str, Any]) -> bool:
        """True if the trigger could not follow a job, had not to cancel it either, and the worker sees it alive."""
        return "error" in event and "overdue" not in event and self._is_seen(job, is_over=False)

    def _is_seen(self, job: JobInHand, *, is_over: bool) -> bool:
        """True if one look shows the job over, or alive; False also where the platform does not answer."""
        try:
            return job.platform.observe(job.submission.ref).state.is_terminal is is_over
        except PlatformError as error:
            self.log.warning("The worker does not see %s: %s", job.submission.ref, error)
            return False

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

    def only_saves(self) -> bool:
        """True for a task that saves the state of a job that runs on: nothing is waited for but the savepoint."""
        return bool(self.operator.job.get("savepoint")) and self._acts()

    def save(self) -> str:
        """Take the savepoint, here on the worker; gives its path."""
        settings = load_settings()
        facts = read_context(self.context, instance=settings.instance, cost_tags=self.operator.cost_tags)
        budget = self.operator.timeouts.get("run_timeout") or SAVE_SECONDS
        try:
            platform = connect(self.operator.platform, settings)
            check_instance(settings.instance, self.operator.platform)
            request = platform.render(self._read_job(), facts.identity)
            self.operator.savepoint = saving(platform).save(request, budget)
        except (SpecError, PlatformError) as error:
            is_retried = isinstance(error, PlatformError) and error.retryable
            raise (AirflowException if is_retried else AirflowFailException)(str(error)) from error
        self.log.info("Saved to %s", self.operator.savepoint)
        return self.operator.savepoint

    def returned(self, record: JobRecord) -> str:
        """What the task returns: where the state of the job that it stopped is, or the ref of its job."""
        if self._acts() and not self.operator.savepoint:
            msg = f"{record.job.ref} was stopped, and no savepoint is known; look at the resource's events"
            raise AirflowFailException(msg)
        return self.operator.savepoint or str(record.job.ref)

    def _acts(self) -> bool:
        """True for a task that does something to the job of another."""
        return any(self.operator.job.get(key) for key in self.operator.engine.acts)

    def stable_for(self) -> float | None:
        """Seconds that a job without an end must run well for its task to be done; None: its end is waited for."""
        job = self.operator.job
        if not self.operator.engine.may_outlive(job) or job.get("until") == "finished":
            return None
        return parse_duration(job.get("stable_for") or STABLE_SECONDS)

    def tell(self, job: JobInHand, money: Mapping[str, Any] | None, told: Mapping[str, str]) -> dict[str, Any]:
        """Say in the log, on the pages and to who wants it that budgets are nearly used up; gives what to carry on."""
        try:
            tell(self.operator.on_budget, self.context, list(told.values()))
        except Exception:
            self.log.exception("on_budget failed; the job goes on")
        self._push(job, budget_told="; ".join(told.values()))
        return with_told(self.operator, self.context, job, money, told)

    def _push(self, job: JobInHand, **more: str) -> None:
        source = self.operator.source.get("") or None
        push_job(self.context, job, source=source, budget_usd=self.operator.budget_usd, **more)

    def budgets(self) -> Budgets:
        """The task's time budgets, execution_timeout as an absolute deadline."""
        budgets, allowed = Budgets(**self.operator.timeouts), self.operator.execution_timeout
        if self.stable_for() is not None:  # it runs on for as long as nobody stops it
            budgets = replace(budgets, run_timeout=None)
        if allowed is None:
            return budgets
        started = self.context["ti"].start_date or datetime.now(timezone.utc)
        return replace(budgets, deadline=started + max(allowed - _DEADLINE_MARGIN, allowed / 2))

    def _read_job(self) -> Job:
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
        ending, category = Ending.MISWRITTEN, None
        if isinstance(error, PlatformError):
            ending, category = Ending.UNANSWERED if error.retryable else Ending.REFUSED, error.category
        is_retried = bool(ENDINGS[ending].is_retried)
        if not is_retried or is_last_try(self.context["ti"]):
            close_refused(books, self.operator, ending, str(error), self.context, category=category)
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
        ending = over(overdue) if overdue else of_itself(status)
        if not overdue and self.stable_for() is not None and status.state is JobState.RUNNING:
            ending = Ending.UP
        if self._acts():
            self.operator.savepoint = status.savepoint
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
        lines += [*failure.evidence, *(f"{name}: {url}" for name, url in failure.links.items())]
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
