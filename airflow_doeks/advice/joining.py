"""The advice of a task's last runs as changes of what it asks for: only what every one of them would have borne."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from decimal import Decimal

from airflow_doeks.advice.measures import Advice
from airflow_doeks.model.noun import Amount, Noun
from airflow_doeks.model.quantities import parse_memory


class Change(Noun):
    """One value to write at a task.

    Attributes:
        path: dotted below the job, ``executors.memory``.
        usd: what it would have saved in a run at the same run time, at most: the median of the runs.
        runs: how many runs say so: all that were looked at.
        evidence: of the run that asked for most, a line each.
    """

    code: str
    path: str
    value: str
    usd: Amount | None
    runs: int
    evidence: tuple[str, ...]


def joined(runs: Sequence[Sequence[Advice]]) -> tuple[Change, ...]:
    """Changes that each run advises, with the largest value that one of them needs; dearest first."""
    if not runs:
        return ()
    by_run = [{path: one for one in run for path in one.change} for run in runs]
    paths = [path for path in by_run[0] if all(path in run for run in by_run)]
    found = []
    for path in paths:
        said = [run[path] for run in by_run]
        most = max(said, key=lambda one, path=path: _size(one.change, path))  # type: ignore[misc]
        known = [one.usd for one in said if one.usd is not None]
        saved = statistics.median(known) if known else None
        found.append(
            Change(
                code=most.code,
                path=path,
                value=most.change[path],
                usd=saved,
                runs=len(runs),
                evidence=most.evidence,
            )
        )
    return tuple(sorted(found, key=lambda one: one.usd or Decimal(-1), reverse=True))


def _size(change: Mapping[str, str], path: str) -> int:
    """By how much a value of one path asks for more than another; words are equal."""
    value = change[path]
    if path.endswith("memory"):
        return parse_memory(value)
    return int(value) if value.isdigit() else 0
