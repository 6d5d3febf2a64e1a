"""A plan's nodes matched to the shapes of sources and targets, a row each.

A node that reads or writes in a way nobody here knows is told, not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from airflow_doeks.lineage import scans, writes
from airflow_doeks.lineage.plans import Node, PlanFacts, Shown

_SHAPES: tuple[tuple[re.Pattern[str], Callable[[Shown, PlanFacts], None]], ...] = tuple(
    (re.compile(pattern), understand)
    for pattern, understand in (
        (r"Scan (ExistingRDD|OneRowRelation|In-memory table)", scans.nothing),  # made in the job, or cached by it
        (r"Scan JDBCRelation\((?P<table>.*)\) \[numPartitions", scans.jdbc_scan),
        (r"Scan hive (?P<table>\S+)", scans.table_scan),
        (r"Scan KafkaRelation", scans.kafka_scan),
        (r"MicroBatchScan|ContinuousScan|StreamingRelation", scans.nothing),  # named in the query's progress
        (r"BatchScan (?P<table>\S+)", scans.table_scan),
        (r"(Gpu|Photon)?Scan (?P<format>\w+) ?(?P<table>\S+)?", scans.file_scan),
        (r"Execute InsertIntoHadoopFsRelationCommand", writes.files_write),
        (r"Execute InsertIntoHiveTable", writes.hive_write),
        (r"Execute SaveIntoDataSourceCommand", writes.save),
        (r"(AppendData|OverwriteByExpression|OverwritePartitionsDynamic|ReplaceData|WriteDelta)", writes.table_write),
        (r"(Atomic)?(Create|Replace)\w*AsSelect$", writes.table_created),
        (r"Execute (MergeInto|Update|Delete)Command", writes.rows_changed),
        # these run nested executions that do the writing
        (
            r"Execute \w*AsSelectCommand|Execute SaveAsV1TableCommand|Execute InsertIntoDataSourceDirCommand",
            scans.nothing,
        ),
        (r"Execute \w*(Insert|Write|Save|Merge|Update|Delete|Load|Truncate)\w*", writes.unknown_write),
    )
)


def read_plan(plan: Node, text: str, conf: Mapping[str, str]) -> PlanFacts:
    """Every scan and write below ``plan``; ``text`` is the plan's description, ``conf`` what the session ran with."""
    facts = PlanFacts([], [], [])
    for node in _nodes(plan):
        found = _understood(str(node.get("nodeName", "")))
        if found is not None:
            understand, match = found
            understand(Shown(node, match, str(node.get("simpleString", "")), text, conf), facts)
    return facts


@lru_cache(1024)  # most nodes neither read nor write and have one of a few names
def _understood(name: str) -> tuple[Callable[[Shown, PlanFacts], None], re.Match[str]] | None:
    for pattern, understand in _SHAPES:
        match = pattern.match(name)
        if match is not None:
            return understand, match
    return None


def _nodes(plan: Node) -> Iterator[Node]:
    """The node and all below it, without recursion: plans of generated queries are thousands deep."""
    stack = [plan]
    while stack:
        node = stack.pop()
        if isinstance(node, Mapping):
            yield node
            children = node.get("children")
            stack.extend(reversed(children if isinstance(children, list) else []))
