"""One job from submit to record: `submit`, `follow`, `cancel`, `settle`. No Airflow here; time and stores are given."""

from __future__ import annotations

from airflow_doeks.lifecycle.cancellation import cancel, end
from airflow_doeks.lifecycle.clock import Clock
from airflow_doeks.lifecycle.deadlines import Budgets
from airflow_doeks.lifecycle.following import Followers
from airflow_doeks.lifecycle.records import Settled, record_id, refused_record, submitted_record, unsettled_record
from airflow_doeks.lifecycle.settlement import Accounting, settle, settle_days
from airflow_doeks.lifecycle.submission import Submission, as_sent, submission_of, submit
from airflow_doeks.lifecycle.waiting import wait

__all__ = [
    "Accounting",
    "Budgets",
    "Clock",
    "Followers",
    "Settled",
    "Submission",
    "as_sent",
    "cancel",
    "end",
    "record_id",
    "refused_record",
    "settle",
    "settle_days",
    "submission_of",
    "submit",
    "submitted_record",
    "unsettled_record",
    "wait",
]
