"""Airflow's own log of each try, after a run in this process: `DAG.test` writes none, so the UI would show none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

from airflow_doeks import compat
from airflow_doeks.ui.metadata import tries_of
from airflow_doeks.ui.pages.tasks_of_run import TaskTimes

_STAMP = re.compile(r"\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?)(Z|[+-]\d\d:?\d\d)\]?")
# What the API server and `DAG.test` say in the same process and no worker would; Airflow 3 names loggers in brackets.
_NOT_OF_THE_TASK = re.compile(r" \[airflow\.(api_fastapi|models|serialization|sdk\.definitions|dag_processing)\b")


def write_task_logs(run_log: Path, dag_id: str, run_id: str) -> None:
    """Write what the log of a run holds of each try where Airflow looks for that try's log."""
    tries = [one for one in tries_of(dag_id, run_id) if one.started is not None]
    with run_log.open(encoding="utf-8", errors="replace") as lines:
        found = lines_by_try(lines, tries)
    folder = Path(compat.conf.get("logging", "base_log_folder"))
    for one, own in found.items():
        path = folder / _name(dag_id, run_id, one)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            log.writelines(own)


def lines_by_try(lines: Iterable[str], tries: Sequence[TaskTimes]) -> Mapping[TaskTimes, list[str]]:
    """Lines by the try in whose time they were written: one task runs at a time, up to the start of the next.

    A line without a time, as of a traceback, belongs to the one before it.
    """
    ordered = sorted(tries, key=lambda one: one.started or datetime.min.replace(tzinfo=timezone.utc))
    found: dict[TaskTimes, list[str]] = {one: [] for one in ordered}
    current: TaskTimes | None = None
    is_kept = False
    for line in lines:
        if stamp := _STAMP.match(line):
            at = datetime.fromisoformat(stamp[1].replace(",", ".") + _offset(stamp[2]))
            current = next((one for one in reversed(ordered) if one.started and one.started <= at), None)
            is_kept = _NOT_OF_THE_TASK.search(line) is None
        if current is not None and is_kept:
            found[current].append(line)
    return found


def _offset(text: str) -> str:
    return "+00:00" if text == "Z" else text if ":" in text else f"{text[:3]}:{text[3:]}"


def _name(dag_id: str, run_id: str, one: TaskTimes) -> str:
    """The file's name below the folder of logs, by Airflow's own template."""
    from jinja2 import Template

    ti = SimpleNamespace(
        dag_id=dag_id, run_id=run_id, task_id=one.task_id, map_index=one.map_index, try_number=one.try_number
    )
    template = Template(compat.conf.get("logging", "log_filename_template"))
    return str(template.render(ti=ti, try_number=one.try_number))
