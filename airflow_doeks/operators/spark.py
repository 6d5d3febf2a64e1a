"""Runs one Spark job on a platform: submitted once, waited for without a worker, explained, counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow_doeks.callbacks import (
    JOB_KEY,
    TIMED_OUT,
    JobInHand,
    TaskAccounts,
    note_refused,
    note_submitted,
    settle_quietly,
)
from airflow_doeks.compat import AirflowException, AirflowFailException, BaseOperator, TaskDeferred
from airflow_doeks.hooks.platforms import connect
from airflow_doeks.hooks.settings import Settings, load_settings
from airflow_doeks.hooks.task_identity import read_context
from airflow_doeks.lifecycle import Budgets, Submission, cancel, submit, wait
from airflow_doeks.model.errors import PlatformError, SpecError
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.record import JobFailure, JobRecord
from airflow_doeks.model.status import JobState, JobStatus
from airflow_doeks.operators.links import LINKS
from airflow_doeks.operators.rendered_job import read_rendered_job
from airflow_doeks.triggers.job import JobTrigger, event_status

# Categories that another try will not mend; `retry_on` says otherwise.
NOT_RETRIED = frozenset({"user_code", "cancelled"})
# Airflow 2 fails a deferred task at execution_timeout without a word to the trigger: ours must come first.
_DEADLINE_MARGIN = timedelta(seconds=3)
_CANCEL_WAIT_SECONDS = 20.0
_LOG_TAIL_LINES = 200


class SparkJobOperator(BaseOperator):
    """One Spark job.

    Args:
        job: the job as plain JSON (``main`` or ``sql``, ``args``, ``conf``, ``driver``, ``executors`` ...), a template.
        platform: an entry of doeks.yaml as a dict with ``name`` and ``type``.
        cost_tags: what the job is billed by.
        reads, writes: dataset URIs the task declares; merged with what the event log shows.
        budgets: ``queue_timeout``, ``startup_timeout``, ``run_timeout`` in seconds; each cancels before it fails.
        retry_on: failure categories worth a retry; default all but ``user_code`` and ``cancelled``.
        rate_card: ``region`` and ``file`` of the prices.
        folder: where relative paths of the job start; relative to the DAG file's folder unless absolute.
        source: dotted path below the task -> ``file:line:col`` in the YAML, for errors after rendering.
        deferrable: wait in the triggerer (default) or on the worker.
        item: the value of a mapped task, ``{{ task.item }}``.

    The return value is the job ref. XCom ``doeks_job`` is written right after submit, ``doeks_record`` at the end.
    """

    template_fields: Sequence[str] = ("job", "cost_tags", "reads", "writes")
    template_fields_renderers = {"job": "json", "cost_tags": "json"}
    operator_extra_links = tuple(link() for link in LINKS)
    ui_color = "#f4e3d7"

    def __init__(
        self,
        *,
        job: Mapping[str, Any],
        platform: Mapping[str, Any],
        cost_tags: Mapping[str, str] | None = None,
        reads: Sequence[str] = (),
        writes: Sequence[str] = (),
        budgets: Mapping[str, Any] | None = None,
        budget_usd: str | None = None,
        retry_on: Sequence[str] | None = None,
        rate_card: Mapping[str, Any] | None = None,
        folder: str = "",
        source: Mapping[str, str] | None = None,
        deferrable: bool | None = None,
        item: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.platform = platform
        self.cost_tags = cost_tags or {}
        self.reads = reads
        self.writes = writes
        self.budgets = budgets or {}
        self.budget_usd = budget_usd
        self.retry_on = retry_on
        self.rate_card = rate_card or {}
        self.folder = folder
        self.source = {} if source is None else source  # `or` would look up every place
        self.deferrable = True if deferrable is None else deferrable
        self.item = item
        self._in_hand: JobInHand | None = None
        self._record: JobRecord | None = None

    def execute(self, context: Any) -> str:
        """Submit or adopt, then defer, or wait here if not deferrable."""
        settings = load_settings()
        facts = read_context(context, instance=settings.instance, cost_tags=self.cost_tags)
        accounts = self.accounts(context, settings)
        try:
            platform = connect(self.platform, settings)
            job = self._read_job(context)
            submission = submit(
                platform, job, facts.identity, base_try=facts.base_try, cancel_seconds=settings.cancel_timeout
            )
        except (SpecError, PlatformError) as error:
            raise self._refused(context, accounts, error) from error
        in_hand = self._in_hand = JobInHand(accounts, platform, submission)
        self._announce(context, in_hand)
        budgets = self._budgets(context)
        if self.deferrable:
            carried = submission.to_json()
            self.defer(
                trigger=JobTrigger(
                    ref=carried["ref"],
                    submitted=carried["submitted"],
                    platform=dict(self.platform),
                    budgets=budgets.to_json(),
                ),
                method_name="execute_complete",
                kwargs={"submission": carried},
            )
        try:
            status, overdue = wait(platform, submission, budgets, on_change=self._log_state)
        except BaseException:  # killed, timed out or interrupted: the job must not outlive the task
            status = self._stop(in_hand)
            settle_quietly(context, in_hand, status, _cancelled(status))
            raise
        return self._finish(context, in_hand, status, overdue)

    def execute_complete(
        self, context: Any, event: Mapping[str, Any], submission: Mapping[str, Any] | None = None
    ) -> str:
        """The job ended, a deadline passed, or it could not be followed.

        ``submission`` is what the deferral carried; `DAG.test` of Airflow 3 loses it, and the XCom still has it.
        """
        in_hand = self._in_hand_of(context, submission or _pull_job(context)["submission"])
        status = event_status(event)
        if status is None:
            status = self._stop(in_hand)
            failure = JobFailure(category="platform", message=f"could not be followed: {event.get('error')}")
            settle_quietly(context, in_hand, status, failure)
            msg = f"{in_hand.submission.ref} could not be followed and was cancelled: {event.get('error')}"
            raise AirflowException(msg)
        return self._finish(context, in_hand, status, event.get("overdue"))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """As Airflow's, but a deferral that Airflow itself failed (time-out, broken trigger) cancels the job first."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferred:
            raise
        except Exception:
            if next_method == "__fail__":
                self._end_of_failed_deferral(context, str((next_kwargs or {}).get("error", "")))
            raise

    def on_kill(self) -> None:
        """The task is killed on its worker: end the job."""
        if self._in_hand is not None:
            cancel(self._in_hand.platform, self._in_hand.submission.ref)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - OpenLineage's signature
        """Datasets, statistics and cost of the finished job for OpenLineage; None before the job ended."""
        from airflow_doeks.hooks.openlineage import operator_lineage

        return operator_lineage(self._record) if self._record is not None else None

    get_openlineage_facets_on_failure = get_openlineage_facets_on_complete

    def accounts(self, context: Any, settings: Settings) -> TaskAccounts:
        """What this attempt's record is made from; also asked by the callback."""
        identity = read_context(context, instance=settings.instance, cost_tags=self.cost_tags).identity
        return TaskAccounts(
            identity=identity,
            settings=settings,
            reads=tuple(self.reads),
            writes=tuple(self.writes),
            rate_card=self.rate_card,
            connection=self.platform.get("connection"),
        )

    def _read_job(self, context: Any) -> SparkJob:
        fileloc = getattr(getattr(self, "dag", None), "fileloc", None)
        return read_rendered_job(
            self.job,
            folder=str(Path(fileloc).parent / self.folder if fileloc else Path(self.folder)),
            source=self.source,
            platform=self.platform,
            render=lambda text: str(self.render_template(text, context)),
        )

    def _refused(self, context: Any, accounts: TaskAccounts, error: SpecError | PlatformError) -> Exception:
        retryable = isinstance(error, PlatformError) and error.retryable
        if not retryable or context["ti"].try_number > (context["ti"].max_tries or 0):
            failure = JobFailure(
                category="platform" if isinstance(error, PlatformError) else "user_code", message=str(error)
            )
            note_refused(context, accounts, self.platform, failure)
        wrapped: Exception = (AirflowException if retryable else AirflowFailException)(str(error))
        return wrapped

    def _in_hand_of(self, context: Any, submission: Mapping[str, Any]) -> JobInHand:
        accounts = self.accounts(context, load_settings())
        return JobInHand(accounts, connect(self.platform, accounts.settings), Submission.from_json(submission))

    def _announce(self, context: Any, job: JobInHand) -> None:
        plain = job.submission.to_json()
        tags = job.accounts.identity.tags(job.submission.spec_hash)
        told = {key: plain[key] for key in ("ref", "platform", "token", "submitted")} | {"tags": tags}
        links = job.platform.links(job.submission.ref)
        context["ti"].xcom_push(key=JOB_KEY, value=told | {"submission": plain, "links": links})
        note_submitted(job)

    def _budgets(self, context: Any) -> Budgets:
        budgets = Budgets(**self.budgets)
        if self.execution_timeout is None:
            return budgets
        started = context["ti"].start_date or datetime.now(timezone.utc)
        allowed = max(self.execution_timeout - _DEADLINE_MARGIN, self.execution_timeout / 2)
        return replace(budgets, deadline=started + allowed)

    def _finish(self, context: Any, job: JobInHand, status: JobStatus, overdue: str | None) -> str:
        failure = None
        if status.state is not JobState.SUCCEEDED:
            failure = job.platform.explain(job.submission.ref)
            if overdue:
                update = {"category": "timeout", "message": f"used up its {overdue} and was cancelled"}
                failure = failure.model_copy(update=update)
            for line in failure.log_tail[-_LOG_TAIL_LINES:]:
                self.log.info("driver | %s", line)
        record = self._record = settle_quietly(context, job, status, failure)
        self.log.info("%s", _summary(record))
        if failure is not None:
            raise self._failed(job.submission, status, failure)
        return str(job.submission.ref)

    def _failed(self, submission: Submission, status: JobStatus, failure: JobFailure) -> Exception:
        lines = [f"Spark job {status.state.value}: {failure.category}: {failure.message}", f"job: {submission.ref}"]
        lines += failure.evidence
        lines += [f"{name}: {url}" for name, url in failure.links.items()]
        wanted = failure.category in self.retry_on if self.retry_on is not None else failure.category not in NOT_RETRIED
        wrapped: Exception = (AirflowException if wanted else AirflowFailException)("\n".join(lines))
        return wrapped

    def _stop(self, job: JobInHand) -> JobStatus:
        ref = job.submission.ref
        try:
            return cancel(job.platform, ref, wait_seconds=_CANCEL_WAIT_SECONDS)
        except PlatformError as error:
            self.log.warning("%s could not be cancelled: %s", ref, error)
            return JobStatus(ref, JobState.LOST, reason=str(error))

    def _end_of_failed_deferral(self, context: Any, error: str) -> None:
        """Airflow 2 says "Trigger/execution timeout", Airflow 3 "Trigger timeout"."""
        job = _pull_job(context)
        if not job:
            return
        in_hand = self._in_hand_of(context, job["submission"])
        status = self._stop(in_hand)
        failure = _cancelled(status)
        if failure is not None and "timeout" in error.lower():
            failure = failure.model_copy(update=TIMED_OUT)
        settle_quietly(context, in_hand, status, failure)

    def _log_state(self, status: JobStatus) -> None:
        self.log.info("%s is %s %s", status.ref, status.state.value, status.reason)


def _pull_job(context: Any) -> Any:
    ti = context["ti"]
    return ti.xcom_pull(task_ids=ti.task_id, key=JOB_KEY, map_indexes=ti.map_index)


def _cancelled(status: JobStatus) -> JobFailure | None:
    if status.state is JobState.SUCCEEDED:
        return None
    return JobFailure(category="cancelled", message="the task ended before its job, which was cancelled")


def _summary(record: JobRecord) -> str:
    cost = record.cost
    price = f"{cost.usd_total:.6f} USD" if cost.usd_total is not None else f"cost unknown ({cost.why_unknown})"
    rows = ", ".join(f"{out.name}: {'?' if out.rows is None else out.rows} rows" for out in record.lineage.outputs)
    return f"Record {record.record_id}: {price}, basis {cost.basis}; wrote {rows or 'nothing that is known'}"
