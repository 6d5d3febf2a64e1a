"""Schedules, dates and zones: read and checked without Airflow."""

from __future__ import annotations

import functools
import re
from datetime import datetime
from typing import Any

PRESETS = {  # Airflow's cron presets, airflow.utils.dates.cron_presets
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
WITHOUT_CLOCK = ("@once", "@continuous")  # presets that are no cron
_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_FIELD_NAMES = ("minute", "hour", "day", "month", "weekday")
_DAYS = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}  # days of the months that have fewer than 31, in a leap year
_RARE_DAYS = ("30", "31")
_SIMPLE = re.compile(r"\*|\d{1,2}|\*/([1-9]\d?)")


@functools.lru_cache(maxsize=512)
def seconds(duration: str | float) -> float:
    """Seconds of a duration; raises ValueError with the allowed forms."""
    from airflow_doeks.model.quantities import parse_duration

    return parse_duration(duration)


def fault(duration: str | float) -> str | None:
    """What is wrong with a duration; None if nothing is."""
    try:
        seconds(duration)
    except ValueError as error:
        return str(error)
    return None


@functools.lru_cache(maxsize=1024)
def cron_of(text: str) -> str:
    """Five fields of a cron expression or preset. Raises ValueError that says what is wrong."""
    if text.startswith("@"):
        if text not in PRESETS:
            msg = f'"{text}" is not a preset; expected {", ".join((*PRESETS, *WITHOUT_CLOCK))}'
            raise ValueError(msg)
        return PRESETS[text]
    fields = text.split()
    if len(fields) == len(_FIELDS) and all(map(_is_simple, fields, _FIELDS)) and fields[2] not in _RARE_DAYS:
        return text
    if len(fields) != len(_FIELDS):
        count = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
        msg = f'"{text}" is not a cron expression: it has {count}, not 5 (minute hour day month weekday)'
        raise ValueError(msg)
    from croniter import croniter

    try:
        (*_, days, months, weekdays), _ = croniter.expand(text)
    except (ValueError, KeyError) as error:
        why = _faulty_field(fields) or str(error).removeprefix(f"[{text}] ")
        msg = f'"{text}" is not a cron expression: {why}'
        raise ValueError(msg) from error
    if weekdays == ["*"] and not _comes(days, months):  # a weekday beside a day is the other way to come
        msg = f'"{text}" never comes: none of its months has such a day'
        raise ValueError(msg)
    return text


def _faulty_field(fields: list[str]) -> str:
    """Which field is wrong by itself, and what it takes; empty if none is."""
    from croniter import croniter

    for place, (field, name, (least, most)) in enumerate(zip(fields, _FIELD_NAMES, _FIELDS, strict=True)):
        alone = ["*"] * len(_FIELDS)
        alone[place] = field
        try:
            croniter.expand(" ".join(alone))
        except (ValueError, KeyError):
            return f'its {name} "{field}" is not {least} to {most}, *, a range, a list or a step'
    return ""


def _comes(days: list[Any], months: list[Any]) -> bool:
    """True if some year has one of the days in one of the months; what is no number (`*`, `l`) always comes."""
    longest = max((_DAYS.get(month, 31) for month in months), default=31)
    return any(not isinstance(day, int) or day <= longest for day in days)


def _is_simple(field: str, bounds: tuple[int, int]) -> bool:
    """True for what needs no library to be known good."""
    if not _SIMPLE.fullmatch(field):
        return False
    return not field.isdigit() or bounds[0] <= int(field) <= bounds[1]


@functools.lru_cache(maxsize=1024)
def date_of(text: str) -> datetime:
    """The date or time, naive if it names no zone. Raises ValueError for a date that does not exist."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        msg = f'"{text}" is not a date that exists; write for example 2026-01-31 or 2026-01-31T06:00'
        raise ValueError(msg) from error


@functools.lru_cache(maxsize=256)
def is_zone(name: str) -> bool:
    """True for a name of the IANA time zone database."""
    if name == "UTC":
        return True
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError on some versions
        return False
    except KeyError:
        return False
    return True


def near_zones(name: str) -> str:
    """What may have been meant by an unknown zone."""
    from zoneinfo import available_timezones

    from airflow_doeks.language.diagnostics import suggestion

    return suggestion(name, available_timezones()) or "use a name such as Europe/Berlin"


def schedule_of(value: Any) -> dict[str, Any] | None:
    """A schedule in the plan's form, its cron still as written."""
    if value is None:
        return None
    if isinstance(value, str):
        return {"preset": value} if value in WITHOUT_CLOCK else {"cron": value, "covers": "previous_interval"}
    if "assets" in value:
        either = {"cron": value["or_cron"], "covers": "previous_interval"} if value.get("or_cron") else {}
        parts = {"partitions": value["partitions"]} if value.get("partitions") else {}
        return {"assets": value["assets"], **either, **parts}
    return {
        "cron": value["cron"],
        "timezone": value.get("timezone"),
        "covers": value.get("covers") or "previous_interval",
    }
