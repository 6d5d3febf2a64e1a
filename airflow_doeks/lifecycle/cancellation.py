"""The one way a job is cancelled: by a killed worker or trigger, a deadline, a restart or a failure path."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from airflow_doeks.lifecycle.clock import Clock
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from airflow_doeks.platforms.patience import no_longer_than
from airflow_doeks.platforms.protocol import Platform

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
NOT_CANCELLED = (
    "%s could not be cancelled; it may still run and cost: %s\n"
    "End it by hand, the task's links lead to it; a later try of the task ends it before it starts another."
)


def cancel(platform: Platform, ref: JobRef, *, wait_seconds: float = 0.0, clock: Clock | None = None) -> JobStatus:
    """Ask for the job's end and wait for it at most ``wait_seconds``; gives the last status seen.

    May be called any number of times, also for a job that ended or never was. A status that is not terminal means that
    the platform accepted the cancel and the job has not ended yet.
    """
    clock = clock or Clock()
    status = platform.observe(ref)
    if status.state.is_terminal:
        return status
    platform.cancel(ref)
    until = clock.now() + timedelta(seconds=wait_seconds)
    status = platform.observe(ref)
    while not status.state.is_terminal and clock.now() < until:
        clock.sleep(POLL_SECONDS)
        status = platform.observe(ref)
    return status


def end(
    platform: Platform, ref: JobRef, *, seconds: float, is_awaited: bool = True, clock: Clock | None = None
) -> JobStatus:
    """Cancel for somebody who cannot come back: tried again for ``seconds`` while the platform does not answer.

    Never raises PlatformError: what could not be cancelled is LOST with the reason, and an error in the log that says
    what to do. ``is_awaited`` False: the job's end is not waited for.
    """
    clock = clock or Clock()
    until = clock.now() + timedelta(seconds=seconds)
    with no_longer_than(seconds):
        return _end(platform, ref, until, is_awaited=is_awaited, clock=clock)


def _end(platform: Platform, ref: JobRef, until: datetime, *, is_awaited: bool, clock: Clock) -> JobStatus:
    while True:
        left = (until - clock.now()).total_seconds()
        try:
            return cancel(platform, ref, wait_seconds=left if is_awaited else 0.0, clock=clock)
        except PlatformError as error:
            if error.retryable and left > POLL_SECONDS:
                log.warning("%s was not cancelled yet, trying again: %s", ref, error)
                clock.sleep(POLL_SECONDS)
                continue
            log.error(NOT_CANCELLED, ref, error)  # noqa: TRY400 - the platform's fault: its words are enough
            return JobStatus(ref, JobState.LOST, reason=str(error))
