"""``priced_as`` of a platform: the node type that stands in for nodes nobody saw, one for all pods or one a role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from airflow_doeks.model.telemetry import Node, Role

PricedAs = str | dict[Literal["driver", "executors"], str]
PodsPricedAs = Annotated[
    PricedAs | None,
    Field(
        description="Instance type that pods are priced as when no node was seen; one for all, or one a role.",
        examples=["m7g.4xlarge", {"driver": "m7g.xlarge", "executors": "g5.xlarge"}],
    ),
]
_ROLES: dict[str, Role] = {"driver": "driver", "executors": "executor"}


def assumed(priced_as: PricedAs | None) -> dict[str, Any]:
    """The fields of a job's telemetry that say so."""
    if isinstance(priced_as, Mapping):
        nodes = {_ROLES[pods]: Node(uid=f"assumed {pods}", instance_type=kind) for pods, kind in priced_as.items()}
        return {"assumed_by_role": nodes}
    return {"assumed_node": Node(uid="assumed", instance_type=priced_as)} if priced_as else {}
