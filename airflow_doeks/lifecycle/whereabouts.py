"""The nodes of pods that nobody saw there: an event log tells names and addresses, the platform finds the machines."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_doeks.lifecycle.account import best_pods
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.telemetry import Pod, Telemetry
from airflow_doeks.platforms.protocol import NodesFound, Platform


def with_nodes(
    platform: Platform, telemetry: Telemetry, summary: EventLogSummary, why: list[str]
) -> tuple[Telemetry, EventLogSummary]:
    """The same facts, with the nodes that the platform finds; what is not known is told in ``why``."""
    known = {node.uid: node for node in telemetry.nodes}
    pods = [pod for pod in best_pods(telemetry, summary)[1] if pod.capacity_type != "fargate"]
    lost = [pod for pod in pods if pod.node not in known or not known[pod.node].is_priceable]
    if not lost:
        return telemetry, summary
    try:
        found = platform.nodes(lost)
    except (PlatformError, OSError) as error:
        why.append(f"nodes were not looked up: {error}")
        return telemetry, summary
    why.extend(found.why)
    nodes = known | {node.uid: node for node in found.nodes.values()}
    placed = {"pods": _placed(telemetry.pods, found), "nodes": tuple(nodes.values())}
    return telemetry.model_copy(update=placed), summary.model_copy(update={"pods": _placed(summary.pods, found)})


def _placed(pods: Sequence[Pod], found: NodesFound) -> tuple[Pod, ...]:
    """Pods with the name of their node, where only their address was known."""
    return tuple(
        pod if pod.node or not (node := found.nodes.get(pod.ip or "")) else pod.model_copy(update={"node": node.uid})
        for pod in pods
    )
