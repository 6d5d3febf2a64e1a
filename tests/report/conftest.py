"""The clock and the short ways to say pod and node of the cost tests."""

from tests.cost.conftest import at

__all__ = ["at"]
