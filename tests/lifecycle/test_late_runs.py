"""Which runs have missed their deadline, and who was told of them already."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.lifecycle.late_runs import (
    LateRun,
    RunDeadline,
    RunNow,
    forget_old,
    is_told,
    late_runs,
    mark_told,
    unmark,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def run(queued: timedelta | None, ended: timedelta | None = None, logical: timedelta | None = None) -> RunNow:
    """A run by how long ago it was queued, ended and dated."""
    moments = (None if ago is None else NOW - ago for ago in (queued, logical, ended))
    return RunNow("orders", "r1", *moments)


@pytest.mark.parametrize(
    ("case", "is_late"),
    [
        (run(3 * HOUR), True),  # still goes on
        (run(1 * HOUR), False),  # has time left
        (run(3 * HOUR, ended=1.5 * HOUR), False),  # was in time
        (run(3 * HOUR, ended=0.5 * HOUR), True),  # ended, but after it was due
        (run(30 * HOUR), False),  # an old story
        (run(None), False),  # unknown is not late
    ],
)
def test_a_run_is_late_that_was_not_over_when_it_was_due(case: RunNow, is_late: bool):
    """Two hours after it was queued, of the last day."""
    found = list(late_runs(RunDeadline("orders", 7200, "queued", ()), lambda *_: [case], now=NOW))
    assert [late.run for late in found] == [case] * is_late


def test_a_deadline_may_count_from_the_logical_date():
    """A run without one is never late by it."""
    deadline = RunDeadline("orders", 3600, "logical_date", ())
    dated, free = run(timedelta(0), logical=2 * HOUR), run(9 * HOUR)
    assert [late.due for late in late_runs(deadline, lambda *_: [dated, free], now=NOW)] == [NOW - HOUR]


def test_a_run_is_told_of_once_until_the_mark_is_old(tmp_path: Path):
    """Each Airflow and each deadline of a run has a mark of its own."""
    store, late = LocalStore(tmp_path), LateRun(run(3 * HOUR), NOW - HOUR)
    again = LateRun(late.run, NOW)  # cleared, and late again
    assert not is_told(store, "prod", late)
    mark_told(store, "prod", late, now=NOW)
    assert (is_told(store, "prod", late), is_told(store, "dev", late), is_told(store, "prod", again)) == (
        True,
        False,
        False,
    )
    forget_old(store, now=NOW + timedelta(days=5))
    assert is_told(store, "prod", late)
    forget_old(store, now=NOW + timedelta(days=9))
    assert not is_told(store, "prod", late)


def test_who_could_not_be_told_is_told_by_the_next_pass(tmp_path: Path):
    """The mark is taken away; a second time does no harm."""
    store, late = LocalStore(tmp_path), LateRun(run(3 * HOUR), NOW - HOUR)
    mark_told(store, "prod", late, now=NOW)
    unmark(store, "prod", late)
    unmark(store, "prod", late)
    assert not is_told(store, "prod", late)
