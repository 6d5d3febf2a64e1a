"""DK3xx: what the platform team demands in doeks.yaml, of values from whatever place; no pipeline can override it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any

from airflow_doeks.language.diagnostics import Finding
from airflow_doeks.language.layers import origin
from airflow_doeks.language.merging import Facts, presets_of
from airflow_doeks.language.rules import with_defaults
from airflow_doeks.model import job_rules
from airflow_doeks.model.quantities import gib, is_template, parse_cpu, parse_memory

_TEMPLATE = re.compile(r"\{[{%]")


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
        if key not in tags and not _is_told(facts, key)
    ]
    for key, values in (facts.policies.get("allowed_cost_tags") or {}).items():
        if key in tags and tags[key] not in values:
            message = f'cost tag {key}: "{tags[key]}" is not allowed; expected {", ".join(values)}'
            found.append(Finding("DK302", message, ("cost_tags", key)))
    return found


def _is_told(facts: Facts, key: str) -> bool:
    """True of a cost tag that is written, and was refused where it stands."""
    return origin(facts.pipeline.layers_of(facts.entry, "cost_tags"), ("cost_tags", key)) is not None


def most_pods(facts: Facts) -> list[Finding]:
    """More executors, or task managers, than a job may have."""
    policy = facts.engine.most_policy
    most = facts.policies.get(policy) if policy else None
    if most is None:
        return []
    count, steps = job_rules.most_pods(facts.engine, facts.job or {})
    if grown := _grown(facts, "DK303", f"the policy's {most}"):
        return grown
    path, pods = (facts.entry.kind, *steps), str(policy).removeprefix("max_").replace("_", " ")
    if not isinstance(count, (int, float)):
        message = f"{'.'.join(steps)} is a template, so the policy's {most} cannot be checked"
        return [Finding("DK303", message, path, "write a number")]
    return [Finding("DK303", f"{count} {pods}; the policy allows {most}", path)] if count > most else []


def size(facts: Facts) -> list[Finding]:
    """More CPUs or memory than a job may have, all its pods together."""
    found = []
    for code, policy, key, read in (("DK308", "max_cpu", "cpu", parse_cpu), ("DK309", "max_memory", "memory", _gib)):
        most = facts.policies.get(policy)
        if most is None:
            continue
        total = _total(facts, key, read)
        path = (facts.entry.kind,)
        if hidden := _grown(facts, code, f"the policy's {policy} {most}") or _added(facts, code, policy):
            found += hidden
        elif total is None:
            message = f"a template says how large the job is, so the policy's {policy} {most} cannot be checked"
            found.append(Finding(code, message, path, "write numbers", at_key=True))
        elif total > read(most):
            unit = "CPUs" if key == "cpu" else "GiB of memory"
            message = f"{float(total):g} {unit} in all pods; the policy allows {float(read(most)):g}"
            found.append(Finding(code, message, path, "ask for fewer or smaller pods", at_key=True))
    return found


def _grown(facts: Facts, code: str, what: str) -> list[Finding]:
    """Properties that may start pods which nobody can count here."""
    kind, conf = facts.entry.kind, (facts.job or {}).get("conf") or {}
    message = f"it may start more pods than the job says, so {what} cannot be checked"
    grown = [(kind, "conf", key) for key in conf if facts.engine.may_grow(key)]
    return [Finding(code, message, path, "remove it", at_key=True) for path in grown]


def _added(facts: Facts, code: str, policy: str) -> list[Finding]:
    """A pod template with containers whose size is not the job's, or that we do not read."""
    key = facts.engine.template_file
    template = (facts.job or {}).get(key) if key else None
    spec = (template.get("spec") or {}) if isinstance(template, dict) else None
    if template is None or not (spec is None or spec.get("containers") or spec.get("initContainers")):
        return []
    message = f"a pod template may add containers of any size, so the policy's {policy} cannot be checked"
    return [Finding(code, message, (facts.entry.kind, str(key)), "use the job's own keys, or a preset")]


def _gib(text: Any) -> Decimal:
    return gib(parse_memory(text))


def _total(facts: Facts, key: str, read: Callable[[Any], Decimal]) -> Decimal | None:
    """Of the first pod and as many of the second as may run; None where a template says it."""
    engine = facts.engine
    job = with_defaults("pipeline", f"{engine.title}Job", facts.job or {})
    count, _ = job_rules.most_pods(engine, facts.job or {})
    sizes = [job[pod].get(key) for pod in engine.pods]
    if not isinstance(count, (int, float)) or any(size is None or is_template(size) for size in sizes):
        return None
    try:
        first, *others = [Decimal(read(size)) for size in sizes]
    except ValueError:  # told by the schema
        return None
    return first + sum(others) * Decimal(count)


def presets(facts: Facts) -> list[Finding]:
    """A preset that every job must have and this one has not."""
    mine, others = presets_of(facts.pipeline, facts.entry)
    listed = {*mine, *others}
    known = facts.pipeline.setting.data.get("presets") or {}
    return [
        Finding("DK310", f'preset "{name}" is required', (facts.entry.kind,), f"add presets: [{name}]", at_key=True)
        for name in facts.policies.get("required_presets") or ()
        if name not in listed and (name in facts.engine.preset_names() or facts.entry.kind in (known.get(name) or {}))
    ]


def images(facts: Facts) -> list[Finding]:
    """Images that may not run, also named by a property or in a file that we do not read."""
    patterns = facts.policies.get("allowed_images")
    if patterns is None:
        return []
    kind, engine, job = facts.entry.kind, facts.engine, facts.job or {}
    conf = job.get("conf") or {}
    named: dict[tuple[Any, ...], Any] = {(kind, "image"): job.get("image") or (facts.platform or {}).get("image")}
    named |= {(kind, "conf", key): value for key, value in conf.items() if engine.names_image(key)}
    for path, value in _classified(job.get("configuration") or (), (kind, "configuration")):
        if engine.names_image(str(path[-1])):
            named[path] = value
    found = [
        Finding("DK304", f'image "{image}" is not allowed; expected {", ".join(patterns) or "none"}', path)
        for path, image in named.items()
        if image and not any(_is_of(str(image), pattern) for pattern in patterns)
    ]
    message = "a pod template file may name any image, so the policy's allowed_images cannot be checked"
    templates: list[tuple[str, ...]] = [(kind, "conf", key) for key in conf if engine.names_template(key)]
    templates += [(kind, key) for key in (engine.template_file,) if key and job.get(key) is not None]
    return [*found, *(Finding("DK304", message, path, "use the job's own keys, or a preset") for path in templates)]


def _is_of(image: str, pattern: str) -> bool:
    """True if the image fits, and already what stands before a template does: what is rendered may be any text."""
    return fnmatchcase(image, pattern) and fnmatchcase(_TEMPLATE.split(image)[0], pattern)


def _classified(entries: Iterable[Any], path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Path and value of each property of EMR's classifications, at any depth."""
    for index, entry in enumerate(entries):
        for key, value in (entry.get("properties") or {}).items():
            yield (*path, index, "properties", key), value
        yield from _classified(entry.get("configurations") or (), (*path, index, "configurations"))


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
