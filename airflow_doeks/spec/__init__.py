"""The YAML language: files in, plans or diagnostics out. No Airflow, no network, nothing is run."""

from __future__ import annotations

from airflow_doeks.spec.compiler import (
    Compiled,
    check_file,
    check_project,
    compile_file,
    compile_folder,
    doubles,
    refuse_doubles,
)
from airflow_doeks.spec.diagnostics import Diagnostic, Place, in_order
from airflow_doeks.spec.ids import dag_id_of, expected_dag_ids, file_of, pipeline_files
from airflow_doeks.spec.project import choose_environment, find_project, load_project

__all__ = [
    "Compiled",
    "Diagnostic",
    "Place",
    "check_file",
    "check_project",
    "choose_environment",
    "compile_file",
    "compile_folder",
    "dag_id_of",
    "doubles",
    "expected_dag_ids",
    "file_of",
    "find_project",
    "in_order",
    "load_project",
    "pipeline_files",
    "refuse_doubles",
]
