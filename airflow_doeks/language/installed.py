"""Whether a class can be found by this Python: files are looked for and read, nothing is imported or run."""

from __future__ import annotations

import functools
import importlib.util
import re
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

_OPEN = re.compile(r"import \*|__getattr__|globals\(\)")  # the module has names that its text does not show
_STANDARD = "airflow.providers.standard."  # on Airflow 2 its operators are found in Airflow itself


@functools.lru_cache(maxsize=1024)
def missing(path: str, project: Path | None) -> str | None:
    """What of an import path ``package.module.Class`` is not there; None if it is, or if that cannot be known here.

    Airflow also finds what stands in the folder of the DAGs and in its plugins, here those of the ``project``. Where
    Airflow is not installed nothing is known.
    """
    if importlib.util.find_spec("airflow") is None:
        return None
    beside = [str(folder) for folder in (project, project / "plugins", project / "dags")] if project else []
    why = _missing(path, beside)
    if why and path.startswith(_STANDARD) and _missing(path.replace(_STANDARD, "airflow."), beside) is None:
        return None
    return why


def _missing(path: str, beside: list[str]) -> str | None:
    module, _, name = path.rpartition(".")
    names = module.split(".")
    roots = [*sys.path, *beside]
    at = importlib.util.find_spec(names[0]) or PathFinder.find_spec(names[0], beside)
    for depth, step in enumerate(names[1:], start=1):
        at = at and _below(at, step, [Path(root, *names[:depth]) for root in roots])
    if at is None:
        return f"there is no module {module} here"
    return None if _shows(at.origin, name) else f'module {module} has no class "{name}"'


def _below(package: ModuleSpec, name: str, spread: list[Path]) -> ModuleSpec | None:
    """A module of a package, which may be spread over several folders; the package is looked into, never imported."""
    folders = [*(package.submodule_search_locations or ()), *(str(one) for one in spread if one.is_dir())]
    return PathFinder.find_spec(name, folders)


def _shows(file: str | None, name: str) -> bool:
    if file is None or not file.endswith(".py"):
        return True
    text = Path(file).read_text("utf-8", "replace")
    return re.search(rf"\b{re.escape(name)}\b", text) is not None or _OPEN.search(text) is not None
