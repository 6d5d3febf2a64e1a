"""From a finished job to its record: telemetry, event log, cost and lineage, with a why for whatever is missing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_doeks.lifecycle.clock import Clock
from airflow_doeks.lifecycle.records import Settled, attempt_of, fit, job_facts, record_id, times_of
from airflow_doeks.lifecycle.submission import Submission
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.lineage import Lineage
from airflow_doeks.model.record import Cost, JobFailure, JobRecord, Usage
from airflow_doeks.model.status import JobStatus
from airflow_doeks.model.stores import ByteStore
from airflow_doeks.model.telemetry import Basis, Pod, Telemetry
from airflow_doeks.platforms.protocol import Platform

if TYPE_CHECKING:
    from airflow_doeks.cost import RateCard

log = logging.getLogger(__name__)

OpenLog = Callable[[str], tuple[ByteStore, str]]


@dataclass(frozen=True)
class Accounting:
    """What accounting needs from its surroundings.

    Attributes:
        open_log: event-log URL -> the store and name it is read from.
        rate_card: gives the prices; called once per settle, may raise SpecError or OSError.
        seconds: how long reading the event log may take.
    """

    open_log: OpenLog
    rate_card: Callable[[], RateCard]
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
    telemetry = _telemetry(platform, submission, why)
    summary = _read_log(telemetry, accounting, why)
    usage, cost = _price(telemetry, summary, status, accounting, why)
    lineage = summary.lineage if summary else Lineage()
    if summary is not None:
        from airflow_doeks.cost import share

        cost, lineage = share(cost, summary)
    from airflow_doeks.lineage import merge_declared

    lineage = merge_declared(lineage, reads, writes)
    record = JobRecord(
        record_id=record_id(submission.ref, submission.token),
        attempt=attempt_of(identity, submission.try_number),
        settled_by_try=identity.try_number,
        spec_hash=submission.spec_hash,
        job=job_facts(submission, submission.ref.type, status.state),
        times=times_of(submission, status, telemetry),
        usage=usage,
        cost=cost.model_copy(
            update={"why_unknown": _sentence([cost.why_unknown, *why]) if why or cost.unknown else cost.why_unknown}
        ),
        lineage=lineage,
        cost_tags=dict(identity.cost_tags),
        failure=failure,
    )
    return fit(record, summary)


def _telemetry(platform: Platform, submission: Submission, why: list[str]) -> Telemetry | None:
    try:
        telemetry = platform.telemetry(submission.ref)
    except (PlatformError, OSError) as error:
        why.append(f"the platform gave no telemetry: {error}")
        return None
    why.extend(telemetry.why)
    return telemetry


def _read_log(telemetry: Telemetry | None, accounting: Accounting, why: list[str]) -> EventLogSummary | None:
    """The event log's summary, or None with a why; waits ``accounting.seconds`` at most."""
    if telemetry is None:
        return None
    if telemetry.event_log is None:
        why.append("the job wrote no event log")
        return None
    url = telemetry.event_log
    answer: list[EventLogSummary | BaseException] = []

    def read() -> None:
        try:
            from airflow_doeks.lineage import read_event_log

            answer.append(read_event_log(*accounting.open_log(url)))
        except BaseException as error:  # noqa: BLE001 - carried to the waiting thread, raised or told there
            answer.append(error)

    # A thread, because a read from a store cannot be interrupted; a daemon, so that it never holds up the worker.
    reader = threading.Thread(target=read, name="doeks event log", daemon=True)
    reader.start()
    reader.join(accounting.seconds)
    if not answer:
        why.append(f"the event log {url} was not read within {accounting.seconds:.0f} s")
        return None
    if isinstance(answer[0], OSError):
        why.append(f"the event log {url} could not be read: {answer[0]}")
        return None
    if isinstance(answer[0], BaseException):
        raise answer[0]
    why.extend(answer[0].why)
    return answer[0]


def _price(
    telemetry: Telemetry | None,
    summary: EventLogSummary | None,
    status: JobStatus,
    accounting: Accounting,
    why: list[str],
) -> tuple[Usage, Cost]:
    basis, pods = _basis(telemetry, summary, status)
    if telemetry is None or basis is None:
        return Usage(), Cost(unknown=("compute",), why_unknown="no pods, no event log and no requests are known")
    from airflow_doeks.cost import price

    try:
        card = accounting.rate_card()
    except (ValueError, OSError) as error:
        why.append(f"no rate card: {error}")
        return Usage(), Cost(unknown=("compute",), basis=basis)
    return price(
        pods,
        {node.uid: node for node in telemetry.nodes},
        card,
        basis=basis,
        assumed_node=telemetry.assumed_node,
        ended=status.ended or telemetry.ended,
        now=accounting.clock.now(),
    )


def _basis(
    telemetry: Telemetry | None, summary: EventLogSummary | None, status: JobStatus
) -> tuple[Basis | None, Sequence[Pod]]:
    """The best facts there are: observed pods, else the event log's, else what was requested for the job's life."""
    if telemetry is None:
        return None, ()
    if telemetry.pods:
        return "pods", telemetry.pods
    if summary is not None and summary.pods:
        return "event_log", _clipped(summary.pods, telemetry, status)
    requested = _clipped(telemetry.requested, telemetry, status)
    return ("requests", requested) if requested else (None, ())


def _clipped(pods: Sequence[Pod], telemetry: Telemetry, status: JobStatus) -> Sequence[Pod]:
    """Pods whose end nobody saw end with the job; the driver holds its pod for as long as the platform says it ran."""
    started, ended = status.started or telemetry.started, status.ended or telemetry.ended
    clipped = []
    for pod in pods:
        update: dict[str, Any] = {}
        if pod.ended is None:
            update["ended"] = ended
        if pod.role == "driver" and started and ended:
            update |= {"started": min(started, pod.started or started), "ended": max(ended, pod.ended or ended)}
        clipped.append(pod.model_copy(update=update))
    return clipped


def _sentence(parts: Sequence[str | None]) -> str | None:
    unique = list(dict.fromkeys(part for part in parts if part))
    return "; ".join(unique)[:500] or None
