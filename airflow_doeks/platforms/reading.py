"""Reads that explain a failure: each may fail or hang, none may hold up a worker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextvars import copy_context

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.platforms.patience import seconds_left

log = logging.getLogger(__name__)


def read_within(seconds: float, steps: Mapping[str, Callable[[], None]], evidence: list[str]) -> list[str]:
    """The evidence after taking the steps one after the other, for so long; what failed or was not reached is in it.

    Steps add to ``evidence``. Afterwards one that hangs goes on alone, in a daemon thread, and none begins any more:
    what it still finds does not change what was given.
    """
    is_over, seconds = threading.Event(), seconds_left(seconds)

    def read() -> None:
        for what, step in steps.items():
            if is_over.is_set():
                return
            try:
                step()
            except Exception as error:
                evidence.append(f"{what} could not be read: {_line(error)}")
                log.debug("%s could not be read", what, exc_info=True)

    # A thread, because a call that hangs cannot be interrupted; a daemon, so that it never holds up the worker.
    reader = threading.Thread(target=copy_context().run, args=(read,), name="doeks explain", daemon=True)
    reader.start()
    reader.join(seconds)
    is_over.set()
    late = [f"not everything could be read within {seconds:.0f} s"] if reader.is_alive() else []
    return [*evidence, *late]


def _line(error: Exception) -> str:
    """One line of an error; the Kubernetes client's texts hold whole answers."""
    status, reason = getattr(error, "status", None), getattr(error, "reason", None)
    if status and reason:
        return f"{status} {reason} (docs/platforms.md lists what is asked)"
    text = next(iter(str(error).splitlines()), "")
    return text if isinstance(error, PlatformError) else f"{type(error).__name__}: {text}"
