"""What savings plans and reservations took off each family's on-demand price, as the bill has it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_doeks.bill.deliveries import deliveries
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.stores import ByteStore

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BLOCK = 1 << 20
_NEEDED = {
    "line_item_line_item_type",
    "line_item_product_code",
    "line_item_unblended_cost",
    "line_item_usage_type",
    "pricing_public_on_demand_cost",
    "product_instance_type",
    "reservation_effective_cost",
    "savings_plan_savings_plan_effective_cost",
}
# A row that lacks one of the two prices tells nothing of a discount.
_QUERY = """
SELECT split_part(product_instance_type, '.', 1),
  sum(CAST(pricing_public_on_demand_cost AS DECIMAL(38, 16))) FILTER (paid IS NOT NULL),
  sum(CAST(paid AS DECIMAL(38, 16))) FILTER (pricing_public_on_demand_cost IS NOT NULL)
FROM (SELECT *, CASE line_item_line_item_type
    WHEN 'SavingsPlanCoveredUsage' THEN savings_plan_savings_plan_effective_cost
    WHEN 'DiscountedUsage' THEN reservation_effective_cost ELSE line_item_unblended_cost END AS paid
  FROM read_parquet($file))
WHERE line_item_product_code = 'AmazonEC2' AND contains(line_item_usage_type, 'BoxUsage')
  AND line_item_line_item_type IN ('Usage', 'SavingsPlanCoveredUsage', 'DiscountedUsage') GROUP BY ALL"""
_PLACES = Decimal("0.0001")


def discounts(
    store: ByteStore, database: DuckDBPyConnection, folder: Path, parts: Sequence[str] = ("",)
) -> dict[str, Decimal]:
    """Family -> 1 - what its on-demand hours cost / what they cost by the list, covered and uncovered hours together.

    SpecError for an export that lacks columns, or has no such hours. Spot hours are no part of it.
    """
    listed: dict[str, Decimal] = {}
    paid: dict[str, Decimal] = {}
    for name in (name for one in deliveries(store, parts) for name in one.names):
        file = folder / "rows.parquet"
        with store.open(name) as content, file.open("wb") as out:
            while block := content.read(_BLOCK):
                out.write(block)
        columns = {
            row[0] for row in database.execute("DESCRIBE FROM read_parquet($file)", {"file": str(file)}).fetchall()
        }
        if missing := sorted(_NEEDED - columns):
            msg = f"{store.url}/{name} has no column {', '.join(missing)}"
            raise SpecError(msg)
        for family, by_list, cost in database.execute(_QUERY, {"file": str(file)}).fetchall():
            if family:
                listed[family] = listed.get(family, Decimal(0)) + (by_list or 0)
                paid[family] = paid.get(family, Decimal(0)) + (cost or 0)
    if not any(listed.values()):
        msg = f"{store.url}: no hour of an on-demand instance is in it"
        raise SpecError(msg)
    shares = {family: 1 - paid[family] / whole for family, whole in listed.items() if whole}
    return {family: share.quantize(_PLACES) for family, share in sorted(shares.items()) if 0 < share < 1}
