"""The one way a job is cancelled: by a killed worker or trigger, a deadline, a restart or a failure path."""

from __future__ import annotations

from datetime import timedelta

from airflow_doeks.lifecycle.clock import Clock
from airflow_doeks.model.status import JobRef, JobStatus
from airflow_doeks.platforms.protocol import Platform

POLL_SECONDS = 2.0


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
