"""What an attempt holds: the job that exists, its platform, and what its record is made from."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

from airflow_doeks.attempt.identity import read_context
from airflow_doeks.hooks.settings import Settings, open_ledger
from airflow_doeks.lifecycle import Accounting, Submission, as_sent
from airflow_doeks.lifecycle.budget import Allowance
from airflow_doeks.model.engine import Engine
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.record import JobRecord
from airflow_doeks.platforms.protocol import Platform
from airflow_doeks.platforms.registry import TYPES, storage_connection


@dataclass(frozen=True)
class Books:
    """What the record of an attempt's job is made from; templates are rendered."""

    identity: JobIdentity
    settings: Settings
    reads: Sequence[str] = ()
    writes: Sequence[str] = ()
    rate_card: Mapping[str, Any] | None = None
    connection: str | None = None  # of the platform: who may read its event logs
    cost_source: Mapping[str, Any] | None = None  # of the platform: who else knows what pods cost
    has_pods: bool = False  # the platform's feed tells pods while they live
    may_outlive: bool = False  # the job has no end of its own

    def accounting(self, seconds: float | None = None) -> Accounting:
        """Stores and prices for ``lifecycle.settle``, which reads event logs for ``seconds`` at most."""
        from airflow_doeks.cost import load_rate_card
        from airflow_doeks.hooks import opencost
        from airflow_doeks.hooks.stores import open_log
        from airflow_doeks.lifecycle.sightings import read_sightings

        card = dict(self.rate_card or {})
        most = self.settings.settle_timeout
        return Accounting(
            open_log=lambda url: open_log(url, self.connection),
            rate_card=lambda: load_rate_card(card.get("file"), region=card.get("region")),
            sightings=(lambda ref, day: read_sightings(open_ledger(self.settings).store, ref, day))
            if self.has_pods
            else None,
            allocations=partial(opencost.ask, self.cost_source["opencost"]) if self.cost_source else None,
            seconds=most if seconds is None else min(most, seconds),
        )


@dataclass(frozen=True)
class JobInHand:
    """A job that exists, with its platform and the books of the attempt that follows it."""

    books: Books
    platform: Platform
    submission: Submission

    @property
    def identity(self) -> JobIdentity:
        """Who the job's record belongs to: this attempt; of a job that was there before, whoever sent it last.

        Billed as who submitted it said.
        """
        identity, submission = self.books.identity, self.submission
        if submission.cost_tags is not None and (submission.adopted or submission.is_lasting):
            identity = replace(identity, cost_tags=submission.cost_tags)
        return as_sent(identity, submission.tags) if submission.is_lasting else identity


class JobTask(Protocol):
    """What an attempt asks of its operator; templates are rendered."""

    log: logging.Logger
    engine: Engine
    job: Mapping[str, Any]
    platform: Mapping[str, Any]
    cost_tags: Mapping[str, str]
    reads: Sequence[str]
    writes: Sequence[str]
    timeouts: Mapping[str, Any]
    budget_usd: str | None
    run_budget_usd: str | None
    monthly_budgets_usd: Mapping[str, Mapping[str, Any]]
    on_budget: Any
    retry_on: Sequence[str] | None
    rate_card: Mapping[str, Any]
    source: Mapping[str, str]
    execution_timeout: timedelta | None
    job_in_hand: JobInHand | None
    savepoint: str
    allowances: Sequence[Allowance]
    record: JobRecord | None

    def code_folder(self) -> str:
        """Where relative paths of the job start."""

    def render_template(self, content: Any, context: Any) -> Any:
        """Airflow's rendering of a text."""


def books_of(task: JobTask, context: Any, settings: Settings) -> Books:
    """What the record of this attempt's job is made from."""
    identity = read_context(context, instance=settings.instance, cost_tags=task.cost_tags).identity
    return Books(
        identity=identity,
        settings=settings,
        reads=tuple(task.reads),
        writes=tuple(task.writes),
        rate_card=task.rate_card,
        connection=storage_connection(task.platform),
        cost_source=task.platform.get("cost_source"),
        has_pods=TYPES[task.platform["type"]].has_pods,
        may_outlive=task.engine.may_outlive(task.job),
    )
