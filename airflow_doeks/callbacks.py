"""The callback of every job task. Light to import: every DAG with a job names this module."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)


def record_cost_and_lineage(context: Mapping[str, Any]) -> None:
    """Settle what the task itself could not; may run any number of times. One of the few places that catch all."""
    try:
        from airflow_doeks.attempt.orphans import settle_again

        settle_again(context)
    except Exception:
        log.exception("The callback could not settle this task's job")
