"""Time as a value, so that every wait and deadline can be tested without waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Clock:
    """``now`` gives aware UTC; ``sleep`` takes seconds and blocks."""

    now: Callable[[], datetime] = _utc_now
    sleep: Callable[[float], None] = time.sleep
