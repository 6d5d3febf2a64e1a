"""The budgets of dollars of one job that a trigger follows: looked at now and then, shared with others of its loop."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airflow_doeks.compat import in_thread
from airflow_doeks.lifecycle.budget import LOOK_SECONDS, Allowance, Judgement, Meter, Pool, judge
from airflow_doeks.lifecycle.sightings import Keeper
from airflow_doeks.model.errors import DoeksError
from airflow_doeks.model.status import JobRef, JobStatus
from airflow_doeks.platforms.protocol import Platform

log = logging.getLogger(__name__)


@dataclass
class Purse:
    """What a job may still cost; one without an allowance never looks."""

    ref: JobRef
    keeper: Keeper
    meter: Meter
    allowances: tuple[Allowance, ...] = ()
    told: tuple[str, ...] = ()
    next_look: datetime | None = None
    before: dict[str, frozenset[str]] = field(default_factory=dict)
    is_warned: bool = False

    @classmethod
    def open(cls, money: Mapping[str, Any] | None, platform: Platform, ref: JobRef, keeper: Keeper) -> Purse:
        """Of what a worker carried: ``allowances``, ``told``, ``rate_card`` and ``executors_min``."""
        carried = money or {}
        card = dict(carried.get("rate_card") or {})

        def rate_card() -> Any:
            from airflow_doeks.cost import load_rate_card

            return load_rate_card(card.get("file"), region=card.get("region"))

        purse = cls(
            ref,
            keeper,
            Meter(platform, ref, rate_card, carried.get("executors_min")),
            tuple(map(Allowance.from_json, carried.get("allowances") or ())),
            tuple(carried.get("told") or ()),
        )
        for one in purse.allowances:
            if one.shared:
                purse.before[one.shared] = Pool.of_running_loop(one.shared).join(ref)
        return purse

    def seconds(self, other: float | None) -> float | None:
        """How long to wait at most, if ``other`` is how long anyway."""
        if not self.allowances:
            return other
        return LOOK_SECONDS if other is None else min(other, LOOK_SECONDS)

    async def look(self, status: JobStatus, now: datetime) -> Judgement:
        """What follows from the cost so far; nothing between two looks, and where it cannot be known."""
        if not self.allowances or (self.next_look is not None and now < self.next_look):
            return Judgement()
        self.next_look = now + timedelta(seconds=LOOK_SECONDS)
        try:
            live = await in_thread(self.meter.read, status, now, self.keeper.seen(self.ref))
        except (DoeksError, OSError, ValueError) as error:
            if not self.is_warned:
                log.warning("What %s costs is not known now, so no budget_usd ends it: %s", self.ref, error)
            self.is_warned = True
            return Judgement()
        others = {
            shared: Pool.of_running_loop(shared).others(self.ref, live.least, before)
            for shared, before in self.before.items()
        }
        return judge(self.allowances, live, told=self.told, others=others)

    def close(self) -> None:
        """Nobody follows the job any more: who comes later was told its dollars by its record.

        Not for a job whose worker is only told of a budget: that one goes on, and its dollars count for all.
        """
        for shared in self.before:
            Pool.of_running_loop(shared).ended.add(self.ref)
