"""From a task's rendered values to the job that is submitted: checked by the model that checked the YAML, staged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from airflow_doeks.hooks.stores import open_store
from airflow_doeks.lifecycle.staging import CodeRefused, code_file, stage
from airflow_doeks.model.code_path import is_url
from airflow_doeks.model.engine import Engine, load
from airflow_doeks.model.errors import PlatformError, SpecError
from airflow_doeks.model.job_rules import job_faults
from airflow_doeks.model.jobs import Job
from airflow_doeks.platforms.registry import storage_connection


def read_rendered_job(
    rendered: Mapping[str, Any],
    engine: Engine,
    *,
    folder: str,
    source: Mapping[str, str],
    platform: Mapping[str, Any],
    render: Callable[[str], str],
) -> Job:
    """The job with its SQL rendered and its code staged where the platform's ``code`` says.

    Raises SpecError with the YAML's file:line:col for a value the model refuses, PlatformError (retryable) when the
    code cannot be staged.
    """
    try:
        job: Job = load(engine.noun).of_rendered(rendered)
    except ValidationError as error:
        refused = [(item["loc"], item["msg"]) for item in error.errors(include_input=False, include_url=False)]
        raise SpecError(_in_words(refused, engine, source)) from None  # a traceback would tell the values
    faults = job_faults(engine, job.model_dump(by_alias=True, exclude_unset=True))
    if faults:
        raise SpecError(_in_words([(fault.path, fault.message) for fault in faults], engine, source))
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


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        msg = f"{file} is not UTF-8: {error.reason} at byte {error.start}"
        raise CodeRefused(msg, "sql") from error


def _in_words(faults: Iterable[tuple[tuple[int | str, ...], str]], engine: Engine, source: Mapping[str, str]) -> str:
    """A line per fault, path below the job and message; a value of another type is left out, it may be a secret."""
    lines = []
    for steps, message in faults:
        path = ".".join(map(str, (engine.name, *steps)))
        where = source.get(path) or source.get("") or "job"
        about = path.removeprefix(f"{engine.name}.")
        lines.append(f"{where}: {about}: {message.removeprefix('Value error, ')} (after rendering)")
    return "\n".join(dict.fromkeys(lines))
