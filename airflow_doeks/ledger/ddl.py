"""Statements that show the compacted ledger to a larger engine: its tables, and views with each record once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from airflow_doeks.model.tables import TABLES, Kind

_PLACE = {
    # table -> what tells its rows of one revision apart: a day that is compacted anew may stand twice for a moment
    "records": "",
    "datasets": ", direction, position",
    "minutes": ", position",
}


@dataclass(frozen=True)
class SqlEngine:
    """What an engine calls types, and how its tables are made: a template of name, columns and location."""

    types: Mapping[Kind, str]
    table: str
    view: str = "CREATE OR REPLACE VIEW {name} AS\n{query};"


_SQL_TYPES: Mapping[Kind, str] = {
    "text": "varchar",
    "whole": "bigint",
    "amount": "decimal(38,10)",
    "share": "double",
    "moment": "timestamp(6)",
    "flag": "boolean",
}
ENGINES: Mapping[str, SqlEngine] = {
    "athena": SqlEngine(
        types={**_SQL_TYPES, "text": "string", "moment": "timestamp"},
        table="CREATE EXTERNAL TABLE {name} (\n{columns}\n)\nPARTITIONED BY (day string)\nSTORED AS PARQUET\n"
        "LOCATION '{location}'\nTBLPROPERTIES (\n  'projection.enabled' = 'true',\n  'projection.day.type' = 'date',\n"
        "  'projection.day.format' = 'yyyy-MM-dd',\n  'projection.day.range' = '2026-01-01,NOW',\n"
        "  'storage.location.template' = '{location}day=${{day}}/'\n);",
    ),
    "trino": SqlEngine(
        types=_SQL_TYPES,
        table="CREATE TABLE {name} (\n{columns},\n  day varchar\n)\nWITH (\n  format = 'PARQUET',\n"
        "  external_location = '{location}',\n  partitioned_by = ARRAY['day']\n);\n"
        "CALL system.sync_partition_metadata('default', '{name}', 'FULL');  -- default: the schema of this table",
    ),
    "spark": SqlEngine(
        types={**_SQL_TYPES, "text": "string", "moment": "timestamp_ntz"},
        table="CREATE TABLE {name} (\n{columns},\n  day string\n)\nUSING PARQUET\nPARTITIONED BY (day)\n"
        "LOCATION '{location}';\nMSCK REPAIR TABLE {name};",
    ),
}
_HEAD = (
    "-- The compacted days of {url}, for {engine}: `doeks ledger compact` writes them, younger days are not in it.\n"
    "-- doeks_records, doeks_datasets and doeks_minutes have each record once, its newest revision."
)


def statements(engine: str, url: str) -> Iterator[str]:
    """A comment, the tables over ``url``, the ledger's root, and the views."""
    row, root = ENGINES[engine], url.rstrip("/")
    yield _HEAD.format(url=root, engine=engine)
    for table, columns in TABLES.items():
        lines = ",\n".join(f"  {column.name} {row.types[column.kind]}" for column in columns)
        yield row.table.format(name=f"doeks_all_{table}", columns=lines, location=f"{root}/v2/{table}/")
    for table in TABLES:
        query = newest(table, "doeks_all_{}", records="doeks_records")
        yield row.view.format(name=f"doeks_{table}", query=query)


def newest(table: str, source: str, *, records: str) -> str:
    """The query that takes of all rows those of each record's newest revision, once; ``source`` names all tables."""
    names = [column.name for column in TABLES[table]]
    if table == "records":
        key, order, join = "record_id", "revision DESC, is_settled DESC", ""
    else:
        key, order = f"t.record_id, t.revision{''.join(_PLACE[table])}", "t.record_id"
        join = f"\n  JOIN {records} r ON r.record_id = t.record_id AND r.revision = t.revision"
    inner = ", ".join(f"t.{name}" for name in names)
    return (
        f"SELECT {', '.join(names)} FROM (\n"  # noqa: S608 - names of ours only
        f"  SELECT {inner}, ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY {order}) AS place\n"
        f"  FROM {source.format(table)} t{join}\n) ranked WHERE place = 1"
    )
