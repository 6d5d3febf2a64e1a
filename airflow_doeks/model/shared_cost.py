"""``shared`` of a platform: what its cluster costs beside the jobs, and how the jobs of an hour share it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class SharedCost(BaseModel):
    """Control plane, system pods, idle nodes: a price per hour, or what namespaces cost in OpenCost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: Literal["weighted", "even"] = Field(
        default="weighted", description="By what each job of an hour cost itself, or the same for each."
    )
    usd_per_hour: Decimal | None = Field(default=None, ge=0, description="Dollars an hour.", examples=[0.10])
    namespaces: tuple[str, ...] = Field(
        default=(),
        description="Namespaces that are shared, `__idle__` for nodes that nobody uses; needs `cost_source`.",
        examples=[["kube-system", "__idle__"]],
    )

    @model_validator(mode="after")
    def _names_something(self) -> SharedCost:
        if self.usd_per_hour is None and not self.namespaces:
            msg = "shared needs usd_per_hour, namespaces or both"
            raise ValueError(msg)
        return self


SharedCostField = Annotated[
    SharedCost | None,
    Field(
        description="What the cluster costs beside the jobs; `doeks reconcile` splits it over the jobs of each hour.",
        examples=[{"split": "weighted", "usd_per_hour": 0.10}],
    ),
]
