"""What a job prints, in its task's log while the task waits."""

from __future__ import annotations

import asyncio
import logging

import pytest

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.platforms.protocol import LogPart
from airflow_doeks.triggers.job_log import telling

LOG = logging.getLogger("a task")


async def test_each_line_is_told_once_and_masked(caplog: pytest.LogCaptureFixture) -> None:
    """Secrets are masked, the rest comes at the end; a log that is away is told and fails no job."""
    caplog.set_level("INFO")
    printed = ["read 10 rows", "--password hunter2"]
    away = asyncio.Event()
    faults = [PlatformError("the kubelet is away", retryable=True)]

    async def read(upto: str) -> LogPart:
        if upto and faults:
            away.set()
            raise faults.pop()
        return LogPart(tuple(printed[int(upto or 0) :]), str(len(printed)))

    async with telling(read, 0.001, LOG):
        await asyncio.wait_for(away.wait(), 10)
        printed.append("wrote 10 rows")
    told = [line.message for line in caplog.records]
    assert told == [
        "| read 10 rows",
        "| --password ***",
        "What the job printed cannot be read: the kubelet is away",
        "| wrote 10 rows",
    ]
