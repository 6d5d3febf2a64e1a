"""The log's own totals against the datasets that were found, so that what nobody foresaw is told.

Spark tasks count records and bytes that they read and wrote, whatever the plan calls the node. What caches, failed
Spark tasks and repeated stages count twice is left out; what then is more than the nodes of the plan account for is
told with its execution and node.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_doeks.lineage.plans import Metrics, PlanFacts
from airflow_doeks.lineage.roots import Root


def unread(root: Root, plans: Sequence[PlanFacts]) -> Iterator[str]:
    """What a root execution read and no input holds, a sentence each."""
    if root.query is not None and not any(plan.leaves for plan in plans):
        return  # sources of a stream stand in its progress
    leaves = {
        leaf.label: root.accumulators.get(leaf.rows, 0) if leaf.rows is not None else 0
        for plan in plans
        for leaf in plan.leaves
        if leaf.is_source or (leaf.rows is not None and root.accumulators.get(leaf.rows, 0) > 0)
    }
    missing = _bytes(root.moved.bytes_read - _bytes_of_scans(root, plans))
    for label, rows in leaves.items():
        much = f"{rows} records" if rows else "an unknown number of records"
        yield f"SQL execution {root.number} read {much}{missing} through a node of a kind not known here: {label}"
    if leaves or root.retried or root.has_cached_rdds or any(plan.is_cached for plan in plans):
        return
    known = sum(root.accumulators.get(key, 0) for key in {key for plan in plans for key in plan.rows})
    records = root.moved.records_read - known - root.by_rdds
    where = ", ".join(root.scopes) or next((plan.top for plan in plans), "no plan")
    if records > 0:
        yield f"SQL execution {root.number} read {records} records{missing} that no scan accounts for: {where}"
    elif root.moved.bytes_read and not root.by_rdds and not any(plan.rows or plan.scans for plan in plans):
        yield f"SQL execution {root.number} read data{missing} that no scan accounts for: {where}"


def unwritten(root: Root, plans: Sequence[PlanFacts], rows: int, size: int) -> Iterator[str]:
    """What a root execution wrote beyond the ``rows`` and bytes that its outputs hold."""
    records = root.moved.records_written - rows
    if records > 0 and not root.retried:
        where = next((plan.top for plan in plans), "no plan")
        missing = _bytes(root.moved.bytes_written - size)
        yield f"SQL execution {root.number} wrote {records} records{missing} to a place that is not in the log: {where}"


def _bytes_of_scans(root: Root, plans: Sequence[PlanFacts]) -> int:
    scans: set[Metrics] = {scan.metrics for plan in plans for scan in plan.scans}
    return sum(root.counts(metrics).bytes or 0 for metrics in scans)


def _bytes(size: int) -> str:
    return f" ({size} bytes)" if size > 0 else ""
