"""How many dag-factory files are drawn: a few that are always the same, or 2,000 with HYPOTHESIS_PROFILE=fuzz."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# A busy machine is no fault of the product, and a whole file is large for Hypothesis.
_CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("few", max_examples=30, derandomize=True, database=None, **_CALM)
settings.register_profile("fuzz", max_examples=2000, **_CALM)
settings.load_profile("fuzz" if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else "few")
