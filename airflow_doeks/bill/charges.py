"""Each row to one record, and the sums: a pod's uid goes before the job's id, that before our tags."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_doeks.model.billing import Charge, Share

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# place -> the kind of key and the column that it is looked for in
_PLACES = {1: ("pod", "pod"), 2: ("run", "run"), 3: ("task", "task_key || '/' || try"), 4: ("task", "task_key")}
_ANY = " UNION ALL ".join(
    f"SELECT number, record_id, kind, {place} AS place FROM numbered n JOIN keys k ON k.value = n.{column}"  # noqa: S608 - the same
    f" WHERE k.kind = '{kind}' AND (k.day IS NULL OR k.day = CAST(n.since AS DATE))"
    " AND (k.since IS NULL OR n.until > k.since) AND (k.until IS NULL OR n.since < k.until)"
    for place, (kind, column) in _PLACES.items()
)
_MATCHED = f"""
CREATE TABLE matched AS
WITH numbered AS (SELECT row_number() OVER () AS number, * FROM pod_rows), candidates AS (
  SELECT DISTINCT *, rank() OVER (PARTITION BY number ORDER BY place) AS best FROM ({_ANY})
)
SELECT n.*, c.record_id, c.kind, count(*) OVER (PARTITION BY number) > 1 AS is_doubtful
FROM numbered n JOIN candidates c USING (number) WHERE c.best = 1"""  # noqa: S608 - made of this file's words only
_SUMS = """
SELECT record_id, list(DISTINCT kind),
  sum(usd) FILTER (NOT is_uplift AND NOT is_doubtful), sum(idle) FILTER (NOT is_uplift AND NOT is_doubtful),
  sum(usd) FILTER (is_uplift AND NOT is_doubtful),
  list(DISTINCT pod) FILTER (pod IS NOT NULL AND NOT is_doubtful), count(*) FILTER (is_doubtful), bool_and(is_final),
  count(*) FILTER (is_unpriced)
FROM matched GROUP BY record_id ORDER BY record_id"""
_SHARES = """
WITH sums AS (SELECT machine, since, family, capacity_type, sum(amount) AS amount FROM machines GROUP BY ALL),
parts AS (
  SELECT *, CAST(amount / nullif(sum(amount) OVER (PARTITION BY machine, since), 0) AS DECIMAL(18, 15)) AS part
  FROM sums
),
placed AS (
  SELECT m.record_id, CASE WHEN m.machine IS NULL THEN 'fargate' ELSE p.family END AS family,
    CASE WHEN m.machine IS NULL THEN 'fargate' ELSE p.capacity_type END AS capacity_type,
    CAST(m.usd * coalesce(p.part, 1) AS DECIMAL(38, 16)) AS usd
  FROM matched m LEFT JOIN parts p ON p.machine = m.machine AND p.since = m.since
  WHERE NOT m.is_uplift AND NOT m.is_doubtful
)
SELECT record_id, family, capacity_type, sum(usd) FROM placed GROUP BY ALL ORDER BY ALL"""
_ZERO = Decimal(0)


def charges(database: DuckDBPyConnection) -> Iterator[Charge]:
    """What the tables of ``read_export`` have for each record, by record id."""
    database.execute(_MATCHED)
    shares: dict[str, list[Share]] = {}
    for record_id, family, capacity_type, usd in database.execute(_SHARES).fetchall():
        shares.setdefault(record_id, []).append(Share(family, capacity_type, usd))
    for record_id, kinds, compute, idle, uplift, pods, doubtful, is_final, unpriced in database.execute(
        _SUMS
    ).fetchall():
        yield Charge(
            record_id,
            tuple(sorted(kinds)),
            compute or _ZERO,
            idle or _ZERO,
            uplift,
            frozenset(pods or ()),
            doubtful,
            bool(is_final),
            unpriced,
            tuple(shares.get(record_id, ())),
        )
