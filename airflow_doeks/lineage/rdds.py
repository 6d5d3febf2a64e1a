"""RDDs of a stage: the files they read by path, what they keep in a cache, and reads that nothing names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from airflow_doeks.lineage.names import Name, dataset_name, without_partitions

_BY_PATH = frozenset(
    {"textFile", "hadoopFile", "newAPIHadoopFile", "sequenceFile", "objectFile", "wholeTextFiles", "binaryFiles"}
)
_READING = re.compile(r"FileScanRDD|HadoopRDD|NewHadoopRDD|DataSourceRDD|JDBCRDD|BinaryFileRDD|WholeTextFileRDD")
_INFERENCE = re.compile(r"(csv|json|xml|load|parquet|orc|avro|text|table|schema|createOrReplaceTempView|sql) at ")


class StageRdds(NamedTuple):
    """What the RDDs of a stage tell.

    Attributes:
        names: datasets that they read by path.
        scopes: of others that read.
        is_cached: one of them is kept, so that it may be read again without its source.
        is_inference: the stage only looks for a schema in data that a scan reads later.
        is_whole: it ran every partition of its own RDD (the first in the list: StageInfo.fromStage) to its end.
    """

    names: tuple[Name, ...]
    scopes: tuple[str, ...]
    is_cached: bool
    is_inference: bool
    is_whole: bool = False


def rdds_of(info: Mapping[str, Any]) -> StageRdds:
    """Of a Stage Info."""
    names: dict[Name, None] = {}
    scopes: dict[str, None] = {}
    rdds: Sequence[Mapping[str, Any]] = info["RDD Info"]
    for rdd in rdds:
        name = str(rdd.get("Name"))
        if _READING.fullmatch(name):
            scopes[_scope(rdd).strip()] = None
        elif "/" in name and _scope(rdd) in _BY_PATH:
            names |= dict.fromkeys(dataset_name(without_partitions(path)) for path in name.split(","))
    is_cached = any(_is_kept(rdd.get("Storage Level") or {}) for rdd in rdds)
    is_inference = bool(_INFERENCE.match(str(info.get("Stage Name"))))
    is_whole = bool(rdds) and not info.get("Failure Reason")
    is_whole = is_whole and info.get("Number of Tasks") == rdds[0].get("Number of Partitions")
    return StageRdds(tuple(names), tuple(scopes), is_cached, is_inference, is_whole)


def _scope(rdd: Mapping[str, Any]) -> str:
    try:
        return str(json.loads(rdd.get("Scope") or "{}").get("name", ""))
    except (TypeError, ValueError, AttributeError):
        return ""


def _is_kept(level: Mapping[str, Any]) -> bool:
    return bool(level.get("Use Memory") or level.get("Use Disk"))
