"""Holds what a project needs against what an Airflow has, and makes the pools that are missing or differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from airflow_doeks.hooks.airflow_objects import AirflowObjects
from airflow_doeks.language import compile_files, pipeline_files
from airflow_doeks.lifecycle.needs import Needs, Pool
from airflow_doeks.model.plan import Plan


@dataclass(frozen=True)
class Applied:
    """One thing that is needed.

    Attributes:
        kind: ``pool``, ``connection`` or ``variable``.
        state: ``there``, ``made``, ``changed``; ``missing`` and ``differs`` of what a check leaves as it is, or what
            only people can make; ``unseen`` where a secrets backend may have it.
        where: what names it.
        note: how it differs, or what to do.
    """

    kind: str
    name: str
    state: str
    where: str
    note: str = ""

    @property
    def is_lacking(self) -> bool:
        """True if something is still to be done, or to be known."""
        return self.state in ("missing", "differs", "unseen")


def plans_below(folder: Path, environment: str | None, default: str | None) -> tuple[list[Plan], list[str]]:
    """The plans of all pipelines below a folder that mean a pipeline, and what is wrong with the others."""
    files = [file for file in pipeline_files(folder) if "tasks" in file.read_text("utf-8", errors="replace")]
    compiled = compile_files(files, environment=environment, default=default)
    broken = [str(one) for each in compiled if each.plan is None for one in each.diagnostics if one.is_error]
    return [one.plan for one in compiled if one.plan is not None], broken


def apply(needs: Needs, airflow: AirflowObjects, *, is_check: bool) -> Iterator[Applied]:
    """What each need comes to; may be repeated. A check changes nothing."""
    for pool, where in sorted(needs.pools.items(), key=lambda item: item[0].name):
        yield _pool(pool, where, airflow, is_check=is_check)
    for kind, names, has in (
        ("connection", needs.connections, airflow.has_connection),
        ("variable", needs.variables, airflow.has_variable),
    ):
        for name, where in sorted(names.items()):
            found = has(name)
            state = "there" if found else "unseen" if found is None else "missing"
            note = "not in the metadata; a secrets backend or the workers' environment may have it" * (found is None)
            yield Applied(kind, name, state, where, note)


def _pool(pool: Pool, where: str, airflow: AirflowObjects, *, is_check: bool) -> Applied:
    has = airflow.pool(pool.name)
    if pool.slots is None:
        note = "" if has else "a task names it; its size is nowhere in the project"
        return Applied("pool", pool.name, "there" if has else "missing", where, note)
    if has == pool:
        return Applied("pool", pool.name, "there", where)
    size = f"{pool.slots} slots, deferred tasks counted"
    before = "" if has is None else f"{has.slots} slots, deferred tasks {'' if has.counts_deferred else 'not '}counted"
    note = f"{before} -> {size}" if has else size
    if is_check:
        return Applied("pool", pool.name, "differs" if has else "missing", where, note)
    airflow.write_pool(pool, "Made by doeks apply: jobs at a time (max_jobs)")
    return Applied("pool", pool.name, "changed" if has else "made", where, note)
