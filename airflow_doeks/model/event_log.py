"""What a Spark event log, or what Flink left of its jobs, yields in one pass: usage, lineage, waste, evidence."""

from __future__ import annotations

from typing import Any

from airflow_doeks.model.lineage import Lineage
from airflow_doeks.model.noun import Noun, Told, UtcTime
from airflow_doeks.model.telemetry import Pod


class StageFacts(Noun):
    """One stage attempt: Spark tasks, slot time and the counters that advice needs. Bytes and milliseconds.

    Spill, garbage collection, shuffle and ``ended`` are None for a stage that did not complete.
    """

    stage_id: int
    attempt: int
    started: UtcTime | None = None
    ended: UtcTime | None = None
    tasks: int = 0
    tasks_failed: int = 0
    slot_ms: int = 0
    slot_ms_wasted: int = 0
    task_ms_max: int = 0
    task_ms_median: int | None = None
    spill_disk_bytes: int | None = None
    gc_ms: int | None = None
    shuffle_read_bytes: int | None = None
    shuffle_remote_bytes: int | None = None


class EventLogSummary(Noun):
    """A Spark application as its event log tells it; whatever was cut or missing is None plus a line in ``why``.

    Attributes:
        conf: Spark properties, secrets redacted.
        pods: the driver and every executor with cores and memory as its pod requested them; an executor that was
            removed without ever registering has ``started`` None.
        slot_ms: Spark-task slot time of all attempts; ``slot_ms_wasted`` is the part of failed, killed, speculative
            and recomputed Spark tasks; ``slot_ms_unattributed`` the part that no output dataset claims.
        shuffle_remote_bytes: fetched from other hosts by all stages, also those that are not listed; None if one of
            them did not complete.
        stages: the 2,000 with the most slot time.
        gaps: what of the log's files is missing or cannot be read; executors may be missing with it.
        ended_cleanly: the log holds SparkListenerApplicationEnd.
        jobs: what is kept of each Flink job, for the record's detail.
        peak_memory_bytes: executor id -> peak of heap, overhead and Python RSS where measured.
    """

    app_id: str | None = None
    app_name: str | None = None
    spark_version: str | None = None
    started: UtcTime | None = None
    ended: UtcTime | None = None
    ended_cleanly: bool = False
    conf: dict[str, str] = {}
    pods: tuple[Pod, ...] = ()
    lineage: Lineage = Lineage()
    slot_ms: int | None = None
    slot_ms_wasted: int | None = None
    slot_ms_unattributed: int | None = None
    shuffle_remote_bytes: int | None = None
    stages: tuple[StageFacts, ...] = ()
    peak_memory_bytes: dict[str, int] = {}
    jobs: tuple[dict[str, Any], ...] = ()
    uses_python: bool | None = None
    gaps: tuple[str, ...] = ()
    why: tuple[Told, ...] = ()
