"""Code reaches the job: files of a pipeline become URLs below the platform's ``code`` store, named by their content.

Planning reads and hashes, uploading writes; the same content has the same URL, so staging twice sends nothing twice.
"""

from __future__ import annotations

import hashlib
import os.path
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_doeks.model.code_path import is_url, located, project_file, refusal
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.jobs import Job, engine_of
from airflow_doeks.model.stores import ByteStore


@dataclass(frozen=True)
class Upload:
    """One object to write: ``name`` is ``<sha256>/<file name>``."""

    name: str
    content: bytes


@dataclass(frozen=True)
class StagingPlan:
    """The job as the platform will see it, and what must be uploaded before it is submitted."""

    job: Job
    uploads: tuple[Upload, ...] = ()


def project_root(folder: str | Path) -> Path:
    """Where code may live: the folder of the nearest doeks.yaml upward, or the folder itself without one."""
    start = os.path.abspath(folder)  # noqa: PTH100 - a folder keeps the name that it is known by
    found = project_file(start, os.path.isfile)
    return Path(found).parent if found else Path(start)


class CodeRefused(SpecError):
    """A file that a job may not bring, or that is not there; ``field`` is the job's key, with its index."""

    def __init__(self, why: str, field: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field


def stage(job: Job, folder: str, store: ByteStore | None) -> Job:
    """The job with every relative path staged; without a store the paths only become absolute.

    May be called twice: what is already there is not written again. Raises SpecError for a path that does not exist
    or leaves the project, OSError when the store cannot be reached.
    """
    plan = plan_staging(job, folder, store.url if store is not None else None)
    if store is not None:
        for upload in plan.uploads:
            if upload.name not in store.list(upload.name):
                store.write(upload.name, upload.content)
    return plan.job


def plan_staging(job: Job, folder: str, code: str | None) -> StagingPlan:
    """What staging below the URL ``code`` would do; nothing is written. ``code`` None: paths become absolute.

    A SQL job becomes a job of its engine's bundled runner, with the staged text as its argument.
    """
    uploads: dict[str, Upload] = {}

    def place(value: str, field: str) -> str:
        _, mark, alias = value.partition("#")
        if is_url(value):
            return value
        file = code_file(value, folder, field)
        return (str(file) if code is None else _add(uploads, code, file.name, file.read_bytes())) + mark + alias

    engine = engine_of(job)
    update: dict[str, object] = {
        field: tuple(place(value, f"{field}[{index}]") for index, value in enumerate(getattr(job, field)))
        for field in engine.file_lists
    }
    template = getattr(job, engine.template_file, None) if engine.template_file else None
    if isinstance(template, str):
        update[str(engine.template_file)] = _template(code_file(template, folder, str(engine.template_file)))
    for field in engine.files:
        value = getattr(job, field)
        if value is None:
            continue
        if field != engine.sql or code is None:
            update[field] = place(value, field)
        else:
            runner = Path(__file__).parents[1] / engine.sql_runner
            urls = {"runner": _add(uploads, code, runner.name, runner.read_bytes())}
            urls["sql"] = _sql_url(job, folder, code, uploads)
            update |= {field: None, "sql_text": None, **_filled(engine.sql_job, {**vars(job), **urls})}
    return StagingPlan(job.model_copy(update=update), tuple(uploads.values()))


def _template(file: Path) -> dict[str, Any]:
    """The pod template in a file of the project; CodeRefused for what is none."""
    import yaml

    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        found, why = None, f": {error}"
    else:
        why = ""
    if not isinstance(found, dict) or not isinstance(found.get("spec", {}), dict):
        msg = f"{file} is no pod template: it is a mapping with metadata and spec{why}"
        raise CodeRefused(msg, "pod_template")
    return found


def _filled(keys: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of a job, with what stands in braces."""
    return {
        key: text.format_map(values) if isinstance(text, str) else tuple(one.format_map(values) for one in text)
        for key, text in keys.items()
    }


def _sql_url(job: Job, folder: str, code: str, uploads: dict[str, Upload]) -> str:
    """Where the runner finds the SQL: Airflow's rendering of it if there is one, else the file as it is."""
    where = job.sql or ""
    if job.sql_text is not None:
        return _add(uploads, code, Path(where).name or "query.sql", job.sql_text.encode())
    if is_url(where):
        return where
    file = code_file(where, folder, "sql")
    return _add(uploads, code, file.name, file.read_bytes())


def _add(uploads: dict[str, Upload], code: str, name: str, content: bytes) -> str:
    place = f"{hashlib.sha256(content).hexdigest()}/{name}"
    uploads[place] = Upload(place, content)
    return f"{code.rstrip('/')}/{place}"


def code_file(value: str, folder: str | Path, field: str) -> Path:
    """The file behind a path of a job, symlinks followed; raises CodeRefused for one that may not or cannot be read."""
    start, root = os.path.abspath(folder), project_root(folder)  # noqa: PTH100
    why = refusal(value, start, str(root), os.path.realpath)
    if why is not None:
        msg = (
            f"{why}\nThe project is {root}. Move the file there, or give a URL such as s3://bucket/{Path(value).name}."
        )
        raise CodeRefused(msg, field)
    file = Path(os.path.realpath(located(value, start)))
    if not file.is_file():
        what = "is a folder; zip it and name the zip" if file.is_dir() else "does not exist"
        msg = f'"{value}" {what}\nLooked at {file}; relative paths start at {start}, where the YAML stands.'
        raise CodeRefused(msg, field)
    return file
