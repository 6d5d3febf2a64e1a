"""From a finished job to its record: telemetry, event log, cost and lineage, with a why for whatever is missing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_doeks.lifecycle.clock import Clock
from airflow_doeks.lifecycle.record_size import first_bytes
from airflow_doeks.lifecycle.records import Settled, attempt_of, fit, job_facts, record_id, times_of
from airflow_doeks.lifecycle.sightings import with_sightings
from airflow_doeks.lifecycle.stopping import StoppableStore
from airflow_doeks.lifecycle.submission import Submission
from airflow_doeks.model.errors import DoeksError, PlatformError
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.record import Cost, JobFailure, JobRecord, Times, Usage
from airflow_doeks.model.redaction import redacted
from airflow_doeks.model.status import JobState, JobStatus
from airflow_doeks.model.stores import ByteStore
from airflow_doeks.model.telemetry import Sighting, Telemetry
from airflow_doeks.platforms.protocol import Platform

if TYPE_CHECKING:
    from airflow_doeks.cost import RateCard
    from airflow_doeks.lifecycle.account import Account

log = logging.getLogger(__name__)

OpenLog = Callable[[str], tuple[ByteStore, str]]


@dataclass(frozen=True)
class Accounting:
    """What accounting needs from its surroundings.

    Attributes:
        open_log: event-log URL -> the store and name it is read from.
        rate_card: gives the prices; called once per settle, may raise SpecError or OSError.
        sightings: job ref and moment of submission -> what was seen of its pods while they lived; None: nobody looks.
        seconds: how long reading the event log may take.
    """

    open_log: OpenLog
    rate_card: Callable[[], RateCard]
    sightings: Callable[[str, datetime], Sequence[Sighting]] | None = None
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
    summary = _read_log(telemetry, accounting, why)
    account = _account(telemetry, summary, accounting, why, succeeded=status.state is JobState.SUCCEEDED)
    from airflow_doeks.lineage import merge_declared

    cost = account.cost
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
    return fit(record, account, summary)


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


def _read_log(telemetry: Telemetry, accounting: Accounting, why: list[str]) -> EventLogSummary:
    """The event log's summary, empty with a why if there is none; waits ``accounting.seconds`` at most."""
    if telemetry.event_log is None:
        why.append("the job wrote no event log")
        return EventLogSummary()
    url = telemetry.event_log
    answer: list[EventLogSummary | BaseException] = []
    is_over = threading.Event()

    def read() -> None:
        try:
            from airflow_doeks.lifecycle.event_logs import read_event_log

            store, name = accounting.open_log(url)
            answer.append(read_event_log(StoppableStore(store, is_over), name))
        except BaseException as error:  # noqa: BLE001 - carried to the waiting thread, raised or told there
            answer.append(error)

    # A thread, because a read from a store cannot be interrupted; a daemon, so that one that hangs never holds up the
    # worker. The others end with the block that they read.
    reader = threading.Thread(target=read, name="doeks event log", daemon=True)
    reader.start()
    reader.join(accounting.seconds)
    is_over.set()
    if not answer:
        why.append(f"the event log {url} was not read within {accounting.seconds:.0f} s")
        return EventLogSummary()
    if isinstance(answer[0], OSError):
        why.append(f"the event log {url} could not be read: {answer[0]}")
        return EventLogSummary()
    if isinstance(answer[0], BaseException):
        raise answer[0]
    why.extend(answer[0].why)
    return answer[0]


def _account(
    telemetry: Telemetry, summary: EventLogSummary, accounting: Accounting, why: list[str], *, succeeded: bool
) -> Account:
    from airflow_doeks.lifecycle.account import Account, account

    try:
        card = accounting.rate_card()
    except (ValueError, OSError, DoeksError) as error:
        why.append(f"no rate card: {error}")
        return Account(usage=Usage(), cost=Cost(unknown=("compute",)), lineage=summary.lineage)
    return account(telemetry, summary, card, succeeded=succeeded, now=accounting.clock.now())


def _sentence(parts: Sequence[str | None]) -> str | None:
    unique = list(dict.fromkeys(part for part in parts if part))
    return first_bytes(redacted("; ".join(unique)), 500) or None
