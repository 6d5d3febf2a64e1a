"""Stage attempts and their Spark tasks: slot time, waste and the counters that advice needs, in constant memory."""

from __future__ import annotations

import statistics
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from airflow_doeks.lineage.task_end import TaskEnd
from airflow_doeks.model.event_log import StageFacts

MAX_STAGES = 2_000  # listed in the summary: the ones with the most slot time
_MAX_DENSE = 1 << 27  # ids above are broken; a set of bits is not grown for them
_RUN_TIMES = (  # stage totals that stand for slot time when Spark tasks are not read
    "internal.metrics.executorDeserializeTime",
    "internal.metrics.executorRunTime",
    "internal.metrics.resultSerializationTime",
)


class Bits:
    """A set of small numbers, one bit each."""

    def __init__(self) -> None:
        self.bits = bytearray()

    def add(self, number: int) -> bool:
        """Add a number; False if it was there already, or cannot be."""
        index, bit = number >> 3, 1 << (number & 7)
        if index >= len(self.bits):
            if number >= _MAX_DENSE:
                return False
            self.bits.extend(bytes(index + 4096 - len(self.bits)))
        if self.bits[index] & bit:
            return False
        self.bits[index] |= bit
        return True


@dataclass(slots=True, eq=False)
class Stage:
    """One stage attempt. ``execution`` and ``root`` are the SQL execution it works for, if any."""

    number: int
    attempt: int
    execution: int | None = None
    root: int | None = None
    is_completed: bool = False
    tasks: int = 0
    failed: int = 0
    slot_ms: int = 0
    wasted_ms: int = 0
    task_ms_max: int = 0
    spill: int = 0
    gc: int = 0
    shuffle: int = 0
    remote: int = 0
    peak: int = 0
    durations: array[int] = field(default_factory=lambda: array("q"))
    median: int | None = None

    def facts(self) -> StageFacts:
        """The stage as it is told."""
        return StageFacts(
            stage_id=self.number,
            attempt=self.attempt,
            tasks=self.tasks,
            tasks_failed=self.failed,
            slot_ms=self.slot_ms,
            slot_ms_wasted=self.wasted_ms,
            task_ms_max=self.task_ms_max,
            task_ms_median=self._median(),
            spill_disk_bytes=self.spill,
            gc_ms=self.gc,
            shuffle_read_bytes=self.shuffle,
            shuffle_remote_bytes=self.remote,
            peak_execution_memory_bytes=self.peak,
        )

    def complete(self) -> None:
        """Its Spark tasks are done; durations shrink to their median."""
        self.is_completed = True
        self.median = self._median()
        self.durations = array("q")

    def _median(self) -> int | None:
        return int(statistics.median(self.durations)) if self.durations else self.median


@dataclass
class Stages:
    """All stage attempts of an application, and its Spark tasks one by one."""

    found: dict[tuple[int, int], Stage] = field(default_factory=dict)
    listed: list[Stage] = field(default_factory=list)
    count: int = 0
    slot_ms: int = 0
    wasted_ms: int = 0
    tasks: int = 0
    clock_faults: int = 0
    last_ms: int = 0
    _ids: Bits = field(default_factory=Bits)
    _partitions: dict[int, Bits] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)

    def get(self, number: int, attempt: int) -> Stage:
        """The stage attempt, made when first heard of."""
        stage = self.found.get((number, attempt))
        if stage is None:
            stage = self.found[number, attempt] = Stage(number, attempt)
            self.count += 1
            if len(self.found) > 2 * MAX_STAGES:
                self._prune()
        return stage

    def task_ended(self, task: TaskEnd) -> None:
        """One Spark task ended; the same task twice counts once. Waste: it failed, or its partition was done before."""
        if not self._ids.add(task.task_id):
            return
        stage = self.found.get((task.stage_id, task.attempt)) or self.get(task.stage_id, task.attempt)
        spent = task.finished_ms - task.launched_ms
        self.tasks += 1
        stage.tasks += 1
        if spent < 0 or not task.launched_ms:
            self.clock_faults += 1
            spent = 0
        elif task.finished_ms > self.last_ms:
            self.last_ms = task.finished_ms
        self.slot_ms += spent
        stage.slot_ms += spent
        is_waste = not task.is_success
        if not is_waste:
            done = self._partitions.get(task.stage_id)
            if done is None:
                done = self._partitions[task.stage_id] = Bits()
            is_waste = not done.add(task.partition)
            stage.durations.append(spent)
            stage.task_ms_max = max(stage.task_ms_max, spent)
        else:
            stage.failed += 1
        if is_waste:
            self.wasted_ms += spent
            stage.wasted_ms += spent
        stage.gc += task.gc_ms
        stage.spill += task.spill_disk_bytes
        stage.remote += task.shuffle_remote_bytes
        stage.shuffle += task.shuffle_remote_bytes + task.shuffle_local_bytes
        stage.peak = max(stage.peak, task.peak_execution_memory_bytes)
        if task.memory_bytes > self.memory.get(task.executor, 0):
            self.memory[task.executor] = task.memory_bytes

    def completed(self, stage: Stage, values: Iterable[tuple[int, str, int]], *, with_totals: bool) -> None:
        """A stage attempt completed; ``with_totals`` takes slot time from its totals, for want of its Spark tasks."""
        if stage.is_completed:
            return
        if with_totals:
            stage.slot_ms = sum(value for _, name, value in values if name in _RUN_TIMES)
            self.slot_ms += stage.slot_ms
        stage.complete()

    def _prune(self) -> None:
        done = sorted((s for s in self.found.values() if s.is_completed), key=lambda stage: stage.slot_ms)
        for stage in done[: len(self.found) - MAX_STAGES]:
            del self.found[stage.number, stage.attempt]
            self._partitions.pop(stage.number, None)

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
