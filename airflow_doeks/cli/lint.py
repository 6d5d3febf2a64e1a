"""`doeks lint`: every fault of every pipeline in every environment, in one run."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterable
from pathlib import Path

import click

from airflow_doeks.cli.words import counted
from airflow_doeks.language import (
    Diagnostic,
    check_file,
    check_project,
    dag_id_of,
    doubles,
    find_project,
    in_order,
    pipeline_files,
)


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True))
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text", help="How to print.")
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
def lint(paths: tuple[str, ...], form: str) -> None:
    """Check pipelines and their doeks.yaml; PATH is a file or a folder, this one if left out."""
    paths = paths or (".",)
    files, projects = _collect(paths)
    if not files and not projects:
        msg = f"no pipeline below {', '.join(paths)}: expected files that end in .yaml or .yml"
        raise click.UsageError(msg)
    gc.disable()  # a short life: nearly all that is allocated is needed to the end
    try:
        found = _check(files, projects)
    finally:
        gc.enable()
    if found or form != "github":
        click.echo(_shown(found, form, len(files)))
    raise SystemExit(1 if any(one.is_error for one in found) else 0)


def _check(files: list[Path], projects: set[str]) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    for project in sorted(projects):
        found += check_project(Path(project))
    for file in files:
        found += check_file(file)
    return in_order([*found, *doubles({str(file): dag_id_of(file) for file in files})])


def _collect(paths: Iterable[str]) -> tuple[list[Path], set[str]]:
    """Pipeline files in the order given, and every doeks.yaml that holds for one of them or was named itself."""
    files: dict[Path, None] = {}
    projects: set[str] = set()
    for path in map(Path, paths):
        if path.name == "doeks.yaml":
            projects.add(os.path.relpath(path))
            continue
        files |= dict.fromkeys(_pipelines_in(path) if path.is_dir() else [path])
    for folder in {file.parent for file in files}:
        project = find_project(folder)
        if project is not None:
            projects.add(os.path.relpath(project))
    return list(files), projects


def _pipelines_in(folder: Path) -> list[Path]:
    """The pipelines of a folder; of a project's folder those below its pipelines/."""
    inner = folder / "pipelines"
    return pipeline_files(inner if inner.is_dir() and (folder / "doeks.yaml").is_file() else folder)


def _shown(found: list[Diagnostic], form: str, files: int) -> str:
    if form == "json":
        return json.dumps([one.to_json() for one in found], indent=1, ensure_ascii=False)
    if form == "github":
        return "\n".join(one.github() for one in found)
    errors = sum(one.is_error for one in found)
    warnings = f", {counted(len(found) - errors, 'warning')}" if len(found) > errors else ""
    summary = f"{counted(files, 'pipeline')}: {counted(errors, 'error')}{warnings}"
    return "\n".join([*(f"{one.text()}\n" for one in found), summary])
