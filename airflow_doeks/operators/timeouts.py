"""Time-outs of a job as a DAG's author writes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.plan import BUDGETS
from airflow_doeks.model.quantities import parse_duration


def in_seconds(timeouts: Mapping[str, Any]) -> dict[str, Any]:
    """Name -> seconds; one that is None is left out, it is no limit."""
    found: dict[str, Any] = {}
    for name, value in timeouts.items():
        if name not in BUDGETS:
            from airflow_doeks.language.diagnostics import suggestion

            msg = f"timeouts: unknown key {name!r}; {suggestion(name, BUDGETS) or 'known are ' + ', '.join(BUDGETS)}"
            raise SpecError(msg)
        if value is None:
            continue
        try:
            found[name] = parse_duration(f"{value.total_seconds():f}" if isinstance(value, timedelta) else value)
        except ValueError as error:
            msg = f"timeouts.{name}: {error}, or a timedelta; it may not be negative"
            raise SpecError(msg) from error
        if not found[name]:
            msg = f"timeouts.{name}: {value} is out of range; expected a duration above 0, or None for no limit"
            raise SpecError(msg)
    return found
