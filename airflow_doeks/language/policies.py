"""DK3xx: what the platform team demands in doeks.yaml; no pipeline can override it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from airflow_doeks.language.diagnostics import suggestion
from airflow_doeks.language.graph import Entry
from airflow_doeks.language.operators import aliases, is_allowed, runs_job
from airflow_doeks.model.engine import ENGINES
from airflow_doeks.model.plan import TaskPlan

if TYPE_CHECKING:
    from airflow_doeks.language.compilation import Compilation


def check_task(compilation: Compilation, entry: Entry, plan: TaskPlan) -> None:
    """Note everything of a task that a policy forbids."""
    policies: Mapping[str, Any] = compilation.setting.data.get("policies") or {}
    if plan.kind == "uses":
        name = entry.spec["uses"]
        allowed = tuple(policies.get("allowed_uses") or ())
        if plan.operator is not None and runs_job(plan.operator):
            message = f'"{name}" would run a job that no policy sees'
            compilation.note("DK305", message, entry, ("uses",), help="write spark: with the job's keys below it")
        elif plan.operator is not None and not is_allowed(name, plan.operator, allowed):
            message = f'"{name}" is not on the allow-list'
            near = suggestion(name, [alias.path for alias in aliases().values()]) if "." in name else ""
            advice = near or f"the platform team can add it: policies: {{allowed_uses: [{name}]}} in doeks.yaml"
            compilation.note("DK305", message, entry, ("uses",), help=advice)
    if not policies:
        return
    _check_budget(compilation, entry, plan, policies)
    if plan.job is not None:
        _check_cost_tags(compilation, entry, plan, policies)
        _check_job(compilation, entry, plan, policies)


def _check_cost_tags(compilation: Compilation, entry: Entry, plan: TaskPlan, policies: Mapping[str, Any]) -> None:
    for key in policies.get("required_cost_tags") or ():
        if key not in plan.cost_tags:
            message = f'cost tag "{key}" is required'
            compilation.note(
                "DK301", message, entry, (), help=f"add cost_tags: {{{key}: ...}} to the pipeline or the task"
            )
    for key, values in (policies.get("allowed_cost_tags") or {}).items():
        value = plan.cost_tags.get(key)
        if value is not None and value not in values:
            message = f'cost tag {key}: "{value}" is not allowed; expected {", ".join(values)}'
            compilation.note("DK302", message, entry, ("cost_tags", key))


def _check_budget(compilation: Compilation, entry: Entry, plan: TaskPlan, policies: Mapping[str, Any]) -> None:
    most = policies.get("max_budget_usd")
    if most is None or plan.budget_usd is None:
        return
    try:
        above = Decimal(plan.budget_usd) > Decimal(str(most))
    except InvalidOperation:
        return
    if above:
        compilation.note("DK307", f"budget_usd {plan.budget_usd} is above the policy's {most}", entry, ("budget_usd",))


def _check_job(compilation: Compilation, entry: Entry, plan: TaskPlan, policies: Mapping[str, Any]) -> None:
    job, platform, engine = plan.job or {}, plan.platform or {}, ENGINES[plan.kind]
    most = policies.get("max_executors")
    if most is not None and engine.counted:
        executors = job.get(engine.counted) or {}
        key = "max" if executors.get("max") is not None else "min"
        count = executors.get(key, 1)
        path = (plan.kind, engine.counted, key)
        if not isinstance(count, (int, float)):
            message = f"{engine.counted}.{key} is a template, so the policy's {most} cannot be checked"
            compilation.note("DK303", message, entry, path, help="write a number")
        elif count > most:
            compilation.note("DK303", f"{count} {engine.counted}; the policy allows {most}", entry, path)
    images = policies.get("allowed_images")
    named: dict[tuple[str, ...], Any] = {("image",): job.get("image") or platform.get("image")}
    named |= {("conf", key): value for key, value in (job.get("conf") or {}).items() if engine.names_image(key)}
    for steps, image in named.items():
        if images is not None and image and not any(fnmatchcase(str(image), pattern) for pattern in images):
            message = f'image "{image}" is not allowed; expected {", ".join(images)}'
            compilation.note("DK304", message, entry, (plan.kind, *steps))
    for key in job.get("conf") or {} if images is not None else ():
        if engine.names_template(key):
            message = "a pod template file may name any image, so the policy's allowed_images cannot be checked"
            compilation.note("DK304", message, entry, (plan.kind, "conf", key), help="use a preset instead")
    users = (policies.get("platforms") or {}).get(platform.get("name"))
    if users is not None:
        where = compilation.dag_id.replace(".", "/")
        if not any(_matches(where, pattern) for pattern in users):
            message = f'pipeline {where} may not use platform "{platform["name"]}"; it is for {", ".join(users)}'
            compilation.note("DK306", message, entry, ("platform",))


def _matches(path: str, pattern: str) -> bool:
    """Glob on a pipeline's path without suffix; ``sales/**`` is everything below sales."""
    return fnmatchcase(path, pattern.removesuffix(".yaml").removesuffix(".yml"))
