"""Schedules by assets; imported where a pipeline has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_doeks import compat
from airflow_doeks.hooks.assets import assets_of
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.plan import Plan

# Airflow calls what maps a partition of an asset to that of a run a mapper. Read in airflow.sdk 3.2.1 and 3.3.2.
_MAPPERS = {
    "same": "IdentityMapper",
    **{unit: f"StartOf{unit.title()}Mapper" for unit in ("hour", "day", "week", "month", "quarter", "year")},
}


def by_data(condition: Mapping[str, Any], timetable: Any) -> Any:
    """A ``schedule`` by assets, and by the clock where there is a timetable."""
    found = _condition(condition)
    if timetable is None:
        return found
    return compat.AssetOrTimeSchedule(timetable=timetable, **{compat.ASSETS: found})


def by_partition(plan: Plan, schedule: Mapping[str, Any]) -> Any:
    """A ``schedule`` whose runs are each of a partition. SpecError where this Airflow knows none."""
    if compat.CronPartitionTimetable is None:
        where = plan.source.get("schedule") or f"{plan.file}:1:1"
        msg = f"{where}: partitions need Airflow 3.2 or later"
        raise SpecError(msg)
    if "cron" in schedule:
        return compat.CronPartitionTimetable(schedule["cron"], timezone=schedule.get("timezone") or plan.timezone)
    mapper = getattr(compat, _MAPPERS[schedule["partitions"]])()
    found = _condition(schedule["assets"])
    return compat.PartitionedAssetTimetable(assets=found, default_partition_mapper=mapper)


def _condition(written: Mapping[str, Any]) -> Any:
    """Airflow's condition of one that may hold others."""
    if "alias" in written:
        return compat.AssetAlias(written["alias"])
    ((quantor, parts),) = written.items()
    found: list[Any] = []
    for part in dict.fromkeys(parts) if all(isinstance(part, str) for part in parts) else parts:
        found += assets_of([part]) if isinstance(part, str) else [_condition(part)]
    return (compat.AssetAny if quantor == "any" else compat.AssetAll)(*found)
