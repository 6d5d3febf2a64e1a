"""What holds for every test: the same examples each time, and no test without an end."""

from __future__ import annotations

import logging

import pytest
from hypothesis import HealthCheck, settings

SLOW_SECONDS = 1200  # of a test on real Airflow processes, its set-up included; pyproject.toml has that of all others

# A busy machine is no fault of the product: no deadline and no complaint about slow examples.
_ANY_PACE = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", _ANY_PACE, derandomize=True)
# Ten times as many, fresh ones: tests/fuzz.py. In words, since Hypothesis draws the same ones where CI is set.
settings.register_profile("fuzz", _ANY_PACE, max_examples=1000, derandomize=False)
settings.load_profile("same")


def pytest_configure(config: pytest.Config) -> None:
    """Hand files out in the order below: pytest-xdist would keep those with few tests, the slow ones, for the end."""
    config.option.loadscopereorder = False
    logging.getLogger("py4j").setLevel(logging.WARNING)  # else it says goodbye to a stream that pytest has closed


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that are slow by nature have more time, and begin where several workers share the work."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)
