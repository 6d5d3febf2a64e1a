"""`doeks convert`: pipelines of dag-factory as ours."""

from __future__ import annotations

from pathlib import Path

import click

from airflow_doeks.dialects.dag_factory.document import convert


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
    except UnicodeDecodeError as error:
        msg = f"{file}: not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}"
        raise click.UsageError(msg) from error
    names = [Path(*pipeline.dag_id.split(".")).with_suffix(".yaml") for pipeline in pipelines]
    there = [str(folder / name) for name in names if folder and (folder / name).exists()]
    if there and not force:
        msg = f"{', '.join(there)} exists; --force overwrites it"
        raise click.UsageError(msg)
    for pipeline, name in zip(pipelines, names, strict=True):
        if folder is None:
            click.echo(f"# ---- pipelines/{name.as_posix()}\n{pipeline.text}")
        else:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(pipeline.text, "utf-8")
            click.echo(f"wrote {target}")
        for note in pipeline.notes:
            click.echo(f"{file}: {pipeline.dag_id}: {note}", err=True)
    if any(pipeline.notes for pipeline in pipelines):
        raise SystemExit(1)
