"""A job's compute by family of instances and capacity type: what the bill is held against."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from airflow_doeks.cost.rates import RateCard
from airflow_doeks.model.bill import PLACES, Line
from airflow_doeks.model.billing import FamilyCost

FARGATE = "fargate"


def by_family(lines: Sequence[Line], card: RateCard) -> tuple[FamilyCost, ...]:
    """Dollars by family and capacity type; empty if some pod has no price or its type is not known."""
    sums: dict[tuple[str, str, bool], Decimal] = {}
    for line in lines:
        if line.is_left_out:
            continue
        kind = FARGATE if line.capacity_type == FARGATE else family_of(line.node.instance_type if line.node else None)
        if line.steps is None or kind is None:
            return ()
        key = (kind, line.capacity_type or "on_demand", line.is_assumed)
        sums[key] = sums.get(key, Decimal(0)) + sum((step.usd for step in line.steps), Decimal(0))
    return tuple(
        FamilyCost(family=family, capacity_type=kind, region=card.region, usd=usd.quantize(PLACES), is_assumed=assumed)
        for (family, kind, assumed), usd in sorted(sums.items())
    )


def family_of(instance_type: str | None) -> str | None:
    """``m5`` of ``m5.xlarge``; None if there is no type."""
    return instance_type.partition(".")[0] if instance_type else None
