"""Pipelines of a folder as Airflow DAGs: `load_dags` and `report_dag_errors`, the two names a DAG file calls.

Two, because Airflow marks *every* DAG of a file with an import error stale: the file that holds the DAGs never fails,
and the file that fails holds no DAG.
"""

from __future__ import annotations

import gc
import logging
import sys
import zlib
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_doeks import compat
from airflow_doeks.dag_builder import build_dag
from airflow_doeks.language import Compiled, compile_files, dag_id_of, file_of, pipeline_files, refuse_doubles
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.plan import Plan

log = logging.getLogger(__name__)


def load_dags(folder: str, namespace: MutableMapping[str, Any], shard: tuple[int, int] | None = None) -> None:
    """Make a DAG of every valid pipeline below a folder.

    Broken pipelines are left out; `report_dag_errors` shows them. Inside a task only that task's pipeline is read,
    and SpecError tells what is wrong with it.

    Args:
        folder: relative to the calling file.
        namespace: where the DAGs are put, the ``globals()`` of the calling file.
        shard: ``(i, n)`` takes the i-th of n parts, counted from 0, of a folder too large for one file's time-out.
    """
    caller = Path(namespace["__file__"])
    root = caller.parent / folder
    asked = compat.get_parsing_context().dag_id
    if asked is None:
        loaded = _load([file for file in _files(root) if _is_in(shard, dag_id_of(file, root))], root, caller)
    else:
        file = file_of(asked, root) if _is_in(shard, asked) else None
        loaded = _load([file] if file else [], root, caller)
        _raise_errors(loaded)
    for pipeline in loaded:
        if pipeline.errors:
            log.warning("A broken pipeline is left out, with no DAG of its own: %s", pipeline.errors[0])
        if pipeline.dag is not None:
            namespace[pipeline.dag.dag_id] = pipeline.dag


def report_dag_errors(folder: str) -> None:
    """Raise one SpecError that names every broken pipeline below ``folder`` with file, line and column.

    ``folder`` is relative to the calling file, which must hold no DAG. Inside a task it does nothing.
    """
    caller = Path(sys._getframe(1).f_globals["__file__"])  # noqa: SLF001 - who calls is the argument
    root = caller.parent / folder
    if compat.get_parsing_context().dag_id is None:
        _raise_errors(_load(_files(root), root, caller))


@dataclass(frozen=True)
class _Loaded:
    """One pipeline file: its DAG, or the errors that keep it from being one."""

    dag: Any = None
    errors: tuple[str, ...] = ()


def _load(files: list[Path], root: Path, caller: Path) -> list[_Loaded]:
    default = compat.conf.get("doeks", "environment", fallback="") or None
    with _no_collector():
        compiled = refuse_doubles(compile_files(files, default=default, root=root))
        return [_build(one, caller) for one in compiled]


@contextmanager
def _no_collector() -> Iterator[None]:
    """Garbage is free of cycles here, but so much is made that the collector would walk Airflow's whole heap often."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _build(compiled: Compiled, caller: Path) -> _Loaded:
    if compiled.plan is None:
        return _Loaded(errors=tuple(str(one) for one in compiled.diagnostics if one.is_error))
    try:
        _obey_policies(compiled.plan, caller)
        return _Loaded(build_dag(compiled.plan, caller))
    except SpecError as error:
        return _Loaded(errors=(str(error),))


def _obey_policies(plan: Plan, caller: Path) -> None:
    """Ask the cluster policies, with a DAG of their own as they change it; Airflow would refuse the whole file."""
    policies = compat.cluster_policies()
    if policies is None:
        return
    dag = build_dag(plan, caller)
    try:
        policies.dag_policy(dag=dag)
        for task in dag.tasks:
            policies.task_policy(task=task)
    except compat.AirflowClusterPolicySkipDag:
        pass  # Airflow asks again, and skips it
    except Exception as error:  # a policy is the installation's own code
        msg = f"{plan.file}:1:1: refused by a cluster policy: {type(error).__name__}: {error}"
        raise SpecError(msg) from error


def _raise_errors(loaded: list[_Loaded]) -> None:
    broken = [pipeline for pipeline in loaded if pipeline.dag is None]
    if broken:
        headline = f"{len(broken)} of {len(loaded)} pipelines cannot be loaded:"
        errors = dict.fromkeys(error for pipeline in broken for error in pipeline.errors)
        raise SpecError("\n".join([headline, *errors]))


def _files(root: Path) -> list[Path]:
    if not root.is_dir():
        msg = f"{root}: there is no such folder; its name is taken relative to the DAG file"
        raise SpecError(msg)
    return pipeline_files(root)


def _is_in(shard: tuple[int, int] | None, dag_id: str) -> bool:
    if shard is None:
        return True
    part, parts = shard
    if not 0 <= part < parts:
        msg = f"shard={shard!r} names no part; write (0, {max(parts, 1)}) to (n - 1, n), one in each DAG file"
        raise SpecError(msg)
    return zlib.crc32(dag_id.encode()) % parts == part
