"""Rows, bytes and files of a part of a dataset, and how counts come together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Counts(NamedTuple):
    """Rows, bytes and files; None where unknown."""

    rows: int | None = None
    bytes: int | None = None
    files: int | None = None

    def most(self, other: Counts) -> Counts:
        """The same data counted twice."""
        return Counts(
            *(max((n for n in pair if n is not None), default=None) for pair in zip(self, other, strict=True))
        )

    def holding(self, part: Counts) -> Counts:
        """With a part of the same data, counted for itself: what is unknown of all is not known by a part."""
        pairs = zip(self, part, strict=True)
        return Counts(*(None if mine is None else max(mine, other or 0) for mine, other in pairs))

    def plus(self, other: Counts) -> Counts:
        """Different data; a sum with an unknown is unknown."""
        pairs = zip(self, other, strict=True)
        return Counts(*(None if a is None or b is None else a + b for a, b in pairs))


def total(counts: Iterable[Counts]) -> Counts:
    """The sum of different data; unknown of nothing."""
    result: Counts | None = None
    for one in counts:
        result = one if result is None else result.plus(one)
    return result or Counts()
