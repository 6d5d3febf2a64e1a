"""Numbers and names as people read them: dollars, counts, sizes, hours. Unknown is a question mark, never 0."""

from __future__ import annotations

import re
from decimal import Decimal

UNKNOWN = "?"
_STEP = 1024
_CENT = Decimal("0.01")
_PIECES = re.compile(r"[^/_.\-\s]*[/_.\-\s]*")  # a word and what separates it from the next
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def pieces(name: str) -> list[str]:
    """A long name, such as a path, cut behind each ``/``, ``_``, ``.`` and ``-``: a line may end there."""
    return [piece for piece in _PIECES.findall(name) if piece]


def usd(amount: Decimal | None) -> str:
    """Dollars: to the cent from 1 on, to six places below a cent, four between."""
    if amount is None:
        return UNKNOWN
    places = 2 if abs(amount) >= 1 or not amount else 4 if abs(amount) >= _CENT else 6
    return f"{amount:,.{places}f}"


def percent(part: Decimal | float | None) -> str:
    """A share of 0 to 1 as percent."""
    return UNKNOWN if part is None else f"{part:.1%}"


def hours(seconds: Decimal | None) -> str:
    """Resource-hours of resource-seconds."""
    return UNKNOWN if seconds is None else f"{seconds / 3600:,.4f}"


def decimal(number: Decimal | None, places: int = 2) -> str:
    """A number with thousands marked, to so many places."""
    return UNKNOWN if number is None else f"{number:,.{places}f}"


def count(number: int | None) -> str:
    """A whole number with thousands marked."""
    return UNKNOWN if number is None else f"{number:,}"


def size(number: int | None) -> str:
    """Bytes in the largest binary unit that keeps a digit before the point."""
    if number is None:
        return UNKNOWN
    amount = float(number)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < _STEP or unit == "TiB":
            break
        amount /= _STEP
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def duration(seconds: float | None) -> str:
    """Seconds in the two largest units that say something: 8.2 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if seconds is None:
        return UNKNOWN
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, name, below, small in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // below
            return f"{whole // unit} {name} {rest} {small}" if rest else f"{whole // unit} {name}"
    return f"{whole} s"
