"""Event logs of made-up jobs, in the words of real Spark: reads and writes of partitioned files, one execution each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

START = 1_767_225_600_000
SQL = "org.apache.spark.sql.execution.ui."


@dataclass
class WrittenLog:
    """A log that grows by executions; ``is_old`` writes plans as Spark 3.0 does, ``is_ancient`` too, as 2.4."""

    is_old: bool = False
    is_ancient: bool = False
    lines: list[dict[str, Any]] = field(default_factory=list)
    number: int = 0
    accumulator: int = 0

    def __post_init__(self) -> None:
        version = "3.0.3" if self.is_old else "3.5.6"
        info = {"Host": "h", "Total Cores": 1, "Resource Profile Id": 0}
        self.lines += [
            {"Event": "SparkListenerLogStart", "Spark Version": version},
            {"Event": "SparkListenerApplicationStart", "App Name": "made", "App ID": "local-1", "Timestamp": START},
            {"Event": "SparkListenerEnvironmentUpdate", "Spark Properties": {"spark.master": "local[1]"}},
            {"Event": "SparkListenerExecutorAdded", "Timestamp": START, "Executor ID": "driver", "Executor Info": info},
        ]

    def text(self) -> bytes:
        """The finished log."""
        end = {"Event": "SparkListenerApplicationEnd", "Timestamp": START + 1000 * (self.number + 1)}
        return b"".join(json.dumps(e, separators=(",", ":")).encode() + b"\n" for e in [*self.lines, end])

    def _ids(self, *names: str) -> dict[str, int]:
        self.accumulator += len(names)
        return {name: self.accumulator + index for index, name in enumerate(names)}

    def scan(
        self,
        paths: Sequence[str],
        filters: str,
        rows: int,
        size: int,
        files: int,
        *,
        kind: str = "Parquet",
        pushed: str = "",
    ) -> dict[str, Any]:
        """A node that reads files, with filters of partitions and of rows; its counts are told when it runs."""
        files_name = "number of files" if self.is_ancient else "number of files read"
        ids = self._ids("number of output rows", files_name, "size of files read")
        location = f"InMemoryFileIndex({len(paths)} paths)[{', '.join(paths)}]"
        if self.is_old:
            location = f"InMemoryFileIndex[{', '.join(paths)}]"
        line = f"FileScan {kind.lower()} [id#1L,p#2] Batched: true, DataFilters: [], Format: {kind}, "
        line += f"Location: {location}, PartitionFilters: [{filters}], PushedFilters: [{pushed}], "
        line += "ReadSchema: struct<id:bigint>"
        counts = dict(zip(ids.values(), (rows, files, size), strict=True))
        metadata = {"Location": location, "Format": kind, "PartitionFilters": f"[{filters}]"}
        return node(f"Scan {kind.lower()} ", line, (), ids, metadata) | {"counts": counts, "read": (rows, size)}

    def made(self, rows: int) -> dict[str, Any]:
        """A node that makes rows out of nothing; Spark counts them as read."""
        ids = self._ids("number of output rows")
        line = f"Range (0, {rows}, step=1, splits=1)"
        return node("Range", line, (), ids) | {"counts": dict.fromkeys(ids.values(), rows), "read": (rows, 0)}

    def files_write(
        self,
        below: Mapping[str, Any],
        path: str,
        mode: str,
        written: tuple[int, int, int] | None,
        *,
        static: str = "",
        by: str = "",
        conf: Mapping[str, str] | None = None,
    ) -> None:
        """An execution that writes files: (rows, bytes, files), or None where it found something and wrote nothing."""
        size = "bytes of written output" if self.is_ancient else "written output"
        ids = self._ids("number of written files", size, "number of output rows", "number of dynamic part")
        options = f"Map(path -> {path})" if self.is_old else f"[path={path}]"
        parts = [path, f"[{static}]" if static and not self.is_old else "", "false", f"[{by}]" if by else "", "Parquet"]
        if static and self.is_old:
            parts[1] = f"Map({static.replace('=', ' -> ')})"
        parts += [options, mode, "[id, p]"]
        line = (
            "Execute InsertIntoHadoopFsRelationCommand "
            + "InsertIntoHadoopFsRelationCommand " * self.is_ancient
            + ", ".join(part for part in parts if part)
        )
        counts = (
            {} if written is None else dict(zip(ids.values(), (written[2], written[1], written[0], 0), strict=True))
        )
        top = node("Execute InsertIntoHadoopFsRelationCommand", line, [below], ids) | {"counts": counts}
        self.execution(top, written=None if written is None else written[:2], is_run=written is not None, conf=conf)

    def execution(
        self,
        plan: Mapping[str, Any],
        *,
        written: tuple[int, int] | None = None,
        is_run: bool = True,
        more_read: tuple[int, int] = (0, 0),
        conf: Mapping[str, str] | None = None,
    ) -> None:
        """One SQL execution of one stage with one Spark task; ``more_read`` is what no node of it counts."""
        number, self.number = self.number, self.number + 1
        nodes = list(_walk(plan))
        counts = {key: value for one in nodes for key, value in one.get("counts", {}).items()}
        read = [sum(one.get("read", (0, 0))[i] for one in nodes) + more_read[i] for i in (0, 1)]
        at = START + 1000 * (number + 1)
        self.lines.append(
            {
                "Event": f"{SQL}SparkListenerSQLExecutionStart",
                "executionId": number,
                "physicalPlanDescription": "",
                "sparkPlanInfo": _bare(plan),
                "time": at,
                **({} if self.is_old else {"modifiedConfigs": dict(conf or {})}),  # logged since Spark 3.3
            }
        )
        if is_run:
            self._stage(number, at, counts, read, written or (0, 0))
        self.lines.append(
            {"Event": f"{SQL}SparkListenerSQLExecutionEnd", "executionId": number, "time": at + 900, "errorMessage": ""}
        )

    def _stage(self, number: int, at: int, counts: dict[int, int], read: list[int], written: tuple[int, int]) -> None:
        info = {"Stage ID": number, "Stage Attempt ID": 0, "Stage Name": "s", "Number of Tasks": 1, "RDD Info": []}
        properties = {"spark.sql.execution.id": str(number)}
        task = {"Task ID": number, "Index": 0, "Partition ID": 0, "Launch Time": at, "Executor ID": "driver"}
        metrics = {
            "Input Metrics": {"Bytes Read": read[1], "Records Read": read[0]},
            "Output Metrics": {"Bytes Written": written[1], "Records Written": written[0]},
        }
        values = {
            "internal.metrics.input.recordsRead": read[0],
            "internal.metrics.input.bytesRead": read[1],
            "internal.metrics.output.recordsWritten": written[0],
            "internal.metrics.output.bytesWritten": written[1],
        }
        accumulables = [{"ID": key, "Name": "m", "Value": str(value)} for key, value in counts.items() if value]
        accumulables += [{"ID": 10**6 + i, "Name": n, "Value": v} for i, (n, v) in enumerate(values.items()) if v]
        self.lines += [
            {"Event": "SparkListenerStageSubmitted", "Stage Info": info, "Properties": properties},
            {
                "Event": "SparkListenerTaskEnd",
                "Stage ID": number,
                "Stage Attempt ID": 0,
                "Task Type": "ResultTask",
                "Task End Reason": {"Reason": "Success"},
                "Task Info": {**task, "Finish Time": at + 500},
                "Task Metrics": metrics,
            },
            {
                "Event": "SparkListenerStageCompleted",
                "Stage Info": {**info, "Completion Time": at + 800, "Accumulables": accumulables},
            },
            {
                "Event": f"{SQL}SparkListenerDriverAccumUpdates",
                "executionId": number,
                "accumUpdates": [list(pair) for pair in counts.items()],
            },
        ]


def node(
    name: str,
    line: str,
    children: Sequence[Mapping[str, Any]] = (),
    ids: Mapping[str, int] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A node of a plan as a log shows it."""
    metrics = [{"name": key, "accumulatorId": value, "metricType": "sum"} for key, value in (ids or {}).items()]
    return {
        "nodeName": name,
        "simpleString": line,
        "children": list(children),
        "metadata": dict(metadata or {}),
        "metrics": metrics,
    }


def _walk(plan: Mapping[str, Any]):
    yield plan
    for child in plan["children"]:
        yield from _walk(child)


def _bare(plan: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in plan.items() if key not in ("counts", "read")}
    return kept | {"children": [_bare(child) for child in plan["children"]]}
