"""`doeks init`: a project that runs at once, copied from `scaffold/`; what exists is never overwritten."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from airflow_doeks import __version__

_SCAFFOLD = Path(__file__).parent / "scaffold"


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--mwaa", is_flag=True, help="Add requirements.txt, IAM policy and the plugins.zip way for Amazon MWAA.")
def init(folder: Path, mwaa: bool) -> None:
    """Write a project into DIR: a first pipeline, doeks.yaml, the two DAG files, a CI check.

    DIR is what Airflow calls the DAG folder. Files that exist are left as they are; exit code 1 if there were any.
    """
    wanted = {**_files("project"), **_schemas(), **(_files("mwaa") if mwaa else {})}
    kept = [name for name in wanted if (folder / name).exists()]
    for name, text in wanted.items():
        if name not in kept:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            click.echo(f"wrote {path}")
    for name in kept:
        click.echo(f"kept {folder / name}, which was there already", err=True)
    click.echo(f"\nNext: doeks lint {folder}\n      doeks run {folder / 'pipelines' / 'first.yaml'}")
    if mwaa:
        click.echo(f"      MWAA: upload {folder} as the DAG folder and {folder / 'mwaa' / 'requirements.txt'}")
    raise SystemExit(1 if kept else 0)


def _files(part: str) -> dict[str, str]:
    """Name -> text of every file of a part of the scaffold."""
    root = _SCAFFOLD / part
    return {
        path.relative_to(root).as_posix(): path.read_text("utf-8").replace("{version}", __version__)
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }


def _schemas() -> dict[str, str]:
    """What editors check both YAML files against."""
    folder = files("airflow_doeks.language")
    return {name: folder.joinpath(name).read_text("utf-8") for name in ("pipeline.schema.json", "doeks.schema.json")}
