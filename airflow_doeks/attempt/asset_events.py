"""Airflow's asset events of a job: declared outlets carry its record, and what else it wrote is announced.

Only events of a task that succeeds are stored, and only what ``execute`` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_doeks.compat import Asset
from airflow_doeks.hooks.aliases import know_alias, seen_alias
from airflow_doeks.hooks.assets import asset_of


def extend_outlets(context: Mapping[str, Any], plain: Mapping[str, Any]) -> None:
    """Events of the assets among the task's outlets carry the record's summary."""
    events = context.get("outlet_events")
    if events is None:
        return
    rows = {f"{out['namespace']}/{out['name']}": out["rows"] for out in plain["lineage"]["outputs"]}
    for outlet in _outlets(context):
        if isinstance(outlet, Asset):
            events[outlet].extra.update(_cost(plain) | {"rows": rows})


def announce_seen(context: Mapping[str, Any], plain: Mapping[str, Any]) -> None:
    """An event, through the task's alias, of each dataset that the job wrote and no outlet covers.

    A task that has no such alias among its outlets announces nothing: the setting ``asset_events`` is off.
    """
    events, ti, outlets = context.get("outlet_events"), context["ti"], _outlets(context)
    alias = seen_alias(ti.dag_id, ti.task_id)
    if events is None or alias not in outlets:
        return
    covered = tuple(outlet.uri.rstrip("/") for outlet in outlets if isinstance(outlet, Asset))
    found = []
    for output in plain["lineage"]["outputs"]:
        asset = asset_of(output["namespace"], output["name"]) if output["source"] != "declared" else None
        if asset is not None and not any(f"{asset.uri}/".startswith(f"{uri}/") for uri in covered):
            found.append((asset, {**_cost(plain), "rows": output["rows"]}))
    if found:
        know_alias(alias.name)
    for asset, extra in found:
        events[alias].add(asset, extra=extra)


def _outlets(context: Mapping[str, Any]) -> list[Any]:
    return list(getattr(context["task"], "outlets", None) or ())


def _cost(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {"doeks_record_id": plain["record_id"], "usd_total": plain["cost"]["usd_total"]}
