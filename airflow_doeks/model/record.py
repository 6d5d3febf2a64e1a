"""The record: what one job leaves behind, in Airflow's metadata and in the ledger.

JSON, ``v: 1``, under 8 KB. ``usd_total = compute + uplift + storage + transfer + shared + idle``; ``usd_waste`` and
``usd_unattributed`` are parts *of* it. An unknown component is null and listed in ``unknown``, never 0; the total is
null only when compute is.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from airflow_doeks.model.engine import ENGINES
from airflow_doeks.model.lineage import Lineage
from airflow_doeks.model.noun import Amount, OpenNoun, OrNewer, Told, UtcTime
from airflow_doeks.model.status import JobState
from airflow_doeks.model.telemetry import Basis, CapacityType

FailureCategory = Literal[
    "user_code",
    "oom_driver",
    "oom_executor",
    "spot_loss",
    "eviction",
    "image",
    "quota",
    "unschedulable",
    "permission",
    "dependency",
    "network",
    "operator_down",
    "platform",
    "cancelled",
    "timeout",
    "budget",
    "unknown",
]


class JobFailure(OpenNoun):
    """Why a job failed.

    Attributes:
        message: the root cause in one line (first Python or Java root exception where there is one).
        evidence: where each fact came from, a line each.
        log_tail: last lines of the driver's log; kept out of the record.
        links: name -> URL or path of full logs.
    """

    category: Annotated[FailureCategory, OrNewer] = "unknown"
    message: Told = ""
    evidence: tuple[Told, ...] = ()
    links: dict[str, Told] = {}
    log_tail: tuple[Told, ...] = Field(default=(), exclude=True)


class Attempt(OpenNoun):
    """The Airflow attempt that submitted the job; ``instance`` is its Airflow, None in records that do not tell."""

    instance: str | None = None
    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    try_number: int


class JobFacts(OpenNoun):
    """Which job it was and how it ended; ``ref`` is None when no job came to be."""

    ref: str | None
    platform: str
    type: str
    engine: Annotated[str, Field(json_schema_extra={"enum": sorted(ENGINES)})]
    name: str
    state: JobState


class Times(OpenNoun):
    """UTC; None where the platform does not tell."""

    submitted: UtcTime | None = None
    scheduled: UtcTime | None = None
    started: UtcTime | None = None
    ended: UtcTime | None = None


class UsageAmounts(OpenNoun):
    """Resource-seconds of requests, and the dollars of their compute where these are known."""

    vcpu_seconds: Amount
    memory_gib_seconds: Amount
    gpu_seconds: Amount = Decimal(0)
    usd_compute: Amount | None = None


class Usage(OpenNoun):
    """Resource-seconds of one job, in total and by capacity type; None where no basis tells."""

    vcpu_seconds: Amount | None = None
    memory_gib_seconds: Amount | None = None
    gpu_seconds: Amount | None = None
    by_capacity_type: dict[Annotated[CapacityType, OrNewer], UsageAmounts] = {}


class Cost(OpenNoun):
    """Dollars of one job by component, with the basis and the error stated."""

    usd_total: Amount | None = None
    usd_compute: Amount | None = None
    usd_uplift: Amount | None = None
    usd_storage: Amount | None = None
    usd_transfer: Amount | None = None
    usd_shared: Amount | None = None
    usd_idle: Amount | None = None
    usd_waste: Amount | None = None
    usd_unattributed: Amount | None = None
    estimate_usd: Amount | None = None
    basis: Annotated[Basis, OrNewer] | None = None
    confidence: Annotated[Literal["high", "medium", "low"], OrNewer] | None = None
    rate_card: str | None = None
    priced_as: str | None = None
    priced_at: UtcTime | None = None
    unknown: tuple[str, ...] = ()
    why_unknown: Told | None = None


class JobRecord(OpenNoun):
    """What one finished (or submitted) job leaves: status, usage, cost, lineage, tags, failure.

    ``window`` is the UTC day that a record of a job without an end of its own covers; None: the job as a whole.
    """

    v: Literal[1] = 1
    record_id: str
    revision: int = 1
    window: date | None = None
    attempt: Attempt
    settled_by_try: int | None = None
    spec_hash: str | None = None
    job: JobFacts
    times: Times = Times()
    usage: Usage = Usage()
    cost: Cost = Cost()
    lineage: Lineage = Lineage()
    cost_tags: dict[str, str] = {}
    failure: JobFailure | None = None
    actual: dict[str, str] | None = None
    detail: str | None = None
