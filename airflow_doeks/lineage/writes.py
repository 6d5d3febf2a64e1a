"""Writes: how each kind of target shows itself in a plan node."""

from __future__ import annotations

import re
from typing import Literal

from airflow_doeks.lineage.names import SPARK_CATALOG, Name, name_and_part, table_name, unquoted
from airflow_doeks.lineage.plans import Mode, PlanFacts, Shown, Write, split_list

_FILES_WRITE = re.compile(
    r"Execute InsertIntoHadoopFsRelationCommand (?P<path>.+?)(?:, \[(?P<static>\w+=[^\]]*)\])?, (?:true|false), "
    r"(?:\[(?P<partitions>[^\]]*#\d[^\]]*)\], )?(?:\d+ buckets.*?, )?(?P<format>[^,\[]+), (?:\[(?P<options>.*?)\], )?"
    r"(?P<mode>Append|Overwrite|ErrorIfExists|Ignore)(?P<rest>, .*)?$",
    re.DOTALL,
)


def files_write(at: Shown, facts: PlanFacts) -> None:
    """Files of every V1 format, by path or as a table."""
    match = _FILES_WRITE.match(at.line)
    if match is None:
        facts.why.append(f"a write could not be read from the plan: {at.line[:160]}")
        return
    rest = match["rest"] or ""
    table = re.match(r", (`[^,]*`)", rest)
    columns = re.search(r"\[([^\[\]]*)\]$", rest)
    mode: Mode = "overwrite" if match["mode"] == "Overwrite" else "append"
    is_dynamic = "partitionOverwriteMode=dynamic" in (match["options"] or "") or (
        at.conf.get("spark.sql.sources.partitionOverwriteMode", "").lower() == "dynamic"
    )
    if mode == "overwrite" and match["partitions"] and is_dynamic:
        mode = "dynamic"
    names = tuple(columns[1].split(", ")) if columns and columns[1] and "more fields" not in columns[1] else ()
    name, folders = name_and_part(match["path"])
    static = (match["static"] or "").replace(", ", "/")
    facts.writes.append(
        Write(
            name,
            mode,
            metrics=at.written,
            part="/".join(filter(None, (folders, static))),
            format=match["format"].strip().lower(),
            columns=names,
            table=table_name(unquoted(table[1]), at.conf) if table else None,
        )
    )


def hive_write(at: Shown, facts: PlanFacts) -> None:
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


def save(at: Shown, facts: PlanFacts) -> None:
    """The node has no text; the description names provider, options (URLs redacted) and mode."""
    match = _SAVE.search(at.text)
    options = dict(item.partition("=")[::2] for item in split_list(match[2])) if match else {}
    provider = match[1].partition("@")[0].rpartition(".")[2] if match else "a data source"
    mode: Mode = "overwrite" if match and match[3] == "Overwrite" else "append"
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
    facts.why.append(f"a write of a kind not known here: {str(at.node.get('nodeName'))[:80]}")
