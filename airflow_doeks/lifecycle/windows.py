"""Records of a job that outlives its task: one per UTC day while it lives, and a closing one.

A day's record covers what the job's pods held on that day. The closing record, which has the job's own id, says how it
ended and costs nothing itself, so that all records of a job sum to what it cost, however often they are written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_doeks.lifecycle.records import Settled, attempt_of, fit, job_facts
from airflow_doeks.lifecycle.submission import Submission
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.record import Cost, JobRecord, Times, Usage
from airflow_doeks.model.status import JobState
from airflow_doeks.model.telemetry import Pod, Sighting, Telemetry

if TYPE_CHECKING:
    from airflow_doeks.cost import RateCard

NOTHING = Decimal(0)
IN_WINDOWS = Cost(
    usd_total=NOTHING, usd_compute=NOTHING, usd_uplift=NOTHING, usd_storage=NOTHING, usd_transfer=NOTHING,
    usd_shared=NOTHING, usd_idle=NOTHING, usd_waste=NOTHING, usd_unattributed=NOTHING,
)  # of a closing record: the days' records have it all  # fmt: skip
NO_USAGE = Usage(vcpu_seconds=NOTHING, memory_gib_seconds=NOTHING, gpu_seconds=NOTHING)


def window_id(ref: str, day: date) -> str:
    """32 hex of a job's record of one UTC day."""
    return hashlib.sha256(f"{ref} {day.isoformat()}".encode()).hexdigest()[:32]


def bounds(day: date) -> tuple[datetime, datetime]:
    """A UTC day's beginning and end, the second not inside."""
    since = datetime.combine(day, time(), timezone.utc)
    return since, since + timedelta(days=1)


def days(since: datetime, until: datetime) -> Iterator[date]:
    """Every UTC day of which some moment from ``since`` to ``until`` is, the latter not inside."""
    day = since.astimezone(timezone.utc).date()
    while bounds(day)[0] < until:
        yield day
        day += timedelta(days=1)


def seen_now(before: Sequence[Sighting], facts: Telemetry, ref: str, now: datetime) -> tuple[Sighting, ...]:
    """What is known of a job's pods after one more look: a pod that is there no more ended by now at the latest.

    For who looks now and then, where no feed watches; ``before`` is what earlier looks gave.
    """
    nodes = {node.uid: node for node in facts.nodes}
    living = {pod.uid: Sighting(ref=ref, seen=now, pod=pod, node=nodes.get(pod.node or "")) for pod in facts.pods}
    kept: dict[str, Sighting] = {}
    for known in sorted(before, key=lambda one: one.seen):
        pod = known.pod
        is_gone = pod.uid not in living and pod.ended is None
        gone = pod.model_copy(update={"ended": now, "started": pod.held_since})
        kept[pod.uid] = known.model_copy(update={"pod": gone, "seen": now}) if is_gone else known
    for uid, sighting in living.items():
        node = kept[uid].node if uid in kept else None
        kept[uid] = sighting.model_copy(update={"node": sighting.node or node})
    return tuple(kept.values())


def within(facts: Telemetry, since: datetime, until: datetime) -> Telemetry:
    """The facts of a span of time: pods that held anything in it, from when to when they did.

    A pod whose end nobody knows holds what it has until ``until``. A job that started only after the span did not
    start in it.
    """
    pods = tuple(pod for pod in (_cut(pod, since, until) for pod in facts.pods) if pod is not None)
    started = max(since, facts.started) if facts.started else since
    ended = max(since, min(until, facts.ended)) if facts.ended else until
    begun = started if started <= ended else None
    return facts.model_copy(update={"pods": pods, "requested": (), "started": begun, "ended": ended})


def _cut(pod: Pod, since: datetime, until: datetime) -> Pod | None:
    if (held_since := pod.held_since) is None:  # it held no node
        return None
    started, ended = max(held_since, since), min(pod.ended or until, until)
    return pod.model_copy(update={"started": started, "ended": ended}) if started < ended else None


def window(
    submission: Submission,
    identity: JobIdentity,
    facts: Telemetry,
    card: RateCard,
    day: date,
    *,
    now: datetime,
    state: JobState = JobState.RUNNING,
) -> Settled:
    """The record of one UTC day; of a day that is not over, up to ``now``.

    ``facts`` is the job's telemetry with all sightings of its pods (`sightings.with_sightings`).
    """
    from airflow_doeks.lifecycle.account import account

    since, until = bounds(day)
    cut = within(facts, max(since, submission.submitted), min(until, now))
    summary = EventLogSummary()
    figures = account(cut, summary, card, now=min(until, now))
    record = JobRecord(
        record_id=window_id(submission.ref, day),
        window=day,
        attempt=attempt_of(identity, submission.try_number),
        settled_by_try=submission.try_number,
        spec_hash=submission.spec_hash,
        job=job_facts(submission, submission.ref.type, state),
        times=Times(submitted=max(since, submission.submitted), started=cut.started, ended=cut.ended),
        usage=figures.usage,
        cost=figures.cost,
        cost_tags=dict(identity.cost_tags),
    )
    return fit(record, figures, summary)


def windows(
    submission: Submission,
    identity: JobIdentity,
    facts: Telemetry,
    card: RateCard,
    *,
    now: datetime,
    state: JobState = JobState.RUNNING,
    ended: datetime | None = None,
) -> list[Settled]:
    """A record for every UTC day that the job lived through; for one that ``ended``, the day of its end among them.

    While it lives, the day that is not over has none yet. Written again, each is the same.
    """
    until = ended or bounds(now.astimezone(timezone.utc).date())[0]
    found = list(days(submission.submitted, until))
    last, until = (found[-1] if ended and found else None), ended or now
    states = {day: state if day == last else JobState.RUNNING for day in found}
    return [window(submission, identity, facts, card, day, now=until, state=states[day]) for day in found]


def closing(record: JobRecord) -> JobRecord:
    """A settled record of a whole job as the closing one: the days' records have its usage and cost.

    Dollars of its datasets are parts of no total here, and those of the days tell of no dataset: they are not known.
    """
    outputs = tuple(one.model_copy(update={"usd": None}) for one in record.lineage.outputs)
    lineage = record.lineage.model_copy(update={"outputs": outputs})
    return record.model_copy(update={"usage": NO_USAGE, "cost": IN_WINDOWS, "lineage": lineage})


def unclosed(record: JobRecord) -> JobRecord:
    """The closing record of a job whose days could not be written: not settled, so that it is closed again."""
    why = "its days could not be accounted for yet; `doeks reconcile` does it"
    cost = Cost(unknown=("compute",), why_unknown=why)
    return record.model_copy(update={"settled_by_try": None, "usage": Usage(), "cost": cost})
