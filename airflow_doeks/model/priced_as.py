"""``priced_as`` of a platform: the node type that stands in for nodes nobody saw, one for all pods or one a role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

if TYPE_CHECKING:
    from airflow_doeks.model.telemetry import Role

PricedAs = str | dict[Literal["driver", "executors"], str]
PodsPricedAs = Annotated[
    PricedAs | None,
    Field(
        description="Instance type that pods are priced as when no node was seen; one for all, or one a role.",
        examples=["m7g.4xlarge", {"driver": "m7g.xlarge", "executors": "g5.xlarge"}],
    ),
]
_ROLES: dict[str, Role] = {"driver": "driver", "executors": "executor"}


def node_type(priced_as: PricedAs | None, pods: str) -> str | None:
    """The type for ``driver`` or ``executors``."""
    return priced_as.get(pods) if isinstance(priced_as, Mapping) else priced_as  # type: ignore[call-overload]


def assumed(priced_as: PricedAs | None) -> dict[str, Any]:
    """The fields of a job's telemetry that say so."""
    from airflow_doeks.model.telemetry import Node  # `doeks lint` reads types here and builds no models

    if isinstance(priced_as, Mapping):
        nodes = {_ROLES[pods]: Node(uid=f"assumed {pods}", instance_type=kind) for pods, kind in priced_as.items()}
        return {"assumed_by_role": nodes}
    return {"assumed_node": Node(uid="assumed", instance_type=priced_as)} if priced_as else {}
