"""Which part of a dataset a scan reads, and what several parts are together.

A part is told by the ``key=value`` folders of a path and by partition filters. Parts that hold each other count once,
parts that are apart add up; of parts that overlap, or may, nobody knows the sum. Filters that a reader applies to rows
make parts of the rows alone: bytes and files are those of all that was opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from airflow_doeks.lineage.counts import Counts, total
from airflow_doeks.lineage.printed import split_list

_IDS = re.compile(r"#\d+L?|plan_id=\d+")  # Spark numbers expressions, subqueries and plans anew for every scan
_PASSED = re.compile(r"EqualTo\(([^(),]+),([^()]*)\)")  # as sources are told filters
_NOT_NULL = re.compile(r"isnotnull\([^()]*\)")
_EQUAL = re.compile(r"\(([^\s()=]+) = ([^()]*)\)")
_IN = re.compile(r"([^\s()=]+) IN \(([^()]*)\)")
_AT_RUN_TIME = re.compile(r"dynamicpruning|subquery|\.\.\.$", re.IGNORECASE)  # equal words, other data
_MOST_COMPARED = 300
_OVERLAP = "parts of it that overlap were read: how much they are together is not in the log"
FILTERED = "it was read through several filters: how many rows they passed together is not in the log"


class Slice(NamedTuple):
    """A part of a dataset.

    Attributes:
        columns: (partition column, the values it may have); none for all of the dataset.
        rest: filters that nobody here understands, "" if there are none.
        filters: what each row that is counted passed, while bytes and files count those that did not, too;
            ``day = 1`` where it is known to hold of each, else in the words of the log.
    """

    columns: frozenset[tuple[str, frozenset[str]]] = frozenset()
    rest: str = ""
    filters: frozenset[str] = frozenset()


WHOLE = Slice()


def slice_of(folders: Sequence[str], filters: str, scan: object = "") -> Slice:
    """The part below ``folders`` (``day=1/h=2``; "" is all) that partition filters leave.

    ``scan`` tells scans apart whose filters only the run decides.
    """
    columns, rest = _of_folders(folders)
    for condition in _listed(filters):
        plain = _IDS.sub("", condition)
        equal, within = _EQUAL.fullmatch(plain), _IN.fullmatch(plain)
        if equal:
            _narrow(columns, equal[1], {equal[2]})
        elif within:
            _narrow(columns, within[1], within[2].split(","))
        elif not _NOT_NULL.fullmatch(plain):
            rest.append(f"{plain} {scan}" if _AT_RUN_TIME.search(plain) else plain)
    return Slice(frozenset((name, frozenset(values)) for name, values in columns.items()), " AND ".join(rest))


def row_filters(pushed: str, decided: str, scan: object, *, by_row: bool) -> frozenset[str]:
    """Filters ``pushed`` into a reader, with those of ``decided`` that only the run of ``scan`` tells.

    A reader that looks at blocks, not ``by_row``, lets through whatever shares a block with what passes.
    """
    late = [_IDS.sub("", one) for one in _listed(decided) if _AT_RUN_TIME.search(one)]
    told = [_PASSED.sub(r"\1 = \2", one) if by_row else one for one in _listed(pushed)]
    return frozenset([*told, *(f"{one} {scan}" for one in late)])


def _listed(text: str) -> list[str]:
    return split_list(text.strip().removeprefix("[").removesuffix("]"))


def fold(parts: Mapping[Slice, Counts]) -> tuple[Counts, str]:
    """The counts of all parts together; why they are not known, where parts overlap."""
    rows, is_unknown = _together(parts)
    if not any(part.filters for part in parts):
        return rows, _OVERLAP if is_unknown else ""
    opened: dict[Slice, Counts] = {}
    for part, counts in parts.items():
        key = part._replace(filters=frozenset())
        opened[key] = opened[key].most(counts) if key in opened else counts
    most, is_overlap = _together(opened)
    return most._replace(rows=rows.rows), _OVERLAP if is_overlap else FILTERED if is_unknown else ""


def _together(parts: Mapping[Slice, Counts]) -> tuple[Counts, bool]:
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
    if whole.rest not in ("", part.rest) or not whole.filters <= part.filters:
        return False
    values = dict(part.columns)
    return all(name in values and values[name] <= allowed for name, allowed in whole.columns)


def _are_apart(one: Slice, other: Slice) -> bool:
    values = dict(other.columns)
    passed = dict(_equal(other))
    return any(passed.get(name, value) != value for name, value in _equal(one)) or any(
        name in values and not (values[name] & allowed) for name, allowed in one.columns
    )


def _equal(part: Slice) -> list[tuple[str, str]]:
    return [(name, value) for name, sign, value in (one.partition(" = ") for one in part.filters) if sign]


def _are_points(parts: Iterable[Slice]) -> bool:
    """True if each part is one partition, told by the same columns: different ones are apart."""
    names = {frozenset(name for name, _ in part.columns) for part in parts}
    return len(names) == 1 and all(
        part.columns and not (part.rest or part.filters) and all(len(values) == 1 for _, values in part.columns)
        for part in parts
    )
