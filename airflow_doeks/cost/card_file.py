"""A rate card as the YAML that ``load_rate_card`` reads back, equal to the last digit."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from airflow_doeks.cost.rates import RateCard

EMR = "emr_on_eks"  # the block of what EMR asks for its pods
_SHORT = (("ebs_gp3", "usd_per_gib_month"), ("cross_zone", "usd_per_gb"))
_LAST = ("spot_share_of_on_demand", "shared_usd_per_vcpu_hour", "split")


def file_name(card: RateCard) -> str:
    """``us-east-1.2026-11-01.yaml``: how cards of a folder are known."""
    return f"{card.region}.{card.as_of}.yaml"


def card_text(card: RateCard, head: str) -> str:
    """The file's text; ``head`` is its first comment."""
    lines = [f"# {line}" for line in head.splitlines()]
    lines += ["v: 1", f"region: {card.region}", f"as_of: {card.as_of}", "sources:"]
    for name, source in card.sources.items():
        lines += [f"  {name}:", f"    title: {_text(source.title)}"]
        lines += [f"    url: {_text(source.url)}", f"    read: {source.read}"]
    lines.append("instances:")
    for name, found in sorted(card.instances.items()):
        values = {"usd_per_hour": found.usd_per_hour, "vcpu": found.vcpu, "memory_gib": found.memory_gib}
        lines.append(f"  {name}: {_flow(values | ({'gpu': found.gpu} if found.gpu else {}))}")
    lines += [*_blocks(card), *_spot(card)]
    lines += [f"{name}: {_plain(value)}" for name in _LAST if (value := getattr(card, name)) is not None]
    return "\n".join(lines) + "\n"


def _blocks(card: RateCard) -> Iterator[str]:
    for block in ("fargate", EMR):
        if (rates := getattr(card, block)) is not None:
            yield f"{block}: {_flow(rates.model_dump())}"
    for block, key in _SHORT:
        if (value := getattr(card, f"{block}_{key}")) is not None:
            yield f"{block}: {_flow({key: value})}"
    if card.discounts:
        yield f"discounts: {_flow(card.discounts)}"


def _spot(card: RateCard) -> Iterator[str]:
    if card.spot:
        yield "spot:"
    for kind, zones in sorted(card.spot.items()):
        yield f"  {kind}:"
        for zone, steps in sorted(zones.items()):
            yield f"    {zone}:"
            for one in steps:
                yield f'      - {{since: "{one.since.isoformat()}", usd_per_hour: {_plain(one.usd_per_hour)}}}'


def _flow(values: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {_plain(value)}" for name, value in values.items()) + "}"


def _plain(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
