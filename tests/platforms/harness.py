"""What the conformance suite needs from a platform type: a place where its jobs run, and a hand on their fate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.status import JobRef
from airflow_doeks.platforms.protocol import Platform


class Harness(Protocol):
    """One per platform type, in ``harness_<type>.py`` as the context manager ``harness(folder)``."""

    bigger: Mapping[str, Any]  # a change of a job that makes it larger

    def platform(self) -> Platform:
        """Connected anew, as another worker or the triggerer would be; the same jobs are behind it."""

    def job(self, **changes: Any) -> SparkJob:
        """A job that this type runs."""

    def identity(self, **changes: Any) -> JobIdentity:
        """A first try of one task; the same without changes."""

    def applications(self) -> int:
        """How many Spark applications were ever started here."""

    def until_running(self, ref: JobRef) -> None:
        """Let the job start."""

    def succeed(self, ref: JobRef) -> None:
        """Let it end well."""

    def fail(self, ref: JobRef, log: str) -> None:
        """Let it end badly with this driver log."""

    def lose(self, ref: JobRef) -> None:
        """Make it vanish without a verdict."""

    def let_cancel_happen(self, ref: JobRef) -> None:
        """Give a cancel that was asked for the time it takes."""

    def unknown(self) -> JobRef:
        """The ref of a job that never was."""
