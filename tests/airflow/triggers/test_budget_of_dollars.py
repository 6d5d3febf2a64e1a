"""The budget of dollars of a job that a trigger follows, on a platform in memory."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from airflow_doeks.cost import load_rate_card
from airflow_doeks.lifecycle.budget import Allowance, Meter, Pool
from airflow_doeks.model.status import JobRef
from airflow_doeks.triggers.job import JobTrigger
from tests.airflow.triggers.test_trigger import ENTRY, fire, let_run, platform, trigger
from tests.fakes.memory_platform import MemoryPlatform
from tests.lifecycle.test_submission import FOR_EVER

__all__ = ["platform"]  # a fixture


def spending(platform: MemoryPlatform, usd: str, **changes: Any) -> JobTrigger:
    """The trigger of a job that has been running for an hour, with a budget of dollars."""
    platform.time.moment = datetime.now(timezone.utc) - timedelta(hours=1)
    platform.script = FOR_EVER
    platform.cancel_takes = 0
    money = {"allowances": [Allowance("budget_usd", Decimal(usd)).to_json()], "told": [], **changes}
    waiting = trigger(platform, money=money)
    platform.time.sleep(3600)
    return waiting


async def test_a_job_that_used_up_its_dollars_is_cancelled(platform: MemoryPlatform) -> None:
    """The event names the budget and what the job cost."""
    payload = await fire(spending(platform, "0.0001"))
    assert payload["status"]["state"] == "CANCELLED"
    assert re.fullmatch(r"budget_usd of 0\.0001 USD \(0\.\d{4} USD so far\)", payload["overdue"])


async def test_a_job_that_nears_its_budget_is_told_of_once(platform: MemoryPlatform) -> None:
    """A worker is told, and the job goes on; the next trigger does not tell it again."""
    cost = Meter(platform, JobRef("memory://x/y"), load_rate_card)
    waiting = spending(platform, "1")
    ref = JobRef(waiting.ref)
    live = replace(cost, ref=ref).read(platform.observe(ref), datetime.now(timezone.utc)).most
    assert live is not None
    near = [Allowance("budget_usd", live / Decimal("0.9")).to_json()]
    payload = await fire(JobTrigger(waiting.ref, waiting.submitted, ENTRY, {}, money={"allowances": near}))
    assert list(payload["told"]) == ["budget_usd"]
    assert not platform.cancelled
    told = JobTrigger(waiting.ref, waiting.submitted, ENTRY, {}, money={"allowances": near, "told": ["budget_usd"]})
    task = asyncio.create_task(fire(told))
    await let_run()
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_job_that_was_told_of_still_shares_its_budget(platform: MemoryPlatform) -> None:
    """While its worker hears of it the job goes on: its dollars count for those that start meanwhile."""
    waiting = spending(platform, "1")
    ref = JobRef(waiting.ref)
    live = Meter(platform, ref, load_rate_card).read(platform.observe(ref), datetime.now(timezone.utc)).most
    assert live is not None
    near = Allowance("run_budget_usd", live / Decimal("0.9"), shared="run").to_json()
    payload = await fire(JobTrigger(waiting.ref, waiting.submitted, ENTRY, {}, money={"allowances": [near]}))
    assert list(payload["told"]) == ["run_budget_usd"]
    assert waiting.ref not in Pool.of_running_loop("run").join("memory://x/later")


async def test_an_unknown_cost_never_cancels(platform: MemoryPlatform, caplog: pytest.LogCaptureFixture) -> None:
    """A rate card that cannot be read is one warning, and the job goes on."""
    task = asyncio.create_task(fire(spending(platform, "0.0001", rate_card={"file": "/no/such/card.yaml"})))
    while "no budget_usd ends it" not in caplog.text:  # noqa: ASYNC110 - a line of the log
        await asyncio.sleep(0.01)
    assert not platform.cancelled
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
