"""The plans of one application turned into its datasets; the reader of its event log feeds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_doeks.lineage.counts import Counts
from airflow_doeks.lineage.datasets import Datasets
from airflow_doeks.lineage.executions import Executions
from airflow_doeks.lineage.names import Name
from airflow_doeks.lineage.plans import SPARK_VERSION, Scan
from airflow_doeks.lineage.rdds import StageRdds, rdds_of
from airflow_doeks.lineage.roots import moved_by
from airflow_doeks.lineage.slices import Slice
from airflow_doeks.lineage.streams import Streams
from airflow_doeks.model.plan_reader import Accumulables, Found, Moved, StageWork


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

    def configured(self, conf: Mapping[str, str], version: str = "") -> None:
        """Spark properties as far as they are known, and Spark's version."""
        self.executions.conf = {**conf, SPARK_VERSION: version}

    def stage_submitted(self, stage: StageWork, execution: int, root: int) -> None:
        """A stage of an SQL execution starts."""
        self.executions.stage_submitted(stage, execution, root)

    def stage_completed(self, stage: StageWork, info: Mapping[str, Any], values: Accumulables) -> None:
        """A stage attempt ends; one that comes twice changes nothing."""
        if stage.is_completed:
            return
        rdds, moved = rdds_of(info), moved_by(stage, values)
        self.executions.stage_completed(stage, values, moved, rdds)
        if rdds.read:
            self._read(rdds.read, moved.records_read if stage.attempt == 0 and rdds.is_once else None)
        elif stage.execution is None and moved.records_read and rdds.scopes and not rdds.is_cached:
            self._unnamed(stage, rdds, moved)
        if stage.execution is None and moved.records_written:
            self.datasets.why.add(
                f"an RDD wrote {moved.records_written} records ({moved.bytes_written} bytes) to a place that is not in "
                "the log; declare it under `writes`"
            )

    def found(self, slot_ms: int | None) -> Found:
        """Everything, once, after the last event."""
        self.executions.close()
        inputs, outputs = self.datasets.listed(slot_ms)
        return Found(inputs, outputs, self.datasets.attributed_ms, tuple(self.datasets.why))

    def _read(self, parts: Mapping[Name, Slice], rows: int | None) -> None:
        """An RDD's name is the path it reads; what it writes stands nowhere."""
        unseen = "an RDD tells rows alone, those of one dataset a stage that reads it once"
        for name, part in parts.items():
            scan = Scan((name,), part=part, format="rdd", unseen=unseen)
            self.datasets.read(scan, Counts(rows=rows if len(parts) == 1 else None))

    def _unnamed(self, stage: StageWork, rdds: StageRdds, moved: Moved) -> None:
        if not rdds.is_inference:
            self.datasets.why.add(
                f"stage {stage.number} read {moved.records_read} records ({moved.bytes_read} bytes) of data that the "
                f"log does not name: {', '.join(rdds.scopes)}"
            )
