"""A platform entry of doeks.yaml, connected: its clients come from Airflow's connections and settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from airflow_doeks.hooks.clients import clients
from airflow_doeks.hooks.settings import Settings, load_settings
from airflow_doeks.model.errors import SpecError
from airflow_doeks.platforms.protocol import Platform
from airflow_doeks.platforms.registry import TYPES

if TYPE_CHECKING:
    from airflow_doeks.language.project import Setting


def connect(entry: Mapping[str, Any], settings: Settings | None = None) -> Platform:
    """The platform behind an entry (``name``, ``type`` and what its type asks for).

    Nothing is called yet: a client is made when it is first used. Raises SpecError for an entry that its type refuses.
    """
    values = dict(entry)
    name = values.pop("name", values.get("type", ""))
    row = TYPES.get(values.get("type", ""))
    if row is None:
        msg = f"platform {name!r}: unknown type {values.get('type')!r}; known are {', '.join(sorted(TYPES))}"
        raise SpecError(msg)
    module = row.load()
    try:
        config = module.Config.model_validate(values)
    except ValidationError as error:
        msg = f"platform {name!r}: {'; '.join(_line(item) for item in error.errors())}"
        raise SpecError(msg) from error
    return cast("Platform", module.Platform(config, name, clients(settings or load_settings())))


def project_of(folder: str | Path, environment: str | None = None) -> Setting:
    """The nearest doeks.yaml, upward from a folder, in the environment that holds here; SpecError for one with faults.

    Its ``known_platforms`` are entries for ``connect``.
    """
    from airflow_doeks.compat import conf
    from airflow_doeks.language.project import choose_environment, find_project, load_project

    project = load_project(find_project(folder))
    chosen, fault = choose_environment(project, environment, conf.get("doeks", "environment", fallback="") or None)
    setting = project.setting(chosen)
    faults = [*project.diagnostics, *setting.diagnostics, *([fault] if fault else [])]
    if any(one.is_error for one in faults):
        raise SpecError("\n".join(str(one) for one in faults if one.is_error))
    return setting


def entry_named(name: str, folder: str | Path) -> dict[str, Any]:
    """The entry of a platform in the doeks.yaml of `project_of`; an environment's platform goes before the name."""
    setting = project_of(folder)
    wanted = setting.forced_platform or name
    unknown = setting.unknown_platform(wanted)
    if unknown:
        msg = f"platform: {unknown}"
        raise SpecError(msg)
    return dict(setting.known_platforms[wanted])


def _line(item: Mapping[str, Any]) -> str:
    return f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
