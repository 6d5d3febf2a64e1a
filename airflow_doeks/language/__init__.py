"""The YAML language: files in, plans or diagnostics out. No Airflow, no network, nothing is run."""

from __future__ import annotations

from airflow_doeks.language.compiler import (
    Compiled,
    check_file,
    check_project,
    compile_file,
    compile_files,
    doubles,
    refuse_doubles,
)
from airflow_doeks.language.diagnostics import Diagnostic, in_order
from airflow_doeks.language.ids import dag_id_of, file_of, pipeline_files
from airflow_doeks.language.project import find_project

__all__ = [
    "Compiled",
    "Diagnostic",
    "check_file",
    "check_project",
    "compile_file",
    "compile_files",
    "dag_id_of",
    "doubles",
    "file_of",
    "find_project",
    "in_order",
    "pipeline_files",
    "refuse_doubles",
]
