"""What a pipeline means, judged on what is merged: one table of functions from facts to findings.

A check reads facts and gives findings; it changes nothing, knows no other check and no place in a file. The table
names functions by path, so that a pipeline pays for the checks of what it has: the other modules are not imported.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from airflow_doeks.language.diagnostics import Finding
from airflow_doeks.language.merging import Facts, PipelineFacts
from airflow_doeks.model.engine import load
from airflow_doeks.model.plan import NOTICED, OWN_TASKS

CHECKS: tuple[tuple[str, str], ...] = (  # of what -> module below this package, and function
    ("pipeline", "meaning:schedule"),
    ("pipeline", "meaning:dates"),
    ("pipeline", "meaning:zones"),
    ("pipeline", "meaning:tags"),
    ("pipeline", "meaning:hidden_platform"),
    ("task", "meaning:durations"),
    ("task", "meaning:datasets"),
    ("task", "meaning:role"),
    ("task", "meaning:expand"),
    ("templated task", "templates:balanced"),
    ("templated task", "templates:params"),
    ("templated task", "templates:pulls"),
    ("uses", "uses:arguments"),
    ("uses", "uses:platform"),
    ("uses", "uses:allowed"),
    ("uses", "uses:importable"),
    ("task that tells", "notices:of_task"),
    ("pipeline that tells", "notices:of_pipeline"),
    ("own task", "own_tasks:function"),
    ("own task", "own_tasks:pipeline"),
    ("own task", "own_tasks:conf"),
    ("own task", "own_tasks:waits"),
    ("own task", "own_tasks:dataset"),
    ("mapped task", "own_tasks:mapped"),
    ("job", "job:platform"),
    ("job", "job:hidden_platform"),
    ("job", "job:work"),
    ("job", "job:code"),
    ("job", "job:kind_of_code"),
    ("job", "job:quantities"),
    ("job", "job:endings"),
    ("job", "job:acts"),
    ("job", "job:presets"),
    ("job", "job:release"),
    ("task that is given something", "secrets:plain"),
    ("job", "job:properties"),
    ("job", "job:pod_templates"),
    ("job", "platform:refusals"),
    ("job", "platform:warnings"),
    ("job", "platform:cost_tags"),
    ("job", "platform:nodes"),
    ("task under policies", "policies:budget"),
    ("job under policies", "policies:cost_tags"),
    ("job under policies", "policies:most_pods"),
    ("job under policies", "policies:size"),
    ("job under policies", "policies:presets"),
    ("job under policies", "policies:images"),
    ("job under policies", "policies:platforms"),
)


def check(facts: Facts | PipelineFacts) -> list[Finding]:
    """Everything wrong with a task, or with what its pipeline says of itself."""
    found: list[Finding] = []
    for function in _functions(_shape(facts)):
        ours = function(facts)
        if ours:
            said = {one.path for one in found}
            found += [one for one in ours if not (one.gives_way and one.path in said)]
    return found if not found or not _is_lenient(facts) else load("airflow_doeks.language.leniency:eased")(facts, found)


def _is_lenient(facts: Facts | PipelineFacts) -> bool:
    pipeline = facts if isinstance(facts, PipelineFacts) else facts.pipeline
    policies = pipeline.setting.data.get("policies") or {}
    return bool(policies.get("warn") or policies.get("exceptions"))


class _Shape(NamedTuple):
    """What decides which checks there are to ask; most tasks share a few shapes."""

    kind: str  # of a task, or ``pipeline``
    tells: bool
    is_mapped: bool = False
    is_given: bool = False  # arguments
    is_governed: bool = False
    is_templated: bool = False


def _shape(facts: Facts | PipelineFacts) -> _Shape:
    if isinstance(facts, PipelineFacts):
        return _Shape("pipeline", not NOTICED.isdisjoint(facts.data))
    kind, spec = facts.entry.kind, facts.entry.spec
    return _Shape(
        kind,
        not NOTICED.isdisjoint(facts.values),
        isinstance(spec.get("expand"), dict),
        kind != "uses" or "with" in spec or "expand" in spec,
        bool(facts.policies),
        facts.pipeline.has_templates,
    )


@functools.lru_cache(maxsize=256)
def _functions(shape: _Shape) -> tuple[Callable[[Any], list[Finding]], ...]:
    """The checks of all that has one shape, imported."""
    kind = shape.kind
    if kind == "pipeline":
        applying = {"pipeline"}
    else:
        applying = {"task", "uses" if kind == "uses" else "own task" if kind in OWN_TASKS else "job"}
    if shape.tells:
        applying.add("pipeline that tells" if kind == "pipeline" else "task that tells")
    if shape.is_mapped:
        applying.add("mapped task")
    if shape.is_given:
        applying.add("task that is given something")
    if shape.is_governed:
        applying |= {f"{of} under policies" for of in applying}
    if shape.is_templated:
        applying.add("templated task")
    return tuple(load(f"{__name__}.{name}") for of, name in CHECKS if of in applying)
