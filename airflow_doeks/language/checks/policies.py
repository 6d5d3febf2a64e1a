"""DK3xx: what the platform team demands in doeks.yaml, of values from whatever place; no pipeline can override it."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any

from airflow_doeks.language.diagnostics import Finding
from airflow_doeks.language.merging import Facts


def budget(facts: Facts) -> list[Finding]:
    """A task that may cost more than any may."""
    most, asked = facts.policies.get("max_budget_usd"), facts.values.get("budget_usd")
    if most is None or asked is None:
        return []
    try:
        above = Decimal(str(asked)) > Decimal(str(most))
    except InvalidOperation:
        return []
    return [Finding("DK307", f"budget_usd {asked} is above the policy's {most}", ("budget_usd",))] if above else []


def cost_tags(facts: Facts) -> list[Finding]:
    """Cost tags that are missing, or whose value is not one of those allowed."""
    tags = facts.cost_tags
    found = [
        Finding(
            "DK301", f'cost tag "{key}" is required', (), f"add cost_tags: {{{key}: ...}} to the pipeline or the task"
        )
        for key in facts.policies.get("required_cost_tags") or ()
        if key not in tags
    ]
    for key, values in (facts.policies.get("allowed_cost_tags") or {}).items():
        if key in tags and tags[key] not in values:
            message = f'cost tag {key}: "{tags[key]}" is not allowed; expected {", ".join(values)}'
            found.append(Finding("DK302", message, ("cost_tags", key)))
    return found


def executors(facts: Facts) -> list[Finding]:
    """More executors than a job may have."""
    most, pod = facts.policies.get("max_executors"), facts.engine.counted
    if most is None or pod is None:
        return []
    sizes = (facts.job or {}).get(pod) or {}
    key = "max" if sizes.get("max") is not None else "min"
    count, path = sizes.get(key, 1), (facts.entry.kind, pod, key)
    if not isinstance(count, (int, float)):
        message = f"{pod}.{key} is a template, so the policy's {most} cannot be checked"
        return [Finding("DK303", message, path, "write a number")]
    return [Finding("DK303", f"{count} {pod}; the policy allows {most}", path)] if count > most else []


def images(facts: Facts) -> list[Finding]:
    """Images that may not run, also named by a property or in a file that we do not read."""
    patterns = facts.policies.get("allowed_images")
    if patterns is None:
        return []
    kind, engine, job = facts.entry.kind, facts.engine, facts.job or {}
    conf = job.get("conf") or {}
    named: dict[tuple[str, ...], Any] = {(kind, "image"): job.get("image") or (facts.platform or {}).get("image")}
    named |= {(kind, "conf", key): value for key, value in conf.items() if engine.names_image(key)}
    found = [
        Finding("DK304", f'image "{image}" is not allowed; expected {", ".join(patterns)}', path)
        for path, image in named.items()
        if image and not any(fnmatchcase(str(image), pattern) for pattern in patterns)
    ]
    message = "a pod template file may name any image, so the policy's allowed_images cannot be checked"
    templates = [key for key in conf if engine.names_template(key)]
    return [*found, *(Finding("DK304", message, (kind, "conf", key), "use a preset instead") for key in templates)]


def platforms(facts: Facts) -> list[Finding]:
    """A platform that is for other pipelines."""
    name = (facts.platform or {}).get("name")
    users = (facts.policies.get("platforms") or {}).get(name)
    where = facts.pipeline.dag_id.replace(".", "/")
    if users is None or any(_matches(where, pattern) for pattern in users):
        return []
    message = f'pipeline {where} may not use platform "{name}"; it is for {", ".join(users)}'
    return [Finding("DK306", message, ("platform",))]


def _matches(path: str, pattern: str) -> bool:
    """Glob on a pipeline's path without suffix; ``sales/**`` is everything below sales."""
    return fnmatchcase(path, pattern.removesuffix(".yaml").removesuffix(".yml"))
