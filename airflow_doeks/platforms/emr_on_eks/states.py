"""The words of EMR's job runs in ours: states, addresses, tags."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.identity import PREFIX
from airflow_doeks.model.status import JobRef, JobState, JobStatus

log = logging.getLogger(__name__)

STATES = {
    "PENDING": JobState.QUEUED,  # accepted; also queued by the virtual cluster's scheduler, so it may last
    "SUBMITTED": JobState.STARTING,  # its submitter pod was created
    "RUNNING": JobState.RUNNING,
    "CANCEL_PENDING": JobState.RUNNING,  # a cancel was accepted, its pods still live and cost
    "COMPLETED": JobState.SUCCEEDED,
    "FAILED": JobState.FAILED,
    "CANCELLED": JobState.CANCELLED,
}
ACTIVE = ["PENDING", "SUBMITTED", "RUNNING", "CANCEL_PENDING"]
ENDED = ["COMPLETED", "FAILED", "CANCELLED"]
_warned: set[str] = set()


def ref_of(arn: str) -> JobRef:
    """The ref of a job run, from its ARN."""
    _, _, _, region, account, path = arn.split(":", 5)
    _, _, cluster, _, job_run = path.split("/")
    return JobRef(f"emr_on_eks://{account}.{region}/{cluster}/{job_run}")


def status_of(run: Mapping[str, Any]) -> JobStatus:
    """A job run as ListJobRuns and DescribeJobRun show it; PlatformError for one that is not as the API says."""
    try:
        return _status_of(run)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        msg = f"EMR shows job run {run.get('id')!r} in a form that cannot be read ({type(error).__name__}: {error})"
        raise PlatformError(msg) from error


def legible(runs: Iterable[Mapping[str, Any]]) -> Iterator[JobStatus]:
    """Those of a list that can be read; of another a warning, once: an odd entry hides no other."""
    return (status for status in map(_legible, runs) if status)


def _legible(run: Mapping[str, Any]) -> JobStatus | None:
    try:
        return status_of(run)
    except PlatformError as error:
        if str(error) not in _warned:
            _warned.add(str(error))
            log.warning("%s; it is passed over", error)
        return None


def _status_of(run: Mapping[str, Any]) -> JobStatus:
    word = run.get("state", "")
    state = STATES.get(word)
    if state is None:
        state = JobState.RUNNING
        if word not in _warned:
            _warned.add(word)
            log.warning("EMR gives state %r, which this version does not know; it is taken as still running", word)
    reasons = [text for text in (run.get("failureReason"), run.get("stateDetails")) if text]
    return JobStatus(
        ref=ref_of(run["arn"]),
        state=state,
        native_state=word,
        reason=" - ".join(reasons),
        tags={key: value for key, value in (run.get("tags") or {}).items() if key.startswith(PREFIX)},
        is_cancelling=word == "CANCEL_PENDING",
        submitted=_utc(run.get("createdAt")),
        ended=_utc(run.get("finishedAt")),
        name=run.get("name") or "",
        token=run.get("clientToken") or "",
        attempts=(run.get("retryPolicyExecution") or {}).get("currentAttemptCount"),
    )


def address(ref: JobRef) -> tuple[str, str]:
    """Virtual cluster and job run."""
    cluster, job_run = ref.path
    return cluster, job_run


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(timezone.utc) if moment else None


def lost(ref: JobRef) -> JobStatus:
    """A job run that EMR does not know."""
    return JobStatus(ref, JobState.LOST, reason="EMR does not know this job run")
