"""Quantities of Kubernetes and Spark, and durations: text from YAML to exact numbers with a unit, and back.

Source of the suffixes: Kubernetes API reference, "Quantity" (resource.Quantity), read November 2026.
"""

from __future__ import annotations

import re
from decimal import Decimal

GIB = 1024**3
MIB = 1024**2

_FACTORS = {  # suffix of a Kubernetes quantity -> what a one before it counts
    "": Decimal(1),
    **{suffix: Decimal(10) ** (3 * step) for step, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": Decimal(1024) ** step for step, suffix in enumerate("KMGTPE", 1)},
}
_PARTS = {"n": 10**9, "u": 10**6, "m": 10**3}  # the same for parts of one: divided by, so that 500m is 0.5, not 0.500
_SPARK = {"b": "", "k": "Ki", "kb": "Ki", "m": "Mi", "mb": "Mi", "g": "Gi", "gb": "Gi", "t": "Ti", "tb": "Ti"}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_GIB_MAX, _MIB_MAX = 1024, 1024**2  # a number of memory below the one means GiB, below the other MiB
_LONGEST_SECONDS = 36500 * _SECONDS["d"]

_QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,3}))?")
_SPARK_MEMORY = re.compile(r"(\d+)([kmgt]?b?)", re.IGNORECASE)
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)([kMGT]i?|Ki)?")
_CPU = re.compile(r"(\d+(?:\.\d+)?)(m?)")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def is_template(value: object) -> bool:
    """True if Airflow will render this value."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def parse_quantity(text: str | float) -> Decimal:
    """What a Kubernetes API answers of a resource: vCPU, bytes or pieces, in any form that Kubernetes writes.

    Raises ValueError for what is none, also for NaN and infinity.
    """
    match = _QUANTITY.fullmatch(str(text).strip())
    if match is None:
        msg = f"{text!r} is not a Kubernetes quantity"
        raise ValueError(msg)
    number, suffix, exponent = match.groups()
    if suffix in _PARTS:
        return Decimal(number) / _PARTS[suffix]
    return Decimal(number) * (Decimal(10) ** int(exponent) if exponent else _FACTORS[suffix or ""])


def parse_spark_memory(text: str, *, bare: str = "m") -> int:
    """Bytes of a Spark size such as ``512m`` or ``2g``; of a bare number MiB, as Spark reads memory, or ``bare``.

    Raises ValueError with the allowed forms.
    """
    match = _SPARK_MEMORY.fullmatch(text.strip())
    if match is None:
        msg = f"{text!r} is not a Spark memory size; write for example 512m or 2g"
        raise ValueError(msg)
    number, unit = match.groups()
    return int(parse_quantity(number + _SPARK[unit.lower() or bare]))


def parse_memory(text: str | int) -> int:
    """Bytes of a Kubernetes memory quantity such as ``"4Gi"`` or ``"512Mi"``.

    Raises ValueError with the allowed forms.
    """
    match = _MEMORY.fullmatch(str(text).strip())
    if match is None:
        msg = f"{text!r} is not a memory quantity; write for example 512Mi, 4Gi or 16G"
        raise ValueError(msg)
    return int(parse_quantity(match[0]))


def meant_memory(number: float) -> str:
    """A number without a unit with the one that is meant: gibibytes, or mebibytes as other tools count; else empty."""
    if not 0 < number < _MIB_MAX:
        return ""
    return f"{number}Gi" if number < _GIB_MAX else f"{number}Mi"


def parse_cpu(text: str | float) -> Decimal:
    """Virtual CPUs of a Kubernetes CPU quantity such as ``2``, ``"0.5"`` or ``"500m"``.

    Raises ValueError with the allowed forms.
    """
    plain = f"{Decimal(str(text)):f}" if isinstance(text, float) else str(text).strip()  # 0.00001, never 1e-05
    match = _CPU.fullmatch(plain)
    if match is None:
        msg = f"{text!r} is not a CPU quantity; write for example 1, 0.5 or 500m"
        raise ValueError(msg)
    return parse_quantity(plain)


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
