"""Runs that missed their deadline, on an Airflow that keeps none (before 3.1). Pure, but for the marks of the told.

A run is told of once: a mark is written before anybody is told, and taken away when nobody could be. Only deadlines of
the last day count, so that a pass that comes for the first time does not tell of old stories.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_doeks.model.plan import Notices
from airflow_doeks.model.stores import ByteStore

LOOK_BACK = timedelta(days=1)
_KEEP = timedelta(days=7)  # marks, far longer than anybody looks back
_ROOT = "v1/deadlines/due="


@dataclass(frozen=True)
class RunDeadline:
    """What a pipeline says: ``seconds`` after its run was ``queued``, or after its ``logical_date``."""

    dag_id: str
    seconds: float
    after: str
    notices: Notices


@dataclass(frozen=True)
class RunNow:
    """A run as Airflow has it; ``ended`` is None while it goes on, the others where Airflow has none."""

    dag_id: str
    run_id: str
    queued: datetime | None
    logical_date: datetime | None
    ended: datetime | None


RunsSince = Callable[[str, datetime], Iterable[RunNow]]  # DAG id, and from when on a run was queued or dated


@dataclass(frozen=True)
class LateRun:
    """A run that was not over when it should have been."""

    run: RunNow
    due: datetime


def late_runs(deadline: RunDeadline, runs: RunsSince, *, now: datetime) -> Iterator[LateRun]:
    """The runs of a pipeline whose deadline passed within the last day while they went on."""
    allowed = timedelta(seconds=deadline.seconds)
    for run in runs(deadline.dag_id, now - LOOK_BACK - allowed):
        since = run.queued if deadline.after == "queued" else run.logical_date
        if since is None:
            continue
        due = since + allowed
        if now - LOOK_BACK <= due < now and (run.ended is None or run.ended > due):
            yield LateRun(run, due)


def is_told(store: ByteStore, instance: str, late: LateRun) -> bool:
    """True if a pass of this Airflow told of it before; a run that is cleared and late again is another story."""
    return _mark(instance, late) in set(store.list(f"{_ROOT}{late.due:%Y-%m-%d}/"))


def mark_told(store: ByteStore, instance: str, late: LateRun, *, now: datetime) -> None:
    """Note that it is told of."""
    run = late.run
    plain = {"instance": instance, "dag_id": run.dag_id, "run_id": run.run_id, "due": late.due, "told": now}
    store.write(_mark(instance, late), json.dumps(plain, default=str).encode())


def unmark(store: ByteStore, instance: str, late: LateRun) -> None:
    """Take the mark away: nobody could be told."""
    store.delete(_mark(instance, late))


def forget_old(store: ByteStore, *, now: datetime) -> None:
    """Delete marks that nobody asks for any more."""
    oldest = f"{_ROOT}{now - _KEEP:%Y-%m-%d}/"
    for name in list(store.list(_ROOT)):
        if name < oldest:
            store.delete(name)


def _mark(instance: str, late: LateRun) -> str:
    run = late.run
    key = json.dumps([instance, run.dag_id, run.run_id, late.due.isoformat()])
    return f"{_ROOT}{late.due:%Y-%m-%d}/{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
