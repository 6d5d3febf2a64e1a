"""A pod's bill for compute: a step function, dollars per hour over time; one step on demand, several on Spot.

A node's price falls on its pods by the weights of the rate card: weight x node price / weighted capacity per unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from airflow_doeks.cost.fargate import fargate_size
from airflow_doeks.cost.rates import RateCard, SpotPrice
from airflow_doeks.model.bill import LONGEST_LIFE, Line, Step, seconds
from airflow_doeks.model.telemetry import CapacityType, Node, Pod, Role

_NEVER = datetime.max.replace(tzinfo=timezone.utc)
Prices = tuple[tuple[datetime, datetime, Decimal], ...]  # since, until, USD per hour


def billed_seconds(held: Decimal, minimum: int) -> int:
    """Whole seconds, rounded up, at least the minimum."""
    return max(math.ceil(held), minimum)


def itemize(
    pods: Sequence[Pod],
    nodes: Mapping[str, Node],
    card: RateCard,
    *,
    assumed_node: Node | None = None,
    assumed_by_role: Mapping[Role, Node] | None = None,
    started: datetime | None = None,
    ended: datetime | None = None,
    now: datetime | None = None,
) -> tuple[Line, ...]:
    """A line per pod, or per stretch of a pod's time; time that two stretches of a pod share counts once.

    ``assumed_node`` stands in for a node that nobody saw, ``assumed_by_role`` goes before it.
    ``started`` and ``ended`` are the job's, for pods whose own times are unknown; ``now`` closes what still runs.
    """
    lines = []
    paid: dict[str, datetime] = {}  # until when a pod's time is on a line already
    held: dict[str, Decimal] = {}  # and how many seconds of it
    for pod in sorted(pods, key=lambda pod: pod.held_since or _NEVER):
        begin = pod.held_since or (started if pod.role != "executor" else None)
        finish = pod.ended or ended or now
        if begin is not None and finish is not None and pod.uid in paid:
            if finish <= paid[pod.uid]:
                continue
            begin = max(begin, paid[pod.uid])
        if begin is None:
            why = f"{pod.role} pods that never started; their time is not counted"
            lines.append(Line(pod, is_left_out=True, why=why))
        elif finish is None:
            lines.append(Line(pod, why=f"{pod.role} pods whose end is not known"))
        elif finish < begin:
            why = f"{pod.role} pods that ended before they started; their time is not counted"
            lines.append(Line(pod, is_left_out=True, why=why))
        elif finish - begin > LONGEST_LIFE:
            why = f"{pod.role} pods whose times lie more than {LONGEST_LIFE.days} days apart, so that one is broken"
            lines.append(Line(pod, why=why))
        elif pod.vcpu is None or pod.memory_gib is None:
            lines.append(Line(pod, why=f"{pod.role} pods whose requests are not known"))
        else:
            stand_in = (assumed_by_role or {}).get(pod.role) or assumed_node
            line = _placed(pod, nodes, stand_in, card, seconds(begin, finish))
            before = held.get(pod.uid, Decimal(0))
            lines.append(_priced(line, card, begin, finish, before))
            paid[pod.uid], held[pod.uid] = finish, before + seconds(begin, finish)
    return tuple(lines)


def _placed(pod: Pod, nodes: Mapping[str, Node], stand_in: Node | None, card: RateCard, held: Decimal) -> Line:
    """The line of a pod on the node that was seen, or on the one that stands in for it."""
    seen = nodes.get(pod.node) if pod.node else None
    if seen and stand_in and not seen.is_priceable:
        seen = None  # a node that tells no type is priced as the one that is declared
    node = seen or stand_in
    return Line(
        pod,
        node=_filled(node, card) if node else None,
        is_assumed=seen is None,
        capacity_type=pod.capacity_type or (node.capacity_type if node else None),
        seconds=held,
    )


def unit_rates(node: Node, card: RateCard, usd_per_hour: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    """USD per (vCPU, GiB, GPU) and hour on a node of known capacity."""
    per_vcpu, per_gib, per_gpu = card.weights(gpu=node.gpu > 0)
    capacity = per_vcpu * (node.vcpu or 0) + per_gib * (node.memory_gib or 0) + per_gpu * node.gpu
    unit = usd_per_hour / capacity
    return per_vcpu * unit, per_gib * unit, per_gpu * unit


def pod_rate(pod: Pod, node: Node, card: RateCard, usd_per_hour: Decimal) -> Decimal:
    """USD per hour of what one pod requests on a node of known capacity and price.

    Where the node's pods together hold more than the node has, each pays for its part of what there is (AWS).
    """
    per_vcpu, per_gib, per_gpu = unit_rates(node, card, usd_per_hour)
    vcpu = _within(pod.vcpu, node.vcpu, node.allocated_vcpu)
    memory_gib = _within(pod.memory_gib, node.memory_gib, node.allocated_memory_gib)
    return per_vcpu * vcpu + per_gib * memory_gib + per_gpu * pod.gpu


def _within(requested: Decimal | None, capacity: Decimal | None, allocated: Decimal | None) -> Decimal:
    amount = requested or Decimal(0)
    if allocated and capacity and allocated > capacity:
        return amount * capacity / allocated
    return amount


def _priced(line: Line, card: RateCard, start: datetime, end: datetime, before: Decimal) -> Line:
    """The line with its steps; ``before`` is how many seconds of the pod are on other lines."""
    if line.capacity_type == "fargate":
        return _on_fargate(line, card, start, before)
    node = line.node
    if node is None:
        return replace(line, why="pods whose node nobody saw, and no node type is declared")
    prices, why = _node_prices(node, card, line.capacity_type, start, end)
    if line.pod.gpu > node.gpu:
        why = f"pods with {line.pod.gpu} GPU on {node.instance_type or 'a node'}, which has {node.gpu or 'none'}"
    elif prices is not None and not (node.vcpu and node.memory_gib):
        why = f"pods on {node.instance_type or 'a node of unknown type'}, whose capacity is not known"
    if why or prices is None:
        return replace(line, why=why)
    steps = tuple(Step(since, until, pod_rate(line.pod, node, card, usd)) for since, until, usd in prices)
    return replace(line, capacity_type=line.capacity_type or "on_demand", steps=steps)


def _filled(node: Node, card: RateCard) -> Node:
    """The node with vCPU, memory and GPUs of its type where it did not tell."""
    known = card.instances.get(node.instance_type or "")
    if known is None:
        return node
    vcpu, memory_gib, gpu = node.vcpu or known.vcpu, node.memory_gib or known.memory_gib, node.gpu or known.gpu
    return node.model_copy(update={"vcpu": vcpu, "memory_gib": memory_gib, "gpu": gpu})


def _node_prices(
    node: Node, card: RateCard, capacity_type: CapacityType | None, start: datetime, end: datetime
) -> tuple[Prices | None, str]:
    """The node's price over time, or None and why it is not known."""
    kind = node.instance_type or "a node of unknown type"
    on_demand = card.on_demand(kind)
    usd, why = node.usd_per_hour or None, ""  # Karpenter publishes 0 where it knows no price
    if usd is not None:
        pass
    elif capacity_type == "reserved":
        why = f"pods on reserved {kind}; its price stands in the bill, not in a rate card"
    elif capacity_type == "spot":
        if steps := _spot_prices(card, kind, node.zone, start, end):
            return steps, ""
        if on_demand is not None and card.spot_share_of_on_demand is not None:
            usd = card.instances[kind].usd_per_hour * card.spot_share_of_on_demand
        why = "" if usd is not None else f"pods on Spot {kind}, no Spot price known in {node.zone or 'its zone'}"
    elif on_demand is None:
        why = f"pods on {kind}, which rate card {card.name} does not list"
    else:
        usd = on_demand
    return (None, why) if usd is None else (((start, end, usd),), "")


def _spot_prices(card: RateCard, kind: str, zone: str | None, start: datetime, end: datetime) -> Prices:
    """The step function of a zone cut to an interval; empty if the interval's start is not covered.

    A pod whose zone nobody saw is priced in the zone that was dearest then, of those that cover it.
    """
    zones = card.spot.get(kind, {})
    wanted = [zones.get(zone, ())] if zone else zones.values()
    found = (_within_span(steps, start, end) for steps in wanted)
    return max(found, key=lambda prices: (bool(prices), sum(Step(*price).usd for price in prices)), default=())


def _within_span(steps: Sequence[SpotPrice], start: datetime, end: datetime) -> Prices:
    if not steps or steps[0].since > start:
        return ()
    untils = [step.since for step in steps[1:]] + [max(end, steps[-1].since)]
    return tuple(
        (max(step.since, start), min(until, end), step.usd_per_hour)
        for step, until in zip(steps, untils, strict=True)
        if step.since <= end and until >= start and max(step.since, start) <= min(until, end)
    )


def _on_fargate(line: Line, card: RateCard, start: datetime, before: Decimal) -> Line:
    pod, rates = line.pod, card.fargate
    size = fargate_size(pod.vcpu or Decimal(0), pod.memory_gib or Decimal(0))
    if pod.gpu:
        return replace(line, node=None, why=f"pods with {pod.gpu} GPU on Fargate, which has none")
    if rates is None:
        return replace(line, node=None, why=f"pods on Fargate, which rate card {card.name} does not price")
    if size is None:
        return replace(line, node=None, why="pods larger than any Fargate size")
    billed = billed_seconds(before + (line.seconds or Decimal(0)), rates.minimum_seconds)
    if before:  # rounding up, and the minimum, are of a pod, not of each of its stretches
        billed -= billed_seconds(before, rates.minimum_seconds)
    rate = size[0] * rates.usd_per_vcpu_hour + size[1] * rates.usd_per_gib_hour
    step = Step(start, start + timedelta(seconds=billed), rate)
    return replace(line, node=None, is_assumed=False, steps=(step,))
