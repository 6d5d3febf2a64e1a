"""Hypothesis strategies for values that can be told from each other wherever a conversion puts them.

A strategy writes `<n>` where a number stands that no other leaf has, and `<date>` for such a date; `numbered` fills
them in. The numbers survive what a conversion does to a value: 100007 minutes are written `100007m`, `100007g` of
memory `100007Gi`.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from typing import Any

from hypothesis import strategies as st

_FIRST, _STEP = 100_007, 120  # no number is a multiple of 24 or 60, so that no time is written in a larger unit
NUMBER = -1  # stands for a number, where text is none


def numbered(value: Any) -> Any:
    """The value with its marks filled in, no two alike."""
    numbers = itertools.count(_FIRST, _STEP)
    dates = (dt.date(1970, 1, 1) + dt.timedelta(days=days) for days in itertools.count())

    def fill(item: Any) -> Any:
        if isinstance(item, dict):
            return {fill(key): fill(below) for key, below in item.items()}
        if isinstance(item, list):
            return [fill(below) for below in item]
        if isinstance(item, str):
            item = re.sub("<n>", lambda _: str(next(numbers)), item)
            return re.sub("<date>", lambda _: next(dates).isoformat(), item)
        return next(numbers) if item == NUMBER and not isinstance(item, bool) else item

    return fill(value)


def some(needed: dict[str, Any], optional: dict[str, Any]) -> Any:
    """A mapping with the needed keys and any of the others."""
    return st.fixed_dictionaries(needed, optional=optional)


def text(prefix: str = "w") -> Any:
    """Text that no other leaf has."""
    return st.just(f"{prefix}<n>")


number = st.just(NUMBER)
anything = st.recursive(
    st.one_of(text(), number, st.booleans()),
    lambda inner: st.one_of(st.lists(inner, min_size=1, max_size=2), st.dictionaries(text("k"), inner, min_size=1)),
    max_leaves=4,
)
timedelta = st.sampled_from(("seconds", "minutes", "hours")).map(
    lambda unit: {"__type__": "datetime.timedelta", unit: NUMBER}
)
duration = st.one_of(number, timedelta)
an_object = some({"__type__": text("pkg.C")}, {"__args__": st.lists(text(), min_size=1, max_size=1), "x": anything})
argument = st.one_of(
    anything,
    an_object,
    st.lists(st.one_of(text(), an_object), min_size=1, max_size=2),
    timedelta,
    st.just({"__join__": ["a<n>", "b<n>"]}),
    st.just("echo ${V<n>} $W<n>"),
)
