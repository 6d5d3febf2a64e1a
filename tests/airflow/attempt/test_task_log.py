"""What a task's log tells of its finished job."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_doeks.attempt.attempt import TaskAttempt
from airflow_doeks.attempt.hand import Books, JobInHand
from airflow_doeks.hooks.settings import load_settings
from airflow_doeks.model.engine import ENGINES
from airflow_doeks.model.status import JobRef
from airflow_doeks.model.telemetry import Telemetry
from tests.fakes.memory_platform import MemoryPlatform
from tests.lifecycle.test_submission import FIRST, run

pytestmark = pytest.mark.airflow

LOG = Path(__file__).parents[2] / "lineage" / "logs" / "4.3.0" / "join_and_aggregate.zstd"


class Logging(MemoryPlatform):
    """A platform whose jobs wrote a kept event log."""

    def telemetry(self, ref: JobRef) -> Telemetry:
        return Telemetry(event_log=str(LOG))


def test_a_difference_from_the_declared_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was read or written otherwise than declared is a warning in the task's log, as it is in the record."""
    settings = replace(load_settings(), ledger_path=f"{tmp_path}/ledger", local_dir=str(tmp_path))
    books = Books(
        FIRST, settings, ("file:/tmp/doeks-lake/orders", "s3://raw/vips"), ("file:/tmp/doeks-lake/revenue",), {}, None
    )
    platform = Logging()
    job = JobInHand(books, platform, run(platform, FIRST))
    platform.tick(100)
    context: Any = {"ti": SimpleNamespace(xcom_push=lambda **_: None, state="running", task_id="t")}
    operator = SimpleNamespace(log=logging.getLogger("task"), record=None, engine=ENGINES["spark"], job={})
    task: Any = TaskAttempt(operator, context)
    with caplog.at_level(logging.WARNING, logger="task"):
        record = task._finish(job, platform.observe(job.submission.ref), None)
    told = [message.removeprefix("Lineage: ") for message in caplog.messages if message.startswith("Lineage: ")]
    assert told == list(record.lineage.differences)
    assert told == [
        "s3://raw/vips is declared under reads but was not seen in the job",
        "file//tmp/doeks-lake/customers was read but is not declared under reads",
    ]
