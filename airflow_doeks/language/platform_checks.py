"""DK4xx: what a platform would refuse of a job, asked of the platform's own check."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_doeks.language.graph import Entry
from airflow_doeks.language.layers import steps_of
from airflow_doeks.language.rules import schema
from airflow_doeks.model.plan import TaskPlan
from airflow_doeks.model.quantities import GIB, parse_cpu, parse_memory
from airflow_doeks.platforms.registry import TYPES

if TYPE_CHECKING:
    from airflow_doeks.language.compilation import Compilation

_INSTANCE = re.compile(r"([cmr])[5-8][a-z]*\.(large|(\d*)xlarge)")
_GIB_PER_VCPU = {"c": 2, "m": 4, "r": 8}
Check = Callable[[Mapping[str, Any]], list[Any]]


def check_on_platform(compilation: Compilation, entry: Entry, plan: TaskPlan) -> None:
    """Note what the task's platform finds wrong with its job and its cost tags."""
    platform = plan.platform or {}
    check, check_tags = _checks(compilation, platform)
    job = dict(plan.job or {})
    from airflow_doeks.platforms.spark.conf import OWNED

    for finding in check(job) if check is not None else ():
        steps = _steps(finding.path, job)
        if steps in compilation.faulty.get(entry.id, ()):
            continue  # said already, and better
        owned = steps[:1] == ("conf",) and finding.help in OWNED.values()
        message = finding.message if owned else f"{finding.path}: {finding.message}"
        code = "DK402" if owned else "DK401"
        compilation.note(code, message, entry, (entry.kind, *steps), help=finding.help, at_key=steps[:1] == ("conf",))
    for finding in check_tags(plan.cost_tags) if check_tags is not None else ():
        path = ("cost_tags", finding.path) if finding.path else ("cost_tags",)
        compilation.note("DK403", finding.message, entry, path, help=finding.help)
    _check_node(compilation, entry, job, platform)


def _check_node(compilation: Compilation, entry: Entry, job: Mapping[str, Any], platform: Mapping[str, Any]) -> None:
    """Pods against the node that the platform names; type local cuts its executors to the machine."""
    size = node_size(platform.get("priced_as") or "")
    if size is None or TYPES[platform["type"]].runs_here:
        return
    vcpu, gib = size
    for pod in ("driver", "executors"):
        sizes = job.get(pod) or {}
        for key, parse, most in (("cpu", parse_cpu, vcpu), ("memory", parse_memory, gib * GIB)):
            value = sizes.get(key)
            if value is not None and "{" not in str(value) and parse(value) >= most:
                message = f"{pod}.{key} {value} does not fit {platform['priced_as']} ({vcpu} vCPU, {gib} GiB)"
                advice = "a node keeps some for itself; ask for less, or name a larger node as priced_as in doeks.yaml"
                compilation.note("DK404", message, entry, (entry.kind, pod, key), help=advice)


def node_size(instance_type: str) -> tuple[int, int] | None:
    """VCPU and GiB of an EC2 type of families c, m and r; None for another. AWS: EC2 instance types, November 2026."""
    match = _INSTANCE.fullmatch(instance_type)
    if match is None:
        return None
    vcpu = 2 if match[2] == "large" else 4 * int(match[3] or 1)
    return vcpu, vcpu * _GIB_PER_VCPU[match[1]]


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
    module = TYPES[platform["type"]].load_checks()
    config = _Entry(platform)
    seen: dict[str, list[Any]] = {}

    def checked(job: Mapping[str, Any]) -> list[Any]:
        text = repr(job)
        if text not in seen:
            seen[text] = module.check_job(config, job)
        return seen[text]

    return checked, getattr(module, "check_cost_tags", None)


class _Entry:
    """An entry of doeks.yaml, which the schema accepted, behind the attributes of its type's Config."""

    def __init__(self, platform: Mapping[str, Any]) -> None:
        self.values = platform
        self.keys = schema("doeks")["$defs"][f"platform_{platform['type']}"]["properties"]

    def __getattr__(self, name: str) -> Any:
        if name not in self.keys:
            raise AttributeError(name)
        value = self.values.get(name)
        return self.keys[name].get("default") if value is None else value
