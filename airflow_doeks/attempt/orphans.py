"""The second chance of the callback: settles what the task itself could not, ends a job that nobody will wait for.

A worker that is lost leaves its job behind: a retry adopts it, and after the last try it is an orphan.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from airflow_doeks.attempt.announcement import pull_job
from airflow_doeks.attempt.closing import close
from airflow_doeks.attempt.delivery import withdraw_refused
from airflow_doeks.attempt.hand import Books, JobInHand, JobTask
from airflow_doeks.attempt.identity import is_last_try
from airflow_doeks.compat import AirflowFailException, is_task_timeout, runs_in_dag_processor
from airflow_doeks.hooks.platforms import connect
from airflow_doeks.hooks.settings import load_settings, open_ledger
from airflow_doeks.ledger import Ledger
from airflow_doeks.lifecycle import Submission, record_id, submission_of
from airflow_doeks.lifecycle.endings import Ending, of_itself
from airflow_doeks.model.quantities import is_template
from airflow_doeks.model.record import JobRecord
from airflow_doeks.model.status import JobStatus
from airflow_doeks.platforms.patience import no_longer_than
from airflow_doeks.platforms.protocol import Platform

log = logging.getLogger(__name__)

# Of the 20 s that Airflow gives a callback: for all questions to the platform, the cancel among them, then for reading
# the event log; the rest is for writing the record.
PLATFORM_SECONDS, CANCEL_SECONDS, SETTLE_SECONDS = 12.0, 8.0, 5.0


def settle_again(context: Mapping[str, Any]) -> None:
    """Settle the jobs of this attempt, and of those before it, that nobody settled; may raise, and may run again."""
    task = context["task"]
    if not hasattr(task, "books") and hasattr(task, "unmap"):  # mapped, in the DAG processor
        task = task.unmap({})
    if not hasattr(task, "books"):
        return
    settings = load_settings()
    books: Books = task.books(context, settings)
    with no_longer_than(PLATFORM_SECONDS):
        _settle_unsettled(context, task, books)


def _settle_unsettled(context: Mapping[str, Any], task: JobTask, books: Books) -> None:
    ledger, error = open_ledger(books.settings), context.get("exception")
    is_timeout = is_task_timeout(error)
    is_over = is_timeout or isinstance(error, AirflowFailException) or is_last_try(context["ti"])  # nobody will adopt
    for job, status, known in _unsettled(context, books, task, ledger):
        if status.state.is_terminal:
            ending = Ending.TASK_TIMED_OUT if is_timeout else of_itself(status)
        elif is_over:
            log.warning("%s outlived its task, and no try is left that adopts it", job.submission.ref)
            ending = Ending.TASK_TIMED_OUT if is_timeout else Ending.LEFT_BEHIND
        else:
            log.info("%s still runs; its record follows when it ended", job.submission.ref)
            continue
        told = replace(job, books=_as_submitted(books, known, job.submission))
        close(told, ending, status, context=context, cancel_seconds=CANCEL_SECONDS, settle_seconds=SETTLE_SECONDS)
        if known is None:
            withdraw_refused(told)


def _unsettled(
    context: Mapping[str, Any], books: Books, task: JobTask, ledger: Ledger
) -> Iterator[tuple[JobInHand, JobStatus, JobRecord | None]]:
    """Jobs without a settled record: that of the XCom where it can be read, else those that the platform finds by tags.

    The platform is asked only for what the ledger does not know. Jobs of earlier tries are among those it finds: the
    attempt may have been lost before it adopted one.
    """
    carried = None if runs_in_dag_processor(context["ti"]) else pull_job(context)
    if carried:
        submission = Submission.from_json(carried["submission"])
        known = _find(ledger, submission)
        if not _is_settled(known):
            platform = connect(task.platform, books.settings)
            yield JobInHand(books, platform, submission), platform.observe(submission.ref), known
        return
    platform = connect(task.platform, books.settings)
    for submission, status in _found(platform, books, task):
        known = _find(ledger, submission)
        if not _is_settled(known):
            yield JobInHand(books, platform, submission), status, known


def _found(platform: Platform, books: Books, task: JobTask) -> Iterator[tuple[Submission, JobStatus]]:
    name = str(task.platform.get("name", ""))
    for status in platform.find(books.identity):
        submission = submission_of(status, books.identity, engine=task.engine, platform=name or status.ref.type)
        if submission is not None and submission.try_number <= books.identity.try_number:
            yield submission, status


def _find(ledger: Ledger, submission: Submission) -> JobRecord | None:
    return ledger.find(record_id(submission.ref, submission.token), submission.submitted)


def _is_settled(known: JobRecord | None) -> bool:
    return known is not None and known.settled_by_try is not None


def _as_submitted(books: Books, known: JobRecord | None, submission: Submission) -> Books:
    """The books as the ledger or the job has them; nobody renders templates in the DAG processor."""
    cost_tags: Mapping[str, str] | None = known.cost_tags if known else submission.cost_tags
    if cost_tags is None:
        cost_tags = {key: value for key, value in books.identity.cost_tags.items() if not is_template(value)}
    return replace(
        books,
        identity=replace(books.identity, cost_tags=cost_tags),
        reads=[uri for uri in books.reads if not is_template(uri)],
        writes=[uri for uri in books.writes if not is_template(uri)],
    )
