"""DK4xx: what a platform would refuse of a job, asked of the platform's own check."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from airflow_doeks.language.diagnostics import Finding
from airflow_doeks.language.layers import steps_of
from airflow_doeks.language.merging import Facts
from airflow_doeks.language.rules import engines_of, with_defaults
from airflow_doeks.model.engine import Engine
from airflow_doeks.model.quantities import GIB, parse_cpu, parse_memory
from airflow_doeks.platforms.protocol import JobValues
from airflow_doeks.platforms.registry import TYPES

_INSTANCE = re.compile(r"([cmr])[5-8][a-z]*\.(large|(\d*)xlarge)")
_GIB_PER_VCPU = {"c": 2, "m": 4, "r": 8}


def refusals(facts: Facts) -> list[Finding]:
    """What the task's platform finds wrong with its job."""
    if not _runs(facts):
        return []
    from airflow_doeks.platforms.spark.conf import OWNED

    job, kind, found = dict(facts.job or {}), facts.entry.kind, []
    for one in _check_of(facts)(job):
        steps = _steps(one.path, job)
        in_conf = steps[:1] == ("conf",)
        owned = in_conf and one.help in OWNED.values()
        code, message = ("DK402", one.message) if owned else ("DK401", f"{one.path}: {one.message}")
        found.append(Finding(code, message, (kind, *steps), one.help, at_key=in_conf, gives_way=True))
    return found


def warnings(facts: Facts) -> list[Finding]:
    """What the task's platform would take of its job and most likely ignore."""
    if not _runs(facts):
        return []
    platform, job, kind = facts.platform or {}, dict(facts.job or {}), facts.entry.kind
    ask = getattr(TYPES[platform["type"]].load_checks(), "job_warnings", None)
    return [
        Finding("DK405", one.message, (kind, *_steps(one.path, job)), one.help)
        for one in (ask(_config_of(platform), _values_of(facts.engine, job)) if ask else ())
    ]


def cost_tags(facts: Facts) -> list[Finding]:
    """Cost tags that the platform has no room for."""
    if not _runs(facts):
        return []
    check = getattr(TYPES[(facts.platform or {})["type"]].load_checks(), "check_cost_tags", None)
    return [
        Finding("DK403", one.message, ("cost_tags", one.path) if one.path else ("cost_tags",), one.help)
        for one in (check(facts.cost_tags) if check else ())
    ]


def nodes(facts: Facts) -> list[Finding]:
    """Pods that do not fit the node that the platform names; where jobs run here they are cut to the machine."""
    platform = facts.platform or {}
    if not _runs(facts) or TYPES[platform["type"]].runs_here:
        return []
    found, priced_as = [], platform.get("priced_as")
    for pod in facts.engine.pods:
        kind = (priced_as.get(pod) if isinstance(priced_as, Mapping) else priced_as) or ""
        sizes, size = (facts.job or {}).get(pod) or {}, node_size(kind)
        if size is None:
            continue
        for key, parse, most in (("cpu", parse_cpu, size[0]), ("memory", parse_memory, size[1] * GIB)):
            value = sizes.get(key)
            if value is not None and "{" not in str(value) and parse(value) >= most:
                message = f"{pod}.{key} {value} does not fit {kind} ({size[0]} vCPU, {size[1]} GiB)"
                advice = "a node keeps some for itself; ask for less, or name a larger node as priced_as in doeks.yaml"
                found.append(Finding("DK404", message, (facts.entry.kind, pod, key), advice))
        if sizes.get("gpu") and "{" not in str(sizes["gpu"]):
            message = f"{pod}.gpu {sizes['gpu']}: {kind} has no GPU, so that what they cost is not known"
            advice = "name a type with GPUs: priced_as: {driver: m7g.xlarge, executors: g5.xlarge} in doeks.yaml"
            found.append(Finding("DK404", message, (facts.entry.kind, pod, "gpu"), advice))
    return found


def node_size(instance_type: str) -> tuple[int, int] | None:
    """VCPU and GiB of an EC2 type of families c, m and r; None for another. AWS: EC2 instance types, November 2026."""
    match = _INSTANCE.fullmatch(instance_type)
    if match is None:
        return None
    vcpu = 2 if match[2] == "large" else 4 * int(match[3] or 1)
    return vcpu, vcpu * _GIB_PER_VCPU[match[1]]


def _runs(facts: Facts) -> bool:
    """True if the platform is known as it is written, and runs the job's engine."""
    platform = facts.platform
    if platform is None or facts.entry.kind not in engines_of(platform):
        return False
    declared = facts.pipeline.setting.project.declared("platforms").get(platform["name"], platform)
    return set(declared) <= set(platform)  # else a fault of doeks.yaml took a part of it away


def _steps(path: str, job: Mapping[str, Any]) -> tuple[Any, ...]:
    """A finding's dotted path as steps; as far as the job has them."""
    dotted = path.replace("[", ".").replace("]", "")
    while dotted:
        found = next(steps_of(dotted, job), None)
        if found is not None:
            return found
        dotted = dotted.rpartition(".")[0]
    return ()


def _values_of(engine: Engine, job: Mapping[str, Any]) -> JobValues:
    """A job as platforms read it."""
    return with_defaults("pipeline", engine.noun.rpartition(":")[2], job)


def _config_of(platform: Mapping[str, Any]) -> SimpleNamespace:
    """An entry of doeks.yaml, which the schema accepted, behind the attributes of its type's Config."""
    return SimpleNamespace(**with_defaults("doeks", f"platform_{platform['type']}", platform))


def _check_of(facts: Facts) -> Callable[[Mapping[str, Any]], list[Any]]:
    """The platform's check, bound to its configuration and asked once for equal jobs of all pipelines."""
    platform, cache = facts.platform or {}, facts.pipeline.setting.cache
    key = ("check", platform["name"])
    if key not in cache:
        module = TYPES[platform["type"]].load_checks()
        config = _config_of(platform)
        seen: dict[str, list[Any]] = {}

        def checked(job: Mapping[str, Any]) -> list[Any]:
            text = repr(job)
            if text not in seen:
                seen[text] = module.check_job(config, _values_of(facts.engine, job))
            return seen[text]

        cache[key] = checked
    found: Callable[[Mapping[str, Any]], list[Any]] = cache[key]
    return found
