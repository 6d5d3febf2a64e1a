"""What stands beside a record in the ledger about its cost: dollars per minute and advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from airflow_doeks.cost.advice import advise
from airflow_doeks.cost.lines import itemize
from airflow_doeks.cost.rates import RateCard
from airflow_doeks.cost.series import per_minute
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.telemetry import Node, Pod


def cost_detail(
    pods: Sequence[Pod],
    nodes: Mapping[str, Node],
    card: RateCard,
    total: Decimal | None,
    *,
    summary: EventLogSummary | None = None,
    assumed_node: Node | None = None,
    started: datetime | None = None,
    ended: datetime | None = None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """``{"minutes": [...], "advice": [...]}`` as plain JSON; arguments as of ``price``, ``total`` is what it gave."""
    lines = itemize(pods, nodes, card, assumed_node=assumed_node, started=started, ended=ended, now=now)
    advice = advise(summary, pods, nodes, card, assumed_node=assumed_node) if summary else ()
    return {
        "minutes": [run.model_dump(mode="json") for run in per_minute(lines, total)],
        "advice": [measure.model_dump(mode="json") for measure in advice],
    }
