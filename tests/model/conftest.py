"""Generated examples may take their time."""

from hypothesis import settings

from tests.cost.conftest import at, card, node, pod

__all__ = ["at", "card", "node", "pod"]

settings.register_profile("calm", deadline=None)  # a busy machine is no fault of the product
settings.load_profile("calm")
