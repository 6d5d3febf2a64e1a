"""Records added up by whom, what and when; every grouping sums to the same total.

A record whose cost is unknown adds no dollars and is counted as ``unpriced``, so a sum never passes for the whole; the
dollars of a line of which no record has a known cost are None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Literal, NamedTuple, get_args

from airflow_doeks.model.bill import PLACES
from airflow_doeks.model.lineage import Dataset
from airflow_doeks.model.minutes import Run, evenly
from airflow_doeks.model.noun import Amount, Noun
from airflow_doeks.model.record import JobRecord, UsageAmounts
from airflow_doeks.report.entry import label_of

By = Literal["team", "pipeline", "task", "dataset", "platform", "capacity", "day", "hour", "minute"]
GROUPINGS: tuple[By, ...] = get_args(By)
UNATTRIBUTED = "(unattributed)"
NO_TEAM = "(no team)"
NO_TIME = "(time unknown)"
NO_CAPACITY = "(capacity unknown)"
WHOLE: frozenset[By] = frozenset(("team", "pipeline", "task", "platform", "day"))  # that split no job
TIMES: frozenset[By] = frozenset(("day", "hour", "minute"))  # whose lines stand by time


class Total(Noun):
    """One line of a report.

    Attributes:
        jobs: records with a part in it; ``failed`` of them did not succeed, ``unpriced`` have no known cost.
        usd: the sum of what is known; None where no job's cost is.
        share: of the report's dollars, 0 to 1; None when they sum to nothing, and where the line's are not known.
        vcpu_hours: like ``memory_gib_hours`` the sum of what is known; None where no job's usage is.
        usd_waste: dollars of failed jobs and of Spark tasks that had to be done again: the sum of what is known, None
            where nothing is.
        estimate_usd: what jobs were expected to cost before they ran, of those that were and whose cost is known;
            ``usd_of_estimated`` is what these cost. None where no job was, or where lines split jobs.
    """

    key: str
    jobs: int = 0
    failed: int = 0
    unpriced: int = 0
    vcpu_hours: Amount | None = Decimal(0)
    memory_gib_hours: Amount | None = Decimal(0)
    usd: Amount | None = Decimal(0)
    usd_waste: Amount | None = Decimal(0)
    share: float | None = None
    estimate_usd: Amount | None = None
    usd_of_estimated: Amount | None = None


class Report(Noun):
    """Lines by falling cost (by time for day, hour and minute) and their sum.

    A day is that of a job's submission; hours and minutes are those in which its money was spent.
    """

    by: By
    lines: tuple[Total, ...]
    total: Total


Minutes = Callable[[JobRecord], Sequence[Run]]


class _Part(NamedTuple):
    """What of a record falls to a key: a fraction of its usage and waste, and dollars (None if unknown).

    ``usage`` goes before the fraction where a key's own is known.
    """

    key: str
    usd: Decimal | None
    fraction: Decimal
    usage: UsageAmounts | None = None


def report(records: Iterable[JobRecord], by: By, *, minutes: Minutes = lambda _: ()) -> Report:
    """The records' totals by key, and the total of all.

    ``minutes`` gives a record's cost per minute from its detail; without one, cost lies evenly over the job's life.
    """
    lines: dict[str, Total] = {}
    total = Total(key="total")
    for record in records:
        total = _estimated(_add(total, record, _Part("total", record.cost.usd_total, Decimal(1))), record)
        for part in _parts(record, by, minutes):
            line = _add(lines.get(part.key, Total(key=part.key)), record, part)
            lines[part.key] = _estimated(line, record) if by in WHOLE else line
    ordered = sorted(lines.values(), key=lambda line: line.key)
    if by not in TIMES:
        ordered.sort(key=dollars, reverse=True)
    shared = (line.model_copy(update={"share": share_of(line.usd, total.usd)}) for line in ordered)
    return Report(by=by, lines=tuple(shared), total=total)


def dollars(line: Total) -> Decimal:
    """What is known of a line's dollars, to order lines by."""
    return line.usd or Decimal(0)


def share_of(part: Decimal | None, whole: Decimal | None) -> float | None:
    """A part of dollars, 0 to 1; None where it is not known, or of nothing."""
    return None if part is None or not whole else float(part / whole)


def dataset_label(dataset: Dataset) -> str:
    """A dataset as people write it: ``s3://bucket/key``, ``/local/path``, else ``namespace:name``."""
    return label_of(dataset.namespace, dataset.name)


def _parts(record: JobRecord, by: By, minutes: Minutes) -> Iterator[_Part]:
    usd = record.cost.usd_total
    if by == "dataset":
        yield from _by_dataset(record)
    elif by == "capacity":
        yield from _by_capacity(record)
    elif by in {"hour", "minute"}:
        yield from _by_time(record, minutes, "%Y-%m-%dT%H:%MZ" if by == "minute" else "%Y-%m-%dT%H:00Z")
    else:
        yield _Part(key_of(record, by), usd, Decimal(1))


def key_of(record: JobRecord, by: By) -> str:
    """The one line that a record stands in: its team, pipeline, task or platform, or the day of its submission."""
    if by == "team":
        return record.cost_tags.get("team") or NO_TEAM
    if by == "pipeline":
        return record.attempt.dag_id
    if by == "task":
        return f"{record.attempt.dag_id}/{record.attempt.task_id}"
    if by == "platform":
        return record.job.platform
    since = record.times.submitted or record.times.started or record.times.ended
    return since.date().isoformat() if since else NO_TIME


def _by_dataset(record: JobRecord) -> Iterator[_Part]:
    rest = record.cost.usd_total
    if not rest:
        yield _Part(UNATTRIBUTED, rest, Decimal(1))
        return
    usd = rest
    for dataset in record.lineage.outputs:
        if dataset.usd is not None:
            rest -= dataset.usd
            yield _Part(dataset_label(dataset), dataset.usd, dataset.usd / usd)
    if rest:
        yield _Part(UNATTRIBUTED, rest, rest / usd)


def _by_capacity(record: JobRecord) -> Iterator[_Part]:
    """Dollars by the compute of each capacity type; where that is not known, all types that the job held together."""
    usd, kinds = record.cost.usd_total, sorted(record.usage.by_capacity_type.items())
    compute = [amounts.usd_compute for _, amounts in kinds]
    known = [part for part in compute if part is not None]
    whole = sum(known, Decimal(0))
    if usd is None or len(kinds) < 2 or len(known) < len(kinds) or not whole:  # noqa: PLR2004 - nothing to split
        yield _Part(" and ".join(kind for kind, _ in kinds) or NO_CAPACITY, usd, Decimal(1))
        return
    rest = usd
    for (kind, amounts), part in zip(kinds, known, strict=True):
        paid = rest if kind == kinds[-1][0] else (usd * part / whole).quantize(PLACES)
        rest -= paid
        yield _Part(kind, paid, part / whole, amounts)


def _by_time(record: JobRecord, minutes: Minutes, key: str) -> Iterator[_Part]:
    usd, times = record.cost.usd_total, record.times
    runs = minutes(record) if usd else ()
    if sum((run.usd for run in runs), Decimal(0)) != usd:  # of another revision, or none
        runs = evenly(times.started or times.submitted, times.ended, usd)
    found: dict[str, Decimal] = {}
    for run in runs:
        for index in range(run.minutes):
            name = (run.since + timedelta(minutes=index)).strftime(key)
            found[name] = found.get(name, Decimal(0)) + run.usd_per_minute
    for name, part in found.items():
        yield _Part(name, part, part / usd if usd else Decimal(0))
    if not runs:
        yield _Part(NO_TIME, usd, Decimal(1))


def _add(line: Total, record: JobRecord, part: _Part) -> Total:
    is_failed = record.job.state.has_failed
    usage, fraction = (part.usage, Decimal(1)) if part.usage else (record.usage, part.fraction)
    waste = record.cost.usd_total if record.cost.usd_waste is None and is_failed else record.cost.usd_waste
    return line.model_copy(
        update={
            "jobs": line.jobs + 1,
            "failed": line.failed + is_failed,
            "unpriced": line.unpriced + (part.usd is None),
            "vcpu_hours": _more(line, line.vcpu_hours, usage.vcpu_seconds, fraction, 3600),
            "memory_gib_hours": _more(line, line.memory_gib_hours, usage.memory_gib_seconds, fraction, 3600),
            "usd": _more(line, line.usd, part.usd, Decimal(1), 1),
            "usd_waste": _more(line, line.usd_waste, waste, part.fraction, 1),
        }
    )


def _estimated(line: Total, record: JobRecord) -> Total:
    estimate, usd = record.cost.estimate_usd, record.cost.usd_total
    if estimate is None or usd is None:
        return line
    sums = (line.estimate_usd or Decimal(0)) + estimate, (line.usd_of_estimated or Decimal(0)) + usd
    return line.model_copy(update=dict(zip(("estimate_usd", "usd_of_estimated"), sums, strict=True)))


def _more(line: Total, known: Decimal | None, amount: Decimal | None, fraction: Decimal, unit: int) -> Decimal | None:
    """A line's sum with a fraction of a record's amount, in the line's unit; an unknown one adds nothing."""
    known = known if line.jobs else None
    return known if amount is None else (known or 0) + amount * fraction / unit
