"""What one SQL plan reads and writes, and how plan nodes are shown: a name, a line of text, metric ids."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from airflow_doeks.lineage.names import Name
from airflow_doeks.lineage.printed import parse_struct
from airflow_doeks.lineage.slices import WHOLE, Slice

Node = Mapping[str, Any]
Mode = Literal["append", "overwrite", "dynamic", "partition", "unsure", "rewrite"]
OVERWRITE_MODE = "spark.sql.sources.partitionOverwriteMode"
SPARK_VERSION = "spark.version"  # no property of Spark's: where its version stands beside them
_OPENS = re.compile(r"[(\[{@#\n]")


class Metrics(NamedTuple):
    """Accumulator ids of a node; None where it has no such metric."""

    rows: int | None = None
    bytes: int | None = None
    files: int | None = None


class Scan(NamedTuple):
    """One scan node.

    Attributes:
        names: datasets it reads; several share the counts, so none of them has its own.
        part: which part of it; what is read twice does not count twice.
        attributes: ``name#id`` id -> column.
        schema: (column, type) as far as read.
        unseen: why the log does not hold all its counts.
        is_shared: it stands below an RDD that several executions may run, and counts on in each.
        looks_for: "header" or "schema" if it may only look at text that another scan reads as data.
    """

    names: tuple[Name, ...]
    part: Slice = WHOLE
    metrics: Metrics = Metrics()
    format: str | None = None
    attributes: Mapping[int, str] = {}
    schema: tuple[tuple[str, str], ...] = ()
    table: Name | None = None
    is_whole: bool = True
    unseen: str = ""
    is_shared: bool = False
    looks_for: Literal["", "header", "schema"] = ""


class Leaf(NamedTuple):
    """A node that nothing stands below and that nobody here understands; ``is_source`` if it says that it reads."""

    label: str
    rows: int | None = None  # accumulator id
    is_source: bool = False


class Write(NamedTuple):
    """One write node.

    Attributes:
        mode: ``append``, ``overwrite`` (what was there is gone), ``dynamic`` (partitions it touches are replaced),
            ``partition`` (the same where ``part`` is the only one it can touch), ``unsure`` (one of the two overwrites,
            and the log does not tell which) or ``rewrite`` (rows in place: what it
            holds now is unknown).
        part: the partition that it replaces, by a static clause or the folders of its path; "" for the whole.
        within: the partition below ``part`` that all of it goes into, where the plan proves that there is one.
        counted: who counts rows, bytes and files: the node's metrics, the Spark tasks where the node does not, or the
            driver at the commit.
        columns: names of the columns written, empty if unknown.
        may_skip: it writes nothing where something is already (mode ignore, IF NOT EXISTS).
        unseen: why the log does not hold all its counts.
        is_flat: it makes no partitions below ``part``.
    """

    name: Name
    mode: Mode
    metrics: Metrics = Metrics()
    part: str = ""
    within: str = ""
    format: str | None = None
    columns: tuple[str, ...] = ()
    table: Name | None = None
    counted: Literal["node", "tasks", "driver"] = "node"
    may_skip: bool = False
    unseen: str = ""
    is_flat: bool = False

    @property
    def into(self) -> str:
        """The partition that all of it goes into."""
        return "/".join(filter(None, (self.part, self.within)))


class PlanFacts(NamedTuple):
    """What a plan reads and writes.

    Attributes:
        why: what could not be understood.
        leaves: nodes that may read and that nobody here understands.
        made: tables that the plan makes from what a nested execution writes.
        rows: accumulators of the rows that come out of nodes that nothing stands below.
        metrics: accumulators of all nodes.
        changed: tables that are dropped, emptied or renamed, with the new name.
        is_cached: it reads what was cached before.
        top: what its first node is called.
    """

    scans: list[Scan]
    writes: list[Write]
    why: list[str]
    leaves: list[Leaf]
    made: list[Name]
    rows: set[int]
    metrics: set[int]
    changed: list[tuple[Name, Name | None]]
    is_cached: bool = False
    top: str = ""

    def and_last(self, last: PlanFacts) -> PlanFacts:
        """Scans of the first and the last plan (an empty input is optimised away), writes of the last to name any."""
        why = last.why if last.writes or not self.writes else []
        return PlanFacts(
            last.scans + self.scans,
            last.writes or self.writes,
            why or self.why,
            last.leaves + self.leaves,
            last.made or self.made,
            last.rows | self.rows,
            last.metrics | self.metrics,
            last.changed or self.changed,
            is_cached=last.is_cached or self.is_cached,
            top=self.top,
        )


class Shown(NamedTuple):
    """A node as the log shows it, with the name that matched, the plan's description and what the session ran with."""

    node: Node
    match: re.Match[str]
    line: str
    text: str
    conf: Mapping[str, str]

    @property
    def name(self) -> str:
        """The node's name."""
        return str(self.node.get("nodeName", ""))

    @property
    def spark(self) -> tuple[int, ...]:
        """The version of Spark that runs it; one that is not told is new."""
        return tuple(map(int, re.findall(r"\d+", self.conf.get(SPARK_VERSION, ""))[:2])) or (99,)

    @property
    def label(self) -> str:
        """Its name without what a relation prints of itself: addresses, options, the text of a query."""
        return _OPENS.split(self.name, maxsplit=1)[0].strip()[:60]

    def metrics(self, rows: str, size: str, files: str) -> Metrics:
        """Metric ids by the names Spark gives them."""
        return self.first_metrics((rows,), (size,), (files,))

    def first_metrics(self, rows: Sequence[str], sizes: Sequence[str], files: Sequence[str]) -> Metrics:
        """The same by the first of several names that the node has."""
        ids = {str(metric["name"]): metric["accumulatorId"] for metric in self.node.get("metrics") or ()}
        found = (next((ids[name] for name in names if name in ids), None) for names in (rows, sizes, files))
        return Metrics(*found)

    @property
    def written(self) -> Metrics:
        """What a file write counts."""
        sizes = ("written output", "bytes of written output")  # the latter: Spark 2.4
        return self.first_metrics(("number of output rows",), sizes, ("number of written files",))

    @property
    def schema(self) -> tuple[tuple[str, str], ...]:
        """Columns and types that a scan reads."""
        text = self.node.get("metadata", {}).get("ReadSchema") or ""
        found = text or (re.search(r"ReadSchema: (struct<.*>)", self.line) or ("", ""))[1]
        return parse_struct(found)
