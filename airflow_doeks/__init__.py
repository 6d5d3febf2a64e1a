"""Airflow provider and DAG patterns for Data on EKS: YAML pipelines of Spark and Flink jobs, with cost and lineage."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "load_dags", "report_dag_errors"]


def __getattr__(name: str) -> Any:
    # Imported on use: `import airflow_doeks` must stay under 30 ms and work without Airflow.
    if name in {"load_dags", "report_dag_errors"}:
        import importlib  # by name: `__version__` is everybody's, and must not lead to Airflow

        return getattr(importlib.import_module("airflow_doeks.dag_factory"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
