"""From a task's rendered values to the job that is submitted: checked by the model that checked the YAML, staged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from airflow_doeks.hooks.stores import open_store
from airflow_doeks.lifecycle.staging import stage
from airflow_doeks.model.errors import PlatformError, SpecError
from airflow_doeks.model.job import SparkJob, read_spark_job
from airflow_doeks.platforms.registry import storage_connection


def read_rendered_job(
    rendered: Mapping[str, Any],
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
        raise SpecError(_in_words(error, source)) from error
    if job.sql and "://" not in job.sql:
        path = Path(folder, job.sql)
        if not path.is_file():
            msg = f"{source.get('spark.sql', 'sql')}: there is no SQL file {path}"
            raise SpecError(msg)
        job = job.model_copy(update={"sql_text": render(path.read_text("utf-8"))})
    code = platform.get("code")
    store = open_store(code, storage_connection(platform)) if code else None
    try:
        return stage(job, folder, store)
    except OSError as error:
        msg = f"the job's code could not be staged to {code}: {error}"
        raise PlatformError(msg, retryable=True) from error


def _in_words(error: ValidationError, source: Mapping[str, str]) -> str:
    """A line per fault; the value itself is left out, it may be a secret."""
    lines = []
    for item in error.errors(include_input=False, include_url=False):
        path = ".".join(str(part) for part in item["loc"])
        where = source.get(f"spark.{path}") or source.get("") or "job"
        lines.append(f"{where}: {path}: {item['msg']} (after rendering)")
    return "\n".join(dict.fromkeys(lines))
