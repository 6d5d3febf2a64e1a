"""Tells of runs that have not met their deadline, where Airflow does not: one pass over the pipelines of a project."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from airflow_doeks.hooks.settings import Settings, open_ledger
from airflow_doeks.language import compile_file, pipeline_files
from airflow_doeks.lifecycle.clock import Clock
from airflow_doeks.lifecycle.late_runs import (
    LateRun,
    RunDeadline,
    RunsSince,
    forget_old,
    is_told,
    late_runs,
    mark_told,
    unmark,
)
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.redaction import redacted
from airflow_doeks.model.stores import ByteStore
from airflow_doeks.notifications import Notification

_MISSED = "on_missed_deadline"


@dataclass(frozen=True)
class Told:
    """A late run, or a pipeline that could not be looked at; ``trouble`` is why nobody was told."""

    what: str
    late: LateRun | None = None
    trouble: str | None = None


def deadlines_of(folder: Path, environment: str | None, default: str | None) -> Iterator[RunDeadline | Told]:
    """The deadlines of all pipelines below a folder; a file that is no pipeline, and says nothing of one, is passed."""
    for file in pipeline_files(folder):
        if _MISSED not in file.read_text("utf-8", errors="replace"):
            continue
        compiled = compile_file(file, environment=environment, default=default)
        plan = compiled.plan
        if plan is None:
            why = next(str(one) for one in compiled.diagnostics if one.is_error)
            yield Told(str(file), trouble=f"its deadline is not watched: {why}")
        elif plan.deadline is not None:
            yield RunDeadline(plan.dag_id, *plan.deadline, plan.notices[_MISSED])


def watch_deadlines(
    folder: Path, environment: str | None, runs: RunsSince | None, settings: Settings, *, is_dry: bool = False
) -> Iterator[Told]:
    """One pass over the pipelines below a folder; nothing where ``runs`` is None: Airflow itself keeps deadlines."""
    if runs is None:
        return
    from airflow_doeks.compat import conf

    default = conf.get("doeks", "environment", fallback="") or None
    now, store = Clock().now(), open_ledger(settings).store
    yield from tell_of_late_runs(
        deadlines_of(folder, environment, default), runs, store, settings.instance, now=now, is_dry=is_dry
    )


def tell_of_late_runs(
    deadlines: Iterator[RunDeadline | Told],
    runs: RunsSince,
    store: ByteStore,
    instance: str,
    *,
    now: datetime,
    is_dry: bool = False,
) -> Iterator[Told]:
    """Each late run that nobody was told of yet, once it is told of; a dry run tells nobody."""
    for deadline in deadlines:
        if isinstance(deadline, Told):
            yield deadline
            continue
        try:
            found = list(late_runs(deadline, runs, now=now))
        except PlatformError as error:
            yield Told(deadline.dag_id, trouble=f"its runs are not known: {error}")
            continue
        for late in found:
            what = f"{deadline.dag_id} (run {late.run.run_id})"
            if is_told(store, instance, late):
                continue
            if is_dry:
                yield Told(what, late)
                continue
            mark_told(store, instance, late, now=now)
            trouble = _tell(deadline, late)
            if trouble is not None:
                unmark(store, instance, late)
            yield Told(what, late, trouble)
    if not is_dry:
        forget_old(store, now=now)


def _tell(deadline: RunDeadline, late: LateRun) -> str | None:
    """Why nobody was told, if nobody was; of several notifiers one that fails hinders no other."""
    run = late.run
    failures = []
    for path, arguments in deadline.notices:
        context = {
            "dag": None,
            "dag_run": {"dag_id": run.dag_id, "run_id": run.run_id, "logical_date": run.logical_date},
            "deadline": {"deadline_time": late.due},
        }
        try:
            Notification(path, dict(arguments)).tell(context)
        except Exception as error:  # noqa: BLE001 - a border: a notifier is anybody's code
            failures.append(f"{path.rpartition('.')[2]}: {redacted(f'{type(error).__name__}: {error}')}")
    return "; ".join(failures) if len(failures) == len(deadline.notices) else None
