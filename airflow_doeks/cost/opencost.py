"""A job's cost as OpenCost has it: its pods' allocations in the place of what a rate card says of them.

API: OpenCost documentation, "API: /allocation", read November 2026. It prices the larger of request and usage, knows
nothing of EMR's uplift, and sees no pod that lived for less than its resolution.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from airflow_doeks.model.bill import PLACES
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.record import Cost

# Our component -> OpenCost's; each with its adjustment. externalCost is not of a pod, and left out.
_PARTS = {
    "compute": ("cpuCost", "gpuCost", "ramCost"),
    "storage": ("pvCost",),
    "transfer": ("networkCost", "loadBalancerCost"),
    "shared": ("sharedCost",),
}
_ADJUSTED = ("cpuCost", "gpuCost", "ramCost", "pvCost", "networkCost", "loadBalancerCost")
_FINE = 200
_ROUNDED = Decimal("0.0001")  # OpenCost rounds each number to five places


@dataclass(frozen=True)
class Allocated:
    """What OpenCost has for one job: how many pods, USD by our components, and pods x minutes; None: it did not say."""

    pods: int
    usd: Mapping[str, Decimal]
    minutes: Decimal | None = None


def allocated(answer: Any, task_key: str, try_number: int) -> Allocated:
    """The sums of a job's pods in an answer that is aggregated by namespace, pod, task key and try.

    PlatformError for an answer of another shape, and where its parts are not its total: some cost is not understood.
    """
    try:
        if answer["code"] != _FINE:
            msg = f"OpenCost answered code {answer['code']}: {str(answer.get('message', ''))[:200]}"
            raise PlatformError(msg)
        found = [
            one
            for window in answer["data"]
            for name, one in (window or {}).items()
            if _is_of(name, task_key, try_number)
        ]
        usd = {part: _sum(found, names) for part, names in _PARTS.items()}
        total = sum((_total(one) - _number(one, "externalCost") for one in found), Decimal(0))
        minutes = [one.get("minutes") for one in found]
        held = None if None in minutes else sum((Decimal(str(one)) for one in minutes), Decimal(0))
        pods = {name for window in answer["data"] for name in window or {} if _is_of(name, task_key, try_number)}
    except (KeyError, TypeError, AttributeError, InvalidOperation) as error:
        msg = f"OpenCost's answer is no list of allocations: {type(error).__name__} {error}"
        raise PlatformError(msg) from error
    if abs(sum(usd.values(), Decimal(0)) - total) > _ROUNDED * (1 + len(found)):
        msg = f"OpenCost's parts add up to {sum(usd.values(), Decimal(0)):f} USD, its total is {total:f}"
        raise PlatformError(msg)
    if found and not usd["compute"]:
        msg = "OpenCost has no price of the job's pods: they cost 0 there"
        raise PlatformError(msg)
    return Allocated(len(pods), usd, held)


def by_hour(answer: Any, namespaces: Collection[str]) -> list[Decimal]:
    """USD of some namespaces together in each window of an answer by namespace.

    PlatformError for another shape, and for a window without any namespace: then OpenCost saw nothing, not nobody.
    """
    try:
        windows = [window or {} for window in answer["data"]]
        usd = [
            sum((_total(one) for name, one in window.items() if name in namespaces), Decimal(0)) for window in windows
        ]
    except (KeyError, TypeError, AttributeError, InvalidOperation) as error:
        msg = f"OpenCost's answer is no list of allocations: {type(error).__name__} {error}"
        raise PlatformError(msg) from error
    if not all(windows):
        msg = f"OpenCost saw nothing in {sum(not window for window in windows)} of {len(windows)} hours"
        raise PlatformError(msg)
    return usd


def _is_of(name: str, task_key: str, try_number: int) -> bool:
    """True of ``namespace/pod/<task key>/<try>``; some versions write ``label=value``."""
    values = [part.rpartition("=")[2] for part in name.split("/")]
    return values[-2:] == [task_key, str(try_number)]


def _sum(found: Iterable[Mapping[str, Any]], names: Iterable[str]) -> Decimal:
    usd = Decimal(0)
    for one in found:
        for name in names:
            usd += _number(one, name) + (_number(one, f"{name}Adjustment") if name in _ADJUSTED else 0)
    return usd


def _total(one: Mapping[str, Any]) -> Decimal:
    """What an allocation costs; KeyError where it does not tell."""
    if one["totalCost"] is None:
        msg = "totalCost"
        raise KeyError(msg)
    return _number(one, "totalCost")


def _number(one: Mapping[str, Any], name: str) -> Decimal:
    """A kind of cost; one that is not there costs nothing. InvalidOperation for no number."""
    value = one.get(name)
    found = Decimal(0) if value is None else Decimal(str(value))
    if not found.is_finite():
        msg = f"{name} {value}"
        raise InvalidOperation(msg)
    return found


def from_opencost(cost: Cost, found: Allocated) -> Cost:
    """The cost with OpenCost's components; uplift stays ours, idle is not in what OpenCost gives a pod."""
    usd = {part: value.quantize(PLACES) for part, value in found.usd.items()}
    parts = {"uplift": cost.usd_uplift, "idle": None, **usd}
    unknown = tuple(name for name in ("uplift", "idle") if parts[name] is None)
    whys = ["idle: OpenCost's allocations hold none"]
    if cost.usd_uplift is None:
        whys.append("uplift: not known beside OpenCost")
    return cost.model_copy(
        update={
            **{f"usd_{name}": value for name, value in parts.items()},
            "usd_total": sum((value for value in parts.values() if value is not None), Decimal(0)),
            "basis": "opencost",
            "confidence": "medium",
            "priced_as": None,
            "unknown": unknown,
            "why_unknown": "; ".join(whys),
        }
    )
