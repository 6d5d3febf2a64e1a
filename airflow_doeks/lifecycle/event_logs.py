"""Two crafts put together: the reader of an event log, and what turns its plans into datasets."""

from __future__ import annotations

from airflow_doeks.event_log import read
from airflow_doeks.lineage import PlanDatasets
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.stores import ByteStore


def read_event_log(store: ByteStore, name: str = "", *, statistics: bool = True) -> EventLogSummary:
    """What the event log ``name`` tells, lineage included; arguments and errors as of ``event_log.read``."""
    return read(store, name, PlanDatasets(), statistics=statistics)
