"""Dollars as a budget: what a job may use up, what it has cost so far, and when that is told or ends it.

What a running job has cost is its account as if it ended now: of the pods that were seen, else of what it asked for.
What is not known is not counted, and a job whose cost is not known at all is neither told of nor ended.
"""

from __future__ import annotations

import weakref
from asyncio import AbstractEventLoop, get_running_loop
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_doeks.lifecycle.sightings import with_sightings
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from airflow_doeks.model.telemetry import Sighting, Telemetry
from airflow_doeks.platforms.protocol import Platform

if TYPE_CHECKING:
    from airflow_doeks.cost import RateCard

TOLD_AT = Decimal("0.8")
LOOK_SECONDS = 15.0  # between two looks at what a job costs
_COUNTED = frozenset({"executor", "taskmanager"})  # roles of the pods whose number is between two
_MOST_POOLS = 1000
_of_loop: weakref.WeakKeyDictionary[AbstractEventLoop, OrderedDict[str, Pool]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Allowance:
    """Dollars that a job may use up, alone or with others.

    Attributes:
        what: its name in sentences; begins with MONEY.
        usd: all of it; ``spent`` is what was used up before the job.
        shared: names those who use it up together; empty: the job alone.
    """

    what: str
    usd: Decimal
    spent: Decimal = Decimal(0)
    shared: str = ""

    def to_json(self) -> dict[str, str]:
        """Plain JSON for a trigger."""
        return {name: str(value) for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, str]) -> Allowance:
        """What ``to_json`` gave, here or in another version."""
        usd, spent = Decimal(values["usd"]), Decimal(values["spent"])
        return cls(values["what"], usd, spent, values.get("shared", ""))

    def used(self, usd: Decimal) -> str:
        """How much of it is used up once the job cost so much, in words."""
        return f"{self.what} of {self.usd:f} USD ({self.spent + usd:.4f} USD so far)"


@dataclass(frozen=True)
class Judgement:
    """What follows from a job's cost so far: budgets to tell of, name -> words, and one that it used up, in words."""

    told: Mapping[str, str] = field(default_factory=dict)
    spent: str | None = None


@dataclass(frozen=True)
class Live:
    """The dollars of a running job so far: ``least`` it cost for sure, ``most`` if it has all that it may ask for.

    They differ where nobody sees its pods: how many executors it has, and since when, is between two numbers.
    """

    least: Decimal | None
    most: Decimal | None


NOTHING = Live(Decimal(0), None)  # of a job that is not there yet


def judge(
    allowances: Sequence[Allowance],
    live: Live,
    *,
    told: Sequence[str] = (),
    others: Mapping[str, Decimal] | None = None,
) -> Judgement:
    """Which budgets may be used up to TOLD_AT and were not ``told``, and the first that is used up for sure.

    ``others`` is what those that share an allowance have cost so far, by its ``shared``.
    """
    near, spent = {}, None
    for one in allowances:
        before = (others or {}).get(one.shared, Decimal(0))
        if live.least is not None and one.spent + before + live.least >= one.usd:
            spent = spent or one.used(before + live.least)
        if live.most is not None and one.what not in told and one.spent + before + live.most >= one.usd * TOLD_AT:
            near[one.what] = one.used(before + live.most)
    return Judgement(near, spent)


@dataclass
class Meter:
    """What one job has cost so far. Its platform is asked again only when the job changed its state.

    Attributes:
        rate_card: gives the prices; may raise SpecError or OSError.
        executors_min: how many executors it has at least; None: as many as it asked for.
    """

    platform: Platform
    ref: JobRef
    rate_card: Callable[[], RateCard]
    executors_min: int | None = None
    _card: RateCard | None = None
    _facts: Telemetry = field(default_factory=Telemetry)
    _state: JobState | None = None
    _running_since: datetime | None = None

    def read(self, status: JobStatus, now: datetime, sightings: Sequence[Sighting] = ()) -> Live:
        """The job's dollars now; blocks. Raises what the platform and the rate card raise."""
        if status.state is not JobState.RUNNING and not sightings:
            return Live(None, None)
        card = self._card = self._card or self.rate_card()
        if status.state is not self._state:
            update = {"pods": (), "nodes": (), "ended": None}  # of pods only what is seen is new enough
            self._facts, self._state = self.platform.telemetry(self.ref).model_copy(update=update), status.state
        if sightings:
            seen = _usd(with_sightings(self._facts, sightings), card, now)
            return Live(seen, seen)
        self._running_since = self._running_since or now
        since = status.started or self._running_since
        return Live(_usd(self._certain(since), card, now), _usd(self._facts, card, now))

    def _certain(self, since: datetime) -> Telemetry:
        """The facts with the pods that it has for sure, from when it was seen to run."""
        asked = [pod for pod in self._facts.requested if pod.role not in _COUNTED]
        counted = [pod for pod in self._facts.requested if pod.role in _COUNTED]
        sure = [pod.model_copy(update={"started": since}) for pod in (*asked, *counted[: self.executors_min])]
        return self._facts.model_copy(update={"requested": tuple(sure), "started": since})


def _usd(facts: Telemetry, card: RateCard, now: datetime) -> Decimal | None:
    from airflow_doeks.lifecycle.account import account

    return account(facts, EventLogSummary(), card, now=now).cost.usd_total


@dataclass
class Pool:
    """What the jobs that one event loop follows use up together."""

    usd: dict[str, Decimal] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    @staticmethod
    def of_running_loop(shared: str) -> Pool:
        """The one of this name; the oldest are forgotten."""
        pools = _of_loop.setdefault(get_running_loop(), OrderedDict())
        pool = pools.setdefault(shared, Pool())
        if len(pools) > _MOST_POOLS:
            pools.popitem(last=False)
        return pool

    def join(self, ref: str) -> frozenset[str]:
        """The jobs that are over: what they cost was counted before this one started."""
        self.ended.discard(ref)
        return frozenset(self.ended)

    def others(self, ref: str, usd: Decimal | None, before: frozenset[str]) -> Decimal:
        """What the others have cost so far, and note this one's dollars."""
        if usd is not None:
            self.usd[ref] = usd
        return sum((cost for other, cost in self.usd.items() if other != ref and other not in before), Decimal(0))
