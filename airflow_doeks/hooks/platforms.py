"""A platform entry of doeks.yaml, connected: its clients come from Airflow's connections and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError

from airflow_doeks import platforms
from airflow_doeks.hooks.settings import Settings, load_settings
from airflow_doeks.model.errors import SpecError
from airflow_doeks.platforms.protocol import Platform


def connect(entry: Mapping[str, Any], settings: Settings | None = None) -> Platform:
    """The platform behind an entry (``name``, ``type`` and what its type asks for).

    Nothing is called yet: a client is made when it is first used. Raises SpecError for an entry that its type refuses.
    """
    settings = settings or load_settings()
    values = dict(entry)
    name = values.pop("name", values.get("type", ""))
    if values.get("type") not in platforms.TYPES:
        msg = f"platform {name!r}: unknown type {values.get('type')!r}; known are {', '.join(sorted(platforms.TYPES))}"
        raise SpecError(msg)
    module = platforms.module(values["type"])
    try:
        config = module.Config.model_validate(values)
    except ValidationError as error:
        msg = f"platform {name!r}: {'; '.join(_line(item) for item in error.errors())}"
        raise SpecError(msg) from error
    return cast("Platform", module.Platform(config, name, _clients(values["type"], config, settings)))


def _clients(platform_type: str, config: Any, settings: Settings) -> Mapping[str, Any]:
    from airflow_doeks.compat import in_thread

    shared = {
        "local_dir": settings.local_dir,
        "inject_event_log": settings.inject_event_log,
        "inject_plan_metadata": settings.inject_plan_metadata,
        "inject_identity": settings.inject_identity,
        "in_thread": in_thread,
    }
    if platform_type == "emr_on_eks":
        from airflow_doeks.hooks.emr import emr_clients

        return {**shared, **emr_clients(config)}
    return shared


def _line(item: Mapping[str, Any]) -> str:
    return f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
