"""Platform type local with a stand-in for Java: real supervisors and files, jobs that end when the test says so.

The stand-in notes how it was called and leaves a child that ignores SIGTERM, then waits for a file ``fate`` (its exit
code) in the run directory and prints ``words``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar

from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.status import JobRef
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.local.platform import Config, Platform
from airflow_doeks.platforms.patience import Time

STAND_IN = """#!/bin/sh
printf '%s\\0' "$@" > argv
env > environment
(trap '' TERM; exec sleep 600) & echo "$!" > child.pid
echo "$$" >> "{started}"
echo "$PPID" > supervisor.pid
while [ ! -e fate ]; do sleep 0.02; done
if [ -e words ]; then cat words; fi
exit "$(cat fate)"
"""
PATIENCE_SECONDS = 120


def until(is_true: Callable[[], Any]) -> None:
    """Wait for another process."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


class LocalHarness:
    """A folder of run directories."""

    bigger: ClassVar[dict[str, Any]] = {"executors": {"max": 3}}

    def __init__(self, folder: Path) -> None:
        self.local_dir = folder / "runs with space"
        self._started = folder / "started"
        self._java = folder / "jdk/bin/java"
        self._java.parent.mkdir(parents=True)
        self._java.write_text(STAND_IN.format(started=self._started))
        self._java.chmod(0o755)
        (folder / "jdk/release").write_text('JAVA_VERSION="17.0.15"\n')
        self.run_started = datetime.now(timezone.utc)
        self.ahead = timedelta()

    def now(self) -> datetime:
        """The observers' clock; tests may put it ahead of the files."""
        return datetime.now(timezone.utc) + self.ahead

    def platform(self, kind: type[Platform] = Platform, **entry: Any) -> Platform:
        """Connected anew."""
        config = Config(type="local", java=str(self._java), **entry)
        return kind(config, "laptop", self.clients())

    def clients(self) -> Clients:
        """A clock of the test's, and a feed that looks often."""

        async def asleep(_: float) -> None:
            await asyncio.sleep(0.02)

        return Clients(local_dir=str(self.local_dir), time=Time(now=self.now, asleep=asleep))

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
            "run_started": self.run_started,
            "cost_tags": {"team": "sales"},
        }
        return JobIdentity(**{**values, "attempt_id": f"attempt-{changes.get('try_number', 1)}", **changes})

    def applications(self) -> int:
        """Lines of the file that each stand-in adds one to."""
        return len(self._started.read_text().splitlines()) if self._started.exists() else 0

    def run(self, ref: JobRef) -> Path:
        """The run directory."""
        return self.local_dir / ref.path[0]

    def until_running(self, ref: JobRef) -> None:
        """The stand-in has written who started it."""
        pid = self.run(ref) / "supervisor.pid"
        until(lambda: pid.exists() and pid.read_text().strip())

    def succeed(self, ref: JobRef) -> None:
        """Exit code 0."""
        self.end(ref, 0)

    def fail(self, ref: JobRef, log: str) -> None:
        """Exit code 1 after these words."""
        (self.run(ref) / "words").write_text(log)
        self.end(ref, 1)

    def end(self, ref: JobRef, code: int) -> None:
        """Let it end with this code."""
        (self.run(ref) / ".fate").write_text(str(code))
        (self.run(ref) / ".fate").replace(self.run(ref) / "fate")
        until(lambda: self.platform().observe(ref).state.is_terminal)

    def lose(self, ref: JobRef) -> None:
        """SIGKILL its supervisor and let the heartbeat grow old."""
        self.until_running(ref)
        os.kill(int((self.run(ref) / "supervisor.pid").read_text()), signal.SIGKILL)
        self.ahead = timedelta(seconds=16)

    def let_cancel_happen(self, ref: JobRef) -> None:
        """The supervisor looks for the file a few times a second."""
        until(lambda: self.platform().observe(ref).state.is_terminal)

    def unknown(self) -> JobRef:
        """No such directory."""
        return JobRef("local://somewhere/orders-clean-000000000000")

    def close(self) -> None:
        """End what still lives."""
        for run in self.local_dir.glob("[!.]*"):
            (run / "fate").write_text("0")
            until(lambda run=run: not self.lives(run, "supervisor.pid"))
            if self.lives(run, "child.pid"):  # its supervisor was killed
                os.kill(int((run / "child.pid").read_text()), signal.SIGKILL)

    def lives(self, run: Path, pid_file: str) -> bool:
        """True while the process whose id stands in this file runs."""
        try:
            pid = (run / pid_file).read_text().strip()
            return Path("/proc", pid, "cmdline").read_bytes() != b""  # a zombie has none
        except (FileNotFoundError, ProcessLookupError):
            return False


@contextmanager
def harness(folder: Path) -> Iterator[LocalHarness]:
    """A fresh folder; whatever still runs at the end is ended."""
    made = LocalHarness(folder)
    try:
        yield made
    finally:
        made.close()
