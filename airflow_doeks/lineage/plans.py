"""What one SQL plan reads and writes, and how plan nodes are shown: a name, a line of text, metric ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from airflow_doeks.lineage.names import Name

Node = Mapping[str, Any]
Mode = Literal["append", "overwrite", "dynamic", "rewrite"]


class Metrics(NamedTuple):
    """Accumulator ids of a node; None where it has no such metric."""

    rows: int | None = None
    bytes: int | None = None
    files: int | None = None


class Scan(NamedTuple):
    """One scan node.

    Attributes:
        names: datasets it reads; several share the counts, so none of them has its own.
        key: equal for the same part of the same data, so that reading it twice does not count twice.
        attributes: ``name#id`` id -> column.
        schema: (column, type) as far as read.
    """

    names: tuple[Name, ...]
    key: str = ""
    metrics: Metrics = Metrics()
    format: str | None = None
    attributes: Mapping[int, str] = {}
    schema: tuple[tuple[str, str], ...] = ()
    table: Name | None = None
    is_whole: bool = True


class Write(NamedTuple):
    """One write node.

    Attributes:
        mode: ``append``, ``overwrite`` (what was there is gone), ``dynamic`` (partitions it touches are replaced) or
            ``rewrite`` (rows in place: what it holds now is unknown).
        part: the partition it goes into, by a static clause or the folders of its path; "" for the whole.
        counted: who counts rows, bytes and files: the node's metrics, the Spark tasks where the node does not, or the
            driver at the commit.
        columns: names of the columns written, empty if unknown.
    """

    name: Name
    mode: Mode
    metrics: Metrics = Metrics()
    part: str = ""
    format: str | None = None
    columns: tuple[str, ...] = ()
    table: Name | None = None
    counted: Literal["node", "tasks", "driver"] = "node"


class PlanFacts(NamedTuple):
    """What a plan reads and writes; ``why`` tells what could not be understood."""

    scans: list[Scan]
    writes: list[Write]
    why: list[str]


class Shown(NamedTuple):
    """A node as the log shows it, with the name that matched, the plan's description and what the session ran with."""

    node: Node
    match: re.Match[str]
    line: str
    text: str
    conf: Mapping[str, str]

    def metrics(self, rows: str, size: str, files: str) -> Metrics:
        """Metric ids by the names Spark gives them."""
        ids = {str(metric["name"]): metric["accumulatorId"] for metric in self.node.get("metrics") or ()}
        return Metrics(ids.get(rows), ids.get(size), ids.get(files))

    @property
    def scanned(self) -> Metrics:
        """What a file scan counts."""
        return self.metrics("number of output rows", "size of files read", "number of files read")

    @property
    def written(self) -> Metrics:
        """What a file write counts."""
        return self.metrics("number of output rows", "written output", "number of written files")

    @property
    def schema(self) -> tuple[tuple[str, str], ...]:
        """Columns and types that a scan reads."""
        text = self.node.get("metadata", {}).get("ReadSchema") or ""
        found = text or (re.search(r"ReadSchema: (struct<.*>)", self.line) or ("", ""))[1]
        return parse_struct(found)


_ATTRIBUTE = re.compile(r"([^\s,\[\]()]+)#(\d+)L?")


def attributes(text: str) -> dict[int, str]:
    """``id#0L, day#3`` as {0: "id", 3: "day"}."""
    return {int(number): name for name, number in _ATTRIBUTE.findall(text)}


def parse_struct(text: str) -> tuple[tuple[str, str], ...]:
    """``struct<a:bigint,b:array<int>>`` as (name, type) pairs; empty if it is cut or none."""
    if not (text.startswith("struct<") and text.endswith(">")):
        return ()
    fields = split_list(text[7:-1], ",")
    pairs = [field.partition(":") for field in fields if field]
    return tuple((name, kind) for name, colon, kind in pairs if colon and "more fields" not in name)


_BRACKET_OR_COMMA = re.compile(r"[(\[{<]|[)\]}>]|, ?")


def split_list(text: str, separator: str = ", ") -> list[str]:
    """Items of a printed list; separators inside brackets do not split."""
    items, depth, start = [], 0, 0
    for token in _BRACKET_OR_COMMA.finditer(text):
        sign = token[0]
        if sign[0] == ",":
            if depth == 0 and sign.startswith(separator):
                items.append(text[start : token.start()])
                start = token.start() + len(separator)
        elif sign in "([{<":
            depth += 1
        else:
            depth = max(0, depth - 1)
    return [*items, text[start:]] if text else []
