"""Notifiers that may not be used, and deadlines that nobody is told of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_doeks.language import times
from airflow_doeks.language.diagnostics import Finding
from airflow_doeks.language.merging import Facts, PipelineFacts
from airflow_doeks.language.notices import PIPELINE_EVENTS, TASK_EVENTS, listed
from airflow_doeks.language.operators import is_listed, runs_job


def of_task(facts: Facts) -> list[Finding]:
    """Classes that the platform team does not allow, and a budget to tell of that is none."""
    found = list(_allowed(facts.values, TASK_EVENTS, facts.policies))
    if not facts.entry.spec.get("on_budget"):  # of `defaults` it is for the tasks that have a budget
        return found
    budgets = (
        facts.values.get("budget_usd"),
        facts.pipeline.data.get("budget_usd"),
        facts.pipeline.setting.monthly_budgets_usd,
    )
    if facts.job is None or not any(budgets):
        what = "this task runs no job, so it has no budget" if facts.job is None else "there is no budget of dollars"
        found.append(Finding("DK254", what, ("on_budget",), "write budget_usd: 5 at a task that runs one", at_key=True))
    return found


def of_pipeline(facts: PipelineFacts) -> list[Finding]:
    """The same of a whole run, and a deadline without anybody who is told, or the other way round."""
    data = facts.data
    found = list(_allowed(data, PIPELINE_EVENTS, facts.setting.data.get("policies") or {}))
    deadline, told = data.get("deadline"), data.get("on_missed_deadline")
    if deadline is not None and not told:
        found.append(Finding("DK253", "nobody is told of it", ("deadline",), "write on_missed_deadline", at_key=True))
    if told and deadline is None:
        message = "there is no deadline to miss"
        found.append(Finding("DK253", message, ("on_missed_deadline",), "write deadline: 2h", at_key=True))
    path = ("deadline", "within") if isinstance(deadline, dict) else ("deadline",)
    fault = None if deadline is None else times.fault(deadline["within"] if isinstance(deadline, dict) else deadline)
    return [*found, Finding("DK110", f"deadline: {fault}", path)] if fault else found


def _allowed(values: Mapping[str, Any], events: tuple[str, ...], policies: Mapping[str, Any]) -> Iterator[Finding]:
    patterns = tuple(policies.get("allowed_uses") or ())
    for event in events:
        written = values.get(event)
        for index, notice in enumerate(listed(written)):
            name = notice.get("uses") if isinstance(notice, dict) else None  # what was refused is no mapping
            if name is None:
                continue
            path = (event, index, "uses") if isinstance(written, list) else (event, "uses")
            if "." not in name:
                message = f'"{name}" is no import path of a notifier'
                yield Finding(
                    "DK221", message, path, "write slack, email, sns or webhook, or the whole path of a class"
                )
            elif runs_job(path_of := name.replace(":", ".")) or not is_listed(name, path_of, patterns):
                advice = f"the platform team can add it: policies: {{allowed_uses: [{name}]}} in doeks.yaml"
                yield Finding("DK305", f'"{name}" is not on the allow-list', path, advice)
