"""The clock and the short ways to say pod and node of the cost tests."""

from tests.cost.conftest import at, card, node, pod

__all__ = ["at", "card", "node", "pod"]
