"""What the job of an attempt is expected to cost, for its record."""

from __future__ import annotations

import logging
from dataclasses import replace

from airflow_doeks.attempt.hand import Books
from airflow_doeks.compat import AirflowException
from airflow_doeks.hooks.settings import open_ledger
from airflow_doeks.ledger.estimates import expected_usd
from airflow_doeks.lifecycle import Submission
from airflow_doeks.model.errors import DoeksError

log = logging.getLogger(__name__)

# A store that is not there or not installed, an object that is none: the job runs, and is followed all the same.
_UNREAD = (OSError, ImportError, AirflowException, DoeksError, ValueError, KeyError, TypeError, AttributeError)


def with_estimate(submission: Submission, books: Books) -> Submission:
    """The submission with what the task's last jobs cost, as `doeks reconcile` added them up; one read of the store."""
    if books.may_outlive:
        return submission
    own = books.identity
    try:
        usd = expected_usd(open_ledger(books.settings).store, own.dag_id, own.task_id)
    except _UNREAD as error:
        log.info("What the job is expected to cost could not be read: %s", error)
        return submission
    return submission if usd is None else replace(submission, estimate_usd=f"{usd:f}")
