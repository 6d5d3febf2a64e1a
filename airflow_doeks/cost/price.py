"""Usage x rate card -> cost. Exact Decimal arithmetic; one rounding at the end, to 10 places.

Formulas and their sources: docs/cost.md. Unknown is None plus a why; a pod whose time nobody knows is left out and
said so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import Literal

from airflow_doeks.cost.lines import billed_seconds, pod_rate, unit_rates
from airflow_doeks.cost.rates import RateCard
from airflow_doeks.model.bill import HOUR, PLACES, Line
from airflow_doeks.model.quantities import gib
from airflow_doeks.model.record import Cost, Usage, UsageAmounts
from airflow_doeks.model.telemetry import Basis, CapacityType, Node

MONTH = Decimal(30 * 86400)  # Amazon EBS pricing examples: 86,400 s/day x 30-day month, read November 2026
COMPONENTS = ("compute", "uplift", "storage", "transfer", "shared", "idle")


def total_lines(
    lines: Sequence[Line],
    card: RateCard,
    *,
    basis: Basis,
    now: datetime | None = None,
    remote_bytes: int | None = None,
    gaps: Sequence[str] = (),
) -> tuple[Usage, Cost]:
    """Usage and cost of a job by the lines that ``itemize`` made of its pods.

    Args:
        lines: several of one ``uid`` are one pod in several stretches of time.
        card: the prices.
        basis: what the pods were learned from.
        now: ``priced_at``.
        remote_bytes: shuffle bytes that executors fetched from other hosts; needed for transfer between zones.
        gaps: why there may be pods without a line; like pods that were left out they lower the confidence.
    """
    timed = [line for line in lines if line.seconds is not None]
    parts = {
        "compute": _compute(lines),
        "uplift": _uplift(timed, card),
        "storage": _storage(timed, card),
        "transfer": _transfer(lines, card, remote_bytes),
        "shared": _shared(timed, card),
        "idle": _idle(timed, card),
    }
    rounded = {name: None if usd is None else usd.quantize(PLACES) for name, (usd, _) in parts.items()}
    whys = Counter(line.why for line in lines if line.why)
    reasons = [*gaps, *(f"{count} {why}" for why, count in whys.items())]
    reasons += [f"{name}: {why}" for name, (_, why) in parts.items() if why]
    total = (
        None if rounded["compute"] is None else sum((usd for usd in rounded.values() if usd is not None), Decimal(0))
    )
    assumed = any(line.is_assumed for line in timed)
    return _usage(timed), Cost(
        usd_total=total,
        **{f"usd_{name}": usd for name, usd in rounded.items()},
        basis=basis,
        confidence=_confidence(basis, assumed=assumed, gaps=bool(whys or gaps)),
        rate_card=card.name,
        priced_as=", ".join(_assumed_types(timed)) or None,
        priced_at=now or datetime.now(timezone.utc),
        unknown=tuple(name for name in COMPONENTS if rounded[name] is None),
        why_unknown="; ".join(reasons) or None,
    )


def _assumed_types(timed: Iterable[Line]) -> list[str]:
    """Instance types that stood in for nodes that nobody saw."""
    kinds = (line.node.instance_type for line in timed if line.is_assumed and line.node)
    return list(dict.fromkeys(kind for kind in kinds if kind))


Part = tuple[Decimal | None, str]


def _compute(lines: Sequence[Line]) -> Part:
    if not any(line.steps is not None for line in lines):
        return None, "" if lines else "no pod of this job was seen"
    if any(line.steps is None and not line.is_left_out for line in lines):
        return None, ""
    return sum((step.usd for line in lines for step in line.steps or ()), Decimal(0)), ""


def _uplift(timed: Sequence[Line], card: RateCard) -> Part:
    """EMR on EKS: requests of every pod on an EMR image, per second, rounded up, with a minimum per pod."""
    emr = [line for line in timed if line.pod.is_emr_image]
    if not emr:
        return (Decimal(0), "") if timed else (None, "")
    if card.emr_on_eks is None:
        return None, f"rate card {card.name} has no EMR on EKS price"
    held: dict[tuple[str, Decimal], Decimal] = {}
    for line in emr:
        rate = (line.pod.vcpu or 0) * card.emr_on_eks.usd_per_vcpu_hour
        rate += (line.pod.memory_gib or 0) * card.emr_on_eks.usd_per_gib_hour
        key = (line.pod.uid, rate)
        held[key] = held.get(key, Decimal(0)) + (line.seconds or 0)
    minimum = card.emr_on_eks.minimum_seconds
    return sum((rate * billed_seconds(s, minimum) / HOUR for (_, rate), s in held.items()), Decimal(0)), ""


def _storage(timed: Sequence[Line], card: RateCard) -> Part:
    sizes = [line.pod.storage_gib for line in timed]
    if not timed or None in sizes:
        return None, "volumes of the pods are not known" if timed else ""
    gib_seconds = sum(((line.pod.storage_gib or 0) * (line.seconds or 0) for line in timed), Decimal(0))
    if gib_seconds and card.ebs_gp3_usd_per_gib_month is None:
        return None, f"rate card {card.name} has no EBS price"
    return gib_seconds * (card.ebs_gp3_usd_per_gib_month or 0) / MONTH, ""


def _transfer(lines: Sequence[Line], card: RateCard, remote_bytes: int | None) -> Part:
    """Between zones, both directions: a fetch from another host crosses zones with probability 1 - 1/zones."""
    if not lines:
        return None, ""
    if len({line.pod.uid for line in lines}) == 1 or remote_bytes == 0:
        return Decimal(0), ""
    zones = {line.node.zone if line.node and not line.is_assumed else None for line in lines}
    if None in zones:
        return None, "zones of the pods are not known"
    if len(zones) == 1:
        return Decimal(0), ""
    if remote_bytes is None or card.cross_zone_usd_per_gb is None:
        return None, "bytes between zones are not known"
    return gib(remote_bytes) * (1 - 1 / Decimal(len(zones))) * card.cross_zone_usd_per_gb, ""


def _shared(timed: Sequence[Line], card: RateCard) -> Part:
    if card.shared_usd_per_vcpu_hour is None or not timed:
        return None, "the rate card names no shared rate" if timed else ""
    vcpu_seconds = sum(((line.pod.vcpu or 0) * (line.seconds or 0) for line in timed), Decimal(0))
    return vcpu_seconds * card.shared_usd_per_vcpu_hour / HOUR, ""


def _idle(timed: Sequence[Line], card: RateCard) -> Part:
    """The job's share of what was free on its nodes, per resource by its share of requests (AWS split allocation)."""
    if not timed:
        return None, ""
    usd = Decimal(0)
    for line in timed:
        if line.capacity_type == "fargate":
            continue
        if line.steps is None or line.node is None or not _is_full_view(line.node):
            return None, "other pods on the nodes are not known"
        free = _free_rate(line, line.node, card)
        own = pod_rate(line.pod, line.node, card, Decimal(1))
        usd += sum((step.usd for step in line.steps), Decimal(0)) * free / own if own else 0
    return usd, ""


def _is_full_view(node: Node) -> bool:
    """True if everything that ran on the node is known."""
    gpu_known = node.gpu == 0 or node.allocated_gpu is not None
    return bool(node.allocated_vcpu and node.allocated_memory_gib) and gpu_known


def _free_rate(line: Line, node: Node, card: RateCard) -> Decimal:
    """The pod's share of the node's free resources, in the unit of a node that costs 1 USD per hour."""
    pairs = (
        (line.pod.vcpu, node.vcpu, node.allocated_vcpu),
        (line.pod.memory_gib, node.memory_gib, node.allocated_memory_gib),
        (Decimal(line.pod.gpu), Decimal(node.gpu), Decimal(node.allocated_gpu or 0)),
    )
    rate = Decimal(0)
    for unit, (requested, capacity, allocated) in zip(unit_rates(node, card, Decimal(1)), pairs, strict=True):
        if allocated and capacity and capacity > allocated:
            rate += unit * (capacity - allocated) * (requested or 0) / allocated
    return rate


def _usage(timed: Iterable[Line]) -> Usage:
    sums: dict[CapacityType | None, list[Decimal]] = {}
    usd: dict[CapacityType | None, Decimal | None] = {}
    for line in timed:
        held = line.seconds or Decimal(0)
        known = usd.get(line.capacity_type, Decimal(0))
        paid = None if known is None or line.steps is None else sum((step.usd for step in line.steps), known)
        usd[line.capacity_type] = paid
        amounts = sums.setdefault(line.capacity_type, [Decimal(0)] * 3)
        for index, amount in enumerate((line.pod.vcpu, line.pod.memory_gib, Decimal(line.pod.gpu))):
            amounts[index] += (amount or 0) * held
    if not sums:
        return Usage()
    vcpu, memory, gpu = (sum((amounts[index] for amounts in sums.values()), Decimal(0)) for index in range(3))
    return Usage(
        vcpu_seconds=vcpu.quantize(PLACES).normalize(),
        memory_gib_seconds=memory.quantize(PLACES).normalize(),
        gpu_seconds=gpu.quantize(PLACES).normalize(),
        by_capacity_type={
            kind: UsageAmounts(
                vcpu_seconds=amounts[0],
                memory_gib_seconds=amounts[1],
                gpu_seconds=amounts[2],
                usd_compute=None if (paid := usd[kind]) is None else paid.quantize(PLACES),
            )
            for kind, amounts in sums.items()
            if kind is not None
        },
    )


_CONFIDENCE: dict[Basis, int] = {"cur": 3, "pods": 3, "opencost": 2, "event_log": 2, "requests": 1}


def _confidence(basis: Basis, *, assumed: bool, gaps: bool) -> Literal["high", "medium", "low"]:
    levels: tuple[Literal["high", "medium", "low"], ...] = ("low", "low", "medium", "high")
    return levels[max(_CONFIDENCE[basis] - assumed - gaps, 0)]
