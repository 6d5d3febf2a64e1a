"""Which part of a dataset a scan reads, and what several parts are together.

A part is told by the ``key=value`` folders of a path and by partition filters. Parts that hold each other count once,
parts that are apart add up; of parts that overlap, or may, nobody knows the sum.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from airflow_doeks.lineage.counts import Counts, total
from airflow_doeks.lineage.printed import split_list

_IDS = re.compile(r"#\d+L?|plan_id=\d+")  # Spark numbers expressions, subqueries and plans anew for every scan
_NOT_NULL = re.compile(r"isnotnull\([^()]*\)")
_EQUAL = re.compile(r"\(([^\s()=]+) = ([^()]*)\)")
_IN = re.compile(r"([^\s()=]+) IN \(([^()]*)\)")
_AT_RUN_TIME = re.compile(r"dynamicpruning|subquery|\.\.\.$", re.IGNORECASE)  # equal words, other data
_MOST_COMPARED = 300


class Slice(NamedTuple):
    """A part of a dataset.

    Attributes:
        columns: (partition column, the values it may have); none for all of the dataset.
        rest: filters that nobody here understands, "" if there are none.
    """

    columns: frozenset[tuple[str, frozenset[str]]] = frozenset()
    rest: str = ""


WHOLE = Slice()


def slice_of(folders: Sequence[str], filters: str, scan: object = "") -> Slice:
    """The part below ``folders`` (``day=1/h=2``; "" is all) that partition filters leave.

    ``scan`` tells scans apart whose filters only the run decides.
    """
    columns, rest = _of_folders(folders)
    for condition in split_list(filters.strip().removeprefix("[").removesuffix("]")):
        plain = _IDS.sub("", condition)
        equal, within = _EQUAL.fullmatch(plain), _IN.fullmatch(plain)
        if equal:
            _narrow(columns, equal[1], {equal[2]})
        elif within:
            _narrow(columns, within[1], within[2].split(","))
        elif not _NOT_NULL.fullmatch(plain):
            rest.append(f"{plain} {scan}" if _AT_RUN_TIME.search(plain) else plain)
    return Slice(frozenset((name, frozenset(values)) for name, values in columns.items()), " AND ".join(rest))


def fold(parts: Mapping[Slice, Counts]) -> tuple[Counts, bool]:
    """The counts of all parts together, and whether they overlap so that nobody knows."""
    if len(parts) <= 1 or _are_points(parts):
        return total(parts.values()), False
    if len(parts) > _MOST_COMPARED:
        return Counts(), True
    largest: dict[Slice, Counts] = {}
    for part, counts in parts.items():
        holder = next((other for other in largest if _holds(other, part)), None)
        if holder is not None:
            largest[holder] = largest[holder].holding(counts)
            continue
        for inner in [other for other in largest if _holds(part, other)]:
            counts = counts.holding(largest.pop(inner))  # noqa: PLW2901 - the part with all that it holds
        largest[part] = counts
    known = list(largest)
    if all(_are_apart(a, b) for index, a in enumerate(known) for b in known[:index]):
        return total(largest.values()), False
    return Counts(), True


def _of_folders(folders: Iterable[str]) -> tuple[dict[str, set[str]], list[str]]:
    parts = sorted({folder.strip("/") for folder in folders})
    if not all(parts):
        return {}, []
    pairs = [[pair.partition("=")[::2] for pair in part.split("/")] for part in parts]
    columns: dict[str, set[str]] = {}
    if len(parts) == 1 or all(len(pair) == 1 and pair[0][0] == pairs[0][0][0] for pair in pairs):
        for name, value in (one for pair in pairs for one in pair):
            columns.setdefault(name, set()).add(value)
        return columns, []
    return {}, [f"folders {', '.join(parts)}"]


def _narrow(columns: dict[str, set[str]], name: str, values: Iterable[str]) -> None:
    found = {value.strip() for value in values}
    columns[name] = columns[name] & found if name in columns else found


def _holds(whole: Slice, part: Slice) -> bool:
    if whole.rest not in ("", part.rest):
        return False
    values = dict(part.columns)
    return all(name in values and values[name] <= allowed for name, allowed in whole.columns)


def _are_apart(one: Slice, other: Slice) -> bool:
    values = dict(other.columns)
    return any(name in values and not (values[name] & allowed) for name, allowed in one.columns)


def _are_points(parts: Iterable[Slice]) -> bool:
    """True if each part is one partition, told by the same columns: different ones are apart."""
    names = {frozenset(name for name, _ in part.columns) for part in parts}
    return len(names) == 1 and all(
        part.columns and not part.rest and all(len(values) == 1 for _, values in part.columns) for part in parts
    )
