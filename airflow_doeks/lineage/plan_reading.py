"""A plan's nodes matched to the shapes of sources and targets, a row each.

A node that reads or writes in a way nobody here knows is told, not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal

from airflow_doeks.lineage import scans, writes
from airflow_doeks.lineage.plans import Metrics, Node, PlanFacts, Scan, Shown
from airflow_doeks.lineage.scans import ROWS

_SHAPES: tuple[tuple[re.Pattern[str], Callable[[Shown, PlanFacts], None]], ...] = tuple(
    (re.compile(pattern), understand)
    for pattern, understand in (
        (r"Scan (ExistingRDD|OneRowRelation|In-memory table)|InMemoryTableScan", scans.nothing),  # made or kept by it
        (r"Scan JDBCRelation\((?P<table>.*)\) \[numPartitions", scans.jdbc_scan),
        (r"Scan hive (?P<table>\S+)", scans.table_scan),
        (r"Scan KafkaRelation(?P<offsets>.*)", scans.kafka_scan),
        (r"MicroBatchScan|ContinuousScan|StreamingRelation", scans.nothing),  # named in the query's progress
        (r"BatchScan (?P<table>\S+)", scans.table_scan),
        (r"(Gpu|Photon)?Scan (?P<format>\w+) ?(?P<table>\S+)?", scans.file_scan),
        (r"Execute \w*InsertIntoHadoopFsRelationCommand", writes.files_write),
        (r"Execute \w*InsertIntoHiveTable", writes.hive_write),
        (r"Execute SaveIntoDataSourceCommand", writes.save),
        (r"(AppendData|OverwriteByExpression|OverwritePartitionsDynamic|ReplaceData|WriteDelta)", writes.table_write),
        (r"(Atomic)?(Create|Replace)\w*AsSelect$", writes.table_created),
        (r"Execute (MergeInto|Update|Delete)Command", writes.rows_changed),
        # since Spark 3.4 these run nested executions that do the writing
        (r"Execute \w*(AsSelect|SaveAsV1Table)Command", writes.table_of_query),
        (r"Execute InsertIntoDataSourceDirCommand", writes.directory_write),
        (r"(Execute )?(DropTable|Truncate|AlterTable(Drop|Rename|SetLocation))", writes.table_changed),
        (r"Execute \w*(Insert|Write|Save|Merge|Update|Delete|Load|Truncate)\w*", writes.unknown_write),
    )
)
_ANY = next(re.finditer("", ""))  # of a node that no shape fits
_HEADER = re.compile(r"Filter \(+length\(trim\(value#")  # CSVUtils.filterCommentAndEmpty, Spark 2.4 to 4.3
_NO_DATA = re.compile(  # leaves that read nothing from outside
    r"Range|LocalTableScan|CommandResult|EmptyRelation|OneRowRelation|Reused|Execute |Scan (ExistingRDD|OneRowRelation)"
)
_PAIRS = re.compile(r"(Gpu)?CartesianProduct")  # each partition of one side is read anew with each of the other
_HANDED_ON = re.compile(r"\w*(Exchange|QueryStage)")  # what stands below is read once, whoever takes it
_SHARED = re.compile(r"Scan ExistingRDD")  # since Spark 4 with the plan that made the RDD below it
_PAIRED = "a cross join reads it once for every partition of the other side: the log adds that up"
_RUN_TWICE = "an RDD that reads it stands in one plan several times: the log adds that up"
_CACHED = re.compile(r"(Scan )?In-?[Mm]emory ?[Tt]able|InMemoryTableScan|TableCacheQueryStage|GpuInMemoryTableScan")


def read_plan(plan: Node, text: str, conf: Mapping[str, str]) -> PlanFacts:
    """Every scan and write below ``plan``; ``text`` is the plan's description, ``conf`` what the session ran with."""
    facts = PlanFacts([], [], [], [], [], set(), set(), [], top=str(plan.get("nodeName", "")).strip())
    is_cached = has_header_filter = False
    rdds: dict[Metrics, set[int]] = {}  # that a scan stands below
    for node, is_paired, rdd in _nodes(plan):
        name = str(node.get("nodeName", ""))
        is_leaf = _is_leaf(node)
        has_header_filter = has_header_filter or bool(_HEADER.match(str(node.get("simpleString", ""))))
        is_cached = is_cached or bool(_CACHED.match(name))
        facts.metrics.update(metric["accumulatorId"] for metric in node.get("metrics") or ())
        if is_leaf and _CACHED.match(name):
            facts.why.append("a cache was read, and this version of Spark does not log what it holds")
        elif is_leaf:
            rows = Shown(node, _ANY, "", "", conf).first_metrics(ROWS, (), ()).rows
            facts.rows.update(() if rows is None else (rows,))
        found = _understood(name)
        if found is None and is_leaf and not _NO_DATA.match(name):
            found = scans.leaf, _ANY
        if found is not None:
            (understand, match), known = found, len(facts.scans)
            understand(Shown(node, match, str(node.get("simpleString", "")), text, conf), facts)
            if is_paired:
                facts.scans[known:] = [_without_rows(scan, _PAIRED) for scan in facts.scans[known:]]
            _share(facts, known, rdd, rdds)
    twice = {metrics for metrics, found in rdds.items() if len(found) > 1}
    facts.scans[:] = [_without_rows(scan, _RUN_TWICE) if scan.metrics in twice else scan for scan in facts.scans]
    if facts.top == "CollectLimit" and has_header_filter:
        _look_for("header", facts)
    elif facts.top == "DeserializeToObject":
        _look_for("schema", facts)
    return facts._replace(is_cached=is_cached)


def _without_rows(scan: Scan, why: str) -> Scan:
    return scan._replace(metrics=scan.metrics._replace(rows=None), unseen=why)


def _share(facts: PlanFacts, known: int, rdd: int | None, rdds: dict[Metrics, set[int]]) -> None:
    """Note the RDD that scans stand below, from the number ``known`` on."""
    if rdd is not None:
        facts.scans[known:] = [scan._replace(is_shared=True) for scan in facts.scans[known:]]
        for scan in facts.scans[known:]:
            rdds.setdefault(scan.metrics, set()).add(rdd)


def _look_for(what: Literal["header", "schema"], facts: PlanFacts) -> None:
    """Spark reads lines of text before it reads them as CSV or JSON."""
    if [scan.format for scan in facts.scans] == ["text"] and facts.scans[0].schema in ((), (("value", "string"),)):
        facts.scans[:] = [facts.scans[0]._replace(looks_for=what)]


@lru_cache(1024)  # most nodes neither read nor write and have one of a few names
def _understood(name: str) -> tuple[Callable[[Shown, PlanFacts], None], re.Match[str]] | None:
    for pattern, understand in _SHAPES:
        match = pattern.match(name)
        if match is not None:
            return understand, match
    return None


def _is_leaf(node: Node) -> bool:
    """True if nothing stands below it but subqueries, which filter what it reads."""
    children = node.get("children")
    below = [child.get("nodeName", "") for child in children or () if isinstance(child, Mapping)]
    return all(str(name).startswith(("Subquery", "ReusedSubquery")) for name in below)


def _nodes(plan: Node) -> Iterator[tuple[Node, bool, int | None]]:
    """The node and all below it, whether a cross join reads them, and the RDD that does, by its first accumulator.

    Without recursion: plans are thousands deep.
    """
    stack: list[tuple[Any, bool, int | None]] = [(plan, False, None)]
    while stack:
        node, is_paired, rdd = stack.pop()
        if isinstance(node, Mapping):
            yield node, is_paired, rdd
            name = str(node.get("nodeName", ""))
            is_paired = bool(_PAIRS.match(name)) or (is_paired and not _HANDED_ON.match(name))
            if _SHARED.match(name):
                rdd = min((metric["accumulatorId"] for metric in node.get("metrics") or ()), default=0)
            children = node.get("children")
            stack.extend((child, is_paired, rdd) for child in reversed(children if isinstance(children, list) else []))
