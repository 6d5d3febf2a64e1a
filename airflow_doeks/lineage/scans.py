"""Reads: how each kind of source shows itself in a plan node."""

from __future__ import annotations

import re

from airflow_doeks.lineage.names import (
    SPARK_CATALOG,
    Name,
    name_and_part,
    parse_location,
    session_table,
    table_name,
    unquoted,
)
from airflow_doeks.lineage.plans import Leaf, Metrics, PlanFacts, Scan, Shown
from airflow_doeks.lineage.printed import attributes
from airflow_doeks.lineage.queries import tables_of_query
from airflow_doeks.lineage.slices import WHOLE, Slice, row_filters, slice_of

_LOCATION = re.compile(r"Location: (\w+(?:\(\d+ paths\))?\[.*?\])(?:, \w+: |$)")
_FORMAT = re.compile(r"Format: (\w+)")
_FILTERS = {  # of partitions, of rows in the reader, of rows as far as nobody knows who applies them
    key: re.compile(rf"\b{key}: (\[.*?\])(?:, \w+: |$)") for key in ("PartitionFilters", "PushedFilters", "DataFilters")
}
_LISTS_ALL = re.compile(r"\w*(InMemory|Catalog|MetadataLog)FileIndex\b")  # within partitions; others pass over files
_BY_ROW = {  # formats whose readers look at each row, and the first Spark to tell them filters
    "csv": (3, 0),
    "json": (3, 1),
    "avro": (3, 1),
    "xml": (4, 0),
}
_UNFILTERED = frozenset({"text"})
_TABLE = re.compile(r"[Ss]can\w* \w+ ([\w`$-]+\.[\w`.$-]+)")  # the table in a node's name: of no vendor, of any
_CATALOG_TABLE = re.compile(r"BatchScan\w* ([\w`$-]+\.[\w`.$-]+)")
ROWS = ("number of output rows", "output rows", "number of raw input rows")  # Spark's, RAPIDS', Gluten's
_SIZES = ("size of files read", "number of raw input bytes", "total data file size (bytes)")
_FILES = ("number of files read", "number of result data files", "number of files")  # the last: Spark 2.4


def location_of(at: Shown) -> str:
    """Where a node that reads files finds them, "" if it tells no place."""
    found = _LOCATION.search(at.line)
    return str((at.node.get("metadata") or {}).get("Location") or (found[1] if found else ""))


def file_scan(at: Shown, facts: PlanFacts) -> None:
    """Files by path, and tables whose paths Spark knows. Delta's reading of its own log is no input."""
    location = location_of(at)
    if not location:
        leaf(at, facts)
        return
    if "/_delta_log" in location:
        return
    metadata = at.node.get("metadata") or {}
    found = parse_location(location)
    places = [name_and_part(path) for path in found.paths]
    names = tuple(dict.fromkeys(name for name, _ in places))
    label = _TABLE.search(at.name)
    metrics = at.first_metrics(ROWS, _SIZES, _FILES)
    kind = metadata.get("Format") or at.match.groupdict().get("format") or (_FORMAT.search(at.line) or ("", ""))[1]
    part = slice_of([part for _, part in places], _told(at, "PartitionFilters"), metrics)
    facts.scans.append(
        Scan(
            names,
            part=WHOLE if len(names) > 1 else part if label else _filtered(at, part, location, kind.lower()),
            metrics=metrics,
            format=kind.lower() or None,
            attributes=attributes(at.line.partition("]")[0]),
            schema=at.schema,
            table=session_table(label[1], at.conf) if label and len(names) == 1 else None,
            is_whole=found.is_whole,
        )
    )


def _told(at: Shown, key: str) -> str:
    """A list of filters, "" where there is none."""
    found = _FILTERS[key].search(at.line)
    return str((at.node.get("metadata") or {}).get(key) or (found[1] if found else ""))


def _filtered(at: Shown, part: Slice, location: str, kind: str) -> Slice:
    """The part of a folder's files, with what their reader is told of rows."""
    is_told = kind not in _UNFILTERED and at.conf.get(f"spark.sql.{kind}.filterPushdown.enabled") != "false"
    if not (is_told and _LISTS_ALL.match(location) and at.spark >= _BY_ROW.get(kind, (0,))):
        return part
    metrics, is_by_row = at.first_metrics(ROWS, _SIZES, _FILES), kind in _BY_ROW
    passed = row_filters(_told(at, "PushedFilters"), _told(at, "DataFilters"), metrics, by_row=is_by_row)
    return part._replace(filters=passed)


def table_scan(at: Shown, facts: PlanFacts) -> None:
    """Tables without paths: Hive, Iceberg and other catalogs. Filtered or not, what was read of one counts the most."""
    table = unquoted(at.match["table"].split("[", 1)[0])
    if "." not in table:
        file_scan(at, facts)
        return
    listed = re.search(r"\[([^\[\]]*#[^\[\]]*)\]", at.line)
    is_hive = "hive" in at.name
    name = session_table(table, at.conf) if is_hive else table_name(table, at.conf)
    metrics = at.first_metrics(ROWS, _SIZES, _FILES)
    facts.scans.append(
        Scan(
            (name,),
            metrics=metrics,
            attributes=attributes(listed[1]) if listed else {},
            table=name if is_hive else Name(SPARK_CATALOG, table),
            unseen="the log does not tell which files of a table its catalog reads" if is_hive else "",
        )
    )


def jdbc_scan(at: Shown, facts: PlanFacts) -> None:
    """The URL is redacted in the log, so the database is unknown; a query goes by the tables it names."""
    listed = (at.line.partition("] [")[2] or at.line.partition(" [")[2]).partition("]")[0]
    names = tuple(Name("jdbc", table) for table in tables_of_query(at.match["table"]))
    facts.scans.append(
        Scan(
            names,
            metrics=Metrics(rows=at.first_metrics(ROWS, (), ()).rows),
            format="jdbc",
            attributes=attributes(listed),
            schema=at.schema,
            unseen="a database does not tell bytes and files",
        )
    )


def kafka_scan(at: Shown, facts: PlanFacts) -> None:
    """A batch from topics; a streaming scan's topics stand in the query's progress. Servers stand nowhere."""
    topics = re.search(r"Subscribe\[([^\]]*)\]", at.line)
    if topics is None:
        facts.why.append("topics of a Kafka read are given by a pattern or by partitions, not by name")
        return
    names = tuple(Name("kafka", topic) for topic in topics[1].split(", "))
    offsets = at.match["offsets"]
    facts.scans.append(
        Scan(
            names,
            part=slice_of([], f"[{offsets}]"),
            metrics=Metrics(rows=at.first_metrics(ROWS, (), ()).rows),
            format="kafka",
            unseen="a topic does not tell bytes and files",
        )
    )


def nothing(_at: Shown, _facts: PlanFacts) -> None:
    """Holds no data of its own."""


def leaf(at: Shown, facts: PlanFacts) -> None:
    """A node that nothing stands below and that no shape fits: files if it tells their place, else told if it read."""
    table = _CATALOG_TABLE.search(at.name)
    if location_of(at):
        file_scan(at, facts)
    elif table is None:
        rows = at.first_metrics(ROWS, (), ()).rows
        facts.leaves.append(Leaf(at.label, rows, is_source="Scan" in at.name))
    else:
        name = table_name(unquoted(table[1]), at.conf)
        listed = re.search(r"\[([^\[\]]*#[^\[\]]*)\]", at.line)
        given = attributes(listed[1]) if listed else {}
        facts.scans.append(Scan((name,), metrics=at.first_metrics(ROWS, _SIZES, _FILES), attributes=given, table=name))
