"""`doeks schema`: the JSON Schema of pipelines, or of doeks.yaml, as the wheel carries it."""

from __future__ import annotations

import click

from airflow_doeks.spec.rules import HERE


@click.command()
@click.argument("name", type=click.Choice(["pipeline", "doeks"]), default="pipeline")
@click.option("--path", is_flag=True, help="Print the file's path, for an editor's settings.")
def schema(name: str, path: bool) -> None:
    """Print the JSON Schema (2020-12) of pipelines (the default) or of doeks.yaml."""
    file = HERE / f"{name}.schema.json"
    click.echo(str(file) if path else file.read_text("utf-8"), nl=path)
