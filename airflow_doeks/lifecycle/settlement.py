"""From a finished job to its record: telemetry, event log, cost and lineage, with a why for whatever is missing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_doeks.lifecycle.clock import Clock
from airflow_doeks.lifecycle.record_size import first_bytes
from airflow_doeks.lifecycle.records import Settled, attempt_of, estimate_of, fit, job_facts, record_id, times_of
from airflow_doeks.lifecycle.sightings import with_sightings
from airflow_doeks.lifecycle.stopping import StoppableStore
from airflow_doeks.lifecycle.submission import Submission
from airflow_doeks.lifecycle.whereabouts import with_nodes
from airflow_doeks.lifecycle.windows import closing, windows
from airflow_doeks.model.engine import ENGINES, SPARK, Engine, load
from airflow_doeks.model.errors import DoeksError, PlatformError
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.lineage import Lineage
from airflow_doeks.model.record import Cost, JobFailure, JobRecord, Times, Usage
from airflow_doeks.model.redaction import redacted
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from airflow_doeks.model.stores import ByteStore
from airflow_doeks.model.telemetry import Pod, Sighting, Telemetry
from airflow_doeks.platforms.protocol import Platform, TellsJobs

if TYPE_CHECKING:
    from airflow_doeks.cost import RateCard
    from airflow_doeks.cost.opencost import Allocated
    from airflow_doeks.lifecycle.account import Account

log = logging.getLogger(__name__)

_MINUTES_OF_ENDS = 2  # of a pod's life that OpenCost's samples, a minute apart, may not see
_ONE_SUBMISSION = timedelta(minutes=1)  # between our clock, when it was sent, and the platform's, when it came
OpenLog = Callable[[str], tuple[ByteStore, str]]


@dataclass(frozen=True)
class Accounting:
    """What accounting needs from its surroundings.

    Attributes:
        open_log: event-log URL -> the store and name it is read from.
        rate_card: gives the prices; called once per settle, may raise SpecError or OSError.
        sightings: job ref and moment of submission -> what was seen of its pods while they lived; None: nobody looks.
        allocations: task key, try, start and end -> what OpenCost has for its pods; may raise PlatformError.
        seconds: how long reading the event log may take.
    """

    open_log: OpenLog
    rate_card: Callable[[], RateCard]
    sightings: Callable[[str, datetime], Sequence[Sighting]] | None = None
    allocations: Callable[[str, int, datetime, datetime], Allocated] | None = None
    seconds: float = 10.0
    clock: Clock = field(default_factory=Clock)


def settle(
    platform: Platform,
    submission: Submission,
    identity: JobIdentity,
    status: JobStatus,
    accounting: Accounting,
    *,
    failure: JobFailure | None = None,
    reads: Sequence[str] = (),
    writes: Sequence[str] = (),
) -> Settled:
    """The record of a job that ended. What cannot be known is null with a why; only a fault of ours raises."""
    why: list[str] = []
    telemetry = _with_sightings(_telemetry(platform, submission, status, why), submission, accounting, why)
    engine = ENGINES.get(submission.engine, SPARK)
    has_log = engine.logs_events or telemetry.event_log is not None
    summary = _read_log(telemetry, engine, accounting, why) if has_log else EventLogSummary()
    if submission.is_lasting and _was_changed(submission, status):
        summary = summary.model_copy(update={"lineage": _uncounted(summary.lineage)})
    telemetry, summary = with_nodes(platform, telemetry, summary, why)
    allocated, why_not = (
        (None, None) if submission.is_lasting else _allocated(submission, identity, (telemetry, summary), accounting)
    )
    why += [why_not] if why_not else []
    succeeded = status.state is JobState.SUCCEEDED
    account = _account(telemetry, summary, accounting, why, succeeded=succeeded, allocated=allocated)
    from airflow_doeks.lineage import merge_declared

    cost = account.cost.model_copy(update={"estimate_usd": estimate_of(submission)})
    record = JobRecord(
        record_id=record_id(submission.ref, submission.token),
        attempt=attempt_of(identity, submission.try_number),
        settled_by_try=identity.try_number,
        spec_hash=submission.spec_hash,
        job=job_facts(submission, submission.ref.type, status.state),
        times=times_of(submission, status, telemetry),
        usage=account.usage,
        cost=cost.model_copy(update={"why_unknown": _sentence([cost.why_unknown, *why])}),
        lineage=merge_declared(account.lineage, reads, writes),
        cost_tags=dict(identity.cost_tags),
        failure=failure,
    )
    return fit(closing(record) if submission.is_lasting else record, account, summary)


def settle_days(
    platform: Platform, submission: Submission, identity: JobIdentity, status: JobStatus, accounting: Accounting
) -> list[Settled]:
    """The records of the UTC days of a job without an end of its own: of those that are over, and of its last one.

    Raises SpecError or OSError without a rate card or what was seen of its pods: days are written when these are known,
    not before.
    """
    why: list[str] = []
    facts = _telemetry(platform, submission, status, why)
    if accounting.sightings is not None:
        facts = with_sightings(facts, accounting.sightings(submission.ref, submission.submitted))
    facts, _ = with_nodes(platform, facts, EventLogSummary(), why)
    ended = (status.ended or accounting.clock.now()) if status.state.is_terminal else None
    card, now = accounting.rate_card(), accounting.clock.now()
    found = windows(submission, identity, facts, card, now=now, state=status.state, ended=ended)
    return [*found[:-1], _with_jobs(found[-1], platform, now)] if found and ended is None else found


def _was_changed(submission: Submission, status: JobStatus) -> bool:
    """True unless what ran was sent once: then its history may be of one of its versions only."""
    return status.changed is None or status.changed - submission.submitted > _ONE_SUBMISSION


def _uncounted(lineage: Lineage) -> Lineage:
    """The same datasets without what was counted of them."""
    update = {
        "rows": None,
        "bytes": None,
        "files": None,
        "why_unknown": "it was changed or resumed: a part was counted",
    }
    sides = {
        side: tuple(dataset.model_copy(update=update) for dataset in getattr(lineage, side))
        for side in ("inputs", "outputs")
    }
    return lineage.model_copy(update=sides)


def _with_jobs(settled: Settled, platform: Platform, now: datetime) -> Settled:
    """The record of the day that is over, with how the engine's own jobs do; the first that writes it is the one."""
    jobs: tuple[Mapping[str, Any], ...] = ()
    if isinstance(platform, TellsJobs) and settled.record.job.ref:
        try:
            jobs = platform.inner_jobs(JobRef(settled.record.job.ref))
        except (PlatformError, OSError) as error:
            log.info("The day's record of %s tells nothing of its jobs: %s", settled.record.job.ref, error)
    return Settled(settled.record, {**settled.detail, "jobs": [{**job, "seen": now.isoformat()} for job in jobs]})


def _telemetry(platform: Platform, submission: Submission, status: JobStatus, why: list[str]) -> Telemetry:
    """What the platform knows, with the times of the last status where it does not tell them."""
    try:
        telemetry = platform.telemetry(submission.ref)
    except (PlatformError, OSError) as error:
        why.append(f"the platform gave no telemetry: {error}")
        telemetry = Telemetry()
    why.extend(telemetry.why)
    known = {name: getattr(telemetry, name) or getattr(status, name) for name in Times.model_fields}
    return telemetry.model_copy(update=known)


def _with_sightings(telemetry: Telemetry, submission: Submission, accounting: Accounting, why: list[str]) -> Telemetry:
    if accounting.sightings is None:
        return telemetry
    try:
        return with_sightings(telemetry, accounting.sightings(submission.ref, submission.submitted))
    except OSError as error:
        why.append(f"what was seen of its pods could not be read: {error}")
        return telemetry


def _read_log(telemetry: Telemetry, engine: Engine, accounting: Accounting, why: list[str]) -> EventLogSummary:
    """The event log's summary, empty with a why if there is none; waits ``accounting.seconds`` at most."""
    title = engine.history_title
    if telemetry.event_log is None:
        why.append(f"the job wrote no {title}")
        return EventLogSummary()
    url = telemetry.event_log
    answer: list[EventLogSummary | BaseException] = []
    is_over = threading.Event()

    def read() -> None:
        try:
            store, name = accounting.open_log(url)
            answer.append(load(engine.history)(StoppableStore(store, is_over), name))
        except BaseException as error:  # noqa: BLE001 - carried to the waiting thread, raised or told there
            answer.append(error)

    # A thread, because a read from a store cannot be interrupted; a daemon, so that one that hangs never holds up the
    # worker. The others end with the block that they read.
    reader = threading.Thread(target=read, name="doeks event log", daemon=True)
    reader.start()
    reader.join(accounting.seconds)
    is_over.set()
    if not answer:
        why.append(f"the {title} {url} was not read within {accounting.seconds:.0f} s")
        return EventLogSummary()
    if isinstance(answer[0], OSError):
        why.append(f"the {title} {url} could not be read: {answer[0]}")
        return EventLogSummary()
    if isinstance(answer[0], BaseException):
        raise answer[0]
    why.extend(answer[0].why)
    return answer[0]


def _allocated(
    submission: Submission, identity: JobIdentity, facts: tuple[Telemetry, EventLogSummary], accounting: Accounting
) -> tuple[Allocated | None, str | None]:
    """What OpenCost has for all of the job's pods; None, and why, where it has less: prices of the card hold then."""
    telemetry, summary = facts
    if accounting.allocations is None:
        return None, None
    start, end = telemetry.submitted or submission.submitted, telemetry.ended or summary.ended or accounting.clock.now()
    try:
        found = accounting.allocations(identity.task_key[:16], submission.try_number, start, end)
    except PlatformError as error:
        return None, f"priced by rate card: {error}"
    known = max(sum(pod.started is not None for pod in pods) for pods in (telemetry.pods, summary.pods))
    if found.pods >= max(known, 1):
        lacking = _lacking_minutes(found, telemetry.pods or summary.pods)
        return (None, f"priced by rate card: {lacking}") if lacking else (found, None)
    return None, (f"priced by rate card: OpenCost has {found.pods} of the job's {known or 'unknown number of'} pods")


def _lacking_minutes(found: Allocated, pods: Sequence[Pod]) -> str | None:
    """What to say where OpenCost has not yet all of the time that a job's pods lived; each may lack its ends."""
    lives = [(pod.ended - pod.started).total_seconds() / 60 for pod in pods if pod.started and pod.ended]
    lived, lacking = sum(lives), _MINUTES_OF_ENDS * len(lives)
    if found.minutes is None or found.minutes >= lived - lacking:
        return None
    return f"OpenCost has {found.minutes:.0f} of the {lived:.0f} minutes that the job's pods lived"


def _account(
    telemetry: Telemetry,
    summary: EventLogSummary,
    accounting: Accounting,
    why: list[str],
    *,
    succeeded: bool,
    allocated: Allocated | None = None,
) -> Account:
    from airflow_doeks.cost import stale
    from airflow_doeks.lifecycle.account import Account, account

    try:
        card = accounting.rate_card()
    except (ValueError, OSError, DoeksError) as error:
        why.append(f"no rate card: {error}")
        return Account(usage=Usage(), cost=Cost(unknown=("compute",)), lineage=summary.lineage)
    now = accounting.clock.now()
    moment = telemetry.started or summary.started or telemetry.submitted or now
    if words := stale(card.at(moment), moment):
        log.warning("What the job cost may be off: %s.", words)
    return account(telemetry, summary, card, succeeded=succeeded, now=now, allocated=allocated)


def _sentence(parts: Sequence[str | None]) -> str | None:
    unique = list(dict.fromkeys(part for part in parts if part))
    return first_bytes(redacted("; ".join(unique)), 500) or None
