"""DK2xx of Jinja in a task: brackets, dates, and names that the pipeline does not have. Nothing is rendered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from airflow_doeks.language import times
from airflow_doeks.language.diagnostics import Finding, suggestion
from airflow_doeks.language.graph import declared_ids, look_up
from airflow_doeks.language.layers import texts
from airflow_doeks.language.merging import Facts
from airflow_doeks.model.engine import ENGINES

_JINJA = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}")
_CLOSED_BY = {"{{": "}}", "{%": "%}", "{#": "#}"}
_PAIRS = "each {{ needs its }}, each {% its %}"
_COMMENT = "to Jinja it begins a comment; write {{ '{#' }} for the text itself"
_PLAIN = ("doc", "task_display_name")  # keys of a task that Airflow shows as they are
_RAW = re.compile(r"\{%[-+]?\s*raw\b")  # what follows is text to Jinja
_DATED = re.compile(r"\{\{[^}]*\b(ds|ds_nodash|ts|ts_nodash|logical_date|data_interval_start|data_interval_end)\b")
_EXPRESSION = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
# params.day and params["day"], unless a filter or a test follows that is made for what is not there
_PARAM = re.compile(
    r"""(?<![\w.])params(?:\.(\w+)\b|\[\s*["']([^"']+)["']\s*\])(?!\s*(?:\(|\|\s*d(?:efault)?\b|is\s))"""
)
_PULL = re.compile(r"\bxcom_pull\(([^()]*)\)")
_IDS = r"""(\[[^\]]*\]|["'][^"']*["'])"""  # one task id, or a list of them
_PULLED = re.compile(rf"^\s*(?:task_ids\s*=\s*)?{_IDS}|,\s*task_ids\s*=\s*{_IDS}")
_QUOTED = re.compile(r"""["']([^"']+)["']""")


def balanced(facts: Facts) -> list[Finding]:
    """Jinja that cannot be rendered, and dates where a run may have none."""
    schedule = times.schedule_of(facts.pipeline.data.get("schedule")) or {}
    of_partition = schedule.get("covers") == "partition" or "partitions" in schedule
    undated = "assets" in schedule or of_partition
    found = []
    for path, text in _templates(facts):
        if (fault := unbalanced(text)) is not None:
            found.append(Finding("DK218", fault, path, _COMMENT if fault.startswith("{#") else _PAIRS))
        elif undated and (word := _DATED.search(text)) is not None:
            advice = (
                "{{ dag_run.partition_key }}" if of_partition else "{{ run_id }}, or dates from triggering_asset_events"
            )
            which = "of a partition" if of_partition else "started by assets"
            found.append(Finding("DK219", f"{word[1]} has no value in runs {which}", path, f"use {advice}"))
    return found


def _templates(facts: Facts) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Path and text of each template that the task is given, from whatever place."""
    return ((path, text) for path, text in texts(_given(facts)) if any(mark in text for mark in _CLOSED_BY))


def _given(facts: Facts) -> dict[str, Any]:
    kind = facts.entry.kind
    values = {key: value for key, value in facts.values.items() if key not in _PLAIN and key not in ENGINES}
    return values if facts.job is None else {**values, kind: facts.job, "cost_tags": facts.cost_tags}


def unbalanced(text: str) -> str | None:
    """What is wrong with the brackets of a Jinja template; None if nothing is."""
    if _RAW.search(text):
        return None
    opened = None
    for match in _JINJA.finditer(text):
        mark = match[0]
        if opened is not None and mark == _CLOSED_BY[opened]:
            opened = None
        elif mark not in _CLOSED_BY or opened == "{#" or (opened and mark == "{#"):
            continue  # inside a comment all is text, and in an expression {# is
        elif opened is not None:
            return f"{opened} is not closed before the next {mark}"
        else:
            opened = mark
    return None if opened is None else f"{opened} is never closed"


def params(facts: Facts) -> list[Finding]:
    """Parameters of a run that the pipeline does not declare."""
    own = facts.arguments.get("params")
    known = {*(facts.pipeline.data.get("params") or ()), *(own if isinstance(own, dict) else ())}
    found = []
    for path, text in _templates(facts):
        for name in dict.fromkeys(_read_params(text)) if "params" in text else ():
            if name not in known:
                advice = suggestion(name, known) or f"declare it at the top of the file: params: {{{name}: ...}}"
                found.append(Finding("DK240", f'the pipeline declares no parameter "{name}"', path, advice))
    return found


def _read_params(text: str) -> Iterator[str]:
    for expression in _EXPRESSION.findall(text):
        yield from (one[1] or one[2] for one in _PARAM.finditer(expression))


def pulls(facts: Facts) -> list[Finding]:
    """XComs of tasks that there are not; Airflow would render them as None."""
    found = []
    for path, text in _templates(facts):
        if "xcom_pull" not in text:
            continue
        for name in dict.fromkeys(_pulled(text)):
            ids = declared_ids(facts.pipeline.document.data.get("tasks"))
            if name in facts.pipeline.tasks or (name in ids and not any(one.startswith(f"{name}.") for one in ids)):
                continue
            if name in ids:
                found.append(Finding("DK206", f'"{name}" is a group; only a task has an output', path))
                continue
            whole = look_up(facts.entry, name, ids)
            near = f"write {whole}, the task's id with its group's" if whole else suggestion(name, sorted(ids))
            advice = near or f"tasks are {', '.join(sorted(ids))}"
            found.append(Finding("DK206", f'there is no task "{name}" to pull from', path, advice))
    return found


def _pulled(text: str) -> Iterator[str]:
    """Task ids that a text pulls from, those of another DAG and those that are computed left out."""
    for call in _PULL.findall(text):
        if "dag_id" in call:
            continue
        found = _PULLED.search(call)
        yield from _QUOTED.findall(found[1] or found[2]) if found else ()
