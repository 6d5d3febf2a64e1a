"""Where a Flink table's data is, by its connector's options: OpenLineage names. Their docs, read November 2026."""

from __future__ import annotations

import re
from collections.abc import Mapping

from airflow_doeks.lineage.names import Name, dataset_name
from airflow_doeks.model.engine import FLINK

NOTHING = frozenset({"datagen", "print", "blackhole"})  # connectors whose data is nowhere
_JDBC_URL = re.compile(
    r"jdbc:(?P<scheme>\w+)://(?:[^/@;?]*@)?(?P<server>(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?)(?:,[^/;?@]*)?"
    r"(?:/(?P<database>[\w$.-]*)|(?=[;?])|$)"
)
_JDBC_DATABASE = re.compile(r";database(?:Name)?=([\w$.-]+)", re.IGNORECASE)
_JDBC = {"postgresql": "postgres"}  # a driver's word -> OpenLineage's


def table_names(table: str, options: Mapping[str, str]) -> tuple[Name, ...]:
    """Where a table's data is, by its connector's options; its name in Flink's catalog where they do not say."""
    connector = options.get("connector") or options.get("catalog-type") or ""
    if servers := options.get("properties.bootstrap.servers"):
        topics = [one for one in (options.get("topic") or "").split(";") if one]
        return tuple(Name(f"kafka://{servers.split(',')[0]}", topic) for topic in topics) or _unplaced(table)
    if (url := options.get("url", "")).startswith("jdbc:"):
        return (_of_jdbc(table, url, options.get("table-name")),)
    if options.get("hostname"):  # change data capture
        scheme = connector.partition("-")[0]
        full = f"{options.get('database-name', '')}.{options.get('table-name', '')}".strip(".")
        return (Name(f"{scheme}://{options['hostname']}:{options.get('port', '')}".rstrip(":"), full),)
    if path := options.get("path"):
        return (dataset_name(path),)
    if warehouse := options.get("warehouse"):
        return (dataset_name("/".join((warehouse.rstrip("/"), *_in_catalog(table, options)))),)
    return _unplaced(table)


def _of_jdbc(table: str, url: str, name: str | None) -> Name:
    """Only what is a server and a database of a URL, whose rest may hold passwords; the first of several servers."""
    match = _JDBC_URL.match(url)
    if match is None:
        return _unplaced(table)[0]
    in_words = _JDBC_DATABASE.search(url)
    database = match["database"] or (in_words[1] if in_words else "")
    scheme = _JDBC.get(match["scheme"], match["scheme"])
    return Name(f"{scheme}://{match['server'].lower()}", ".".join(part for part in (database, name) if part))


def _in_catalog(table: str, options: Mapping[str, str]) -> tuple[str, str]:
    _, database, name = (f"..{table}").rsplit(".", 2)
    return options.get("catalog-database") or database, options.get("catalog-table") or name


def _unplaced(table: str) -> tuple[Name, ...]:
    return (Name(FLINK.name, table),)
