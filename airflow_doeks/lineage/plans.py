"""Reads and writes of one SQL plan, as the event log shows plans: nodes with a name, a line of text and metric ids.

Text differs by source; each shape is a row in a table below. A node that writes in a way nobody here knows is told, not
guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from airflow_doeks.lineage.names import Name, dataset_name, parse_location, table_name, unquoted, without_partitions

Node = Mapping[str, Any]


class Metrics(NamedTuple):
    """Accumulator ids of a node; None where it has no such metric."""

    rows: int | None = None
    bytes: int | None = None
    files: int | None = None


class Scan(NamedTuple):
    """One scan node.

    Attributes:
        names: datasets it reads; several share the counts, so none of them has its own.
        key: equal for the same part of the same data, so that reading it twice does not count twice.
        attributes: ``name#id`` id -> column.
        schema: (column, type) as far as read.
    """

    names: tuple[Name, ...]
    key: str = ""
    metrics: Metrics = Metrics()
    format: str | None = None
    attributes: Mapping[int, str] = {}
    schema: tuple[tuple[str, str], ...] = ()
    table: Name | None = None
    is_whole: bool = True


class Write(NamedTuple):
    """One write node.

    Attributes:
        mode: ``append``, ``overwrite`` (what was there is gone) or ``dynamic`` (partitions it touches are replaced).
        part: the static partition it replaces, "" for the whole.
        rows_from_tasks: True if rows are counted by Spark tasks as records written, not by the node.
        columns: names of the columns written, empty if unknown.
    """

    name: Name
    mode: str
    metrics: Metrics = Metrics()
    part: str = ""
    format: str | None = None
    columns: tuple[str, ...] = ()
    table: Name | None = None
    rows_from_tasks: bool = False


class PlanFacts(NamedTuple):
    """What a plan reads and writes; ``why`` tells what could not be understood."""

    scans: list[Scan]
    writes: list[Write]
    why: list[str]


def read_plan(plan: Node, text: str, conf: Mapping[str, str]) -> PlanFacts:
    """Every scan and write below ``plan``; ``text`` is the plan's description, ``conf`` what the session ran with."""
    facts = PlanFacts([], [], [])
    for node in _nodes(plan):
        name, line = str(node.get("nodeName", "")), str(node.get("simpleString", ""))
        for pattern, understand in _SHAPES:
            match = pattern.match(name)
            if match is not None:
                understand(_Context(node, match, line, text, conf), facts)
                break
    return facts


def _nodes(plan: Node) -> Iterator[Node]:
    """The node and all below it, without recursion: plans of generated queries are thousands deep."""
    stack = [plan]
    while stack:
        node = stack.pop()
        if isinstance(node, Mapping):
            yield node
            children = node.get("children")
            stack.extend(reversed(children if isinstance(children, list) else []))


class _Context(NamedTuple):
    node: Node
    match: re.Match[str]
    line: str
    text: str
    conf: Mapping[str, str]

    def metrics(self, rows: str, size: str, files: str) -> Metrics:
        ids = {str(metric["name"]): metric["accumulatorId"] for metric in self.node.get("metrics") or ()}
        return Metrics(ids.get(rows), ids.get(size), ids.get(files))

    @property
    def scanned(self) -> Metrics:
        return self.metrics("number of output rows", "size of files read", "number of files read")

    @property
    def written(self) -> Metrics:
        return self.metrics("number of output rows", "written output", "number of written files")

    @property
    def schema(self) -> tuple[tuple[str, str], ...]:
        text = self.node.get("metadata", {}).get("ReadSchema") or ""
        found = text or (re.search(r"ReadSchema: (struct<.*>)", self.line) or ("", ""))[1]
        return parse_struct(found)


_ATTRIBUTE = re.compile(r"([^\s,\[\]()]+)#(\d+)L?")


def attributes(text: str) -> dict[int, str]:
    """``id#0L, day#3`` as {0: "id", 3: "day"}."""
    return {int(number): name for name, number in _ATTRIBUTE.findall(text)}


def parse_struct(text: str) -> tuple[tuple[str, str], ...]:
    """``struct<a:bigint,b:array<int>>`` as (name, type) pairs; empty if it is cut or none."""
    if not (text.startswith("struct<") and text.endswith(">")):
        return ()
    fields = split_list(text[7:-1], ",")
    pairs = [field.partition(":") for field in fields if field]
    return tuple((name, kind) for name, colon, kind in pairs if colon and "more fields" not in name)


def split_list(text: str, separator: str = ", ") -> list[str]:
    """Items of a printed list; separators inside brackets do not split."""
    items, depth, start, i = [], 0, 0, 0
    while i < len(text):
        if text[i] in "([{<":
            depth += 1
        elif text[i] in ")]}>":
            depth = max(0, depth - 1)
        elif depth == 0 and text.startswith(separator, i):
            items.append(text[start:i])
            start = i + len(separator)
        i += 1
    return [*items, text[start:]] if text else []


def _file_scan(at: _Context, facts: PlanFacts) -> None:
    metadata = at.node.get("metadata") or {}
    location = metadata.get("Location") or (re.search(r"Location: (\w+\(.*?\]), \w+: ", at.line) or ("", ""))[1]
    if not location:
        _unknown_scan(at, facts)
        return
    paths, is_whole = parse_location(location)
    names = tuple(dict.fromkeys(dataset_name(without_partitions(path)) for path in paths))
    label = at.match.groupdict()
    table = table_name(label["table"], at.conf) if label.get("table") and "." in label["table"] else None
    facts.scans.append(
        Scan(
            names,
            key=f"{location}|{metadata.get('PartitionFilters', '')}",
            metrics=at.scanned,
            format=(metadata.get("Format") or label.get("format") or "").lower() or None,
            attributes=attributes(at.line.partition("]")[0]),
            schema=at.schema,
            table=table if len(names) == 1 else None,
            is_whole=is_whole,
        )
    )


def _table_scan(at: _Context, facts: PlanFacts) -> None:
    """Tables without paths: Hive, Iceberg and other catalogs."""
    table = at.match["table"].split("[", 1)[0].strip()
    if "." not in table:
        _file_scan(at, facts)
        return
    listed = re.search(r"\[([^\[\]]*#[^\[\]]*)\]", at.line)
    facts.scans.append(
        Scan(
            (table_name(table, at.conf),),
            key=f"{table}|{at.line.partition('[filters=')[2] or at.line.partition('Partition Cols')[2]}",
            metrics=Metrics(rows=at.scanned.rows),
            attributes=attributes(listed[1]) if listed else {},
            table=Name("spark", table),
        )
    )


def _jdbc_scan(at: _Context, facts: PlanFacts) -> None:
    """The URL is redacted in the log, so the database is unknown."""
    listed = at.line.partition("] [")[2] or at.line.partition(" [")[2]
    facts.scans.append(
        Scan(
            (Name("jdbc", at.match["table"].strip()[:200]),),
            key=at.line,
            metrics=Metrics(rows=at.scanned.rows),
            format="jdbc",
            attributes=attributes(listed.partition("]")[0]),
            schema=at.schema,
        )
    )


def _kafka_scan(at: _Context, facts: PlanFacts) -> None:
    topics = re.search(r"Subscribe\[([^\]]*)\]", at.line)
    if topics is None:
        return  # a streaming scan: its topics stand in the query's progress
    servers = at.conf.get("spark.doeks.kafka.bootstrap.servers", "")
    names = tuple(Name(f"kafka://{servers}" if servers else "kafka", topic) for topic in topics[1].split(", "))
    facts.scans.append(Scan(names, key=at.line, metrics=Metrics(rows=at.scanned.rows), format="kafka"))


def _unknown_scan(at: _Context, facts: PlanFacts) -> None:
    facts.why.append(f"a source of a kind not known here was read: {str(at.node.get('nodeName'))[:80]}")


def _nothing(_at: _Context, _facts: PlanFacts) -> None:
    """Holds no data of its own."""


_FILES_WRITE = re.compile(
    r"Execute InsertIntoHadoopFsRelationCommand (?P<path>.+?)(?:, \[(?P<static>\w+=[^\]]*)\])?, (?:true|false), "
    r"(?:\[(?P<partitions>[^\]]*#\d[^\]]*)\], )?(?:\d+ buckets.*?, )?(?P<format>[^,\[]+), (?:\[(?P<options>.*?)\], )?"
    r"(?P<mode>Append|Overwrite|ErrorIfExists|Ignore)(?P<rest>, .*)?$",
    re.DOTALL,
)


def _files_write(at: _Context, facts: PlanFacts) -> None:
    match = _FILES_WRITE.match(at.line)
    if match is None:
        facts.why.append(f"a write could not be read from the plan: {at.line[:160]}")
        return
    rest = match["rest"] or ""
    table = re.match(r", (`[^,]*`)", rest)
    columns = re.search(r"\[([^\[\]]*)\]$", rest)
    mode = "overwrite" if match["mode"] == "Overwrite" else "append"
    is_dynamic = "partitionOverwriteMode=dynamic" in (match["options"] or "") or (
        at.conf.get("spark.sql.sources.partitionOverwriteMode", "").lower() == "dynamic"
    )
    if mode == "overwrite" and match["partitions"] and is_dynamic:
        mode = "dynamic"
    names = tuple(columns[1].split(", ")) if columns and columns[1] and "more fields" not in columns[1] else ()
    facts.writes.append(
        Write(
            dataset_name(match["path"]),
            mode,
            metrics=at.written,
            part=match["static"] or "",
            format=match["format"].strip().lower(),
            columns=names,
            table=table_name(unquoted(table[1]), at.conf) if table else None,
        )
    )


def _hive_write(at: _Context, facts: PlanFacts) -> None:
    """``InsertIntoHiveTable `cat`.`db`.`t`, <serde>, [p=..]?, <overwrite>, <ifNotExists>, [cols], ...``."""
    match = re.match(
        r"Execute InsertIntoHiveTable (`[^,]*`), ([^,]+), (?:Map\((.*?)\), |\[(\w+=.*?)\], )?(true|false), "
        r".*?\[([^\]]*)\]",
        at.line,
    )
    if match is None:
        facts.why.append(f"a write could not be read from the plan: {at.line[:160]}")
        return
    table, _, mapped, static, overwrite, columns = match.groups()
    name = table_name(unquoted(table), at.conf)
    facts.writes.append(
        Write(
            name,
            "overwrite" if overwrite == "true" else "append",
            metrics=at.written,
            part=mapped or static or "",
            format="hive",
            columns=tuple(columns.split(", ")) if columns and "more fields" not in columns else (),
        )
    )


_SAVE = re.compile(r"SaveIntoDataSourceCommand\nArguments: ([^,\n]+), \[([^\n]*)\], (\w+)")


def _save(at: _Context, facts: PlanFacts) -> None:
    """The node has no text; the description names provider, options (URLs redacted) and mode."""
    match = _SAVE.search(at.text)
    options = dict(item.partition("=")[::2] for item in split_list(match[2])) if match else {}
    provider = match[1].lower() if match else ""
    mode = "overwrite" if match and match[3] == "Overwrite" else "append"
    if "delta" in provider:
        return  # what it did to files stands in its nested executions
    if options.get("dbtable"):
        name = Name("jdbc", options["dbtable"])
    elif options.get("topic"):
        servers = options.get("kafka.bootstrap.servers", "")
        name = Name(f"kafka://{servers}", options["topic"])
    elif options.get("path"):
        name = dataset_name(options["path"])
    else:
        facts.why.append(f"a write through {provider or 'a data source'} does not name its target")
        return
    kind = "jdbc" if "dbtable" in options else "kafka" if "topic" in options else None
    facts.writes.append(Write(name, mode, format=kind, rows_from_tasks=True))


def _unknown_write(at: _Context, facts: PlanFacts) -> None:
    facts.why.append(f"a write of a kind not known here: {str(at.node.get('nodeName'))[:80]}")


_SHAPES: tuple[tuple[re.Pattern[str], Callable[[_Context, PlanFacts], None]], ...] = tuple(
    (re.compile(pattern), understand)
    for pattern, understand in (
        (r"Scan (ExistingRDD|OneRowRelation|In-memory table)", _nothing),  # made in the job, or cached by it
        (r"Scan JDBCRelation\((?P<table>.*)\) \[numPartitions", _jdbc_scan),
        (r"Scan hive (?P<table>\S+)", _table_scan),
        (r"(Scan|BatchScan|MicroBatchScan) ?(KafkaRelation|kafka)", _kafka_scan),
        (r"(MicroBatchScan|ContinuousScan|StreamingRelation)", _nothing),  # in the query's progress
        (r"BatchScan (?P<table>\S+)", _table_scan),
        (r"(Gpu|Photon)?Scan (?P<format>\w+) ?(?P<table>\S+)?", _file_scan),
        (r"Execute InsertIntoHadoopFsRelationCommand", _files_write),
        (r"Execute InsertIntoHiveTable", _hive_write),
        (r"Execute SaveIntoDataSourceCommand", _save),
        # these run nested executions that do the writing
        (r"Execute \w*AsSelectCommand|Execute SaveAsV1TableCommand|Execute InsertIntoDataSourceDirCommand", _nothing),
        (r"Execute \w*(Insert|Write|Save|Merge|Update|Delete|Load|Truncate)\w*", _unknown_write),
    )
)
