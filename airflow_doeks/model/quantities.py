"""Kubernetes quantities and durations: text from YAML to exact numbers with a unit, and back.

Source of the suffixes: Kubernetes API reference, "Quantity" (resource.Quantity), read November 2026.
"""

from __future__ import annotations

import re
from decimal import Decimal

GIB = 1024**3
MIB = 1024**2

_BYTES = {  # suffix -> bytes; the empty suffix is bytes
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 1024,
    "Mi": MIB,
    "Gi": GIB,
    "Ti": 1024**4,
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_LONGEST_SECONDS = 36500 * _SECONDS["d"]

_MEMORY = re.compile(r"(\d+(?:\.\d+)?)([kMGT]i?|Ki)?")
_CPU = re.compile(r"(\d+(?:\.\d+)?)(m?)")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def is_template(value: object) -> bool:
    """True if Airflow will render this value."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def parse_memory(text: str | int) -> int:
    """Bytes of a Kubernetes memory quantity such as ``"4Gi"`` or ``"512Mi"``.

    Raises ValueError with the allowed forms.
    """
    match = _MEMORY.fullmatch(str(text).strip())
    if match is None:
        msg = f"{text!r} is not a memory quantity; write for example 512Mi, 4Gi or 16G"
        raise ValueError(msg)
    number, suffix = match.groups(default="")
    return int(Decimal(number) * _BYTES[suffix])


def parse_cpu(text: str | float) -> Decimal:
    """Virtual CPUs of a Kubernetes CPU quantity such as ``2``, ``"0.5"`` or ``"500m"``.

    Raises ValueError with the allowed forms.
    """
    plain = f"{Decimal(str(text)):f}" if isinstance(text, float) else str(text).strip()  # 0.00001, never 1e-05
    match = _CPU.fullmatch(plain)
    if match is None:
        msg = f"{text!r} is not a CPU quantity; write for example 1, 0.5 or 500m"
        raise ValueError(msg)
    number, milli = match.groups()
    return Decimal(number) / (1000 if milli else 1)


def parse_duration(text: str | float) -> float:
    """Seconds of a duration: a number of seconds, or ``"90s"``, ``"30m"``, ``"1h30m"``, ``"2d"``.

    Raises ValueError with the allowed forms, also for more than 100 years, which would lead past the last date.
    """
    plain = str(text).strip()
    if re.fullmatch(r"\d+(\.\d+)?", plain):
        plain += "s"
    parts = _DURATION_PART.findall(plain)
    if not parts or "".join(number + unit for number, unit in parts) != plain:
        msg = f"{text!r} is not a duration; write for example 90s, 30m, 1h30m or a number of seconds"
        raise ValueError(msg)
    seconds = sum(Decimal(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > _LONGEST_SECONDS:
        msg = f"{text} is out of range; expected at most 36500d"
        raise ValueError(msg)
    return float(seconds)


def gib(byte_count: int) -> Decimal:
    """GiB of a number of bytes, exact."""
    return Decimal(byte_count) / GIB
