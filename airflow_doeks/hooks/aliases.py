"""The alias of what a job is seen to write; light, because every DAG with a job asks for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from airflow_doeks import compat
from airflow_doeks.hooks.settings import has_asset_events


def seen_alias(dag_id: str, task_id: str) -> Any:
    """The alias through which a task announces what its job was seen to write."""
    return compat.AssetAlias(f"doeks/{dag_id}/{task_id}")


def with_seen_alias(outlets: Iterable[Any], dag_id: str, task_id: str) -> list[Any]:
    """A task's outlets and its alias, unless the setting ``asset_events`` is off."""
    alias = seen_alias(dag_id, task_id)
    mine = [outlet for outlet in outlets if outlet != alias]
    return [*mine, alias] if has_asset_events() else mine


def know_alias(name: str) -> None:
    """Write an alias into the metadata of Airflow 2, which fails a task whose event comes through an unknown one."""
    if compat.AliasModel is None:
        return
    from sqlalchemy.exc import IntegrityError

    # IntegrityError: another instance of a mapped task wrote it at the same time
    with contextlib.suppress(IntegrityError), compat.create_session() as session:
        if session.query(compat.AliasModel.id).filter_by(name=name).first() is None:
            session.add(compat.AliasModel(name=name))
