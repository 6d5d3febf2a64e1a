"""Templates that other templates include: only those of the project, or of where the DAG says that templates are."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from airflow_doeks.lifecycle.staging import project_root
from airflow_doeks.model.code_path import is_below
from airflow_doeks.model.errors import SpecError


class ProjectLoader(jinja2.BaseLoader):
    """Another loader's templates, as long as the file behind a name, symlinks followed, is below one of the roots."""

    def __init__(self, inner: jinja2.BaseLoader, roots: Iterable[str]) -> None:
        self.inner = inner
        self.roots = tuple(map(os.path.realpath, roots))

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """The template's text; raises SpecError for a file outside."""
        text, file, is_fresh = self.inner.get_source(environment, template)
        if file is not None and not any(is_below(os.path.realpath(file), root) for root in self.roots):
            msg = f'the template "{template}" is outside the project\n{file} is not below {self.roots[0]}'
            raise SpecError(msg)
        return text, file, is_fresh


def within_project(environment: Any, folder: str, searchpath: Iterable[str] = ()) -> Any:
    """The Jinja environment of a task whose code starts at ``folder``, closed for files of nobody's project.

    ``searchpath`` is the DAG's own ``template_searchpath``, which whoever wrote the DAG's Python chose.
    """
    if environment.loader is None or isinstance(environment.loader, ProjectLoader):
        return environment
    roots = (str(project_root(folder)), *searchpath)
    closed = environment.overlay(loader=ProjectLoader(environment.loader, roots))
    if isinstance(closed, SandboxedEnvironment):
        is_safe = closed.is_safe_attribute
        closed.is_safe_attribute = lambda obj, attr, value: _is_open(obj, value) and is_safe(obj, attr, value)  # type: ignore[method-assign]
    return closed


def _is_open(obj: Any, value: Any) -> bool:
    """False for what leads around the loader: the environment itself, and `os` behind `macros.uuid`."""
    if isinstance(obj, (jinja2.Environment, jinja2.BaseLoader)):
        return False
    if isinstance(obj, ModuleType) and isinstance(value, ModuleType):
        return value.__name__.startswith(f"{obj.__name__}.") or obj.__name__.startswith("airflow.")
    return True
