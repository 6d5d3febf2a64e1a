"""Reports by SQL over the view of the ledger (`records`, `datasets`): what `totals` gives, without reading each record.

Dollars are exact; what a dataset's part of a job's hours and waste is, is a quotient and rounded to ten places.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_doeks.model.bill import LONGEST_LIFE, PLACES
from airflow_doeks.report.totals import (
    NO_CAPACITY,
    NO_TEAM,
    NO_TIME,
    TIMES,
    UNATTRIBUTED,
    WHOLE,
    By,
    Report,
    Total,
    dollars,
    share_of,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KEYS: Mapping[By, str] = {
    # grouping -> what of a record it goes by
    "team": f"coalesce(nullif(team, ''), '{NO_TEAM}')",
    "pipeline": "dag_id",
    "task": "dag_id || '/' || task_id",
    "platform": "platform",
    "day": f"coalesce(strftime(coalesce(submitted, started, ended), '%Y-%m-%d'), '{NO_TIME}')",
}
LABEL = """CASE WHEN namespace = 'file' THEN dataset
    WHEN contains(namespace, '://') THEN namespace || '/' || ltrim(dataset, '/')
    ELSE namespace || ':' || dataset END"""  # as `entry.label_of`
_WASTE = "coalesce(usd_waste, CASE WHEN has_failed THEN usd_total END)"
_RECORDS = f"""SELECT {{}} AS key, usd_total AS usd, has_failed, vcpu_seconds, memory_gib_seconds, {_WASTE} AS waste,
        estimate_usd AS estimate FROM records"""  # noqa: S608 - texts of this file only
_SHARED = f"""SELECT key, usd, has_failed, vcpu_seconds * part AS vcpu_seconds,
    memory_gib_seconds * part AS memory_gib_seconds, {_WASTE} * part AS waste FROM shares"""  # noqa: S608 - the same
_SLIM = """slim AS MATERIALIZED (
        SELECT record_id, usd_total, usd_waste, has_failed, vcpu_seconds, memory_gib_seconds FROM records
    )"""  # once, where a question asks the records more than once
_DATASETS = f"""WITH {_SLIM}, parts AS (
        SELECT record_id, {LABEL} AS key, usd FROM datasets WHERE direction = 'output' AND usd IS NOT NULL
    ), claimed AS (
        SELECT record_id, sum(usd) AS usd FROM parts GROUP BY record_id
    ), rests AS (
        SELECT record_id, '{UNATTRIBUTED}' AS key, usd_total - coalesce(usd, 0) AS usd
        FROM slim LEFT JOIN claimed USING (record_id) WHERE usd_total IS NOT NULL AND usd_total <> 0
    ), shares AS (
        SELECT key, p.usd AS usd, r.* EXCLUDE (record_id), CAST(p.usd AS DOUBLE) / CAST(usd_total AS DOUBLE) AS part
        FROM slim r JOIN (FROM parts UNION ALL FROM rests WHERE usd <> 0) p USING (record_id) WHERE usd_total <> 0
        UNION ALL
        SELECT '{UNATTRIBUTED}', usd_total, * EXCLUDE (record_id), 1.0
        FROM slim WHERE usd_total IS NULL OR usd_total = 0
    ) {_SHARED}"""  # noqa: S608 - texts of this file only
# A job whose compute is known by capacity type falls on them, the last one takes what rounding left; any other on the
# name of all the types that it held.
_CAPACITY = f"""WITH {_SLIM}, bodies AS MATERIALIZED (
        SELECT record_id, revision, CAST(record::JSON->'$.usage.by_capacity_type' AS VARCHAR) AS plain FROM all_records
    ), told AS (
        SELECT record_id, any_value(CAST(plain AS JSON)) AS plain
        FROM bodies SEMI JOIN newest_records USING (record_id, revision) GROUP BY record_id
    ), held AS (
        SELECT usd_total, has_failed, {_WASTE} AS waste, vcpu_seconds, memory_gib_seconds,
            CAST(plain AS MAP(VARCHAR, JSON)) AS amounts, coalesce(list_sort(map_keys(amounts)), []) AS kinds
        FROM slim JOIN told USING (record_id)
    ), paid AS (
        SELECT *, [CAST(map_extract(amounts, kind)[1]->>'$.usd_compute' AS DOUBLE) for kind in kinds] AS paid,
            usd_total IS NOT NULL AND len(kinds) > 1 AND list_count(paid) = len(kinds)
                AND list_sum(paid) > 0 AS is_split
        FROM held
    ), shared AS (
        SELECT *, [CAST(CAST(usd_total AS DOUBLE) * one / list_sum(paid) AS DECIMAL(38, 10)) for one in paid] AS shares,
            unnest(range(1, CASE WHEN is_split THEN len(kinds) ELSE 1 END + 1)) AS place
        FROM paid
    )
    SELECT CASE WHEN is_split THEN kinds[place]
            ELSE coalesce(nullif(array_to_string(kinds, ' and '), ''), '{NO_CAPACITY}') END AS key,
        CASE WHEN NOT is_split THEN usd_total WHEN place < len(kinds) THEN shares[place]
            ELSE usd_total - CAST(list_sum(shares[1:len(kinds) - 1]) AS DECIMAL(38, 10)) END AS usd,
        has_failed,
        CASE WHEN is_split THEN CAST(map_extract(amounts, kinds[place])[1]->>'$.vcpu_seconds' AS DECIMAL(38, 10))
            ELSE vcpu_seconds END AS vcpu_seconds,
        CASE WHEN is_split THEN CAST(map_extract(amounts, kinds[place])[1]->>'$.memory_gib_seconds' AS DECIMAL(38, 10))
            ELSE memory_gib_seconds END AS memory_gib_seconds,
        CASE WHEN is_split THEN waste * paid[place] / list_sum(paid) ELSE waste END AS waste
    FROM shared
    """  # noqa: S608 - texts of this file only
# Minutes of the record where they sum to its dollars, else its dollars evenly over its life: `minutes.evenly`, in units
# of the last place and in microseconds. What rounding left is on the first of the dearest minutes.
_RUNS = f"""WITH {_SLIM}, told AS (
        SELECT record_id FROM minutes JOIN slim USING (record_id) WHERE usd_total <> 0
        GROUP BY record_id, usd_total HAVING sum(minute_count * usd_per_minute) = usd_total
    ), lives AS (
        SELECT record_id, CAST(usd_total * 10000000000 AS HUGEINT) AS units, coalesce(started, submitted) AS since,
            epoch_us(ended) - epoch_us(since) AS lasted, date_trunc('minute', since) AS first,
            date_trunc('minute', ended) AS last, datediff('minute', first, last) - 1 AS inner_minutes,
            CASE WHEN inner_minutes < 0 THEN 1 ELSE epoch_us(first) + 60000000 - epoch_us(since) END AS head,
            epoch_us(ended) - epoch_us(last) AS tail,
            CASE WHEN inner_minutes < 0 THEN units ELSE units * head // lasted END AS first_units,
            CASE WHEN inner_minutes > 0 THEN units * 60000000 // lasted ELSE 0 END AS inner_units,
            CASE WHEN inner_minutes < 0 THEN 0 ELSE units * tail // lasted END AS last_units,
            units - first_units - greatest(inner_minutes, 0) * inner_units - last_units AS rest,
            CASE WHEN first_units >= greatest(inner_units, last_units) THEN 0
                WHEN inner_units >= last_units THEN 1 ELSE 2 END AS dearest
        FROM records ANTI JOIN told USING (record_id)
        WHERE usd_total <> 0 AND ended >= since AND lasted <= {LONGEST_LIFE // timedelta(microseconds=1)}
    ), runs AS (
        SELECT record_id, since, minute_count, CAST(usd_per_minute * 10000000000 AS HUGEINT) AS units
        FROM minutes SEMI JOIN told USING (record_id)
        UNION ALL
        SELECT record_id, first, 1, first_units + CASE WHEN dearest = 0 THEN rest ELSE 0 END FROM lives
        UNION ALL
        SELECT record_id, first + INTERVAL 1 MINUTE, 1, inner_units + CASE WHEN dearest = 1 THEN rest ELSE 0 END
        FROM lives WHERE inner_minutes > 0
        UNION ALL
        SELECT record_id, first + INTERVAL 2 MINUTE, inner_minutes - 1, inner_units FROM lives WHERE inner_minutes > 1
        UNION ALL
        SELECT record_id, last, 1, last_units + CASE WHEN dearest = 2 THEN rest ELSE 0 END
        FROM lives WHERE inner_minutes >= 0
    ), timeless AS (
        SELECT NULL AS key, usd_total AS usd, * EXCLUDE (record_id), 1.0 AS part
        FROM slim WHERE record_id NOT IN (SELECT record_id FROM runs)
    )"""  # noqa: S608 - texts of this file only
_PART = "CAST(usd AS DOUBLE) / CAST(usd_total AS DOUBLE) AS part"
_UNITS = "CAST({} AS DECIMAL(28, 0)) * CAST(0.0000000001 AS DECIMAL(10, 10))"
_HOURS = f"""{_RUNS}, minutely AS (
        SELECT record_id, since + to_minutes(unnest(range(minute_count))) AS minute, units FROM runs WHERE units <> 0
    ), hourly AS (
        SELECT record_id, date_trunc('hour', minute) AS hour, sum(units) AS units FROM minutely GROUP BY ALL
    ), shares AS (
        SELECT hour AS key, {_UNITS.format("units")} AS usd, r.* EXCLUDE (record_id), {_PART}
        FROM hourly JOIN slim r USING (record_id)
        UNION ALL FROM timeless
    ) {_SHARED}"""  # noqa: S608 - texts of this file only
# The sums themselves: what each run adds from its first minute on is taken away behind its last (no minute stands twice
# in a record), so that a month of long jobs is no row a job and minute. In whole units, which leave nothing behind.
_ADDED = ("jobs", "failed", "units", "vcpu", "vcpu_known", "memory", "memory_known", "waste", "waste_known")
_CHANGED = ", ".join(f"sum(sign * {one}) AS {one}" for one in _ADDED)
_SO_FAR = ", ".join(f"sum({one}) OVER so_far AS {one}" for one in _ADDED)
_KNOWN = {one: f"CASE WHEN {one}_known > 0 THEN {_UNITS.format(one)} END" for one in ("vcpu", "memory", "waste")}
_MINUTES = f"""{_RUNS}, spent AS (
        SELECT since, minute_count, 1 AS jobs, CAST(has_failed AS INTEGER) AS failed, units,
            {_UNITS.format("units")} AS usd, {_PART}, {_WASTE} AS wasted,
            CAST(coalesce(vcpu_seconds, 0) * part * 10000000000 AS HUGEINT) AS vcpu,
            CAST(vcpu_seconds IS NOT NULL AS INTEGER) AS vcpu_known,
            CAST(coalesce(memory_gib_seconds, 0) * part * 10000000000 AS HUGEINT) AS memory,
            CAST(memory_gib_seconds IS NOT NULL AS INTEGER) AS memory_known,
            CAST(coalesce(wasted, 0) * part * 10000000000 AS HUGEINT) AS waste,
            CAST(wasted IS NOT NULL AS INTEGER) AS waste_known
        FROM runs JOIN slim USING (record_id) WHERE units <> 0
    ), turns AS (
        SELECT since AS minute, 1 AS sign, * FROM spent
        UNION ALL SELECT since + to_minutes(minute_count), -1, * FROM spent
    ), changes AS (
        SELECT minute, {_CHANGED} FROM turns GROUP BY minute
    ), stretches AS (
        SELECT minute, lead(minute) OVER so_far AS until, {_SO_FAR} FROM changes WINDOW so_far AS (ORDER BY minute)
    )
    SELECT unnest(range(minute, until, INTERVAL 1 MINUTE)) AS key, jobs, failed, 0,
        {_KNOWN["vcpu"]}, {_KNOWN["memory"]}, {_UNITS.format("units")}, {_KNOWN["waste"]}, NULL, NULL
    FROM stretches WHERE jobs > 0
    UNION ALL
    {{}}"""  # noqa: S608 - texts of this file only
_ROWS: Mapping[By, str] = {
    **{by: _RECORDS.format(key) for by, key in KEYS.items()},
    "dataset": _DATASETS,
    "capacity": _CAPACITY,
    "hour": _HOURS,
}
_WRITTEN: Mapping[By, str] = {"hour": "%Y-%m-%dT%H:00Z", "minute": "%Y-%m-%dT%H:%MZ"}  # added up as moments
_TABLES: Mapping[By, tuple[str, ...]] = {
    "dataset": ("records", "datasets"),
    "hour": ("records", "minutes"),
    "minute": ("records", "minutes"),
}
_SUMS = """SELECT {} AS key, count(*), count(*) FILTER (has_failed), count(*) FILTER (usd IS NULL),
    sum(vcpu_seconds), sum(memory_gib_seconds), sum(usd), sum(waste), {} FROM ({}) GROUP BY ALL"""
_BY_MINUTE = _MINUTES.format(_SUMS.format("key", "NULL, NULL", _SHARED.replace("shares", "timeless")))
_ESTIMATES = "sum(estimate) FILTER (usd IS NOT NULL), sum(usd) FILTER (estimate IS NOT NULL)"


def tables_of(by: By) -> tuple[str, ...]:
    """The tables of the view that a report asks."""
    return _TABLES.get(by, ("records",))


def report_of(database: DuckDBPyConnection, by: By) -> Report:
    """The report of all records of the view."""
    ((_, *everything),) = database.execute(_SUMS.format("''", _ESTIMATES, _RECORDS.format("''"))).fetchall()
    total = _total("total", *everything) if everything[0] else Total(key="total")
    by_key = _SUMS.format("key", _ESTIMATES if by in WHOLE else "NULL, NULL", _ROWS[by]) if by in _ROWS else _BY_MINUTE
    sums = database.execute(by_key).fetchall()
    lines = [_total(_written(key, by), *amounts, whole=total.usd) for key, *amounts in sums]
    lines.sort(key=lambda line: line.key)
    if by not in TIMES:
        lines.sort(key=dollars, reverse=True)
    return Report.model_construct(by=by, lines=tuple(lines), total=total)


def _total(key: str, jobs: int, failed: int, unpriced: int, *amounts: Any, whole: Decimal | None = None) -> Total:
    """A line, made without the checks of the model: a month has 43,200 minutes, and DuckDB gives what it says."""
    vcpu, memory, usd, waste, estimate, estimated = map(_amount, amounts)
    return Total.model_construct(
        key=key,
        jobs=jobs,
        failed=failed,
        unpriced=unpriced,
        vcpu_hours=None if vcpu is None else vcpu / 3600,
        memory_gib_hours=None if memory is None else memory / 3600,
        usd=usd,
        usd_waste=waste,
        share=share_of(usd, whole),
        estimate_usd=estimate,
        usd_of_estimated=estimated,
    )


def _written(key: Any, by: By) -> str:
    """A key as a report has it; a job whose time is unknown has none to write."""
    if by not in _WRITTEN:
        return str(key)
    return NO_TIME if key is None else str(key.strftime(_WRITTEN[by]))


def _amount(value: Any) -> Decimal | None:
    return None if value is None else Decimal(value).quantize(PLACES)
