"""A root SQL execution with all that is nested in it, as it is gathered event by event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_doeks.lineage.counts import Counts, total
from airflow_doeks.lineage.plans import Metrics, Scan
from airflow_doeks.model.plan_reader import NOTHING_MOVED, Moved, StageWork

_MOVED = (  # Spark's accumulators, in the order of Moved
    "internal.metrics.input.recordsRead",
    "internal.metrics.input.bytesRead",
    "internal.metrics.output.recordsWritten",
    "internal.metrics.output.bytesWritten",
)


_MOST_SHARED = 1024
_COUNTED_TOGETHER = "an RDD reads it for several jobs, and the log adds up what they read"


@dataclass(slots=True)
class Execution:
    """One SQL execution; ``adaptive`` is its last plan as it stood in the log: only the last one is ever parsed."""

    number: int
    plan: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    conf: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    adaptive: bytes = b""
    has_ended: bool = False
    error: str = ""


def moved_by(stage: StageWork, values: Iterable[tuple[int, str, int]]) -> Moved:
    """What a stage moved once: its accumulators without its failed Spark tasks, which Spark adds in.

    Where a log has no such accumulators its Spark tasks tell, as far as they were read whole.
    """
    found = {name: max(0, value) for _, name, value in values if name in _MOVED}
    told = Moved(*(found.get(name, 0) for name in _MOVED)) if found else NOTHING_MOVED
    return told.without(stage.lost).most(stage.moved)


@dataclass(slots=True)
class Root:
    """What is known of it so far."""

    number: int
    executions: dict[int, Execution] = field(default_factory=dict)
    members: set[int] = field(default_factory=set)  # every execution that was heard to belong to it
    accumulators: dict[int, int] = field(default_factory=dict)
    once: dict[int, int] = field(default_factory=dict)  # the same when a stage had first run all of its partitions
    retried: set[int] = field(default_factory=set)  # accumulators that a repeated stage added to twice
    driver_updates: list[list[int]] = field(default_factory=list)
    shown: set[int] = field(default_factory=set)  # accumulators of nodes
    stages: list[StageWork] = field(default_factory=list)
    moved: Moved = NOTHING_MOVED
    by_rdds: int = 0  # records that RDDs read from files whose paths they name
    scopes: dict[str, None] = field(default_factory=dict)  # what the RDDs that read are called
    has_cached_rdds: bool = False
    query: str | None = None  # the streaming query that it is a batch of

    def note(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Values of accumulators; they only grow."""
        for key, value in pairs:
            if value >= 0:
                self.accumulators[key] = max(value, self.accumulators.get(key, 0))

    def ran(self, keys: Iterable[int]) -> None:
        """A stage ran all of its partitions: what its accumulators hold now is all of it.

        What runs once more adds the same again: to sort, Spark samples all of its input first (RangePartitioner), and
        what a lost executor held is computed anew.
        """
        for key in self.accumulators.keys() & keys:
            self.once.setdefault(key, self.accumulators[key])

    def counts(self, metrics: Metrics) -> Counts:
        """What a node counted. An accumulator that never moved is 0 where the node did its work."""
        rows, size, files = (None if key is None else self.once.get(key, self.accumulators.get(key)) for key in metrics)
        has_run = files is not None or (metrics.files is None and metrics.bytes is None)
        if rows is None and metrics.rows is not None and has_run and (files == 0 or self.is_done):
            rows = 0
        return Counts(None if metrics.rows in self.retried else rows, size, files)

    @property
    def is_done(self) -> bool:
        """True if all of it ended well, with every stage that it began, and it began some."""
        return (
            bool(self.stages)
            and all(e.has_ended and not e.error for e in self.executions.values())
            and all(stage.is_completed for stage in self.stages)
        )

    def own(self, scan: Scan, counted: dict[int, tuple[int, int | None, int | None]]) -> tuple[Scan, Counts]:
        """What a scan counted in this execution, where the same one runs in others and counts on.

        ``counted`` holds, by accumulator, the last root that ran it and its rows before and after; None where Spark
        tasks of the root read fewer, so that somebody else counted meanwhile.
        """
        counts, key = self.counts(scan.metrics), scan.metrics.rows
        if not scan.is_shared or key is None or counts.rows is None:
            return scan, counts
        number, before, after = counted.pop(key, (-1, 0, 0))
        if number != self.number:
            before = after
        rows = None if before is None else counts.rows - before
        if rows is not None and rows > self.moved.records_read:
            rows = None
        counted[key] = (self.number, before, None if rows is None else self.accumulators.get(key, 0))
        while len(counted) > _MOST_SHARED:
            del counted[next(iter(counted))]
        return (scan._replace(unseen=_COUNTED_TOGETHER) if rows is None else scan), counts._replace(rows=rows)

    def committed(self) -> Counts:
        """What the driver counted at the commit of a file write that no plan node stands for."""
        hidden = [ids for ids in self.driver_updates if not self.shown.intersection(ids)]
        found = [[self.accumulators.get(key) for key in ids] for ids in hidden]
        return total(Counts(values[2], values[1], values[0]) for values in found)
