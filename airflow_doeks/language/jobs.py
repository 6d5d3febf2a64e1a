"""Checks of one merged job: its code, its quantities, its properties, its presets, and what its platform refuses."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_doeks.language.diagnostics import suggestion
from airflow_doeks.language.graph import Entry
from airflow_doeks.language.rules import schema
from airflow_doeks.model.code_path import is_url, located, refusal
from airflow_doeks.model.engine import ENGINES, load
from airflow_doeks.model.plan import TaskPlan
from airflow_doeks.model.quantities import is_template, parse_cpu, parse_memory

if TYPE_CHECKING:
    from airflow_doeks.language.compilation import Compilation

_BUCKET_URL = re.compile(r"s3[an]?://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.+")
RELEASE = re.compile(r"emr-\d+\.\d+\.\d+(-[a-z0-9-]+)?(-latest|-\d{8})?")
_MEMORY_MIN = 1024**2


def check_job(compilation: Compilation, entry: Entry, plan: TaskPlan) -> None:
    """Note everything wrong with a task's job; paths are as in the YAML."""
    job = dict(plan.job or {})
    _check_work(compilation, entry, job)
    _check_code(compilation, entry, job)
    _check_quantities(compilation, entry, job)
    _check_presets(compilation, entry)
    release = job.get("release")
    if release is not None and not is_template(release) and not RELEASE.fullmatch(release):
        message = f'"{release}" is not an EMR release label'
        compilation.note("DK228", message, entry, (entry.kind, "release"), help="write for example emr-7.9.0-latest")
    _check_properties(compilation, entry, job)
    if plan.platform is not None and entry.kind in engines_of(plan.platform):
        from airflow_doeks.language.platform_checks import check_on_platform

        check_on_platform(compilation, entry, plan)


def engines_of(platform: Mapping[str, Any]) -> list[str]:
    """Names of the engines whose jobs a platform of doeks.yaml runs."""
    found: list[str] = schema("doeks")["$defs"].get(f"platform_{platform['type']}", {}).get("x-engines", [])
    return found


def _check_properties(compilation: Compilation, entry: Entry, job: dict[str, Any]) -> None:
    """Note every property of a job that its engine would ignore."""
    path = ENGINES[entry.kind].property_fault
    for key in (job.get("conf") or ()) if path else ():
        found = load(path)(key)
        if found is not None:
            code, message, advice = found
            compilation.note(code, message, entry, (entry.kind, "conf", key), at_key=True, help=advice)


def _check_work(compilation: Compilation, entry: Entry, job: dict[str, Any]) -> None:
    engine = ENGINES[entry.kind]
    said = [key for key in engine.work if key in job]
    if len(said) != 1 and not _was_cut(compilation, entry):
        message = f"the job has both {' and '.join(said)}; exactly one of them is run"
        if not said:
            one = len(engine.work) == 1
            message = (
                f"the job has no {engine.work[0]}, which is what is run"
                if one
                else (f"the job has neither {' nor '.join(engine.work)}; exactly one of them is run")
            )
        advice = f"write {' or '.join(f'{key}:' for key in engine.work)}"
        compilation.note("DK211", message, entry, (entry.kind,), at_key=True, help=advice)
    elif said == [engine.sql]:
        for key in engine.code_only:
            if key in job:
                message = f"{key} belongs to a jar, not to {engine.sql}"
                compilation.note("DK211", message, entry, (entry.kind, key), at_key=True)


def _was_cut(compilation: Compilation, entry: Entry) -> bool:
    """True if the file says more of the job than the schema accepts, which is reported already."""
    written: Any = compilation.document.data
    for step in (*entry.path, entry.kind):
        written = written[step]
    return set(written) != set(entry.spec[entry.kind])


def _check_code(compilation: Compilation, entry: Entry, job: dict[str, Any]) -> None:
    for key in ENGINES[entry.kind].work:
        if key in job:
            _check_file(compilation, entry, job[key], (entry.kind, key))
    for key in ENGINES[entry.kind].file_lists:
        for index, value in enumerate(job.get(key) or ()):
            _check_file(compilation, entry, value, (entry.kind, key, index))


def _check_file(compilation: Compilation, entry: Entry, value: Any, path: tuple[Any, ...]) -> None:
    if not isinstance(value, str) or is_template(value):
        return
    root = os.path.abspath(compilation.setting.project.folder or compilation.folder)  # noqa: PTH100
    folder = os.path.abspath(compilation.folder)  # noqa: PTH100
    why = refusal(value, folder, root, _real_file)
    if why is not None:
        advice = "move the file there, or give a URL such as s3://bucket/job.py"
        compilation.note("DK212", why, entry, path, help=advice)
    elif is_url(value):
        if value.startswith(("s3:", "s3a:", "s3n:")) and not _BUCKET_URL.fullmatch(value):
            compilation.note("DK220", f'"{value}" is not an S3 URL', entry, path, help="write s3://bucket/path")
    elif not os.path.isfile(file := located(value, compilation.folder)):  # noqa: PTH113
        what = "is a folder; zip it" if Path(file).is_dir() else "does not exist"
        advice = f"looked at {file}; paths start where the YAML stands"
        compilation.note("DK212", f'"{value}" {what}', entry, path, help=_near_file(file) or advice)


def _real_file(file: str) -> str:
    folder, name = os.path.split(file)
    real = os.path.join(_real(folder), name)  # noqa: PTH118
    return os.path.realpath(real) if os.path.islink(real) else real  # noqa: PTH114


@functools.lru_cache(maxsize=1024)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def _near_file(file: str) -> str:
    folder = Path(file).parent
    return suggestion(Path(file).name, [one.name for one in folder.iterdir()]) if folder.is_dir() else ""


def _check_quantities(compilation: Compilation, entry: Entry, job: dict[str, Any]) -> None:
    for pod in ENGINES[entry.kind].pods:
        sizes = job.get(pod)
        if not sizes:
            continue
        cpu, memory = sizes.get("cpu"), sizes.get("memory")
        if cpu is not None and not is_template(cpu) and parse_cpu(cpu) == 0:
            compilation.note(
                "DK210", f"{cpu} is no CPU at all", entry, (entry.kind, pod, "cpu"), help="write for example 1 or 500m"
            )
        if memory is not None and not is_template(memory) and parse_memory(memory) < _MEMORY_MIN:
            message = f"{memory} is less than a mebibyte"
            compilation.note(
                "DK210",
                message,
                entry,
                (entry.kind, pod, "memory"),
                help=f"did you mean {memory}Gi?" if memory.isdigit() else "write for example 4Gi",
            )
    counted = ENGINES[entry.kind].counted
    if counted:
        _check_count(compilation, entry, counted, job.get(counted) or {})


def _check_count(compilation: Compilation, entry: Entry, pod: str, sizes: Mapping[str, Any]) -> None:
    least, most = sizes.get("min", 1), sizes.get("max")
    if isinstance(least, (int, float)) and isinstance(most, (int, float)) and least > most:
        where = "min" if "min" in sizes else "max"
        compilation.note("DK210", f"{pod}.min {least} is above {pod}.max {most}", entry, (entry.kind, pod, where))
    if most == 0 or (most is None and least == 0):
        where = "max" if most == 0 else "min"
        compilation.note("DK210", f"a job without {pod} cannot run", entry, (entry.kind, pod, where), help="at least 1")


def _check_presets(compilation: Compilation, entry: Entry) -> None:
    declared = compilation.setting.project.declared("presets")
    for index, name in enumerate(compilation.listed_presets(entry)):
        if (advice := unknown_preset(name, entry.kind, declared)) is not None:
            path = (entry.kind, "presets", index)
            compilation.note("DK216", f'there is no preset "{name}"', entry, path, help=advice)


def unknown_preset(name: str, engine: str, declared: Iterable[str]) -> str | None:
    """What may have been meant where there is no such preset, ours or ``declared`` in doeks.yaml; None if there is."""
    known = [*schema("pipeline")["x-presets"][engine], *declared]
    if name in known:
        return None
    return suggestion(name, known) or f"presets are {', '.join(known)}"
