"""A pod's bill for compute as nouns: a line per pod, a step function of dollars per hour over time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from airflow_doeks.model.telemetry import CapacityType, Node, Pod

HOUR = Decimal(3600)
PLACES = Decimal("1e-10")  # dollars are rounded to so many places, once
LONGEST_LIFE = timedelta(days=400)  # of a pod or a job; a longer one is the work of a broken timestamp
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Step:
    """Dollars per hour that hold from one instant to another."""

    start: datetime
    end: datetime
    usd_per_hour: Decimal

    @property
    def usd(self) -> Decimal:
        """Dollars of the whole step."""
        return self.usd_per_hour * seconds(self.start, self.end) / HOUR


@dataclass(frozen=True, slots=True)
class Line:
    """One pod's bill for compute.

    Attributes:
        node: where it ran, with capacity filled in from the rate card; None on Fargate or when unknown.
        is_assumed: the node is the one the platform declares, not one that was seen.
        seconds: how long it held its requests; None if nobody knows.
        steps: None if it could not be priced.
        is_left_out: its time cannot be known any more; the job is priced without it.
        why: what is missing.
    """

    pod: Pod
    node: Node | None = None
    is_assumed: bool = False
    capacity_type: CapacityType | None = None
    seconds: Decimal | None = None
    steps: tuple[Step, ...] | None = None
    is_left_out: bool = False
    why: str = ""


def seconds(start: datetime, end: datetime) -> Decimal:
    """Seconds between two instants, exact to the microsecond."""
    return Decimal((end - start) // _MICROSECOND) / 1_000_000
