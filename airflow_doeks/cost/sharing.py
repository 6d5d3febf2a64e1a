"""What each dataset cost: a job's dollars spread over its outputs by the slot time of the Spark tasks that made them.

Driver, start-up and idle slots are spread by the same shares. What no output claims stays ``usd_unattributed``.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from airflow_doeks.model.bill import PLACES
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.lineage import Lineage
from airflow_doeks.model.record import Cost


def share(cost: Cost, summary: EventLogSummary, *, succeeded: bool | None = None) -> tuple[Cost, Lineage]:
    """The cost with waste and the unattributed rest, and the lineage with dollars on every output.

    ``sum(usd of outputs) + usd_unattributed == usd_total``, exactly. A job that did not succeed is waste as a whole.
    Where slot time is unknown, so are the dollars.
    """
    lineage, total = summary.lineage, cost.usd_total
    if total is None:
        return cost, lineage
    shares = slot_shares(lineage)
    waste = total if succeeded is False else _waste(total, summary)
    if shares is None:
        return cost.model_copy(update={"usd_waste": waste}), lineage
    usd = [(total * part).quantize(PLACES, ROUND_DOWN) for part in shares]
    rest = total - sum(usd, Decimal(0))
    outputs = tuple(
        dataset.model_copy(update={"usd": dollars}) for dataset, dollars in zip(lineage.outputs, usd, strict=True)
    )
    return (
        cost.model_copy(update={"usd_waste": waste, "usd_unattributed": rest}),
        lineage.model_copy(update={"outputs": outputs}),
    )


def slot_shares(lineage: Lineage) -> list[Decimal] | None:
    """Each output's share of slot time, at most 1 in sum; None if one of them is unknown."""
    shares = []
    for dataset in lineage.outputs:
        if dataset.slot_share is None:
            return None
        shares.append(Decimal(str(dataset.slot_share)))
    scale = max(sum(shares, Decimal(0)), Decimal(1))
    return [part / scale for part in shares]


def _waste(total: Decimal, summary: EventLogSummary) -> Decimal | None:
    if summary.slot_ms is None or summary.slot_ms_wasted is None:
        return None
    if summary.slot_ms == 0:
        return Decimal(0).quantize(PLACES)
    return (total * min(Decimal(summary.slot_ms_wasted) / summary.slot_ms, Decimal(1))).quantize(PLACES)
