"""One job's accounts from the best facts at hand: usage, cost, the data it went into, and what to change.

Facts are taken in this order: pods that somebody saw, the pods of the event log, what the request asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_doeks.advice import Advice, advise
from airflow_doeks.cost import RateCard, by_family, itemize, share, total_lines
from airflow_doeks.cost.opencost import Allocated, from_opencost
from airflow_doeks.model.bill import Line
from airflow_doeks.model.billing import FamilyCost
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.lineage import Lineage
from airflow_doeks.model.minutes import Run, per_minute
from airflow_doeks.model.noun import Noun
from airflow_doeks.model.record import Cost, Usage
from airflow_doeks.model.telemetry import Basis, Node, Pod, Telemetry

# From an executor's request to its registration where a node had room: 8 to 14 s on Spark 4.3, measured November 2026.
EXECUTOR_START = timedelta(seconds=14)
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # of a pod in Kubernetes, and on the bill
_LATEST = datetime.max.replace(tzinfo=timezone.utc)


class Account(Noun):
    """What `doeks cost --json` prints and a record is made from.

    ``by_family`` and ``pod_uids`` are what the bill is held against: compute by family of instances (empty unless all
    of it is known), and uids of the pods that ran.
    """

    usage: Usage
    cost: Cost
    lineage: Lineage
    advice: tuple[Advice, ...] = ()
    minutes: tuple[Run, ...] = ()
    by_family: tuple[FamilyCost, ...] = ()
    pod_uids: tuple[str, ...] = ()


def account(
    facts: Telemetry,
    summary: EventLogSummary,
    card: RateCard,
    *,
    assumed_node: Node | None = None,
    succeeded: bool | None = None,
    now: datetime | None = None,
    allocated: Allocated | None = None,
) -> Account:
    """The accounts of one job; an empty summary stands for a log that nobody could read.

    ``assumed_node`` stands in for nodes nobody saw where the telemetry assumes none. ``succeeded`` False makes all of
    the cost waste. ``now`` closes what still runs. ``allocated`` goes before the card's prices.
    """
    card = card.at(facts.started or summary.started or facts.submitted or now)
    basis, pods, unseen = best_pods(facts, summary)
    nodes = {node.uid: node for node in facts.nodes}
    assumed = facts.assumed_node or assumed_node
    lines = itemize(
        pods,
        nodes,
        card,
        assumed_node=assumed,
        assumed_by_role=facts.assumed_by_role,
        started=facts.started or summary.started,
        ended=facts.ended or summary.ended,
        now=now,
    )
    usage, cost = total_lines(
        lines,
        card,
        basis=basis,
        now=now,
        remote_bytes=None if summary.gaps else summary.shuffle_remote_bytes,
        gaps=(*(summary.gaps if basis == "event_log" else ()), *unseen),
    )
    if allocated is not None:
        cost = from_opencost(cost, allocated)
    cost, lineage = share(cost, summary, succeeded=succeeded)
    return Account(
        usage=usage,
        cost=cost,
        lineage=lineage,
        advice=advise(summary, lines, _repriced(card, summary), card_name=card.name) if summary.app_id else (),
        minutes=per_minute(lines, cost.usd_total),
        by_family=by_family(lines, card),
        pod_uids=_uids([*facts.pods, *summary.pods]),
    )


def _uids(pods: Sequence[Pod]) -> tuple[str, ...]:
    """Kubernetes' uids of the pods that started; a log without them knows executors by Spark's numbers."""
    return tuple(sorted({pod.uid for pod in pods if pod.started and _UID.fullmatch(pod.uid)}))


def _repriced(card: RateCard, summary: EventLogSummary) -> Callable[[Pod, Node], Line]:
    """Gives the line of a pod on a node: what advice asks to price a job otherwise."""

    def line(pod: Pod, node: Node) -> Line:
        pod = pod.model_copy(update={"node": node.uid})
        return itemize([pod], {node.uid: node}, card, ended=summary.ended)[0]

    return line


def best_pods(facts: Telemetry, summary: EventLogSummary) -> tuple[Basis, Sequence[Pod], tuple[str, ...]]:
    """The pods to price, what they were learned from, and which of them nobody saw.

    The basis is ``pods`` only where every pod of the event log was seen. Pods that were seen and that the log does not
    know cost all the same: an executor that never registered.
    """
    if not summary.pods:
        return ("pods", facts.pods, ()) if facts.pods else ("requests", facts.requested, ())
    logged = [_completed(pod, facts) for pod in summary.pods]
    if not facts.pods:
        return "event_log", logged, ()
    pairs, left = _paired(logged, facts.pods)
    merged = [pod if seen is None else _as_seen(pod, seen) for pod, seen in pairs]
    unseen = sum(seen is None for _, seen in pairs)
    pods = [*merged, *left]
    if not unseen:
        return "pods", pods, ()
    what = "pods were not seen while they lived; their times and sizes are those of the event log"
    return "event_log", pods, (f"{unseen} of {len(logged)} {what}",)


def _paired(logged: Sequence[Pod], seen: Sequence[Pod]) -> tuple[list[tuple[Pod, Pod | None]], list[Pod]]:
    """Each pod of the log with the one that was seen of it, and the seen ones that the log does not know.

    An executor is known by Spark's number; who was seen without one (a telemetry file) is taken in order of start, so
    that no pod is counted as two.
    """
    left = sorted(seen, key=lambda pod: (pod.started or _LATEST, pod.uid))
    found: dict[int, Pod] = {}
    for is_same in (_is_by_number, _is_by_role):
        for index, pod in enumerate(logged):
            match = None if index in found else next((one for one in left if is_same(one, pod)), None)
            if match is not None:
                found[index] = match
                left.remove(match)
    return [(pod, found.get(index)) for index, pod in enumerate(logged)], left


def _is_by_number(seen: Pod, logged: Pod) -> bool:
    return seen.role == logged.role and (
        seen.role == "driver" or seen.executor_id == (logged.executor_id or logged.uid)
    )


def _is_by_role(seen: Pod, logged: Pod) -> bool:
    return seen.role == logged.role and seen.executor_id is None


def _as_seen(logged: Pod, seen: Pod) -> Pod:
    """The log's pod with what was seen of it; what nobody saw stays the log's."""
    update = {name: getattr(seen, name) for name in ("vcpu", "memory_gib", "node", "capacity_type", "storage_gib")}
    update |= {"started": seen.started, "ended": seen.ended, "reason": seen.reason, "gpu": seen.gpu or logged.gpu}
    update |= {"is_emr_image": seen.is_emr_image or logged.is_emr_image}
    known = {name: value for name, value in update.items() if value not in (None, "")}
    if seen.storage_gib is None and not logged.storage_gib:  # it has claims, and no request tells of any
        known["storage_gib"] = None
    return logged.model_copy(update=known)


def _completed(pod: Pod, facts: Telemetry) -> Pod:
    """A pod of the event log with what only the platform knows; an executor's time begins before it registers."""
    update: dict[str, Any] = {}
    asked = next((request for request in facts.requested if request.role == pod.role), None)
    if asked is not None:
        if pod.storage_gib is None:
            update["storage_gib"] = asked.storage_gib
        update["is_emr_image"] = pod.is_emr_image or asked.is_emr_image
        update["capacity_type"] = pod.capacity_type or asked.capacity_type
        if pod.vcpu is None or pod.memory_gib is None:  # a log without its first part tells no sizes
            update |= {"vcpu": asked.vcpu, "memory_gib": asked.memory_gib, "gpu": asked.gpu}
    if pod.role == "driver" and facts.started and facts.ended:
        update["started"] = min(facts.started, pod.started or facts.started)
        update["ended"] = max(facts.ended, pod.ended or facts.ended)
    if pod.role == "executor" and pod.requested and pod.started:
        # The pod is there, and billed, before its executor registers, but not while it waits for a node.
        update["started"] = min(pod.started, max(pod.requested, pod.started - EXECUTOR_START))
    return pod.model_copy(update=update)
