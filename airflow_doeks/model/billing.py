"""What ties a record to the bill and to its calibration, as nouns."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Literal, NamedTuple

from airflow_doeks.model.noun import Amount, Noun, OpenNoun

ENOUGH_JOBS = 5  # a factor of fewer jobs is shown and not used


class FamilyCost(Noun):
    """Dollars of a job's compute on one family of instances (``fargate`` is one) by capacity type.

    ``region`` is that of the rate card; ``is_assumed``: the type of a node that nobody saw.
    """

    family: str
    capacity_type: str
    region: str
    usd: Amount
    is_assumed: bool = False


class BillKey(NamedTuple):
    """One thing that the bill knows a record by.

    Attributes:
        kind: ``pod``: a pod's uid; ``run``: the platform's id of the job; ``task``: our tags, task key and try.
        day: of a record of one UTC day, that day; rows of other days are of other records.
        since, until: rows outside are of another job with the same key; None where a key is of one job only.
    """

    record_id: str
    kind: Literal["pod", "run", "task"]
    value: str
    day: date | None = None
    since: datetime | None = None
    until: datetime | None = None


class Share(NamedTuple):
    """What the bill has for a record on one family and capacity type; None where the bill does not tell which."""

    family: str | None
    capacity_type: str | None
    usd: Decimal


class Charge(NamedTuple):
    """What the bill has for one record.

    Attributes:
        found_by: how its rows were known, the kinds of ``BillKey``.
        usd_compute: what its pods used; ``usd_idle`` their share of what nobody used.
        usd_uplift: what EMR asks for it; None if no row names it.
        pods: uids of pods that have rows.
        doubtful: rows that more than one record lays claim to, and that are in none.
        is_final: every row is on an invoice.
        unpriced: rows whose dollars the export does not tell.
        shares: ``usd_compute`` by family.
    """

    record_id: str
    found_by: tuple[str, ...]
    usd_compute: Decimal
    usd_idle: Decimal
    usd_uplift: Decimal | None
    pods: frozenset[str]
    doubtful: int
    is_final: bool
    unpriced: int
    shares: tuple[Share, ...]


class Factor(OpenNoun):
    """Bill divided by record for compute on one family, capacity type and region: the median of so many jobs."""

    family: str
    capacity_type: str
    region: str
    factor: Amount
    lowest: Amount
    highest: Amount
    jobs: int

    @property
    def is_used(self) -> bool:
        """True of a factor that enough jobs stand behind."""
        return self.jobs >= ENOUGH_JOBS


class Calibration(OpenNoun):
    """How far records were from the bill; what an estimate is multiplied by."""

    v: Literal[1] = 1
    factors: tuple[Factor, ...] = ()

    def factor(self, family: str, capacity_type: str, region: str) -> Decimal | None:
        """The factor to use; None if too few jobs are on the bill."""
        for one in self.factors:
            if (one.family, one.capacity_type, one.region) == (family, capacity_type, region) and one.is_used:
                return one.factor
        return None
