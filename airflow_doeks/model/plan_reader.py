"""Between two crafts: the reader of an event log hands SQL events and stages to whatever turns plans into datasets.

Neither side imports the other; ``lifecycle.event_logs`` puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from airflow_doeks.model.lineage import Dataset

FAULTS = (  # what an event of a broken log raises where it is read
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    OverflowError,
    RecursionError,
)
Accumulables = Sequence[tuple[int, str, int]]  # (id, name, value) of a stage's accumulators


class Moved(NamedTuple):
    """What Spark tasks read and wrote, by their own count."""

    records_read: int = 0
    bytes_read: int = 0
    records_written: int = 0
    bytes_written: int = 0

    def plus(self, other: Moved) -> Moved:
        """Of more Spark tasks."""
        return Moved(*(a + b for a, b in zip(self, other, strict=True)))

    def without(self, other: Moved) -> Moved:
        """Without those that count twice; never less than nothing."""
        return Moved(*(max(0, a - b) for a, b in zip(self, other, strict=True)))

    def most(self, other: Moved) -> Moved:
        """The same Spark tasks counted twice."""
        return Moved(*(max(a, b) for a, b in zip(self, other, strict=True)))


NOTHING_MOVED = Moved()


class StageWork(Protocol):
    """A stage attempt as the log's reader holds it; ``execution`` and ``root`` are told to it by the plans' reader.

    ``moved`` is of those of its Spark tasks that were read whole, ``lost`` of those that failed.
    """

    number: int
    attempt: int
    execution: int | None
    root: int | None
    is_completed: bool
    moved: Moved
    lost: Moved

    @property
    def slot_ms(self) -> int:
        """Slot time of all its Spark tasks."""


class Found(NamedTuple):
    """What an application read and wrote.

    Attributes:
        attributed_ms: slot time that outputs claim.
        why: what is missing; anything in it makes the lineage incomplete.
    """

    inputs: tuple[Dataset, ...]
    outputs: tuple[Dataset, ...]
    attributed_ms: float
    why: tuple[str, ...]


class PlanReader(Protocol):
    """Takes the events of one application in their order; a broken one may raise any of ``FAULTS``."""

    @property
    def parsed(self) -> Mapping[bytes, Callable[[Mapping[str, Any]], None]]:
        """Event name -> what takes the event."""

    @property
    def unparsed(self) -> Mapping[bytes, Callable[[bytes], None]]:
        """Event name -> what takes its line."""

    def configured(self, conf: Mapping[str, str], version: str = "") -> None:
        """Spark properties as far as they are known, and Spark's version."""

    def stage_submitted(self, stage: StageWork, execution: int, root: int) -> None:
        """A stage of an SQL execution starts."""

    def stage_completed(self, stage: StageWork, info: Mapping[str, Any], values: Accumulables) -> None:
        """A stage attempt ends, with its accumulators; called before the stage itself is completed."""

    def found(self, slot_ms: int | None) -> Found:
        """Everything, once, after the last event; shares are of ``slot_ms``."""
