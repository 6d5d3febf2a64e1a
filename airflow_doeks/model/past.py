"""The last jobs of one task that succeeded: what they took and cost, from which the next is estimated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from airflow_doeks.model.noun import Amount, Noun
from airflow_doeks.model.record import JobRecord
from airflow_doeks.model.status import JobState

LOOK_BACK = timedelta(days=30)
_RUNS = 20  # the newest jobs of a task that count
_HALF, _MOST = 0.5, 0.95


class PastRun(NamedTuple):
    """One job: when it was submitted, what it was sent as, how long its pods lived at most, what it cost."""

    submitted: datetime
    spec_hash: str
    seconds: float | None
    usd: Decimal | None


class Past(Noun):
    """Half of the jobs, and 95 of 100, took and cost no more than this; ``spec_hash`` is that of the newest.

    ``runs`` is how many jobs it is made from; None stands for what none of them tells.
    """

    runs: int = 0
    spec_hash: str = ""
    seconds_p50: float | None = None
    seconds_p95: float | None = None
    usd_p50: Amount | None = None
    usd_p95: Amount | None = None


def run_of(record: JobRecord) -> PastRun | None:
    """A record as a past run; None of a job that did not succeed, or that has no end of its own.

    The closing record of such a job costs nothing and has held nothing: its days' records have that.
    """
    times = record.times
    is_closing = record.cost.usd_total == 0 and record.usage.vcpu_seconds == 0
    if record.job.state is not JobState.SUCCEEDED or record.window is not None or is_closing or times.submitted is None:
        return None
    return past_run(times.submitted, times.started, times.ended, record.spec_hash, record.cost.usd_total)


def past_run(
    submitted: datetime, started: datetime | None, ended: datetime | None, spec_hash: str | None, usd: Decimal | None
) -> PastRun:
    """The same of its figures. Where nobody tells when it ran, the wait before is in it."""
    since = started or submitted
    took = (ended - since).total_seconds() if ended is not None and ended >= since else None
    return PastRun(submitted, spec_hash or "", took, usd)


def past_of(runs: Sequence[PastRun]) -> Past:
    """What the newest of them say together."""
    newest = sorted(runs, key=lambda run: run.submitted, reverse=True)[:_RUNS]
    if not newest:
        return Past()
    seconds = sorted(run.seconds for run in newest if run.seconds is not None)
    usd = sorted(run.usd for run in newest if run.usd is not None)
    return Past(
        runs=len(newest),
        spec_hash=newest[0].spec_hash,
        seconds_p50=seconds[_place(seconds, _HALF)] if seconds else None,
        seconds_p95=seconds[_place(seconds, _MOST)] if seconds else None,
        usd_p50=usd[_place(usd, _HALF)] if usd else None,
        usd_p95=usd[_place(usd, _MOST)] if usd else None,
    )


def _place(values: Sequence[object], part: float) -> int:
    return max(0, math.ceil(part * len(values)) - 1)
