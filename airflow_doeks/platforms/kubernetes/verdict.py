"""Why a job failed, from what its platform says, its pods and its log. Pure.

The pod that leads a job (Spark's driver, Flink's job manager) is called the driver here, those that work for it
executors, as in the categories.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

from airflow_doeks.model.record import FailureCategory
from airflow_doeks.platforms.kubernetes.pods import PodFact, commonest

Cause: TypeAlias = "tuple[FailureCategory, str]"

_LOST_EXECUTOR = re.compile(
    r"ExecutorLostFailure|FetchFailed|executor \S+ exited|Lost executor|Max number of executor"
    r"|TaskManager.*(lost|no longer reachable|timed out)|TaskExecutor.*terminat|NoResourceAvailable"
)
_WAITED_OUT = {"unschedulable", "quota"}  # Spark goes on with the executors that it has


def verdict(pods: Sequence[PodFact], logged: Cause | None, said: Cause | None, evidence: list[str]) -> Cause | None:
    """How the driver ended goes before what its log says, and that before what befell other pods; None: nobody tells.

    ``said`` is what the platform says of the driver's end. A log that says something else is noted in ``evidence``.
    """
    by_role = {role: [fact for fact in pods if fact.role == role] for role in ("driver", "executor", "other")}
    end = next(((fact.category, fact.text) for fact in by_role["driver"]), said)
    if end and logged and logged[0] != end[0]:
        evidence.append(f"the log says: {logged[1]}")
    if end:
        return logged if logged and logged[0] == end[0] else end
    lost = commonest([fact for fact in by_role["executor"] if fact.category not in _WAITED_OUT])
    if logged and not (lost and _LOST_EXECUTOR.search(logged[1])):
        return logged
    fact = lost if logged else next(iter(by_role["other"]), lost)
    return (fact.category, fact.text) if fact else None
