"""The base of everything a job is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from typing_extensions import Self


class JobPart(BaseModel):
    """Base of everything a job is made of: frozen, unknown keys refused, YAML names accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @classmethod
    def of_rendered(cls, values: Mapping[str, Any]) -> Self:
        """The part as Airflow rendered it; raises pydantic's ValidationError whose paths are those of the YAML."""
        return cls.model_validate(dict(values), context={"rendered": True})

    def plain(self) -> dict[str, Any]:
        """Its values by YAML's names, defaults filled in: the shape that platforms' checks and presets read."""
        return self.model_dump(by_alias=True)
