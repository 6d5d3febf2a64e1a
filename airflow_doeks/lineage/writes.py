"""Writes: how each kind of target shows itself in a plan node."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import unquote

from airflow_doeks.lineage.names import SPARK_CATALOG, Name, name_and_part, session_table, table_name, unquoted
from airflow_doeks.lineage.partitions import constant_partitions
from airflow_doeks.lineage.plans import OVERWRITE_MODE, Mode, PlanFacts, Shown, Write
from airflow_doeks.lineage.printed import split_list

_FILES_WRITE = re.compile(
    r"Execute \w*InsertIntoHadoopFsRelationCommand (?:InsertIntoHadoopFsRelationCommand )?(?P<path>.+?)"  # 2.4: twice
    r"(?:, (?:\[(?P<static>\w+=[^\]]*)\]|Map\((?P<static_map>\w+ -> .*?)\)))?, (?P<skips>true|false), "
    r"(?:\[(?P<partitions>[^\]]*#\d[^\]]*)\], )?(?:(?:Some\()?\d+ buckets.*?\)?, |BucketSpec\(.*?\), )?"
    r"(?P<format>[^,\[]+), (?:(?:\[(?P<options>.*?)\]|Map\((?P<map>.*?)\)), )?"
    r"(?P<mode>Append|Overwrite|ErrorIfExists|Ignore)(?P<rest>, .*)?$",
    re.DOTALL,
)
_CATALOG_TABLE = re.compile(
    r"CatalogTable\(\s*(?:Catalog: (?P<catalog>\S+)\s+)?(?:Database: (?P<database>\S+)\s+)?Table: (?P<table>\S+)"
)
_MODE_WORD = re.compile(r", (Append|Overwrite|ErrorIfExists|Ignore)\b")


def files_write(at: Shown, facts: PlanFacts) -> None:
    """Files of every V1 format, by path or as a table."""
    match = _FILES_WRITE.match(at.line)
    if match is None:
        facts.why.append(f"a write could not be read from the plan: {at.label}")
        return
    rest = match["rest"] or ""
    columns = re.search(r"\[([^\[\]]*)\]$", rest)
    mode: Mode = "append" if match["mode"] == "Append" else "overwrite"  # where something is, the others fail or skip
    options = match["options"] or (match["map"] or "").replace(" -> ", "=")
    chosen = at.conf.get(OVERWRITE_MODE, "static").lower()
    if "partitionOverwriteMode=" in options:
        chosen = "dynamic" if "partitionOverwriteMode=dynamic" in options else "static"
    if match["mode"] == "Overwrite" and match["partitions"] and chosen != "static":
        mode = "dynamic" if chosen == "dynamic" else "unsure"
    names = tuple(columns[1].split(", ")) if columns and columns[1] and "more fields" not in columns[1] else ()
    name, folders = name_and_part(match["path"])
    static = (match["static"] or (match["static_map"] or "").replace(" -> ", "=")).replace(", ", "/")
    within = constant_partitions(at.node, match["partitions"]) if match["partitions"] and not static else ""
    if mode == "dynamic" and within.count("=") == len(match["partitions"].split(", ")):
        mode = "partition"
    facts.writes.append(
        Write(
            name,
            mode,
            metrics=at.written,
            part=unquote("/".join(filter(None, (folders, static)))),
            within=unquote(within),
            format=match["format"].strip().lower(),
            columns=names,
            table=_table_of(rest, at),
            may_skip=match["mode"] == "Ignore" or match["skips"] == "true",
            is_flat=not match["partitions"],
        )
    )


def _table_of(rest: str, at: Shown) -> Name | None:
    """The table that a file write fills: quoted since Spark 3.4, a whole CatalogTable before."""
    quoted = re.match(r", (`[^,]*`)", rest)
    if quoted:
        return session_table(quoted[1], at.conf)
    described = _CATALOG_TABLE.search(rest)
    if described is None:
        return None
    parts = (described["catalog"], described["database"], described["table"])
    return session_table(".".join(part for part in parts if part), at.conf)


def hive_write(at: Shown, facts: PlanFacts) -> None:
    """``InsertIntoHiveTable `cat`.`db`.`t`, <serde>, [p=..]?, <overwrite>, <ifNotExists>, [cols], ...``."""
    match = re.match(
        r"Execute \w*InsertIntoHiveTable (?:InsertIntoHiveTable )?(`[^,]*`), ([^,]+), "
        r"(?:Map\((.*?)\), |\[(\w+=?.*?)\], )?(true|false), "
        r"(true|false), .*?\[([^\]]*)\]",
        at.line,
    )
    if match is None:
        facts.why.append(f"a write could not be read from the plan: {at.label}")
        return
    table, _, mapped, listed, overwrite, skips, columns = match.groups()
    pairs = [item.partition("=" if listed else " -> ")[::2] for item in split_list(mapped or listed or "")]
    fixed = [(key, re.sub(r"^Some\((.*)\)$", r"\1", value)) for key, value in pairs if value not in ("", "None")]
    mode: Mode = "overwrite" if overwrite == "true" else "append"
    if mode == "overwrite" and len(fixed) < len(pairs):  # Hive replaces the partitions that it meets
        mode = "dynamic"
    facts.writes.append(
        Write(
            session_table(table, at.conf),
            mode,
            metrics=at.written,
            part="/".join(f"{key}={value}" for key, value in fixed),
            format="hive",
            columns=tuple(columns.split(", ")) if columns and "more fields" not in columns else (),
            may_skip=skips == "true",
        )
    )


def table_of_query(at: Shown, facts: PlanFacts) -> None:
    """CREATE TABLE AS and saveAsTable: before Spark 3.4 they write themselves, then only nested executions do."""
    text = at.line.removeprefix(at.name).strip() or (_ARGUMENTS.search(at.text) or ("", ""))[1]
    hive = re.search(r"\[Database: ([^,]+), TableName: ([^,\]]+)", text)
    quoted = re.search(r"((?:`[^`]+`\.)*`[^`]+`)", text)
    if hive or quoted:
        name = session_table(f"{hive[1]}.{hive[2]}" if hive else quoted[1] if quoted else "", at.conf)
        facts.made.append(name)
    if at.written.rows is None:
        return
    if not facts.made:
        unknown_write(at, facts)
        return
    word = _MODE_WORD.search(text)
    mode: Mode = "append" if word and word[1] == "Append" else "overwrite"
    may_skip = word is not None and word[1] == "Ignore"
    kind = "hive" if hive else None
    facts.writes.append(Write(facts.made[-1], mode, metrics=at.written, format=kind, may_skip=may_skip))


_ARGUMENTS = re.compile(r"Command\nArguments: ([^\n]*)")
_SAVE = re.compile(  # since Spark 3.1; before
    r"SaveIntoDataSourceCommand(?:\nArguments:)? ([^,\n]+), (?:\[([^\n]*)\]|Map\(([^\n]*)\)), (\w+)"
)
_DIRECTORY = re.compile(
    r"InsertIntoDataSourceDirCommand(?:\nArguments:)? Storage\(Location: ([^\n]+?)\), (\w+), (true|false)"
)


def directory_write(at: Shown, facts: PlanFacts) -> None:
    """INSERT OVERWRITE DIRECTORY: before Spark 3.2 it writes itself, then a nested execution does."""
    match = _DIRECTORY.search(at.text)
    if match is not None:
        name, part = name_and_part(match[1])
        mode: Mode = "overwrite" if match[3] == "true" else "append"
        facts.writes.append(Write(name, mode, part=part, format=match[2], counted="driver", may_skip=True))


def save(at: Shown, facts: PlanFacts) -> None:
    """The node has no text; the description names provider, options (URLs redacted) and mode."""
    match = _SAVE.search(at.text)
    separator = "=" if match and match[2] is not None else " -> "
    options = dict(item.partition(separator)[::2] for item in split_list(match[2] or match[3] or "")) if match else {}
    provider = match[1].partition("@")[0].rpartition(".")[2] if match else "a data source"
    mode: Mode = "overwrite" if match and match[4] == "Overwrite" else "append"
    kind: str | None = None
    part = ""
    counted: Literal["tasks", "driver"] = "tasks"
    if options.get("dbtable"):
        name, kind = Name("jdbc", options["dbtable"]), "jdbc"
    elif options.get("topic"):
        name, kind = Name(f"kafka://{options.get('kafka.bootstrap.servers', '')}", options["topic"]), "kafka"
    elif options.get("path"):
        name, part = name_and_part(options["path"])
        if "delta" in provider.lower():
            kind, counted = "delta", "driver"
    else:
        facts.why.append(f"a write through {provider} does not name its target")
        return
    facts.writes.append(Write(name, mode, part=part, format=kind, counted=counted))


_TABLE_OF_WRITE = re.compile(r"Write\(table=([^,)]+)")
_DELTA = re.compile(r"DeltaTableV2\([^,]*,([^,]+),(?:Some\(CatalogTable\()?")
_COMMAND_TABLE = re.compile(r"Command\nArguments: [^\n]*?(`[^,\n]*`)")
_CHANGED_TABLES = re.compile(r"Command\nArguments: ((?:`[^`\n]*`[., ]*)+)")  # the old name and, of a rename, the new
_DROPPED = re.compile(r"DropTable (?:V2SessionCatalog\((\w+)\)|[^,]+), ([^,\s]+),")
_DELTA_TARGET = re.compile(r"Delta\[version=\d+, ([^\]]+)\]")


def table_write(at: Shown, facts: PlanFacts) -> None:
    """Writes through a catalog (Spark's "V2"): Iceberg names its table, Delta its path, a new Delta table neither."""
    mode = _MODES.get(at.match[1], "append")
    iceberg = (
        _TABLE_OF_WRITE.search(at.line)
        or re.search(r"BatchScan (\S+)\nOutput[^\n]*_file#", at.text)
        or _TABLE_OF_WRITE.search(at.text)  # since Spark 4.1 only in the description of the first plan
    )
    delta = _DELTA.search(at.line)
    if iceberg:
        table = _in_catalog(iceberg[1], at)
        # since Spark 4.1 the driver counts as well, but for CREATE TABLE AS
        added = at.metrics("number of added records", "total size of added files (bytes)", "number of added data files")
        facts.writes.append(
            Write(
                table_name(table, at.conf),
                mode,
                metrics=added,
                counted="tasks",
                format="iceberg",
                table=Name(SPARK_CATALOG, table),
            )
        )
    elif delta:
        name, part = name_and_part(delta[1])
        facts.writes.append(Write(name, mode, part=part, counted="driver", format="delta"))
    elif "StagedDelta" not in at.line and "noop" not in at.line.lower() and "MicroBatchWrite" not in at.line:
        unknown_write(at, facts)


def table_created(at: Shown, facts: PlanFacts) -> None:
    """CREATE TABLE AS of a Delta table; of others the nested append names the table."""
    match = re.search(r"DeltaCatalog@\w+, ([^,]+),", at.line)
    if match is not None:
        name = table_name(f"spark_catalog.{match[1]}", at.conf)
        mode: Mode = "overwrite" if "Replace" in at.match[0] else "append"
        facts.writes.append(Write(name, mode, counted="driver", format="delta"))


def table_changed(at: Shown, facts: PlanFacts) -> None:
    """DROP, TRUNCATE, RENAME, DROP PARTITION and SET LOCATION of a table: what was written to it may be gone."""
    named = _CHANGED_TABLES.search(at.text)
    dropped = _DROPPED.match(at.line)
    if named is not None:
        old, *others = re.findall(r"((?:`[^`]+`\.)*`[^`]+`)", named[1])
        is_renamed = "RenameCommand" in at.name and others
        facts.changed.append((session_table(old, at.conf), session_table(others[0], at.conf) if is_renamed else None))
    elif dropped is not None:
        table = f"{dropped[1]}.{dropped[2]}" if dropped[1] else _in_catalog(dropped[2], at)
        facts.changed.append((table_name(unquoted(table), at.conf), None))
    else:
        unknown_write(at, facts)


def rows_changed(at: Shown, facts: PlanFacts) -> None:
    """Delta's MERGE, UPDATE and DELETE: rows change in place."""
    path = _DELTA_TARGET.search(at.text)
    table = _COMMAND_TABLE.search(at.text)
    if path is not None:
        name, part = name_and_part(path[1])
        facts.writes.append(Write(name, "rewrite", part=part, format="delta"))
    elif table is not None:
        facts.writes.append(Write(table_name(unquoted(table[1]), at.conf), "rewrite", format="delta"))
    else:
        unknown_write(at, facts)


_MODES: dict[str, Mode] = {
    "AppendData": "append",
    "OverwriteByExpression": "overwrite",
    "OverwritePartitionsDynamic": "dynamic",
    "ReplaceData": "rewrite",  # copy on write
    "WriteDelta": "rewrite",  # merge on read
}


def _in_catalog(table: str, at: Shown) -> str:
    """The table with its catalog, which a nested write leaves out: the only one there is."""
    catalogs = {match[1] for key in at.conf if (match := re.fullmatch(r"spark\.sql\.catalog\.(\w+)", key))}
    if table.partition(".")[0] in catalogs or len(catalogs) != 1:
        return table
    return f"{next(iter(catalogs))}.{table}"


def unknown_write(at: Shown, facts: PlanFacts) -> None:
    """Told, not guessed."""
    facts.why.append(f"a write of a kind not known here: {at.label}")
