"""The trial platform type of the tests: jobs in memory on a virtual clock, no process and no service behind them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.status import JobRef, JobState
from tests.fakes.memory_platform import START, MemoryPlatform


class MemoryHarness:
    """A job runs until the test says how it ends."""

    bigger: ClassVar[dict[str, Any]] = {"executors": {"max": 3}}

    def __init__(self) -> None:
        self.memory = MemoryPlatform(script=((0, JobState.RUNNING),))

    def platform(self) -> MemoryPlatform:
        """The only one."""
        return self.memory

    def job(self, **changes: Any) -> SparkJob:
        """A job of the default size."""
        return SparkJob.model_validate({"main": "/jobs/clean.py"} | changes)

    def identity(self, **changes: Any) -> JobIdentity:
        """A first try of `orders.clean`."""
        values: dict[str, Any] = {
            "instance": "prod",
            "dag_id": "orders",
            "run_id": "manual__2026-11-20",
            "task_id": "clean",
            "map_index": -1,
            "try_number": 1,
            "run_started": START - timedelta(minutes=1),
            "cost_tags": {"team": "sales"},
        }
        return JobIdentity(**{**values, "attempt_id": f"attempt-{changes.get('try_number', 1)}", **changes})

    def applications(self) -> int:
        """Jobs by token."""
        return len(self.memory.sent)

    def until_running(self, ref: JobRef) -> None:
        """It runs at once; the next job is submitted later."""
        del ref
        self.memory.tick(1)

    def succeed(self, ref: JobRef) -> None:
        """A second later."""
        self._end(ref, JobState.SUCCEEDED)

    def fail(self, ref: JobRef, log: str) -> None:
        """With this log."""
        self.memory.logs[ref] = log
        self._end(ref, JobState.FAILED)

    def lose(self, ref: JobRef) -> None:
        """It is forgotten."""
        self.memory.sent = {token: job for token, job in self.memory.sent.items() if job.ref != ref}

    def let_cancel_happen(self, ref: JobRef) -> None:
        """A cancel pends for a while."""
        assert self.memory.observe(ref).is_cancelling
        self.memory.tick(self.memory.cancel_takes)

    def unknown(self) -> JobRef:
        """Never submitted."""
        return JobRef("memory://here/orders-clean-000000000000")

    def _end(self, ref: JobRef, state: JobState) -> None:
        age = (self.memory.time.now() - (self.memory.observe(ref).submitted or START)).total_seconds()
        self.memory.scripts[ref] = ((0, JobState.RUNNING), (age + 1, state))
        self.memory.tick(1)


@contextmanager
def harness(folder: Path) -> Iterator[MemoryHarness]:
    """An empty memory."""
    del folder
    yield MemoryHarness()
