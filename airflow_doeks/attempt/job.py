"""From a task's rendered values to the job that is submitted: checked by the model that checked the YAML, staged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from airflow_doeks.hooks.stores import open_store
from airflow_doeks.lifecycle.staging import CodeRefused, code_file, stage
from airflow_doeks.model.code_path import is_url
from airflow_doeks.model.engine import Engine
from airflow_doeks.model.errors import PlatformError, SpecError
from airflow_doeks.model.job import SparkJob, read_spark_job
from airflow_doeks.model.job_rules import count_faults, work_faults
from airflow_doeks.platforms.registry import storage_connection


def read_rendered_job(
    rendered: Mapping[str, Any],
    engine: Engine,
    *,
    folder: str,
    source: Mapping[str, str],
    platform: Mapping[str, Any],
    render: Callable[[str], str],
) -> SparkJob:
    """The job with its SQL rendered and its code staged where the platform's ``code`` says.

    Raises SpecError with the YAML's file:line:col for a value the model refuses, PlatformError (retryable) when the
    code cannot be staged.
    """
    try:
        job = read_spark_job(dict(rendered))
    except ValidationError as error:
        raise SpecError(_in_words(error, engine.name, source)) from error
    _check_whole(job, engine, source)
    code = platform.get("code")
    store = open_store(code, storage_connection(platform)) if code else None
    try:
        if job.sql and not is_url(job.sql):
            job = job.model_copy(update={"sql_text": render(_text(code_file(job.sql, folder, "sql")))})
        return stage(job, folder, store)
    except CodeRefused as error:
        where = source.get(f"{engine.name}.{error.field}") or source.get("") or "job"
        headline, _, detail = str(error).partition("\n")
        msg = f"{where}: {headline} (after rendering)\n{detail}".rstrip()
        raise SpecError(msg) from error
    except OSError as error:
        msg = f"the job's code could not be staged to {code}: {error}"
        raise PlatformError(msg, retryable=True) from error


def _check_whole(job: SparkJob, engine: Engine, source: Mapping[str, str]) -> None:
    """Raises SpecError for what the YAML's checks say of a job without templates."""
    plain = job.model_dump(by_alias=True, exclude_none=True, exclude_unset=True)
    faults = [*work_faults(engine, plain), *count_faults(engine, plain)]
    lines = []
    for fault in faults:
        path = ".".join((engine.name, *fault.path))
        where = source.get(path) or source.get(engine.name) or source.get("") or "job"
        lines.append(
            f"{where}: {fault.code} {fault.message} (after rendering)" + (f"; {fault.help}" * bool(fault.help))
        )
    if lines:
        raise SpecError("\n".join(lines))


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        msg = f"{file} is not UTF-8: {error.reason} at byte {error.start}"
        raise CodeRefused(msg, "sql") from error


def _in_words(error: ValidationError, engine: str, source: Mapping[str, str]) -> str:
    """A line per fault; the value itself is left out, it may be a secret."""
    lines = []
    for item in error.errors(include_input=False, include_url=False):
        path = ".".join(str(part) for part in item["loc"])
        where = source.get(f"{engine}.{path}") or source.get("") or "job"
        lines.append(f"{where}: {path}: {item['msg']} (after rendering)")
    return "\n".join(dict.fromkeys(lines))
