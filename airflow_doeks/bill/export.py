"""The rows of an export that are of our jobs, and those of the machines that these ran on, as tables in DuckDB.

Columns and rules: AWS Data Exports user guide, "Cost and Usage Report (CUR) 2.0" and "Understanding split cost
allocation data", read November 2026. Files are fetched one at a time, whatever their number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_doeks.bill.deliveries import Delivery, deliveries
from airflow_doeks.model.billing import BillKey
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.stores import ByteStore

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BLOCK = 1 << 20
_KEYS = {
    "record_id": "VARCHAR",
    "kind": "VARCHAR",
    "value": "VARCHAR",
    "day": "DATE",
    "since": "TIMESTAMP",
    "until": "TIMESTAMP",
}
_NEEDED = (
    "bill_billing_period_start_date",
    "line_item_line_item_type",
    "line_item_operation",
    "line_item_product_code",
    "line_item_resource_id",
    "line_item_unblended_cost",
    "line_item_usage_amount",
    "line_item_usage_end_date",
    "line_item_usage_start_date",
    "line_item_usage_type",
    "split_line_item_parent_resource_id",
    "split_line_item_split_cost",
    "split_line_item_unused_cost",
)
_OPTIONAL: Mapping[str, str] = {  # column -> what stands for it in an export without it; net ones need a discount
    "bill_invoice_id": "NULL",
    "line_item_net_unblended_cost": "NULL",
    "product_instance_type": "NULL",
    "reservation_effective_cost": "NULL",
    "reservation_net_effective_cost": "NULL",
    "resource_tags": "CAST(MAP {} AS MAP(VARCHAR, VARCHAR))",
    "savings_plan_net_savings_plan_effective_cost": "NULL",
    "savings_plan_savings_plan_effective_cost": "NULL",
    "split_line_item_net_split_cost": "NULL",
    "split_line_item_net_unused_cost": "NULL",
}
# Money of a row that is no split row, by its type; other types (SavingsPlanNegation, Tax, ...) are not of a pod.
_DIRECT = """CASE line_item_line_item_type
    WHEN 'SavingsPlanCoveredUsage' THEN
      coalesce(savings_plan_net_savings_plan_effective_cost, savings_plan_savings_plan_effective_cost)
    WHEN 'DiscountedUsage' THEN coalesce(reservation_net_effective_cost, reservation_effective_cost)
    WHEN 'Usage' THEN coalesce(line_item_net_unblended_cost, line_item_unblended_cost) ELSE 0 END"""
# Sums of doubles depend on their order; those of decimals do not, so that a second run finds the same.
_EXACT = "CAST({} AS DECIMAL(38, 16))"
# arn:aws:eks:<region>:<account>:pod/<cluster>/<namespace>/<pod>/<uid>
_POD = "[^/]+:pod(/[^/]+){3}/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_TAG = "map_extract(resource_tags, 'user_{}')[1]"
_USD = (
    f"CASE WHEN is_split THEN coalesce(split_line_item_net_split_cost, split_line_item_split_cost) ELSE {_DIRECT} END"
)
_IDLE = "CASE WHEN is_split THEN coalesce(split_line_item_net_unused_cost, split_line_item_unused_cost) ELSE 0 END"
_ROWS = f"""
WITH named AS (
  SELECT *, line_item_operation = 'EKSPod-EC2' AS is_split, line_item_operation = 'StartJobRun' AS is_uplift
  FROM read_parquet($file)
  WHERE (line_item_operation IN ('EKSPod-EC2', 'FargatePod') AND contains(line_item_resource_id, ':pod/'))
    OR (line_item_product_code = 'ElasticMapReduce' AND line_item_operation = 'StartJobRun')
), keyed AS (
  SELECT is_uplift, make_timestamp(epoch_us(line_item_usage_start_date)) AS since,
    make_timestamp(epoch_us(line_item_usage_end_date)) AS until,
    {_EXACT.format(f"coalesce({_USD}, 0)")} AS usd,
    {_EXACT.format(f"coalesce({_IDLE}, 0)")} AS idle,
    ({_USD}) IS NULL OR ({_IDLE}) IS NULL AS is_unpriced,
    CASE WHEN is_split THEN split_line_item_parent_resource_id END AS machine,
    CASE WHEN NOT is_uplift THEN split_part(line_item_resource_id, '/', 5) END AS pod,
    coalesce(nullif(regexp_extract(line_item_resource_id, '/jobruns/([^/]+)$', 1), ''),
      {_TAG.format("emr_containers_amazonaws_com_job_id")}) AS run,
    {_TAG.format("airflow_doeks_task_key")} AS task_key, {_TAG.format("airflow_doeks_try")} AS try,
    coalesce(bill_invoice_id, '') <> '' AS is_final
  FROM named
  -- What nobody used stands in the pods' own rows; rows of its own have the same money again. They name no pod's uid;
  -- a cluster, a namespace or a job may have the word in its name.
  WHERE NOT contains(lower(line_item_usage_type), 'unused')
    AND (NOT contains(lower(line_item_resource_id), 'unused') OR regexp_full_match(line_item_resource_id, '{_POD}'))
)
SELECT * FROM keyed
WHERE pod IN (SELECT value FROM keys WHERE kind = 'pod') OR run IN (SELECT value FROM keys WHERE kind = 'run')
  OR task_key || '/' || try IN (SELECT value FROM keys WHERE kind = 'task')
  OR task_key IN (SELECT value FROM keys WHERE kind = 'task')"""  # noqa: S608 - made of this file's words only
# One machine may have several rows an hour: on demand, then covered by a plan, then Spot under the same id.
_MACHINES = """
SELECT line_item_resource_id AS machine, make_timestamp(epoch_us(line_item_usage_start_date)) AS since,
  split_part(coalesce(nullif(product_instance_type, ''), regexp_extract(line_item_usage_type, ':(.+)$', 1)), '.', 1)
    AS family,
  CASE WHEN contains(line_item_usage_type, 'SpotUsage') THEN 'spot' ELSE 'on_demand' END AS capacity_type,
  CAST(sum(line_item_usage_amount) AS DECIMAL(38, 16)) AS amount
FROM read_parquet($file)
WHERE line_item_product_code = 'AmazonEC2' AND starts_with(line_item_resource_id, 'i-')
  AND line_item_line_item_type IN ('Usage', 'SavingsPlanCoveredUsage', 'DiscountedUsage')
  AND (contains(line_item_usage_type, 'BoxUsage') OR contains(line_item_usage_type, 'SpotUsage')
    OR contains(line_item_usage_type, 'DedicatedUsage') OR contains(line_item_usage_type, 'HeavyUsage'))
GROUP BY ALL"""
_SPAN = """
SELECT max(epoch_us(line_item_usage_end_date)) FILTER (line_item_operation IN ('EKSPod-EC2', 'FargatePod')),
  list(DISTINCT strftime(make_timestamp(epoch_us(bill_billing_period_start_date)), '%Y-%m'))
FROM read_parquet($file)"""


# CUR user guide, "Line item details", CurrencyCode: US dollars by default, read November 2026. Other rows are not ours.
_CURRENCIES = """
SELECT DISTINCT line_item_currency_code FROM read_parquet($file)
WHERE line_item_operation IN ('EKSPod-EC2', 'FargatePod', 'StartJobRun')
  AND upper(coalesce(nullif(line_item_currency_code, ''), 'USD')) <> 'USD' ORDER BY ALL"""


@dataclass
class Export:
    """What was read: how many files, of which deliveries, billing periods (``2026-11``), until when pods have rows."""

    files: int = 0
    deliveries: list[Delivery] = field(default_factory=list)
    periods: set[str] = field(default_factory=set)
    until: datetime | None = None


def read_export(
    store: ByteStore,
    database: DuckDBPyConnection,
    keys: Iterable[BillKey],
    folder: Path,
    parts: Sequence[str] = ("",),
) -> Export:
    """Fill the tables ``keys``, ``pod_rows`` and ``machines``; ``folder`` holds a file at a time.

    SpecError for a place without Parquet, for files without the columns that are needed, and for another currency than
    US dollars. May raise OSError.
    """
    taken = deliveries(store, parts)
    names = sorted(name for one in taken for name in one.names)
    if not names:
        msg = f"{store.url}: no .parquet file; give the export's folder `data/`, or one billing period of it"
        raise SpecError(msg)
    _insert_keys(database, keys, folder)
    found = Export(deliveries=taken)
    for name in names:
        file = folder / "rows.parquet"
        with store.open(name) as content, file.open("wb") as out:
            while block := content.read(_BLOCK):
                out.write(block)
        _take(database, str(file), f"{store.url}/{name}", found)
        file.unlink()
    return found


def _insert_keys(database: DuckDBPyConnection, keys: Iterable[BillKey], folder: Path) -> None:
    """By a file of JSON lines: a hundred times faster than row by row."""
    lines = folder / "keys.jsonl"
    with lines.open("w", encoding="utf-8") as out:
        for key in keys:
            times = {"day": key.day and key.day.isoformat(), "since": _plain(key.since), "until": _plain(key.until)}
            out.write(f"{json.dumps(key._asdict() | times)}\n")
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in _KEYS.items())
    read = f"read_json('{lines}', format='newline_delimited', columns={{{columns}}})"
    database.execute(f"CREATE TABLE keys AS SELECT * FROM {read}")  # noqa: S608 - a name of ours


def _plain(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(timezone.utc).replace(tzinfo=None).isoformat(" ")


def _take(database: DuckDBPyConnection, file: str, where: str, found: Export) -> None:
    import duckdb

    try:
        present = {
            str(row[0]): str(row[1])
            for row in database.execute("DESCRIBE SELECT * FROM read_parquet($file)", {"file": file}).fetchall()
        }
    except duckdb.Error as error:
        msg = f"{where}: not a Parquet file: {str(error).splitlines()[0]}"
        raise SpecError(msg) from error
    if missing := [name for name in _NEEDED if name not in present]:
        advice = "export CUR 2.0 with resource ids and split cost allocation data"
        msg = f"{where} has no column {', '.join(missing)}: {advice}"
        raise SpecError(msg)
    if "line_item_currency_code" in present and (
        other := [str(one) for (one,) in database.execute(_CURRENCIES, {"file": file}).fetchall()]
    ):
        msg = f"{where} is in {', '.join(other)}, and records are in USD"
        raise SpecError(msg)
    lacking = [f"{value} AS {name}" for name, value in _OPTIONAL.items() if name not in present]
    source = f"(SELECT *, {', '.join(lacking)} FROM read_parquet($file))" if lacking else "read_parquet($file)"  # noqa: S608 - the same
    for table, query in (("pod_rows", _ROWS), ("machines", _MACHINES)):
        select = query.replace("read_parquet($file)", source)
        exists = found.files > 0
        database.execute(
            f"INSERT INTO {table} {select}" if exists else f"CREATE TABLE {table} AS {select}", {"file": file}
        )
    until, periods = database.execute(_SPAN, {"file": file}).fetchall()[0]
    found.files += 1
    found.periods.update(period for period in periods or () if period)
    if until is not None:
        moment = datetime.fromtimestamp(until / 1_000_000, tz=timezone.utc)
        found.until = moment if found.until is None else max(found.until, moment)
