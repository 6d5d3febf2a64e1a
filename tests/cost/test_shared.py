"""Shared cost by weight and evenly: OpenCost's published examples of sharing, and sums to the last digit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_doeks.cost.shared import split_shared

CENT = Decimal("0.01")
ACTIVE = {"namespace1": Decimal(28), "namespace2": Decimal(36), "namespace3": Decimal(18)}


def shared(total, names, split, weights=ACTIVE, cost=ACTIVE):
    """What each of these costs with its part, as OpenCost's test has it."""
    parts = split_shared(Decimal(total), {name: weights[name] for name in names}, split)
    return {name: cost[name] + part for name, part in parts.items()}


@pytest.mark.parametrize(
    ("case", "found", "expected"),
    [
        ("4a namespace3 shared evenly", shared(18, ("namespace1", "namespace2"), "even"), ("37.00", "45.00")),
        ("4b by weight", shared(18, ("namespace1", "namespace2"), "weighted"), ("35.875", "46.125")),
        (
            "4c app1 (16 of namespace1) shared evenly by three",
            shared(16, ACTIVE, "even", cost=ACTIVE | {"namespace1": Decimal(12)}),
            ("17.33", "41.33", "23.33"),
        ),
        ("4d overhead of 7 an hour for 24 hours", shared(7 * 24, ACTIVE, "weighted"), ("85.366", "109.756", "54.878")),
        (
            "6g namespace1 with its idle (42.6875), by weights from before idle",
            shared(
                "42.6875",
                ("namespace2", "namespace3"),
                "weighted",
                cost={"namespace2": Decimal("46.3125"), "namespace3": Decimal(23)},
            ),
            ("74.7708", "37.2292"),
        ),
        (
            "6i idle and overhead",
            shared(
                7 * 24,
                ACTIVE,
                "weighted",
                cost={"namespace1": Decimal("42.6875"), "namespace2": Decimal("46.3125"), "namespace3": Decimal(23)},
            ),
            ("100.05", "120.07", "59.88"),  # the test asserts 120.07; its comment cuts 100.05335 off
        ),
    ],
    ids=lambda value: value[:2] if isinstance(value, str) else "",
)
def test_opencosts_examples_of_sharing(case, found, expected):
    """OpenCost's TestAllocationSet_AggregateBy, November 2026, to the printed digit."""
    assert (
        tuple(str(usd.quantize(Decimal(text))) for usd, text in zip(found.values(), expected, strict=True)) == expected
    )


@given(
    st.decimals(0, 10**6, places=10),
    st.dictionaries(st.text(min_size=1, max_size=4), st.decimals(0, 10**4, places=10), min_size=1, max_size=9),
    st.sampled_from(["weighted", "even"]),
)
def test_the_parts_are_the_total_and_none_is_below_zero(total, weights, split):
    """Whatever is shared by whatever weights: nothing is lost to rounding, nobody gets money."""
    parts = split_shared(total, weights, split)
    assert parts.keys() == weights.keys()
    assert sum(parts.values()) == total
    assert min(parts.values()) >= 0


def test_nobody_takes_what_nobody_shares():
    """An hour without a job: its cost is on no record, and the caller tells it."""
    assert split_shared(Decimal(5), {}, "weighted") == {}
