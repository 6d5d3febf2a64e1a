"""Cost that all jobs share (control plane, system pods, idle nodes), split over those of an hour, to the last digit."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Literal

from airflow_doeks.model.bill import PLACES

Split = Literal["weighted", "even"]


def split_shared(total: Decimal, weights: Mapping[str, Decimal], split: Split) -> dict[str, Decimal]:
    """Each key's part of a total, by weight or evenly; their sum is the total, the first heaviest takes what is left.

    Weights are what each cost without any shared cost, so that sharing one thing does not change how another is shared
    (OpenCost). Evenly, too, where nobody has a weight. Empty without keys: then nobody takes it.
    """
    if not weights:
        return {}
    whole = sum(weights.values(), Decimal(0))
    if split == "even" or not whole:
        weights, whole = dict.fromkeys(weights, Decimal(1)), Decimal(len(weights))
    parts = {key: (total * weight / whole).quantize(PLACES, ROUND_DOWN) for key, weight in weights.items()}
    heaviest = max(sorted(parts), key=lambda key: weights[key])
    parts[heaviest] += total - sum(parts.values(), Decimal(0))
    return parts
