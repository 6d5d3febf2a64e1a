"""Why a number is null, beside every null number of a command's JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_doeks.model.lineage import Dataset, Lineage

_COUNTS = frozenset({"rows", "bytes", "files"})
_SHARED = {  # of a dataset, by role
    "inputs": "the work and its dollars fall on what was written",
    "outputs": "the job's cost or slot time is not known",
}
_COST = {
    "usd_waste": "waste needs a known total and the slot time of an event log",
    "usd_unattributed": "shares need a known total and the slot time of an event log",
    "estimate_usd": "no estimate was made before the job ran",
}
_RATES = {
    "usd_per_hour": "its cost, or when it started and ended, is not known",
    "usd_per_million_in": "its cost, or how many rows it read, is not known",
    "usd_per_million_out": "its cost, or how many rows it wrote, is not known",
}
_USAGE = ("vcpu_seconds", "memory_gib_seconds", "gpu_seconds")


def lineage_json(lineage: Lineage) -> dict[str, Any]:
    """The lineage with the columns of its datasets, and why a count is not known."""
    data = lineage.model_dump(mode="json")
    for role in ("inputs", "outputs"):
        for shown, dataset in zip(data[role], getattr(lineage, role), strict=True):
            shown["columns"] = [column.model_dump(mode="json") for column in dataset.columns]
            shown["why_unknown"] = dataset.why_unknown
    return data


def dataset_reasons(lineage: Lineage, path: str = "") -> dict[str, str]:
    """Path of every null number of a lineage -> why it is null."""
    found = {}
    for role in ("inputs", "outputs"):
        for index, dataset in enumerate(getattr(lineage, role)):
            for key, why in _of_dataset(dataset, role):
                found[f"{path}{role}[{index}].{key}"] = why
    return found


def _of_dataset(dataset: Dataset, role: str) -> Iterator[tuple[str, str]]:
    for key in ("rows", "bytes", "files", "slot_share", "usd"):
        if getattr(dataset, key) is None:
            yield key, dataset.why_unknown or "not told" if key in _COUNTS else _SHARED[role]


def cost_reasons(account: Mapping[str, Any]) -> dict[str, str]:
    """The same of an account's JSON: its usage, its cost and what its advice would save."""
    cost, found = account["cost"], {}
    told = cost.get("why_unknown") or "it is not known"
    for key, value in cost.items():
        if value is None and (key.startswith("usd_") or key == "estimate_usd"):
            found[f"cost.{key}"] = _COST.get(key, told)
    found |= {f"usage.{key}": "no pod's time is known" for key in _USAGE if account["usage"][key] is None}
    found |= {key: why for key, why in _RATES.items() if account[key] is None}
    for index, advice in enumerate(account["advice"]):
        if advice["usd"] is None:
            found[f"advice[{index}].usd"] = "what it saves depends on the job, not on prices"
    return found
