"""SQL executions of an application, folded into datasets as they end.

Spark nests executions: a CREATE TABLE AS is three of them under one root. Metrics, Spark tasks and failures of all are
gathered at the root; a root is folded some executions after it ended, because its last numbers may arrive late.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_doeks.lineage.balance import unread, unwritten
from airflow_doeks.lineage.columns import written_columns
from airflow_doeks.lineage.counts import Counts
from airflow_doeks.lineage.datasets import Datasets
from airflow_doeks.lineage.names import Name
from airflow_doeks.lineage.plan_reading import read_plan
from airflow_doeks.lineage.plans import OVERWRITE_MODE, Metrics, PlanFacts, Scan, Write
from airflow_doeks.lineage.rdds import StageRdds
from airflow_doeks.lineage.roots import Execution, Root
from airflow_doeks.lineage.streams import Streams
from airflow_doeks.model.lineage import Column
from airflow_doeks.model.plan_reader import FAULTS, Moved, StageWork
from airflow_doeks.model.redaction import redacted

FOLD_AFTER = 32  # ended roots that wait for late numbers
_REMEMBERED = 1024  # folded roots, so that a late event does not make them anew
_MOST_LIVE = 1024  # roots without an end; of more, the oldest lost theirs
_ADAPTIVE = re.compile(rb'.{0,120}?SparkListenerSQLAdaptiveExecutionUpdate","executionId":(\d+),', re.DOTALL)
_BATCH = re.compile(r"\bid = (\S+)\s+runId = \S+\s+batch = \d+")
_SINK_METRICS = (  # files, bytes, rows, partitions and later job commit time: ids of BasicWriteJobStatsTracker
    (0, 1, 2, 3, 5),
    (0, 1, 2, 3),  # Spark 3.0
)


@dataclass
class Executions:
    """Events in, datasets out; an event that comes twice changes nothing."""

    datasets: Datasets
    streams: Streams
    conf: Mapping[str, str] = field(default_factory=dict)
    live: dict[int, Root] = field(default_factory=dict)
    ended: deque[Root] = field(default_factory=deque)
    roots: dict[int, int] = field(default_factory=dict)  # execution -> its root
    folded: set[int] = field(default_factory=set)  # of late
    shared: dict[int, tuple[int, int | None, int | None]] = field(default_factory=dict)  # see Root.own
    folded_up_to: int = -1  # all of these were folded, or will never be heard of

    def started(self, event: Mapping[str, Any]) -> None:
        """SparkListenerSQLExecutionStart."""
        number = int(event["executionId"])
        root = event.get("rootExecutionId")
        root = self._root(number, number if root is None or int(root) < 0 else int(root))
        if root is None or number in root.executions:
            return
        conf = {**self.conf, **(event.get("modifiedConfigs") or {})}
        if "modifiedConfigs" not in event:  # before Spark 3.3: what the session was set to is not in the log
            conf = {OVERWRITE_MODE: "unknown", **conf}
        root.executions[number] = Execution(
            number, event["sparkPlanInfo"], str(event.get("physicalPlanDescription", "")), conf
        )
        batch = _BATCH.search(str(event.get("description", "")))
        if batch is not None:
            root.query = batch[1]

    def adapted(self, line: bytes) -> None:
        """SparkListenerSQLAdaptiveExecutionUpdate, unparsed."""
        match = _ADAPTIVE.match(line)
        execution = self._execution(int(match[1])) if match else None
        if execution is not None:
            execution.adaptive = line

    def updated(self, event: Mapping[str, Any]) -> None:
        """SparkListenerDriverAccumUpdates."""
        number = int(event["executionId"])
        root = self._root(number, self.roots.get(number, number))
        if root is None:
            return
        pairs = [(int(key), int(value)) for key, value in event["accumUpdates"]]
        root.note(pairs)
        ids = sorted(key for key, _ in pairs)
        if ids and tuple(key - ids[0] for key in ids) in _SINK_METRICS and ids not in root.driver_updates:
            root.driver_updates.append(ids)

    def stage_submitted(self, stage: StageWork, execution: int | None, root: int | None) -> None:
        """A stage of an execution starts."""
        found = self._root(execution, root) if execution is not None and root is not None else None
        if found is not None and stage not in found.stages:
            stage.execution = execution
            stage.root = found.number
            found.stages.append(stage)

    def stage_completed(
        self, stage: StageWork, values: Iterable[tuple[int, str, int]], moved: Moved, rdds: StageRdds
    ) -> None:
        """The accumulators of a stage attempt, (id, name, value so far), and what its Spark tasks moved."""
        root = self._root(stage.root, stage.root) if stage.root is not None else None
        if root is None:
            return
        pairs = [(key, value) for key, name, value in values if not name.startswith("internal.")]
        root.note(pairs)
        if rdds.is_whole:
            root.ran(key for key, _ in pairs)
        root.moved = root.moved.plus(moved)
        root.by_rdds += moved.records_read if rdds.read else 0
        root.scopes |= dict.fromkeys(rdds.scopes)
        root.has_cached_rdds = root.has_cached_rdds or rdds.is_cached
        if stage.attempt > 0:
            root.retried.update(key for key, _ in pairs)

    def finished(self, event: Mapping[str, Any]) -> None:
        """SparkListenerSQLExecutionEnd."""
        number = int(event["executionId"])
        execution = self._execution(number)
        if execution is None or execution.has_ended:
            return
        execution.has_ended = True
        execution.error = str(event.get("errorMessage") or "")
        if self.roots[number] == number:
            self.ended.append(self.live[number])
            while len(self.ended) > FOLD_AFTER:
                self._fold(self.ended.popleft())

    def close(self) -> None:
        """Fold what is left: the log ended."""
        for root in [*self.ended, *(root for root in self.live.values() if root not in self.ended)]:
            self._fold(root)
        self.ended.clear()

    def _root(self, execution: int, number: int) -> Root | None:
        """The root an execution belongs to; None if it was folded already."""
        root = self.live.get(number)
        if root is None:
            if number <= self.folded_up_to or number in self.folded:
                return None
            if len(self.live) >= _MOST_LIVE:
                self._fold(next(iter(self.live.values())))
            root = self.live[number] = Root(number)
        self.roots[execution] = number
        root.members.add(execution)
        return root

    def _execution(self, number: int) -> Execution | None:
        root = self.live.get(self.roots.get(number, number))
        return root.executions.get(number) if root else None

    def _fold(self, root: Root) -> None:
        if self.live.pop(root.number, None) is None:
            return  # for want of room, before its turn
        self.folded.add(root.number)
        if len(self.folded) > 2 * _REMEMBERED:
            oldest = sorted(self.folded)[:_REMEMBERED]
            self.folded_up_to = oldest[-1]
            self.folded.difference_update(oldest)
        for number in root.members:
            self.roots.pop(number, None)
        try:
            self._count(root)
        except FAULTS:
            self.datasets.why.add(f"SQL execution {root.number} is broken in the log")

    def _count(self, root: Root) -> None:
        targets: dict[int, list[Name]] = {}
        plans: list[PlanFacts] = []
        seen: set[Metrics] = set()
        left: list[Counts] = []  # by its writes
        for number in sorted(root.executions):
            execution = root.executions[number]
            facts, text = self._facts(execution)
            plans.append(facts)
            root.shown |= facts.metrics
            self.datasets.why.extend(facts.why)
            sources: dict[int, str] = {}
            for scan in facts.scans:
                sources |= self._read(root, scan, seen)
            columns = _columns(text, sources) if facts.writes else []
            for write in facts.writes:
                if write.metrics in seen and write.metrics.rows is not None:
                    continue
                seen.add(write.metrics)
                counts = self._counts_of(root, write)
                if write.may_skip and counts == Counts() and (not root.stages or write.counted == "driver"):
                    continue  # it found something there, and left it
                left.append(counts)
                targets.setdefault(number, []).append(write.name)
                self._wrote(execution, write, counts, columns)
            for old, new in facts.changed if execution.has_ended and not execution.error else ():
                self.datasets.changed(old, new)
            if execution.error:
                first = redacted(execution.error.strip().partition("\n")[0])[:200]
                self.datasets.why.add(f"SQL execution {number} failed: {first}")
        sink = self.streams.sinks.get(root.query) if root.query else None
        if sink is not None and not targets and (found := root.committed()) != Counts():
            targets[root.number] = [sink.name]  # a streaming file sink has no node in the plan
            left.append(found)
            self.datasets.wrote(sink, found)
        self._close(root, plans, targets, left)

    def _close(
        self, root: Root, plans: list[PlanFacts], targets: Mapping[int, list[Name]], left: Sequence[Counts]
    ) -> None:
        """Names, totals and slot time of a root whose scans and writes were counted."""
        everything = list(dict.fromkeys(name for names in targets.values() for name in names))
        made = list(dict.fromkeys(table for plan in plans for table in plan.made if "." in table.name))
        if len(everything) == 1 and made:
            self.datasets.called(everything[0], made[-1])
        has_scans = any(plan.scans for plan in plans)
        if everything and not has_scans and any("LogicalRelation" in e.text for e in root.executions.values()):
            self.datasets.why.add(f"the log does not name the inputs of the write to {everything[0].name}")
        if root.is_done:
            self.datasets.why.extend(unread(root, plans))
            if None not in [counts.rows for counts in left]:
                rows, size = (sum(getattr(counts, key) or 0 for counts in left) for key in ("rows", "bytes"))
                self.datasets.why.extend(unwritten(root, plans, rows, size))
        for stage in root.stages:
            mine = targets.get(stage.execution) if stage.execution is not None else None
            self.datasets.spent(mine or everything, stage.slot_ms)

    def _facts(self, execution: Execution) -> tuple[PlanFacts, str]:
        """Scans of the first and the last plan (an empty input is optimised away), writes of the last to name any."""
        first = read_plan(execution.plan, execution.text, execution.conf)
        if not execution.adaptive:
            return first, execution.text
        try:
            event = json.loads(execution.adaptive)
            text = str(event.get("physicalPlanDescription", ""))
            last = read_plan(event["sparkPlanInfo"], text, execution.conf)
        except (ValueError, KeyError, TypeError, RecursionError):
            self.datasets.why.add(f"the last plan of SQL execution {execution.number} is broken")
            return first, execution.text
        return first.and_last(last), text

    def _read(self, root: Root, scan: Scan, seen: set[Metrics]) -> dict[int, str]:
        """Count a scan; the columns it gives numbers to, by number."""
        source = self.streams.source_of(root.query, scan.names) if root.query else None
        if source is None:
            self.datasets.read(*root.own(scan, self.shared))
        elif scan.metrics not in seen:
            seen.add(scan.metrics)
            self.datasets.read_more(source, str(root.query), root.counts(scan.metrics), scan)
        names = scan.names if source is None else (source,)
        return {n: f"{names[0]}:{column}" for n, column in scan.attributes.items()} if len(names) == 1 else {}

    @staticmethod
    def _counts_of(root: Root, write: Write) -> Counts:
        counts = root.counts(write.metrics)
        if write.counted == "driver" or (counts == Counts() and write.counted == "node"):
            return root.committed()
        if write.counted == "tasks" and counts.rows is None and root.moved.records_written:
            return Counts(root.moved.records_written, root.moved.bytes_written or None, None)
        return counts

    def _wrote(self, execution: Execution, write: Write, counts: Counts, columns: list[Column]) -> None:
        if execution.has_ended and not execution.error:
            self.datasets.wrote(write, counts, columns)
        else:
            what = "failed" if execution.error else "had not ended when the log stops"
            self.datasets.failed(write, f"the write to {write.name} {what}")


def _columns(text: str, sources: Mapping[int, str]) -> list[Column]:
    try:
        return [Column(name=name, inputs=inputs) for name, inputs in written_columns(text, sources)]
    except RecursionError:  # a chain of thousands of projections
        return []
