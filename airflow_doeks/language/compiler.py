"""Pipeline files and folders to plans or diagnostics; the faces that the DAG builder and `doeks lint` call."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from airflow_doeks.language.compilation import compiled_document
from airflow_doeks.language.diagnostics import Diagnostic, Place, across, in_order
from airflow_doeks.language.ids import dag_id_of
from airflow_doeks.language.project import Project, Setting, choose_environment, find_project, load_project
from airflow_doeks.language.text import Refused, read
from airflow_doeks.model.plan import Plan

_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Compiled:
    """A file in one environment: its plan if nothing is wrong, and what is."""

    plan: Plan | None
    diagnostics: tuple[Diagnostic, ...]
    file: str
    dag_id: str


def compile_file(
    path: str | Path, *, environment: str | None = None, default: str | None = None, root: str | Path | None = None
) -> Compiled:
    """The plan of one pipeline in one environment. Reads the file and its doeks.yaml, runs nothing.

    The environment is ``environment``, else DOEKS_ENV, else ``default``, else the only one there is. DAG ids count
    from ``root``, else from the nearest folder named pipelines.
    """
    return compile_files([path], environment=environment, default=default, root=root)[0]


def compile_files(
    paths: Iterable[str | Path],
    *,
    environment: str | None = None,
    default: str | None = None,
    root: str | Path | None = None,
) -> list[Compiled]:
    """The same of several files; the doeks.yaml of a folder is looked for once."""
    projects: dict[str, Project] = {}

    def work(path: str | Path) -> Compiled:
        folder = os.path.dirname(path)  # noqa: PTH120 - asked for every pipeline
        if folder not in projects:
            projects[folder] = load_project(find_project(folder))
        project = projects[folder]
        chosen, refusal = choose_environment(project, environment, default)
        if refusal is not None:
            return failed(path, refusal)
        return _compile(path, project.setting(chosen), root)

    def failed(path: str | Path, fault: Diagnostic) -> Compiled:
        return Compiled(None, (fault,), str(path), dag_id_of(path, root))

    return [_of_this_file(path, partial(work, path), partial(failed, path)) for path in paths]


def check_file(path: str | Path, root: str | Path | None = None) -> list[Diagnostic]:
    """Everything wrong with one pipeline in any environment; what doeks.yaml says is in `check_project`."""

    def work() -> list[Diagnostic]:
        project = load_project(find_project(Path(path).parent))
        found: dict[str | None, list[Diagnostic]] = {}
        for environment in project.environments or (None,):
            found[environment] = list(_compile(path, project.setting(environment), root, own=True).diagnostics)
        return across(found)

    return _of_this_file(path, work, lambda fault: [fault])


def check_project(path: Path) -> list[Diagnostic]:
    """Everything wrong with a doeks.yaml in any environment."""

    def work() -> list[Diagnostic]:
        from airflow_doeks.language.checks.project import check_variables

        project = load_project(path)
        settings = {name: project.setting(name) for name in project.environments or (None,)}
        found = {name: _project_faults(setting) for name, setting in settings.items()}
        return in_order([*project.diagnostics, *across(found), *check_variables(project)])

    return _of_this_file(path, work, lambda fault: [fault])


def _of_this_file(path: str | Path, work: Callable[[], _Result], failed: Callable[[Diagnostic], _Result]) -> _Result:
    """What the work gives; a bug of ours that one file meets becomes that file's diagnostic and stops no other file."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - a border: one file's fault must not become that of every DAG
        _log.exception("%s: a bug of airflow_doeks", path)
        message = f"a bug of airflow_doeks, not of this file: {type(error).__name__}: {' '.join(str(error).split())}"
        advice = "report it with this file and the traceback in the log"
        return failed(Diagnostic("DK901", message, Place(str(path), 1, 1), help=advice))


def refuse_doubles(compiled: list[Compiled]) -> list[Compiled]:
    """The same, where files that ask for one DAG id have no plan and a diagnostic instead."""
    faults = {fault.place.file: fault for fault in doubles({one.file: one.dag_id for one in compiled})}
    return [
        replace(one, plan=None, diagnostics=(*one.diagnostics, faults[one.file])) if one.file in faults else one
        for one in compiled
    ]


def doubles(dag_ids: Mapping[str, str]) -> list[Diagnostic]:
    """A diagnostic for each file whose DAG id is another file's too; ``dag_ids`` is file -> DAG id."""
    files: dict[str, list[str]] = {}
    for file, dag_id in dag_ids.items():
        files.setdefault(dag_id, []).append(file)
    found = []
    for dag_id, several in files.items():
        for file in several if len(several) > 1 else ():
            message = f'DAG id "{dag_id}" is also that of {", ".join(other for other in several if other != file)}'
            found.append(Diagnostic("DK223", message, Place(file, 1, 1), help="rename one of the files"))
    return found


def _compile(path: str | Path, setting: Setting, root: str | Path | None, *, own: bool = False) -> Compiled:
    """``own``: leave out what is wrong with doeks.yaml itself."""
    file = str(path)
    dag_id = dag_id_of(path, root)
    try:
        document = read(path, file)
    except Refused as refused:
        return Compiled(None, (replace(refused.diagnostic, dag_id=dag_id),), file, dag_id)
    plan, diagnostics = compiled_document(document, setting, dag_id)
    if not own:
        diagnostics = [*setting.project.diagnostics, *_project_faults(setting), *diagnostics]
    if not diagnostics:
        return Compiled(plan, (), file, dag_id)
    ordered = tuple(replace(one, dag_id=dag_id) if one.place.file == file else one for one in in_order(diagnostics))
    return Compiled(None if any(one.is_error for one in ordered) else plan, ordered, file, dag_id)


def _project_faults(setting: Setting) -> list[Diagnostic]:
    if setting.project.folder is None:
        return []
    from airflow_doeks.language.checks import project

    return project.check_project(setting)
