"""Values in dag-factory's notation as values of ours; None where ours cannot say it, and the docstring says why."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml


class Tagged(str):
    """What stood under a YAML tag, which is not run."""

    __slots__ = ()


def as_it_is(value: Any) -> Any:
    """The value itself."""
    return value


def seconds_of(value: Any) -> float | None:
    """Seconds of a number or of a `datetime.timedelta` in dag-factory's notation."""
    if isinstance(value, Mapping) and str(value.get("__type__")).endswith("timedelta"):
        units = ("weeks", "days", "hours", "minutes", "seconds")
        return dt.timedelta(**{unit: value[unit] for unit in units if unit in value}).total_seconds()
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def duration(value: Any) -> str | None:
    """A duration of ours."""
    seconds = seconds_of(value)
    if seconds is None:
        return None
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{int(seconds // length)}{unit}"
    return f"{seconds:g}s"


def fixed_date(value: Any) -> Any:
    """A date that does not move with the day."""
    is_date = isinstance(value, str) and value[:4].isdigit() and value[4:5] == "-"
    return value if is_date or isinstance(value, dt.date) else None


def uris_of(value: Any) -> Iterator[str]:
    """The asset URIs anywhere in dag-factory's notations of a list of them."""
    if isinstance(value, str) and "://" in value and not isinstance(value, Tagged):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from uris_of(item)
    elif isinstance(value, Mapping):
        for key in ("uri", "datasets", "assets", "__and__", "__or__", "__args__"):
            yield from uris_of(value.get(key))


def assets(value: Any) -> list[str] | None:
    """URIs of assets."""
    return list(uris_of(value)) or None


ADVICE: dict[Callable[[Any], Any], str] = {  # reader of a value -> what to write where it finds none
    as_it_is: "write a value",
    duration: "write a duration such as 5m",
    fixed_date: "it moves with the day, write a fixed date",
    assets: "write URIs",
}


def yaml_lines(entry: Mapping[str, Any]) -> Iterator[str]:
    """Lines of YAML: a key a line, short collections in one line, long text as a block."""
    for key, value in entry.items():
        style = None if isinstance(value, (dict, list)) else False
        yield from yaml.dump(
            {key: value}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=style
        ).splitlines()


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)
