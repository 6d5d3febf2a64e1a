"""`doeks convert`: pipelines of dag-factory as ours."""

from __future__ import annotations

from pathlib import Path

import click

from airflow_doeks.model.errors import SpecError
from airflow_doeks.spec.dag_factory_yaml import convert


@click.command("convert")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write a file for each DAG below here."
)
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
def command(file: Path, folder: Path | None, force: bool) -> None:
    """Rewrite a dag-factory FILE as pipelines; what does not carry over becomes a TODO comment and a line on stderr."""
    try:
        pipelines = convert(file.read_text("utf-8"), str(file))
    except (SpecError, UnicodeDecodeError) as error:
        raise click.UsageError(str(error)) from error
    for pipeline in pipelines:
        target = Path(*pipeline.dag_id.split(".")).with_suffix(".yaml")
        if folder is None:
            click.echo(f"# ---- pipelines/{target.as_posix()}\n{pipeline.text}")
        else:
            target = folder / target
            if target.exists() and not force:
                msg = f"{target} exists; --force overwrites it"
                raise click.UsageError(msg)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(pipeline.text, "utf-8")
            click.echo(f"wrote {target}")
        for note in pipeline.notes:
            click.echo(f"{file}: {pipeline.dag_id}: {note}", err=True)
    if any(pipeline.notes for pipeline in pipelines):
        raise SystemExit(1)
