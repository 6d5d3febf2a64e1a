"""`doeks convert`: pipelines of dag-factory as ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from airflow_doeks.dialects.dag_factory.document import convert
from airflow_doeks.dialects.dag_factory.layers import Source
from airflow_doeks.dialects.dag_factory.project import Converted, project_text
from airflow_doeks.language import check_file, find_project
from airflow_doeks.model.code_path import PROJECT_FILE

_DEFAULTS = ("defaults.yml", "defaults.yaml")  # dag-factory takes the first that a folder has
_LOADER_WORDS = ("defaults_config_dict", "default_args_config_dict", "defaults_config_path")
_NEAR = 2  # folders from the file's own upward where the Python file that loads it is looked for
_LOADER_SIZE_MAX = 256 * 1024  # bytes; a DAG file that loads YAML has a few lines


@click.command("convert")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write a file for each DAG below here."
)
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
@click.option(
    "--defaults-path",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Outermost folder whose defaults.yml holds, dag-factory's `defaults_config_path`; all above FILE if unset.",
)
def command(file: Path, folder: Path | None, force: bool, defaults_path: Path | None) -> None:
    """Rewrite a dag-factory FILE as pipelines, with every defaults.yml beside or above it merged in.

    What does not carry over becomes a TODO comment and a line on stderr; comments of FILE are not kept. Where no
    doeks.yaml is found, `--out` writes one with the platforms that the jobs ran on and the operators in use.
    """
    folders = list(_folders(file, defaults_path))
    found = [path for one in folders for path in _first_defaults(one)]
    defaults = [Source(str(path), _read(path)) for path in reversed(found)]
    pipelines = convert(_read(file), str(file), defaults)
    project = project_text(pipeline.needs for pipeline in pipelines)
    if folder is None:
        for pipeline in pipelines:
            click.echo(f"# ---- pipelines/{_path_of(pipeline).as_posix()}\n{pipeline.text}")
        if project:
            click.echo(f"# ---- {PROJECT_FILE}\n{project}")
    else:
        pipelines = _write(pipelines, project, folder, force=force)
    near = max([_NEAR, *(folders.index(path.parent) + 1 for path in found)])
    loaders = [f"{file}: {text}" for one in folders[:near] for text in _loaders(one)]
    notes = [f"{file}: {pipeline.dag_id}: {note}" for pipeline in pipelines for note in pipeline.notes]
    for text in (*notes, *loaders):
        click.echo(text, err=True)
    if loaders or any(pipeline.has_todo for pipeline in pipelines):
        raise SystemExit(1)


def _write(pipelines: Sequence[Converted], project: str, folder: Path, *, force: bool) -> list[Converted]:
    """Write a file a pipeline, and a doeks.yaml where there is none, all or nothing; then what lint says as TODO."""
    files = {folder / _path_of(pipeline): pipeline for pipeline in pipelines}
    there = [str(path) for path in files if path.exists()]
    if there and not force:
        msg = f"{', '.join(there)} exists; --force overwrites it"
        raise click.UsageError(msg)
    known = find_project(folder)
    if project and known is None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PROJECT_FILE).write_text(project, "utf-8")
        click.echo(f"wrote {folder / PROJECT_FILE}")
    for path, pipeline in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pipeline.text, "utf-8")
        click.echo(f"wrote {path}")
    if project and known is not None:
        click.echo(f"{known} stays as it is; if it lacks something of this, add it:\n{project}")
    return [_with_faults(path, pipeline) for path, pipeline in files.items()]


def _with_faults(path: Path, pipeline: Converted) -> Converted:
    """The pipeline with a TODO for each error that `doeks lint` finds in it, in its file, too."""
    faults = [fault for fault in check_file(path) if fault.is_error]
    if not faults:
        return pipeline
    noted = pipeline.with_todos(
        f"{fault.task_id or 'the pipeline'}: `doeks lint` refuses it, {fault.code}: {fault.message}" for fault in faults
    )
    path.write_text(noted.text, "utf-8")
    return noted


def _path_of(pipeline: Converted) -> Path:
    return Path(*pipeline.dag_id.split(".")).with_suffix(".yaml")


def _folders(file: Path, outermost: Path | None) -> Iterator[Path]:
    """The folder of the file and those above it, up to the outermost; if that is not above, it is the second."""
    above = file.absolute().parents
    if outermost is None:
        yield from above
    elif outermost.absolute() in above:
        yield from above[: list(above).index(outermost.absolute()) + 1]
    else:
        yield from (above[0], outermost.absolute())


def _first_defaults(folder: Path) -> list[Path]:
    return [folder / name for name in _DEFAULTS if (folder / name).is_file()][:1]


def _loaders(folder: Path) -> Iterator[str]:
    """A note for each Python file of a folder that gives dag-factory defaults of its own."""
    for path in sorted(folder.glob("*.py")):
        try:
            text = path.read_text("utf-8", "replace") if path.stat().st_size <= _LOADER_SIZE_MAX else ""
        except OSError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            word = next((word for word in _LOADER_WORDS if word in line), None)
            if word is not None:
                yield f"{path}:{number} gives dag-factory `{word}`, which is not read here: {line.strip()}"


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        msg = f"{file}: not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}"
        raise click.UsageError(msg) from error
