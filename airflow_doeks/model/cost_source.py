"""``cost_source`` of a platform: who else knows what its pods cost, where that runs."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class CostSource(BaseModel):
    """OpenCost, or Kubecost, which answers alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    opencost: str = Field(
        pattern=r"^https?://[^/?#@]+(/[^?#]*)?$",
        description="URL of its API, without a password: what pods cost is taken from it, EMR's uplift is added.",
        examples=["http://opencost.opencost:9003"],
    )


CostSourceField = Annotated[
    CostSource | None,
    Field(
        description="Who else knows what pods cost; where it does not answer, prices of the rate card hold.",
        examples=[{"opencost": "http://opencost.opencost:9003"}],
    ),
]
