"""Pieces that the tests of cost share with these."""

from tests.cost.conftest import at, card, node, pod

__all__ = ["at", "card", "node", "pod"]
