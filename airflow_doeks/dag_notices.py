"""Who a DAG tells, as Airflow's callbacks and deadline."""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from airflow_doeks import compat
from airflow_doeks.model.plan import Notices, Plan

_MISSED = "on_missed_deadline"
_AFTER = {"queued": "DAGRUN_QUEUED_AT", "logical_date": "DAGRUN_LOGICAL_DATE"}
_EVENTS = ("on_success", "on_failure", "on_retry")


def callbacks_of(notices: Mapping[str, Notices], beside: Callable[[Any], None] | None = None) -> dict[str, Any]:
    """Arguments of an operator that tell of its tries; ``beside`` is called first, of whatever comes."""
    first = [] if beside is None else [beside]
    every = {event: [*first, *told(notices.get(event, ()))] for event in _EVENTS}
    return {f"{event}_callback": callbacks for event, callbacks in every.items() if callbacks}


def notice_arguments(plan: Plan) -> dict[str, Any]:
    """Arguments of a DAG that tell of its runs. Airflow before 3.1 has no deadlines."""
    found = callbacks_of({event: notices for event, notices in plan.notices.items() if event != _MISSED})
    if plan.deadline is None or compat.DeadlineAlert is None:
        return found
    seconds, after = plan.deadline
    told(plan.notices[_MISSED])
    notices = json.dumps([[path, dict(arguments)] for path, arguments in plan.notices[_MISSED]])
    found["deadline"] = compat.DeadlineAlert(
        reference=getattr(compat.DeadlineReference, _AFTER[after]),
        interval=timedelta(seconds=seconds),
        callback=compat.AsyncCallback("airflow_doeks.notifications.tell_missed_deadline", {"notices": notices}),
    )
    return found


def told(notices: Notices) -> list[Any]:
    """Who is told, as callbacks; a notifier whose package is missing is told while there is nothing to tell yet."""
    if not notices:
        return []
    from airflow_doeks.notifications import Notification

    for path, _ in notices:
        _find(path.rpartition(".")[0])
    return [Notification(path, dict(arguments)) for path, arguments in notices]


@functools.lru_cache(maxsize=64)
def _find(module: str) -> None:
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        msg = f"there is no module {module} here; install the package that has it"
        raise ModuleNotFoundError(msg)
