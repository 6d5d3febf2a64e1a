"""The plans of one application turned into its datasets; the reader of its event log feeds it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from airflow_doeks.lineage.datasets import Counts, Datasets
from airflow_doeks.lineage.executions import Executions
from airflow_doeks.lineage.names import dataset_name, without_partitions
from airflow_doeks.lineage.plans import Scan
from airflow_doeks.lineage.streams import Streams
from airflow_doeks.model.plan_reader import Accumulables, Found, StageWork

_FILE_RDDS = re.compile(r'"(textFile|hadoopFile|newAPIHadoopFile|sequenceFile|objectFile|wholeTextFiles|binaryFiles)"')


class PlanDatasets:
    """A ``PlanReader``: SQL executions, stages without SQL and streaming queries, as datasets."""

    def __init__(self) -> None:
        self.datasets = Datasets()
        self.streams = Streams(self.datasets)
        self.executions = Executions(self.datasets, self.streams)
        self.parsed: dict[bytes, Callable[[Mapping[str, Any]], None]] = {
            b"SparkListenerSQLExecutionStart": self.executions.started,
            b"SparkListenerSQLExecutionEnd": self.executions.finished,
            b"SparkListenerDriverAccumUpdates": self.executions.updated,
            b"StreamingQueryListener$QueryProgressEvent": self.streams.progressed,
        }
        self.unparsed: dict[bytes, Callable[[bytes], None]] = {
            b"SparkListenerSQLAdaptiveExecutionUpdate": self.executions.adapted,
        }

    def configured(self, conf: Mapping[str, str]) -> None:
        """Spark properties as far as they are known."""
        self.executions.conf = conf

    def stage_submitted(self, stage: StageWork, execution: int, root: int) -> None:
        """A stage of an SQL execution starts."""
        self.executions.stage_submitted(stage, execution, root)

    def stage_completed(self, stage: StageWork, info: Mapping[str, Any], values: Accumulables) -> None:
        """A stage attempt ends; one that comes twice changes nothing."""
        if stage.is_completed:
            return
        self.executions.stage_completed(stage, values)
        if stage.execution is None:
            self._rdds(info, values, stage.attempt)

    def found(self, slot_ms: int | None) -> Found:
        """Everything, once, after the last event."""
        self.executions.close()
        inputs, outputs = self.datasets.listed(slot_ms)
        return Found(inputs, outputs, self.datasets.attributed_ms, tuple(self.datasets.why))

    def _rdds(self, info: Mapping[str, Any], values: Accumulables, attempt: int) -> None:
        """Stages without SQL: an RDD's name is the path it reads; what it writes stands nowhere."""
        totals = {name: value for _, name, value in values}
        paths = [
            str(rdd["Name"])
            for rdd in info["RDD Info"]
            if _FILE_RDDS.search(str(rdd.get("Scope"))) and "/" in str(rdd.get("Name"))
        ]
        names = {dataset_name(without_partitions(path)) for text in paths for path in text.split(",")}
        read = totals.get("internal.metrics.input.recordsRead") if attempt == 0 else None
        for name in names:
            scan = Scan((name,), key=f"rdd {name}", format="rdd")
            self.datasets.read(scan, Counts(rows=read if len(names) == 1 else None))
        rows = totals.get("internal.metrics.output.recordsWritten")
        if rows:
            self.datasets.why.add(
                f"an RDD wrote {rows} records to a place that is not in the log; declare it under `writes`"
            )
