"""A job of any engine, and the row of the engine whose noun it is."""

from __future__ import annotations

from typing import TypeAlias

from airflow_doeks.model.engine import ENGINES, Engine, load
from airflow_doeks.model.flink import FlinkJob
from airflow_doeks.model.job import SparkJob

Job: TypeAlias = SparkJob | FlinkJob


def engine_of(job: Job) -> Engine:
    """The row of the engine that runs a job."""
    return next(row for row in ENGINES.values() if load(row.noun) is type(job))
