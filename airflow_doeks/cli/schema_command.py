"""`doeks schema`: the JSON Schemas of what people write, with the names of their project, and of what we write."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from airflow_doeks.language.rules import HERE


@click.command()
@click.argument("name", type=click.Choice(["pipeline", "doeks", "record", "telemetry"]), default="pipeline")
@click.option("--path", is_flag=True, help="Print the path of the general schema, for an editor's settings.")
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of a project: print the schema with its platforms, presets and operators.",
)
@click.option("--write", is_flag=True, help="Write both schemas of the project beside its doeks.yaml.")
def schema(name: str, path: bool, project: Path | None, write: bool) -> None:
    """Print the JSON Schema (2020-12) of pipelines (the default), doeks.yaml, a record or telemetry.

    With --write an editor completes what this project has; run it again when doeks.yaml or this package has changed.
    """
    if project is not None or write:
        _of_project(name, project or Path(), write)
    elif name in {"record", "telemetry"}:
        from airflow_doeks.model.schemas import published_schema

        if path:
            msg = f"the schema of {name} is in no file; leave --path out"
            raise click.UsageError(msg)
        click.echo(json.dumps(published_schema(name), indent=2))
    else:
        file = HERE / f"{name}.schema.json"
        click.echo(str(file) if path else file.read_text("utf-8"), nl=path)


def _of_project(name: str, folder: Path, write: bool) -> None:
    from airflow_doeks.language.editor import KINDS, schema_texts
    from airflow_doeks.language.project import find_project, load_project

    file = find_project(folder)
    if file is None or name not in KINDS:
        what = f"{folder} has no doeks.yaml, nor has a folder above it" if name in KINDS else f"{name} is of no project"
        raise click.UsageError(what)
    texts = schema_texts(load_project(file))
    if not write:
        click.echo(texts[KINDS[name]], nl=False)
        return
    for target, text in texts.items():
        (file.parent / target).write_text(text, encoding="utf-8")
        click.echo(f"wrote {os.path.relpath(file.parent / target)}")
