"""What one job cost and used: its parts, how they are known, what is not known and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from airflow_doeks.model.record import Cost, JobRecord, Usage
from airflow_doeks.report.rates import rates_of
from airflow_doeks.ui import cells
from airflow_doeks.ui.blocks import Cell, Column, Fact, Facts, Table
from airflow_doeks.ui.pages.rows import WASTE

_PARTS = {
    # component -> what it is
    "compute": "vCPU and memory that its pods requested, for as long as they held them",
    "uplift": "what Amazon EMR adds for each vCPU and GiB",
    "storage": "volumes that were claimed for its pods",
    "transfer": "bytes between zones",
    "shared": "its part of what the cluster runs for everybody",
    "idle": "its part of what its nodes held free",
}
_BASES = {
    # basis -> what it means
    "pods": "pods that were seen while they ran",
    "event_log": "executors as Spark's event log has them",
    "requests": "what was requested, over the job's whole life: nobody saw its pods",
    "opencost": "OpenCost's allocation",
    "cur": "the bill",
}


def cost_facts(
    record: JobRecord, budget_usd: Decimal | None = None, detail: Mapping[str, Any] = MappingProxyType({})
) -> Facts:
    """The dollars with how they are known, beside what was expected and allowed."""
    cost, by = record.cost, rates_of(record, detail)
    per = "Of the records that are known" if record.window is None else "By the mean rate since it was started last"
    basis = _BASES.get(cost.basis or "", "") if cost.basis else ""
    facts = [
        Fact("Cost, USD", cells.usd(cost.usd_total), _priced_as(cost)),
        Fact("of which waste, USD", cells.usd(cost.usd_waste), WASTE),
        Fact("USD per hour", cells.usd(by.usd_per_hour), "While it ran."),
        Fact("USD per million records in", cells.usd(by.usd_per_million_in), f"{per}, of all that it read."),
        Fact("USD per million records out", cells.usd(by.usd_per_million_out), f"{per}, of all that it wrote."),
        _estimate(cost),
        _budget(cost, budget_usd),
        Fact("Confidence", cells.text(cost.confidence), "Falls with every pod, node or price that had to be assumed."),
        Fact("Basis", cells.text(cost.basis), f"Computed from {basis}." if basis else ""),
        _bill(record),
        Fact("Rate card", cells.text(cost.rate_card), "The prices it was computed with."),
    ]
    return Facts("Cost", tuple(fact for fact in facts if fact))


def _estimate(cost: Cost) -> Fact:
    if cost.estimate_usd is None:
        return Fact("Estimate, USD", cells.usd(None), "No estimate was made before it ran.")
    return Fact("Estimate, USD", cells.usd(cost.estimate_usd), "Made before it ran.")


def _budget(cost: Cost, budget_usd: Decimal | None) -> Fact:
    if budget_usd is None:
        return Fact("Budget, USD", cells.text("none"), "The task sets no budget_usd.")
    is_over = cost.usd_total is not None and cost.usd_total > budget_usd
    return Fact(
        "Budget, USD", cells.usd(budget_usd, tone="bad" if is_over else ""), "What one run of the task may cost."
    )


def _priced_as(cost: Cost) -> str:
    if cost.usd_total is None:
        return f"Unknown: {cost.why_unknown}." if cost.why_unknown else ""
    return f"As if it had run on {cost.priced_as}." if cost.priced_as else ""


def _bill(record: JobRecord) -> Fact | None:
    """What the bill said later, and by how much the record was off."""
    bill, total = record.actual or {}, record.cost.usd_total
    amount, error = cells.money(bill.get("usd_total")), cells.money(bill.get("error"))  # of what the bill's rows cover
    if amount is None:
        return Fact("On the bill, USD", cells.usd(None), f"Not known: {bill['why']}.") if bill.get("why") else None
    if error is None and total is not None and amount:  # the total may hold more
        error = (total - amount) / amount
    return Fact("On the bill, USD", cells.usd(amount), "" if error is None else f"The record was off by {error:+.1%}.")


def cost_table(record: JobRecord) -> Table:
    """The components, their sum, and of which what no dataset claims."""
    cost = record.cost
    rows = []
    for name, meaning in _PARTS.items():
        part: Decimal | None = getattr(cost, f"usd_{name}")
        whole = cost.usd_total
        rows.append(
            (
                cells.text(name),
                cells.usd(part),
                cells.share(part / whole if part is not None and whole else None),
                Cell(meaning, tone="soft"),
            )
        )
    hint = f"Unknown: {', '.join(cost.unknown)}. Why: {cost.why_unknown or 'not said'}." if cost.unknown else ""
    unattributed = f"of which {cells.usd(cost.usd_unattributed).text} no dataset claims"
    return Table(
        "cost",
        "What it is made of",
        (
            Column("Part"),
            Column("USD", is_number=True),
            Column("Share", is_number=True, hint="Of the job's whole cost."),
            Column("What that is"),
        ),
        rows,
        total=(cells.text("total"), cells.usd(cost.usd_total), Cell(""), Cell(unattributed, tone="soft")),
        hint=hint,
    )


def usage_table(usage: Usage) -> Table:
    """Resource-hours of requests by capacity type."""
    rows = [
        (
            cells.text(name),
            cells.hours(amounts.vcpu_seconds),
            cells.hours(amounts.memory_gib_seconds),
            cells.hours(amounts.gpu_seconds),
        )
        for name, amounts in sorted(usage.by_capacity_type.items())
    ]
    return Table(
        "usage",
        "What it held",
        (
            Column("Capacity type"),
            Column("vCPU-hours", is_number=True, hint="vCPUs requested times hours held."),
            Column("GiB-hours", is_number=True, hint="Memory requested, overhead inside, times hours held."),
            Column("GPU-hours", is_number=True, hint="GPUs requested times hours held."),
        ),
        rows,
        total=(
            cells.text("total"),
            cells.hours(usage.vcpu_seconds),
            cells.hours(usage.memory_gib_seconds),
            cells.hours(usage.gpu_seconds),
        ),
        empty="No usage is known: no pods were seen and no event log was read.",
    )


def unknowns(record: JobRecord) -> Iterator[str]:
    """Sentences for what a reader might take for nothing."""
    if record.settled_by_try is None:
        yield "The job has not been settled: its cost and its data follow when it ends."
    if not record.lineage.complete and record.settled_by_try is not None:
        yield "Lineage is not complete: something was cut, failed, or could not be seen."
    yield from record.lineage.differences
