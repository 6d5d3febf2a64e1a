"""DK4xx: what a platform would refuse of a job, asked of the platform's own check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_doeks.model.plan import TaskPlan
from airflow_doeks.spec.graph import Entry
from airflow_doeks.spec.layers import steps_of

if TYPE_CHECKING:
    from airflow_doeks.spec.compiler import Compilation

Check = Callable[[Mapping[str, Any]], list[Any]]


def check_on_platform(compilation: Compilation, entry: Entry, plan: TaskPlan) -> None:
    """Note what the task's platform finds wrong with its job and its cost tags."""
    platform = plan.platform or {}
    check, check_tags = _checks(compilation, platform)
    job = dict(plan.job or {})
    for finding in check(job) if check is not None else ():
        code = "DK402" if finding.path.startswith("conf.") else "DK401"
        path = (entry.kind, *_steps(finding.path, job))
        compilation.note(
            code, f"{_named(finding)}{finding.message}", entry, path, help=finding.help, at_key=code == "DK402"
        )
    for finding in check_tags(plan.cost_tags) if check_tags is not None else ():
        path = ("cost_tags", finding.path) if finding.path else ("cost_tags",)
        compilation.note("DK404", finding.message, entry, path, help=finding.help)


def _named(finding: Any) -> str:
    return "" if finding.path.startswith("conf.") or not finding.path else f"{finding.path}: "


def _steps(path: str, job: Mapping[str, Any]) -> tuple[Any, ...]:
    """A finding's dotted path as steps; as far as the job has them."""
    dotted = path.replace("[", ".").replace("]", "")
    while dotted:
        found = next(steps_of(dotted, job), None)
        if found is not None:
            return found
        dotted = dotted.rpartition(".")[0]
    return ()


def _checks(compilation: Compilation, platform: Mapping[str, Any]) -> tuple[Check | None, Check | None]:
    """The checks of a platform, bound to its configuration; made once for all pipelines."""
    cache, key = compilation.setting.cache, ("checks", platform["name"])
    if key not in cache:
        cache[key] = _load(platform)
    found: tuple[Check | None, Check | None] = cache[key]
    return found


def _load(platform: Mapping[str, Any]) -> tuple[Check | None, Check | None]:
    from airflow_doeks import platforms

    module = platforms.module(platform["type"])
    try:
        config = module.Config.model_validate({key: value for key, value in platform.items() if key != "name"})
    except ValueError:
        return None, None  # doeks.yaml says what is wrong with it
    check = getattr(module, "check_job", None)
    seen: dict[str, list[Any]] = {}

    def checked(job: Mapping[str, Any]) -> list[Any]:
        text = repr(job)
        if text not in seen:
            seen[text] = check(config, job) if check is not None else []
        return seen[text]

    return checked, getattr(module, "check_cost_tags", None)
