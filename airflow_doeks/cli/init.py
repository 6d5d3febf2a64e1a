"""`doeks init`: a project that runs at once, copied from `scaffold/`; what somebody wrote is never overwritten."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import click

from airflow_doeks.cli.package_source import find_source
from airflow_doeks.language.editor import schema_texts
from airflow_doeks.language.project import load_project

_SCAFFOLD = Path(__file__).parent / "scaffold"
_TO_START_FROM = ("pipelines/", "jobs/", "sql/")  # for a new project only
_CI = ".github/workflows/pipelines.yml"


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--mwaa", is_flag=True, help="Add requirements.txt, IAM policy and the plugins.zip way for Amazon MWAA.")
@click.option(
    "--package",
    metavar="WHEEL|URL",
    help="Where CI and MWAA get this package: a wheel file, or git+https://...; where this one came from if left out.",
)
def init(folder: Path, mwaa: bool, package: str | None) -> None:
    """Write a project into DIR: a first pipeline, doeks.yaml, the two DAG files, a CI check.

    DIR is what Airflow calls the DAG folder. In a project that exists it adds what is missing, leaves every file as it
    is, and brings the schemas for editors up to date. The CI check goes to the root of the git repository around DIR.
    """
    source = find_source(package)
    is_new = not (folder / "doeks.yaml").exists()
    parts = ["project", *(["mwaa"] if mwaa else [])]
    wanted = {name: text for part in parts for name, text in _files(part).items()}
    if not is_new:
        wanted = {name: text for name, text in wanted.items() if not name.startswith(_TO_START_FROM)}
    root = next((above for above in folder.absolute().parents if (above / ".git").exists()), folder.absolute())
    below = folder.absolute().relative_to(root).as_posix()
    facts = {"{package}": source.for_ci(below), "{folder}": shlex.quote(below), "{requirement}": source.for_mwaa()}
    for name, text in wanted.items():
        _write((root if name == _CI else folder) / name, text, facts)
    for name, data in {**source.files, **(source.files_for_mwaa() if mwaa else {})}.items():
        _put(folder / name, data)
    for name, text in schema_texts(load_project(folder / "doeks.yaml")).items():
        _put(folder / name, text.encode())
    click.echo(f"\nNext: doeks lint {shlex.quote(str(folder))}")
    if is_new:
        click.echo(f"      doeks run {shlex.quote(str(folder / 'pipelines' / 'first.yaml'))}")
    if mwaa:
        plugins = " and plugins.zip" if source.wheel else ""
        click.echo(f"      MWAA: upload {folder} as the DAG folder, and {folder / 'mwaa'}/requirements.txt{plugins}")
    if source.what_to_do:
        click.echo(f"      {source.what_to_do}")


def _write(path: Path, text: str, facts: Mapping[str, str]) -> None:
    if path.exists():
        click.echo(f"kept {path}, which was there already", err=True)
        return
    for name, value in facts.items():
        text = text.replace(name, value)
    _put(path, text.encode())


def _put(path: Path, data: bytes) -> None:
    """Write a file of ours, and say so if that changes anything."""
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    click.echo(f"wrote {path}")


def _files(part: str) -> dict[str, str]:
    """Name -> text of every file of a part of the scaffold."""
    root = _SCAFFOLD / part
    return {
        path.relative_to(root).as_posix(): path.read_text("utf-8")
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }
