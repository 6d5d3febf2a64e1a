"""Records against the bill: what each is known by there, what it says of each, and how far it was off by family."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

from airflow_doeks.bill import Export
from airflow_doeks.lifecycle.windows import IN_WINDOWS
from airflow_doeks.model.bill import PLACES
from airflow_doeks.model.billing import BillKey, Calibration, Charge, Factor, FamilyCost
from airflow_doeks.model.identity import digest
from airflow_doeks.model.record import JobRecord
from airflow_doeks.model.status import JobRef
from airflow_doeks.platforms.registry import TYPES

LATE = timedelta(hours=24)  # AWS: split cost data comes up to 24 hours after the usage; read November 2026
_AN_HOUR = timedelta(hours=1)  # a row's length; a pod may be deleted a little after its job ended
_RATIO = Decimal("0.000001")
_WORDS = {"pod": "pod uids", "run": "job run", "task": "tags"}


@dataclass(frozen=True)
class Billable:
    """A settled record with what its detail tells of pods and families; ``logged`` is how many pods its log tells of.

    A log may know an executor by its number alone: that pod is none of ``pod_uids``, and costs all the same.
    """

    record: JobRecord
    pod_uids: frozenset[str] = frozenset()
    logged: int = 0
    families: tuple[FamilyCost, ...] = ()

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """From when to when it could cost anything; None if its times do not tell."""
        times = self.record.times
        start, end = times.submitted or times.started, times.ended
        return None if start is None or end is None else (start, end)

    @property
    def pods(self) -> int:
        """How many pods it had, as far as anybody knows."""
        return max(len(self.pod_uids), self.logged)

    def lacking(self, charge: Charge) -> int:
        """How many of them have no row on the bill."""
        return max(len(self.pod_uids - charge.pods), self.pods - len(charge.pods))


def billable(record: JobRecord, detail: Mapping[str, Any]) -> Billable:
    """The record with its detail; a detail of an older version tells nothing."""
    families = tuple(FamilyCost.model_validate(one) for one in detail.get("by_family") or ())
    logged = {pod["uid"] for pod in detail.get("pods") or () if pod.get("started")}  # one that came again is one pod
    return Billable(record, frozenset(map(str, detail.get("pod_uids") or ())), len(logged), families)


def may_be_billed(record: JobRecord) -> bool:
    """True of the settled record of a job that costs something itself, elsewhere than on the machine of its task."""
    row = TYPES.get(record.job.type)
    is_closing = record.cost == IN_WINDOWS
    return (
        record.settled_by_try is not None
        and record.job.ref is not None
        and not is_closing
        and not (row and row.runs_here)
    )


def bill_keys(job: Billable) -> Iterator[BillKey]:
    """All that the bill may know a job by."""
    record, attempt, span = job.record, job.record.attempt, job.span
    for uid in sorted(job.pod_uids):
        yield BillKey(record.record_id, "pod", uid, record.window)
    if record.job.ref is not None and (path := JobRef(record.job.ref).path):
        yield BillKey(record.record_id, "run", path[-1], record.window)
    if attempt.instance is None or span is None:
        return
    if record.window is not None:
        key = digest(attempt.instance, attempt.dag_id, attempt.task_id, attempt.map_index)[:16]
        yield BillKey(record.record_id, "task", key, record.window)
        return
    key = digest(attempt.instance, attempt.dag_id, attempt.run_id, attempt.task_id, attempt.map_index)[:16]
    until = span[1] + _AN_HOUR
    yield BillKey(record.record_id, "task", f"{key}/{attempt.try_number}", None, span[0], until)


def is_due(job: Billable, export: Export) -> bool:
    """True if the export has all hours of the job: their billing periods, and what comes late."""
    if job.span is None or export.until is None or job.span[1] + LATE > export.until:
        return False
    return _months(*job.span) <= export.periods


def _months(start: datetime, end: datetime) -> set[str]:
    day, found = start.date().replace(day=1), set()
    while day <= end.date():
        found.add(day.strftime("%Y-%m"))
        day = (day + timedelta(days=32)).replace(day=1)
    return found


def actual(job: Billable, charge: Charge) -> dict[str, str]:
    """What a record's ``actual`` holds: text only, a number that the bill does not tell is left out and said."""
    cost, why = job.record.cost, []
    if missing := job.lacking(charge):
        why.append(f"{missing} of {job.pods} pods have no row")
    if charge.doubtful:
        why.append(f"{charge.doubtful} rows may be of another job as well")
    if charge.unpriced:
        why.append(f"{charge.unpriced} rows tell no dollars: does the export have the columns of savings plans?")
    if not charge.pods:
        why.append("no pod of the job has a row")
    if charge.usd_uplift is None and cost.usd_uplift != 0:
        why.append("no row of EMR names the job run")
    found = {
        "usd_compute": _text(charge.usd_compute),
        "usd_idle": _text(charge.usd_idle),
        "found_by": ", ".join(_WORDS[kind] for kind in charge.found_by),
        "pods": str(len(charge.pods)),
        "is_final": "yes" if charge.is_final else "no",
    }
    if charge.usd_uplift is not None or cost.usd_uplift == 0:
        found["usd_uplift"] = _text(charge.usd_uplift or Decimal(0))
    if why:
        return found | {"why": "; ".join(why)}
    total = charge.usd_compute + charge.usd_idle + (charge.usd_uplift or Decimal(0))
    found["usd_total"] = _text(total)
    said = beside_bill(job.record)
    if said is not None and total:
        found["error"] = format(((said - total) / total).quantize(_RATIO), "f")
    return found


def beside_bill(record: JobRecord) -> Decimal | None:
    """What a record has of what the bill's rows tell: compute, idle, uplift. None where compute is not known."""
    cost = record.cost
    told = [cost.usd_compute, cost.usd_idle, cost.usd_uplift]
    return None if cost.usd_compute is None else sum((part for part in told if part is not None), Decimal(0))


def _text(usd: Decimal) -> str:
    return format(usd.quantize(PLACES), "f")


def ratios(job: Billable, charge: Charge) -> Iterator[tuple[tuple[str, str, str], Decimal]]:
    """(family, capacity type, region) and bill / record of compute; nothing where the two cannot be set side by side.

    Where a node's type was assumed, and only one was, the factor corrects that assumption.
    """
    if job.lacking(charge) or charge.doubtful or charge.unpriced or not job.families or not charge.pods:
        return
    said: dict[tuple[str, str, str], Decimal] = {}
    for one in job.families:
        key = (one.family, one.capacity_type, one.region)
        said[key] = said.get(key, Decimal(0)) + one.usd
    billed = {(one.family, one.capacity_type): one.usd for one in charge.shares}
    if len(said) == 1:
        (key, usd), whole = next(iter(said.items())), charge.usd_compute
        if usd and (set(billed) == {key[:2]} or all(one.is_assumed for one in job.families)):
            yield key, whole / usd
    elif set(billed) == {key[:2] for key in said}:
        for key, usd in said.items():
            if usd:
                yield key, billed[key[:2]] / usd


def calibration(found: Mapping[tuple[str, str, str], Sequence[Decimal]]) -> Calibration:
    """The median by family, capacity type and region, with its range and how many jobs it is of."""
    return Calibration(
        factors=tuple(
            Factor(
                family=family,
                capacity_type=capacity_type,
                region=region,
                factor=Decimal(median(values)).quantize(_RATIO),
                lowest=min(values).quantize(_RATIO),
                highest=max(values).quantize(_RATIO),
                jobs=len(values),
            )
            for (family, capacity_type, region), values in sorted(found.items())
        )
    )
