"""Records added up: by team, pipeline, dataset, platform, day or minute; every grouping sums to the same total.

A record whose cost is unknown adds no dollars and is counted as ``unpriced``, so a sum never passes for the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple, get_args

from airflow_doeks.model.lineage import Dataset
from airflow_doeks.model.minutes import Run, evenly
from airflow_doeks.model.noun import Amount, Noun
from airflow_doeks.model.record import JobRecord
from airflow_doeks.model.status import JobState
from airflow_doeks.report.entry import label_of

By = Literal["team", "pipeline", "dataset", "platform", "day", "minute"]
GROUPINGS: tuple[By, ...] = get_args(By)
UNATTRIBUTED = "(unattributed)"
NO_TEAM = "(no team)"
NO_TIME = "(time unknown)"


class Total(Noun):
    """One line of a report.

    Attributes:
        jobs: records with a part in it; ``failed`` of them did not succeed, ``unpriced`` have no known cost.
        share: of the report's dollars, 0 to 1; None when they sum to nothing.
        vcpu_hours: like ``memory_gib_hours`` the sum of what is known; None where no job's usage is.
        usd_waste: dollars of failed jobs and of Spark tasks that had to be done again: the sum of what is known, None
            where nothing is.
    """

    key: str
    jobs: int = 0
    failed: int = 0
    unpriced: int = 0
    vcpu_hours: Amount | None = Decimal(0)
    memory_gib_hours: Amount | None = Decimal(0)
    usd: Amount = Decimal(0)
    usd_waste: Amount | None = Decimal(0)
    share: float | None = None


class Report(Noun):
    """Lines by falling cost (by time for day and minute) and their sum."""

    by: By
    lines: tuple[Total, ...]
    total: Total


Minutes = Callable[[JobRecord], Sequence[Run]]


class _Part(NamedTuple):
    """What of a record falls to a key: a fraction of its usage and waste, and dollars (None if unknown)."""

    key: str
    usd: Decimal | None
    fraction: Decimal


def report(records: Iterable[JobRecord], by: By, *, minutes: Minutes = lambda _: ()) -> Report:
    """The records' totals by key, and the total of all.

    ``minutes`` gives a record's cost per minute from its detail; without one, cost lies evenly over the job's life.
    """
    lines: dict[str, Total] = {}
    total = Total(key="total")
    for record in records:
        total = _add(total, record, _Part("total", record.cost.usd_total, Decimal(1)))
        for part in _parts(record, by, minutes):
            lines[part.key] = _add(lines.get(part.key, Total(key=part.key)), record, part)
    ordered = sorted(lines.values(), key=lambda line: line.key)
    if by not in {"day", "minute"}:
        ordered.sort(key=lambda line: line.usd, reverse=True)
    shared = (line.model_copy(update={"share": float(line.usd / total.usd) if total.usd else None}) for line in ordered)
    return Report(by=by, lines=tuple(shared), total=total)


def dataset_label(dataset: Dataset) -> str:
    """A dataset as people write it: ``s3://bucket/key``, ``/local/path``, else ``namespace:name``."""
    return label_of(dataset.namespace, dataset.name)


def _parts(record: JobRecord, by: By, minutes: Minutes) -> Iterator[_Part]:
    usd = record.cost.usd_total
    if by == "dataset":
        yield from _by_dataset(record)
    elif by == "minute":
        yield from _by_minute(record, minutes)
    else:
        yield _Part(_key(record, by), usd, Decimal(1))


def _key(record: JobRecord, by: By) -> str:
    if by == "team":
        return record.cost_tags.get("team") or NO_TEAM
    if by == "pipeline":
        return record.attempt.dag_id
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


def _by_minute(record: JobRecord, minutes: Minutes) -> Iterator[_Part]:
    usd, times = record.cost.usd_total, record.times
    runs = minutes(record) if usd else ()
    if sum((run.usd for run in runs), Decimal(0)) != usd:  # of another revision, or none
        runs = evenly(times.started or times.submitted, times.ended, usd)
    for run in runs:
        for index in range(run.minutes):
            fraction = run.usd_per_minute / usd if usd else Decimal(0)
            yield _Part(_minute(run.since, index), run.usd_per_minute, fraction)
    if not runs:
        yield _Part(NO_TIME, usd, Decimal(1))


def _minute(since: datetime, index: int) -> str:
    return (since + timedelta(minutes=index)).strftime("%Y-%m-%dT%H:%MZ")


def _add(line: Total, record: JobRecord, part: _Part) -> Total:
    is_failed = record.job.state.is_terminal and record.job.state is not JobState.SUCCEEDED
    vcpu_seconds, gib_seconds = record.usage.vcpu_seconds, record.usage.memory_gib_seconds
    waste = record.cost.usd_total if record.cost.usd_waste is None and is_failed else record.cost.usd_waste
    return line.model_copy(
        update={
            "jobs": line.jobs + 1,
            "failed": line.failed + is_failed,
            "unpriced": line.unpriced + (part.usd is None),
            "vcpu_hours": _more(line, line.vcpu_hours, vcpu_seconds, part.fraction, 3600),
            "memory_gib_hours": _more(line, line.memory_gib_hours, gib_seconds, part.fraction, 3600),
            "usd": line.usd + (part.usd or 0),
            "usd_waste": _more(line, line.usd_waste, waste, part.fraction, 1),
        }
    )


def _more(line: Total, known: Decimal | None, amount: Decimal | None, fraction: Decimal, unit: int) -> Decimal | None:
    """A line's sum with a fraction of a record's amount, in the line's unit; an unknown one adds nothing."""
    known = known if line.jobs else None
    return known if amount is None else (known or 0) + amount * fraction / unit
