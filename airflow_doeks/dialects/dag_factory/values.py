"""Values in dag-factory's notation as values of ours; None where ours cannot say it, and the docstring says why."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from airflow_doeks.dialects.dag_factory.notes import Handler, Note, Taken, lost
from airflow_doeks.dialects.dag_factory.text import Tagged

# Arguments of datetime.timedelta by place; the first three and these names are all it has.
_UNITS = ("days", "seconds", "microseconds", "milliseconds", "minutes", "hours", "weeks")
_SPOKEN = re.compile(r"\s*(\d+)\s+(hour|minute|second|day)s?\s*,?\s*", re.IGNORECASE)  # dag-factory's "1 days"
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?\s*(.*)")


def is_object(value: Any) -> bool:
    """True for an object of Python in dag-factory's notation, or a YAML tag."""
    return isinstance(value, Tagged) or (isinstance(value, Mapping) and "__type__" in value)


def type_of(value: Any) -> str:
    """The name of the class of an object in dag-factory's notation; empty for anything else."""
    return str(value["__type__"]).rpartition(".")[2] if isinstance(value, Mapping) and "__type__" in value else ""


def members_of(value: Any) -> Any:
    """The items of `builtins.list` in dag-factory's notation; any other value itself."""
    return value["items"] if type_of(value) == "list" and isinstance(value.get("items"), list) else value


def seconds_of(value: Any) -> float | None:
    """Seconds of a number, of a `datetime.timedelta` or of words such as "1 days"; None for another value."""
    if type_of(value) == "timedelta":
        named = {unit: value[unit] for unit in value if unit not in ("__type__", "__args__")}
        named |= dict(zip(_UNITS, value.get("__args__") or (), strict=False))
        known = all(unit in _UNITS and _is_number(amount) for unit, amount in named.items())
        return dt.timedelta(**named).total_seconds() if known else None
    if isinstance(value, str) and (spoken := _SPOKEN.fullmatch(value)):
        return dt.timedelta(**{f"{spoken[2].lower()}s": int(spoken[1])}).total_seconds()
    return float(value) if _is_number(value) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def duration(value: Any) -> str | None:
    """A duration of ours; None for what is none, and for one that is not above 0."""
    seconds = seconds_of(value)
    if seconds is None or not 0 < seconds < float("inf"):
        return None
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % length == 0:
            return f"{int(seconds // length)}{unit}"
    return f"{seconds:f}".rstrip("0").rstrip(".") + "s"


def as_it_is(ours: str) -> Handler:
    """The handler of a value that ours has under another key, or the same."""

    def handle(key: str, value: Any) -> Taken:
        clean = without_objects(value)
        return Taken({ours: clean}) if clean is not None else Taken(notes=(python_object(key, value),))

    return handle


def a_duration(ours: str) -> Handler:
    """The handler of a time span."""

    def handle(key: str, value: Any) -> Taken:
        plain = duration(value)
        if plain is None:
            return Taken(notes=(lost(key, value, "write a duration such as 5m"),))
        return Taken({ours: plain})

    return handle


def a_date(ours: str) -> Handler:
    """The handler of a date; one that moves with the day has no place in ours. Raises ValueError for no date at all."""

    def handle(key: str, value: Any) -> Taken:
        match = _DATE.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            why = "it moves with the day, write a fixed date" if isinstance(value, str) else "write a fixed date"
            return Taken(notes=(lost(key, value, why),))
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
        moment = dt.datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the zone is a key of its own
        text = moment.date().isoformat() if match[4] is None else moment.isoformat()
        notes = (Note(f"`{key}: {value}`: dag-factory took its `timezone` for {match[7]}"),) if match[7] else ()
        return Taken({ours: text}, notes=notes)

    return handle


def a_list(ours: str) -> Handler:
    """The handler of a list of words. Raises TypeError for anything else."""

    def handle(key: str, value: Any) -> Taken:
        if not isinstance(value, list):
            msg = f"`{key}` is no list but {value!r}"
            raise TypeError(msg)
        return Taken({ours: [str(word) for word in value if not is_object(word)]}, [w for w in value if is_object(w)])

    return handle


def python_object(key: str, value: Any) -> Note:
    """The note of a value that holds an object of Python."""
    return lost(key, value, "it is an object of Python")


def without_objects(value: Any) -> Any:
    """The value without dag-factory's own notation; None if an object of Python is anywhere in it."""
    value = members_of(value)
    if isinstance(value, list):
        items = [without_objects(item) for item in value]
        return None if _is_short(items, value) else items
    if is_joined(value):
        parts = without_objects(value["__join__"])
        return None if parts is None else "".join(map(str, parts))
    if isinstance(value, Mapping) and not is_object(value) and not value.keys() & {"__and__", "__or__", "__join__"}:
        entries = {key: without_objects(item) for key, item in value.items()}
        return None if _is_short(entries.values(), value.values()) else entries
    return None if isinstance(value, (Mapping, Tagged)) else value


def is_joined(value: Any) -> bool:
    """True for dag-factory's notation of a text in parts, which may be such texts themselves."""
    return isinstance(value, Mapping) and set(value) == {"__join__"} and isinstance(value["__join__"], list)


def _is_short(found: Any, of: Any) -> bool:
    """True if a value became None that was none."""
    return any(new is None and old is not None for new, old in zip(found, of, strict=True))
