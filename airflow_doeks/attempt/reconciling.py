"""Every job that nobody settled, held against Airflow's task states: settled, ended or left, one after the other.

Each job is decided and done on its own, so that a run that is killed, or a second one beside it, changes nothing that
the next does not find again: a job that the ledger does not know yet is written down before it is ended, and only a
settled record takes a job off the list.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta, timezone
from functools import partial
from typing import Any

from airflow_doeks.attempt.closing import close
from airflow_doeks.attempt.delivery import deliver, note_submitted, withdraw_refused
from airflow_doeks.attempt.hand import Books, JobInHand
from airflow_doeks.attempt.identity import check_instance
from airflow_doeks.hooks.opencost import shared_by_hour
from airflow_doeks.hooks.platforms import connect
from airflow_doeks.hooks.settings import Settings, open_ledger
from airflow_doeks.ledger.estimates import are_due, first_day, write_estimates
from airflow_doeks.ledger.ledger import NEAR_MIDNIGHT
from airflow_doeks.ledger.months import write_month
from airflow_doeks.lifecycle import Clock, end, record_id, settle_days
from airflow_doeks.lifecycle.reconciliation import (
    ORPHAN_AFTER,
    Decision,
    Need,
    TaskStates,
    Unsettled,
    decide,
    from_record,
    from_tags,
)
from airflow_doeks.lifecycle.shared_cost import SharedDay, share_days
from airflow_doeks.lifecycle.sightings import read_sightings, stale_sightings, write_sightings
from airflow_doeks.lifecycle.windows import seen_now, window_id
from airflow_doeks.model.engine import ENGINES, Engine
from airflow_doeks.model.errors import DoeksError, PlatformError, SpecError
from airflow_doeks.model.identity import label_value
from airflow_doeks.model.record import Attempt, JobRecord
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from airflow_doeks.platforms.protocol import Platform
from airflow_doeks.platforms.registry import TYPES, storage_connection

log = logging.getLogger(__name__)

WRITER = "reconcile"  # of sightings
CANCEL_SECONDS = 120.0  # for a job's end after its cancel; nobody kills us meanwhile


@dataclass(frozen=True)
class Finding:
    """One job and what was decided; ``record`` is what was written, ``trouble`` why nothing could be done."""

    ref: str
    attempt: Attempt | None = None
    decision: Decision | None = None
    record: JobRecord | None = None
    trouble: str | None = None


@dataclass
class Reconciler:
    """One pass over all jobs of one Airflow.

    Attributes:
        platforms: name -> entry of doeks.yaml.
        tasks: tells the state of a task; raises PlatformError when Airflow does not answer, which ends the pass.
        since: first UTC day of submission whose running records are looked at; living jobs are found whatever it is.
        orphan_after: how long a task is over before its job is ended.
        is_dry: decide only.
    """

    settings: Settings
    platforms: Mapping[str, Mapping[str, Any]]
    tasks: TaskStates
    since: date
    rate_card: Mapping[str, Any] = field(default_factory=dict)
    orphan_after: timedelta = ORPHAN_AFTER
    is_dry: bool = False
    clock: Clock = field(default_factory=Clock)

    def run(self) -> Iterator[Finding]:
        """A finding for each job without a settled record, as soon as it is dealt with."""
        seen: set[str] = set()
        connected: dict[str, Platform] = {}
        ledger = open_ledger(self.settings)
        running = {record.job.ref: record for record in ledger.records(since=self.since) if self._may_run(record)}
        for name, entry in self.platforms.items():
            living, trouble = self._connect(name, entry, connected)
            if trouble is not None:
                yield trouble
            for status in living:
                if status.ref not in seen:  # two entries may be one place
                    seen.add(status.ref)
                    yield self._living(status, name, connected[name], running.get(status.ref))
        for ref, record in running.items():
            if ref is not None and ref not in seen:
                yield self._recorded(JobRef(ref), record, connected)

    def stale(self) -> Iterator[str]:
        """Sightings that no record needs any more, deleted unless this is a dry run."""
        store = open_ledger(self.settings).store
        for name in stale_sightings(open_ledger(self.settings), self.clock.now()):
            if not self.is_dry:
                store.delete(name)
            yield name

    def add_up_month(self, keys: Collection[str]) -> None:
        """What this month's jobs cost by these cost tags, for the budgets of those that start."""
        if keys and not self.is_dry:
            ledger, now = open_ledger(self.settings), self.clock.now()
            write_month(ledger.store, ledger.records(since=now.date().replace(day=1)), keys, now=now)

    def look_back(self) -> None:
        """What each task's last jobs took and cost, for the estimates of those that start; once a day."""
        ledger, now = open_ledger(self.settings), self.clock.now()
        if not self.is_dry and are_due(ledger.store, now):
            write_estimates(ledger.store, ledger.records(since=first_day(now).date()), now=now)

    def share(self) -> Iterator[SharedDay]:
        """The shared cost of each platform that names one, over the jobs of the last days that are over."""
        for name, entry in self.platforms.items():
            if not (shared := entry.get("shared")):
                continue
            try:
                yield from share_days(
                    open_ledger(self.settings),
                    name,
                    shared.get("split", "weighted"),
                    partial(shared_by_hour, entry),
                    self.clock.now().date(),
                    is_dry=self.is_dry,
                )
            except (PlatformError, OSError, ValueError, ArithmeticError) as error:
                yield SharedDay(self.clock.now().date(), name, trouble=str(error))

    def _may_run(self, record: JobRecord) -> bool:
        whose = record.attempt.instance
        is_ours = whose is None or whose == label_value(self.settings.instance)
        return is_ours and record.settled_by_try is None and record.job.ref is not None

    def _connect(
        self, name: str, entry: Mapping[str, Any], connected: dict[str, Platform]
    ) -> tuple[list[JobStatus], Finding | None]:
        """The platform's living jobs, as far as it tells them; it joins ``connected`` if it can be asked at all."""
        living: list[JobStatus] = []
        try:
            check_instance(self.settings.instance, entry)
            connected[name] = connect(entry, self.settings)
            living.extend(connected[name].living(self.settings.instance))
        except (PlatformError, SpecError, OSError) as error:
            why = f"platform {name!r} was not asked for all its living jobs: {error}"
            return living, Finding(name, trouble=why)
        return living, None

    def _living(self, status: JobStatus, name: str, platform: Platform, record: JobRecord | None) -> Finding:
        ledger, instance = open_ledger(self.settings), self.settings.instance
        if record is None and status.submitted is not None:  # from before `since`, or settled and still there
            record = ledger.find(record_id(status.ref, ""), status.submitted)
        engine = _engine_of(status)
        if record is not None:
            job = from_record(record, status, instance)
        else:
            job = from_tags(status, instance, name, engine) if engine else None
        if job is None:
            return Finding(status.ref, trouble="its tags do not tell its task in full: end it by hand if nobody waits")
        return self._deal(job, name, platform)

    def _recorded(self, ref: JobRef, record: JobRecord, connected: Mapping[str, Platform]) -> Finding:
        name = record.job.platform
        if name not in connected:
            return Finding(ref, record.attempt, trouble=f"no platform {name!r} of doeks.yaml could be asked for it")
        try:
            status = connected[name].observe(ref)
        except (PlatformError, OSError) as error:
            return Finding(ref, record.attempt, trouble=str(error))
        job = from_record(record, status, self.settings.instance, has_days=self._has_days(record))
        if job is None:
            return Finding(ref, record.attempt, Decision(Need.NOTHING, "it is not told to be of this Airflow"))
        return self._deal(job, name, connected[name])

    def _deal(self, job: Unsettled, name: str, platform: Platform) -> Finding:
        identity = job.identity
        attempt = Attempt(
            instance=identity.instance,
            dag_id=identity.dag_id,
            run_id=identity.run_id,
            task_id=identity.task_id,
            map_index=identity.map_index,
            try_number=identity.try_number,
        )
        decision = decide(job, self.tasks(attempt), now=self.clock.now(), orphan_after=self.orphan_after)
        if decision.need is Need.NOTHING or self.is_dry:
            return Finding(job.submission.ref, attempt, decision)
        entry = self.platforms[name]
        books = Books(
            identity,
            self.settings,
            rate_card=self.rate_card,
            connection=storage_connection(entry),
            cost_source=entry.get("cost_source"),
            has_pods=TYPES[entry["type"]].has_pods,
            may_outlive=job.submission.is_lasting,
        )
        hand, status = JobInHand(books, platform, job.submission), job.status
        if job.known is None:
            note_submitted(hand)
        if job.submission.is_lasting:
            try:
                self._look_at_pods(hand, status)
            except (PlatformError, OSError) as error:
                return Finding(status.ref, attempt, decision, trouble=f"its pods could not be looked at: {error}")
        if decision.ending is None:
            return self._write_days(hand, status, Finding(status.ref, attempt, decision))
        if decision.need is Need.CANCEL:
            status = end(platform, status.ref, seconds=CANCEL_SECONDS)
            if not status.state.is_terminal or status.state is JobState.LOST:  # not over: the next pass settles it
                why = status.reason or "its platform took the cancel, and it has not ended yet"
                return Finding(job.submission.ref, attempt, decision, trouble=f"it was not ended: {why}")
        record = close(hand, decision.ending, status).record
        withdraw_refused(hand)
        trouble = record.cost.why_unknown if record.settled_by_try is None else None
        return Finding(job.submission.ref, attempt, decision, record, trouble)

    def _has_days(self, record: JobRecord) -> bool:
        """True if there is a record of the first day of a job: it has no end of its own.

        Near midnight its platform may have told another first day than the record's.
        """
        submitted = record.times.submitted
        if submitted is None or record.job.ref is None:
            return False
        ledger, moment = open_ledger(self.settings), submitted.astimezone(timezone.utc)
        moments = {at.date(): at for at in (moment, moment - NEAR_MIDNIGHT, moment + NEAR_MIDNIGHT)}
        ids = ((window_id(record.job.ref, day), at) for day, at in moments.items())
        return any(ledger.find(first, at) is not None for first, at in ids)

    def _look_at_pods(self, hand: JobInHand, status: JobStatus) -> None:
        """Keep what is seen of the pods of a job that no feed watches any more."""
        if not hand.books.has_pods:
            return
        store, submission = open_ledger(self.settings).store, hand.submission
        before = read_sightings(store, submission.ref, submission.submitted)
        facts = hand.platform.telemetry(submission.ref)
        seen = seen_now(before, facts, submission.ref, status.ended or self.clock.now())
        write_sightings(store, submission.ref, submission.submitted, seen, writer=WRITER)

    def _write_days(self, hand: JobInHand, status: JobStatus, finding: Finding) -> Finding:
        """The records of the days that are over, as far back as running records are looked at."""
        last = None
        try:
            accounting = replace(hand.books.accounting(), clock=self.clock)
            found = settle_days(hand.platform, hand.submission, hand.identity, status, accounting)
        except (DoeksError, OSError) as error:
            return replace(finding, trouble=f"its days could not be accounted for: {error}")
        for settled in found:
            if settled.record.window is not None and settled.record.window >= self.since:
                last = deliver(settled, self.settings)
        return replace(finding, record=last)


def _engine_of(status: JobStatus) -> Engine | None:
    """The engine of a job that no record tells of: the platform's word, else the only one of its type."""
    engines = TYPES[status.ref.type].engines
    return ENGINES.get(status.engine) or (next(iter(engines)) if len(engines) == 1 else None)


def counts(findings: list[Finding]) -> dict[str, int]:
    """How many jobs were settled, cancelled, left, and how many could not be dealt with."""
    troubled = sum(finding.trouble is not None for finding in findings)
    of = {need.value: 0 for need in Need}
    for finding in findings:
        if finding.decision is not None and finding.trouble is None:
            of[finding.decision.need.value] += 1
    return {**of, "trouble": troubled}
