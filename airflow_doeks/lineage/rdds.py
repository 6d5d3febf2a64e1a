"""RDDs of a stage: the files they read by path, what they keep in a cache, and reads that nothing names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from airflow_doeks.lineage.names import Name, name_and_part
from airflow_doeks.lineage.slices import Slice, slice_of

_BY_PATH = frozenset(
    {"textFile", "hadoopFile", "newAPIHadoopFile", "sequenceFile", "objectFile", "wholeTextFiles", "binaryFiles"}
)
_READING = re.compile(r"FileScanRDD|HadoopRDD|NewHadoopRDD|DataSourceRDD|JDBCRDD|BinaryFileRDD|WholeTextFileRDD")
_PAIRS = re.compile(r"CartesianRDD|ZippedPartitionsRDD\d+|ZippedRDD")  # may take one RDD on both sides
_COMMA = re.compile(r",(?![^{]*\})")  # between paths, not within a pattern's braces
_PATTERN = re.compile(r"/[^/]*[*?\[{]")  # where a path begins to be a pattern of Hadoop's
_INFERENCE = re.compile(r"(csv|json|xml|load|parquet|orc|avro|text|table|schema|createOrReplaceTempView|sql) at ")


class StageRdds(NamedTuple):
    """What the RDDs of a stage tell.

    Attributes:
        read: datasets that they read by path, and which part of each.
        is_once: none of these was read several times, as far as the stage shows.
        scopes: of others that read.
        is_cached: one of them is kept, so that it may be read again without its source.
        is_inference: the stage only looks for a schema in data that a scan reads later.
        is_whole: it ran every partition of its own RDD (the first in the list: StageInfo.fromStage) to its end.
    """

    read: Mapping[Name, Slice]
    is_once: bool
    scopes: tuple[str, ...]
    is_cached: bool
    is_inference: bool
    is_whole: bool = False


def rdds_of(info: Mapping[str, Any]) -> StageRdds:
    """Of a Stage Info."""
    calls: dict[str, tuple[str, int]] = {}  # scope -> the paths that it reads and its partitions
    scopes: dict[str, None] = {}
    rdds: Sequence[Mapping[str, Any]] = info["RDD Info"]
    for rdd in rdds:
        name = str(rdd.get("Name"))
        if _READING.fullmatch(name):
            scopes[_scope(rdd).strip()] = None
        elif "/" in name and _scope(rdd) in _BY_PATH:
            calls[str(rdd.get("Scope"))] = name, int(rdd.get("Number of Partitions") or 0)
    is_cached = any(_is_kept(rdd.get("Storage Level") or {}) for rdd in rdds)
    is_inference = bool(_INFERENCE.match(str(info.get("Stage Name"))))
    is_whole = bool(rdds) and not info.get("Failure Reason")
    is_whole = is_whole and info.get("Number of Tasks") == rdds[0].get("Number of Partitions")
    is_once = len({paths for paths, _ in calls.values()}) == len(calls)
    is_once = is_once and (info.get("Number of Tasks") or 0) <= sum(partitions for _, partitions in calls.values())
    is_once = is_once and not any(_PAIRS.fullmatch(str(rdd.get("Name"))) for rdd in rdds)
    read = _parts_of(path for paths, _ in calls.values() for path in _COMMA.split(paths))
    return StageRdds(read, is_once, tuple(scopes), is_cached, is_inference, is_whole)


def _parts_of(paths: Iterable[str]) -> dict[Name, Slice]:
    """Datasets of paths; a pattern is a part of the folder that it stands in."""
    found: dict[Name, tuple[list[str], list[str]]] = {}
    for path in paths:
        pattern = _PATTERN.search(path)
        name, folder = name_and_part(path[: pattern.start()] if pattern else path)
        folders, patterns = found.setdefault(name, ([], []))
        folders.append(folder)
        patterns.extend([path[pattern.start() :]] if pattern else [])
    parts = {}
    for name, (folders, patterns) in found.items():
        part = slice_of(folders, "")
        is_mixed = bool(patterns) and len(folders) > 1
        rest = " and ".join(sorted([*folders, *patterns] if is_mixed else patterns))
        parts[name] = Slice(rest=rest) if is_mixed else part._replace(rest=rest or part.rest)
    return parts


def _scope(rdd: Mapping[str, Any]) -> str:
    try:
        return str(json.loads(rdd.get("Scope") or "{}").get("name", ""))
    except (TypeError, ValueError, AttributeError):
        return ""


def _is_kept(level: Mapping[str, Any]) -> bool:
    return bool(level.get("Use Memory") or level.get("Use Disk"))
