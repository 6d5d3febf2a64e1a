"""`doeks schema`: the JSON Schemas of what people write (as the wheel carries them) and of what we write."""

from __future__ import annotations

import json

import click

from airflow_doeks.language.rules import HERE


@click.command()
@click.argument("name", type=click.Choice(["pipeline", "doeks", "record", "telemetry"]), default="pipeline")
@click.option("--path", is_flag=True, help="Print the file's path, for an editor's settings.")
def schema(name: str, path: bool) -> None:
    """Print the JSON Schema (2020-12) of pipelines (the default), doeks.yaml, a record or telemetry."""
    if name in {"record", "telemetry"}:
        from airflow_doeks.model.schemas import published_schema

        if path:
            msg = f"the schema of {name} is in no file; leave --path out"
            raise click.UsageError(msg)
        click.echo(json.dumps(published_schema(name), indent=2))
        return
    file = HERE / f"{name}.schema.json"
    click.echo(str(file) if path else file.read_text("utf-8"), nl=path)
