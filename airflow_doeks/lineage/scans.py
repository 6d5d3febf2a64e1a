"""Reads: how each kind of source shows itself in a plan node."""

from __future__ import annotations

import re

from airflow_doeks.lineage.names import (
    SPARK_CATALOG,
    Name,
    dataset_name,
    parse_location,
    table_name,
    without_partitions,
)
from airflow_doeks.lineage.plans import Metrics, PlanFacts, Scan, Shown, attributes

_IDS = re.compile(r"#\d+L?|plan_id=\d+")  # Spark numbers expressions, subqueries and plans anew for every scan


def file_scan(at: Shown, facts: PlanFacts) -> None:
    """Files by path, and tables whose paths Spark knows. Delta's reading of its own log is no input."""
    metadata = at.node.get("metadata") or {}
    location = metadata.get("Location") or (re.search(r"Location: (\w+\(.*?\]), \w+: ", at.line) or ("", ""))[1]
    if not location:
        _unknown_scan(at, facts)
        return
    if "/_delta_log" in location:
        return
    paths, is_whole = parse_location(location)
    names = tuple(dict.fromkeys(dataset_name(without_partitions(path)) for path in paths))
    label = at.match.groupdict()
    table = table_name(label["table"], at.conf) if label.get("table") and "." in label["table"] else None
    facts.scans.append(
        Scan(
            names,
            key=f"{location}|{_without_ids(str(metadata.get('PartitionFilters', '')))}",
            metrics=at.scanned,
            format=(metadata.get("Format") or label.get("format") or "").lower() or None,
            attributes=attributes(at.line.partition("]")[0]),
            schema=at.schema,
            table=table if len(names) == 1 else None,
            is_whole=is_whole,
        )
    )


def table_scan(at: Shown, facts: PlanFacts) -> None:
    """Tables without paths: Hive, Iceberg and other catalogs."""
    table = at.match["table"].split("[", 1)[0].strip()
    if "." not in table:
        file_scan(at, facts)
        return
    listed = re.search(r"\[([^\[\]]*#[^\[\]]*)\]", at.line)
    facts.scans.append(
        Scan(
            (table_name(table, at.conf),),
            key=table,
            metrics=at.metrics("number of output rows", "total data file size (bytes)", "number of result data files"),
            attributes=attributes(listed[1]) if listed else {},
            table=Name(SPARK_CATALOG, table),
        )
    )


def jdbc_scan(at: Shown, facts: PlanFacts) -> None:
    """The URL is redacted in the log, so the database is unknown."""
    listed, _, pushed = (at.line.partition("] [")[2] or at.line.partition(" [")[2]).partition("]")
    facts.scans.append(
        Scan(
            (Name("jdbc", at.match["table"].strip()[:200]),),
            key=f"{at.match['table']}|{_without_ids(pushed.partition(', ReadSchema')[0])}",  # rows, whatever columns
            metrics=Metrics(rows=at.scanned.rows),
            format="jdbc",
            attributes=attributes(listed),
            schema=at.schema,
        )
    )


def kafka_scan(at: Shown, facts: PlanFacts) -> None:
    """A batch from topics; a streaming scan's topics stand in the query's progress. Servers stand nowhere."""
    topics = re.search(r"Subscribe\[([^\]]*)\]", at.line)
    if topics is None:
        facts.why.append("topics of a Kafka read are given by a pattern or by partitions, not by name")
        return
    names = tuple(Name("kafka", topic) for topic in topics[1].split(", "))
    facts.scans.append(Scan(names, key=_without_ids(at.line), metrics=Metrics(rows=at.scanned.rows), format="kafka"))


def _without_ids(text: str) -> str:
    """``day#23 = 1`` as ``day = 1``: the same for every scan of the same part."""
    return _IDS.sub("", text)


def _unknown_scan(at: Shown, facts: PlanFacts) -> None:
    facts.why.append(f"a source of a kind not known here was read: {str(at.node.get('nodeName'))[:80]}")


def nothing(_at: Shown, _facts: PlanFacts) -> None:
    """Holds no data of its own."""
