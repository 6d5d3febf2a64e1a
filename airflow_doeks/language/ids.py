"""DAG ids: a pipeline's path below its root with "/" as ".", so that an id leads to its file without a listing."""

from __future__ import annotations

import os
import re
from pathlib import Path

from airflow_doeks.model.code_path import PROJECT_FILE

SUFFIXES = (".yaml", ".yml")
ROOT_NAME = "pipelines"
MAX_LENGTH = 250  # of a DAG id and of a task id with its groups': validate_key of Airflow 2.10 to 3.3
_PART = re.compile(r"[A-Za-z0-9_-]+")


def pipeline_files(root: str | Path) -> list[Path]:
    """Every pipeline file below a folder, sorted; hidden folders and doeks.yaml are not pipelines."""
    found = []
    for folder, below, files in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith((".", "__")))
        found += [
            Path(folder, name)
            for name in sorted(files)
            if name.endswith(SUFFIXES) and name != PROJECT_FILE and not name.startswith(".")
        ]
    return sorted(found)


def dag_id_of(file: str | Path, root: str | Path | None = None) -> str:
    """The DAG id of a pipeline file; without a root it counts from the nearest folder named pipelines."""
    path, base = os.fspath(file), os.fspath(root if root is not None else root_of(file))
    start = base.rstrip(os.sep) + os.sep
    relative = path[len(start) :] if path.startswith(start) else os.path.relpath(path, base)
    return os.path.splitext(relative)[0].replace(os.sep, ".")  # noqa: PTH122 - a tenth of what Path takes


def root_of(file: str | Path) -> Path:
    """The folder that DAG ids count from: the nearest above the file named pipelines, else the file's own."""
    path = Path(file)
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - symlinks keep the name they are known by
    for depth, parent in enumerate(absolute.parents):
        if parent.name == ROOT_NAME:
            return path.parents[depth] if depth < len(path.parents) else parent
    return path.parent


def file_of(dag_id: str, root: str | Path) -> Path | None:
    """The file of a DAG id, found by its name alone; None if there is none."""
    parts = dag_id.split(".")
    if not all(_PART.fullmatch(part) for part in parts):
        return None
    stem = Path(root, *parts)
    found = (stem.with_name(stem.name + suffix) for suffix in SUFFIXES)
    return next((path for path in found if os.path.isfile(path)), None)  # noqa: PTH113 - also of a name that is too long


def is_dag_id(dag_id: str, path: str | Path) -> bool:
    """True if the file's name gives an id without surprises: no "." in names, only letters, digits, "_" and "-"."""
    return "." not in Path(path).stem and all(_PART.fullmatch(part) for part in dag_id.split("."))


def is_misnamed_project(path: str | Path) -> bool:
    """True of a doeks.yaml under a name that nobody looks for, such as doeks.yml."""
    name = Path(path)
    return name.name != PROJECT_FILE and name.stem == Path(PROJECT_FILE).stem
