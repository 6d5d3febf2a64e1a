"""Platform type local with Flink jobs: real supervisors, real clusters of two processes, a stand-in for their Java.

The stand-in answers as Flink's tool for sizes, lives as a task manager until it is ended, and as a job manager waits
for a file ``fate`` as Spark's does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_doeks.model.flink import FlinkJob
from airflow_doeks.model.status import JobRef
from airflow_doeks.platforms.local import flink_job
from tests.platforms.harness_local import STAND_IN, LocalHarness, until

RESULT = "BASH_JAVA_UTILS_EXEC_RESULT:"
FLINK = f"""\
#!/bin/sh
case "$*" in
*GET_?M_RESOURCE_PARAMS*) echo "{RESULT}-Xmx1"; echo "{RESULT}-D sizes=known"; exit 0;;
*TaskManagerRunner*) echo "$$" > task_manager.pid; exec sleep 600;;
esac
echo "$PPID" > cluster.pid
"""


class LocalFlinkHarness(LocalHarness):
    """The same folder of run directories."""

    bigger = {"parallelism": 3}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        started = folder / "started"
        spark = STAND_IN.format(started=started).removeprefix("#!/bin/sh\n")
        # Who started the job manager was started by the supervisor.
        supervisor = spark.replace('echo "$PPID" > supervisor.pid', "cut -d' ' -f4 /proc/$PPID/stat > supervisor.pid")
        self._java.write_text(FLINK + supervisor)

    def job(self, **changes: Any) -> FlinkJob:
        """A job of the default size."""
        return FlinkJob.model_validate({"jar": "/jobs/clean.jar"} | changes)

    def until_running(self, ref: JobRef) -> None:
        """Both processes have said who they are."""
        super().until_running(ref)
        pid = self.run(ref) / "task_manager.pid"
        until(lambda: pid.exists() and pid.read_text().strip())

    def kill_task_manager(self, ref: JobRef) -> None:
        """SIGKILL it, and wait for the next one."""
        pid = self.run(ref) / "task_manager.pid"
        old = pid.read_text()
        os.kill(int(old), 9)
        until(lambda: pid.read_text() not in ("", old))


@contextmanager
def harness(folder: Path) -> Iterator[LocalFlinkHarness]:
    """A fresh folder; whatever still runs at the end is ended. Flink need not be installed."""
    home = folder / "pyflink"
    (home / "lib").mkdir(parents=True)
    (home / "lib/flink-dist-2.3.0.jar").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flink_job, "find_flink_home", lambda: home)
        made = LocalFlinkHarness(folder)
        try:
            yield made
        finally:
            made.close()
