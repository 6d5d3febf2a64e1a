"""Stage attempts and their Spark tasks: slot time, waste and the counters that advice needs, in constant memory."""

from __future__ import annotations

import statistics
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_doeks.event_log.task_end import HEAD, METRICS, NO_MEMORY, memory_at, parse_task_end
from airflow_doeks.model.event_log import StageFacts
from airflow_doeks.model.plan_reader import NOTHING_MOVED, Moved

MAX_STAGES = 2_000  # listed in the summary: the ones with the most slot time
_MAX_DENSE = 1 << 25  # ids above are broken: no log of less than 150 GB has so many Spark tasks
_RUN_TIMES = tuple(
    f"internal.metrics.{name}" for name in ("executorDeserializeTime", "executorRunTime", "resultSerializationTime")
)
_SPILL, _GC = "internal.metrics.diskBytesSpilled", "internal.metrics.jvmGCTime"
_REMOTE, _LOCAL = (f"internal.metrics.shuffle.read.{place}BytesRead" for place in ("remote", "local"))
_TOTALS = frozenset(  # Spark's sums over all Spark tasks of a stage; it leaves zeros out
    {*_RUN_TIMES, _SPILL, _GC, _REMOTE, _LOCAL}
)


def _note(seen: bytearray, number: int) -> bool:
    """Mark a small number as seen; False if it was before, or cannot be."""
    try:
        is_new = not seen[number]
    except IndexError:
        if number >= _MAX_DENSE:
            return False
        seen.extend(bytes(max(number + 1 - len(seen), len(seen))))
        is_new = True
    seen[number] = 1
    return is_new


@dataclass(slots=True, eq=False)
class Stage:
    """One stage attempt. ``execution`` and ``root`` are the SQL execution it works for, if any."""

    number: int
    attempt: int
    done: bytearray  # partitions that some attempt of this stage has finished: 1 at their number
    execution: int | None = None
    root: int | None = None
    is_completed: bool = False
    started: datetime | None = None
    ended: datetime | None = None
    failed: int = 0
    wasted_ms: int = 0
    totals: dict[str, int] | None = None
    durations: array[int] = field(default_factory=lambda: array("q"))  # of Spark tasks that succeeded
    tasks: int = 0  # this and the next three: of Spark tasks whose durations are no longer kept, or that failed
    spent_ms: int = 0
    task_ms_max: int = 0
    median: int | None = None
    moved: Moved = NOTHING_MOVED
    lost: Moved = NOTHING_MOVED

    @property
    def slot_ms(self) -> int:
        """Slot time of all its Spark tasks."""
        return self.spent_ms + sum(self.durations)

    def facts(self) -> StageFacts:
        """The stage as it is told."""
        return StageFacts(
            stage_id=self.number,
            attempt=self.attempt,
            started=self.started,
            ended=self.ended,
            tasks=self.tasks + len(self.durations),
            tasks_failed=self.failed,
            slot_ms=self.slot_ms,
            slot_ms_wasted=self.wasted_ms,
            task_ms_max=max(self.task_ms_max, max(self.durations, default=0)),
            task_ms_median=self._median(),
            spill_disk_bytes=self._total(_SPILL),
            gc_ms=self._total(_GC),
            shuffle_read_bytes=self._total(_REMOTE, _LOCAL),
            shuffle_remote_bytes=self._total(_REMOTE),
        )

    @property
    def run_ms(self) -> int:
        """What executors measured as run time; stands for slot time when Spark tasks are not read."""
        return self._total(*_RUN_TIMES) or 0

    @property
    def remote_bytes(self) -> int:
        """Shuffle bytes that it fetched from other hosts, as far as they are known."""
        return self._total(_REMOTE) or 0

    def _total(self, *metrics: str) -> int | None:
        return None if self.totals is None else sum(self.totals.get(metric, 0) for metric in metrics)

    def complete(self, values: Iterable[tuple[int, str, int]]) -> None:
        """Its Spark tasks are done; durations shrink to their median, its accumulators to Spark's own totals."""
        self.is_completed = True
        self.totals = {name: max(0, value) for _, name, value in values if name in _TOTALS}
        self.median = self._median()
        self.task_ms_max = max(self.durations, default=0)
        self.tasks += len(self.durations)
        self.spent_ms += sum(self.durations)
        self.durations = array("q")

    def _median(self) -> int | None:
        return int(statistics.median(self.durations)) if self.durations else self.median


@dataclass
class Stages:
    """All stage attempts of an application, and its Spark tasks one by one."""

    found: dict[tuple[int, int], Stage] = field(default_factory=dict)
    count: int = 0
    pruned_ms: int = 0
    wasted_ms: int = 0
    completed_count: int = 0
    remote_bytes: int = 0  # that stages fetched from other hosts, of all that completed
    clock_faults: int = 0
    last_finished_ms: int = 0
    _ids: bytearray = field(default_factory=bytearray)  # of Spark tasks that ended: 1 at their number
    _partitions: dict[int, bytearray] = field(default_factory=dict)
    _by_text: dict[bytes, Stage] = field(default_factory=dict)  # a stage as Spark tasks name it
    memory: dict[str, int] = field(default_factory=dict)

    def get(self, number: int, attempt: int) -> Stage:
        """The stage attempt, made when first heard of."""
        stage = self.found.get((number, attempt))
        if stage is None:
            done = self._partitions.setdefault(number, bytearray())
            stage = self.found[number, attempt] = Stage(number, attempt, done)
            self.count += 1
            if len(self.found) > 2 * MAX_STAGES:
                self._prune()
        return stage

    def read_task(self, text: bytes, begin: int, end: int) -> None:
        """The line ``text[begin:end]`` of a Spark task's end; ValueError, KeyError or TypeError if it is broken."""
        head = HEAD.match(text, begin, end)
        at = text.rfind(METRICS, begin, end)
        memory = 0 if text.startswith(NO_MEMORY, at) else memory_at(text, at, end)
        if head is None or at < 0 or memory is None:
            self.parse_task(text, begin, end)
            return
        name, task, partition, launched, executor, finished = head.groups()
        stage = self._by_text.get(name)
        if stage is None:
            number, _, attempt = name.partition(b',"Stage Attempt ID":')
            stage = self._by_text[name] = self.get(int(number), int(attempt))
        self._ended(stage, int(task), int(partition), int(launched), int(finished), is_success=True)
        if memory:
            self.measured(executor.decode(), memory)

    def parse_task(self, text: bytes, begin: int, end: int) -> None:
        """The same by parsing the line whole."""
        task = parse_task_end(text, begin, end)
        stage = self.get(*task.stage)
        if self._ended(stage, *task[1:5], is_success=task.is_success):
            if task.is_success:
                stage.moved = stage.moved.plus(task.moved)
            else:
                stage.lost = stage.lost.plus(task.moved)
        self.measured(task.executor, task.memory_bytes)

    def measured(self, executor: str, memory: int) -> None:
        """An executor held so many bytes; its peak is kept."""
        if memory > self.memory.get(executor, 0):
            self.memory[executor] = memory

    def _ended(
        self, stage: Stage, task_id: int, partition: int, launched: int, finished: int, *, is_success: bool
    ) -> bool:
        """The same Spark task twice counts once. Waste: it failed, or its partition was done before."""
        if not _note(self._ids, task_id):
            return False
        spent = finished - launched
        if spent < 0 or not launched:
            self.clock_faults += 1
            spent = 0
        else:
            self.last_finished_ms = finished
        if is_success:
            stage.durations.append(spent)
            is_waste = not _note(stage.done, partition)
        else:
            stage.failed += 1
            stage.tasks += 1
            stage.spent_ms += spent
            is_waste = True
        if is_waste:
            self.wasted_ms += spent
            stage.wasted_ms += spent
        return True

    @property
    def slot_ms(self) -> int:
        """Slot time of all Spark tasks."""
        return self.pruned_ms + sum(stage.slot_ms for stage in self.found.values())

    def completed(self, stage: Stage, values: Iterable[tuple[int, str, int]], *, with_totals: bool) -> None:
        """A stage attempt completed; ``with_totals`` takes slot time from its totals, for want of its Spark tasks."""
        if stage.is_completed:
            return
        stage.complete(values)
        self.completed_count += 1
        self.remote_bytes += stage.remote_bytes
        if with_totals:
            stage.spent_ms = stage.run_ms

    @property
    def shuffle_remote_bytes(self) -> int | None:
        """Bytes fetched from other hosts by all stages; None if one did not complete, or there is none."""
        return self.remote_bytes if 0 < self.count == self.completed_count else None

    def _prune(self) -> None:
        done = sorted((s for s in self.found.values() if s.is_completed), key=lambda stage: stage.slot_ms)
        for stage in done[: len(self.found) - MAX_STAGES]:
            self.pruned_ms += self.found.pop((stage.number, stage.attempt)).slot_ms
            self._partitions.pop(stage.number, None)
        self._by_text.clear()

    def facts(self) -> tuple[StageFacts, ...]:
        """The stages with the most slot time, in the order they ran."""
        heavy = sorted(self.found.values(), key=lambda stage: -stage.slot_ms)[:MAX_STAGES]
        return tuple(stage.facts() for stage in sorted(heavy, key=lambda stage: (stage.number, stage.attempt)))


def accumulables(info: dict[str, Any]) -> list[tuple[int, str, int]]:
    """(id, name, value) of a stage's accumulators that are numbers; Spark writes SQL metrics as text."""
    found = []
    for entry in info.get("Accumulables") or ():
        try:
            found.append((int(entry["ID"]), str(entry.get("Name", "")), int(entry["Value"])))
        except (KeyError, TypeError, ValueError):  # noqa: PERF203 - one broken entry must not lose the others
            continue
    return found
