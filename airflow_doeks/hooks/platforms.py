"""A platform entry of doeks.yaml, connected: its clients come from Airflow's connections and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError

from airflow_doeks.hooks.clients import clients
from airflow_doeks.hooks.settings import Settings, load_settings
from airflow_doeks.model.errors import SpecError
from airflow_doeks.platforms.protocol import Platform
from airflow_doeks.platforms.registry import TYPES


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


def _line(item: Mapping[str, Any]) -> str:
    return f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
