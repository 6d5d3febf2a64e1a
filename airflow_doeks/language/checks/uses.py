"""What `uses` names and gives it: DK221, DK222, DK208, and the allow-list, DK305."""

from __future__ import annotations

import re
from typing import Any

from airflow_doeks.language.diagnostics import Finding, suggestion
from airflow_doeks.language.merging import Facts
from airflow_doeks.language.operators import (
    Alias,
    alias_of,
    aliases,
    argument_fault,
    is_allowed,
    near_argument,
    owned_arguments,
    runs_job,
)

_KIND = re.compile("(Operator|Sensor)$")


def arguments(facts: Facts) -> list[Finding]:
    """A name that is no alias, and arguments that the alias does not take, needs, or takes otherwise."""
    spec = facts.entry.spec
    name = spec["uses"]
    if facts.operator is None:
        of_class = next((f"write {alias}" for alias, row in aliases().items() if row.path.endswith(f".{name}")), "")
        advice = of_class or suggestion(name, aliases()) or f"aliases are {', '.join(sorted(aliases()))}"
        return [Finding("DK221", f'"{name}" is no alias', ("uses",), advice)]
    given, owned = spec.get("with") or {}, owned_arguments()
    found = [
        Finding("DK222", f"{path[-1]} is not set under `{path[0]}`", path, f"write {owned[path[-1]]}", at_key=True)
        for path in (*(("with", key) for key in given), *_mapped(spec))
        if path[-1] in owned
    ]
    found += [
        Finding("DK222", f"{path[-1]} stands under `with`, too", path, "remove one", at_key=True)
        for path in _mapped(spec)
        if path[-1] in given
    ]
    alias = alias_of(name)
    return found if alias is None else [*found, *_of_alias(alias, spec, given)]


def _mapped(spec: Any) -> list[tuple[Any, ...]]:
    """Where arguments stand that `expand` gives; the last step is the argument."""
    over = spec.get("expand")
    if isinstance(over, dict):
        return [("expand", way, key) for way, parts in over.items() if way != "task" for key in parts]
    return [("expand", index, key) for index, item in enumerate(over or ()) for key in item]


def _of_alias(alias: Alias, spec: Any, given: dict[str, Any]) -> list[Finding]:
    name, over = spec["uses"], spec.get("expand")
    items = over if isinstance(over, list) else []
    found = [_fault(alias, name, ("with", key), key, value) for key, value in given.items()]
    for index, item in enumerate(items):
        found += [_fault(alias, name, ("expand", index, key), key, value) for key, value in item.items()]
    if isinstance(over, dict) and "task" not in over:  # lists by argument
        ((way, parts),) = over.items()
        items = [parts]
        for key, part in parts.items():
            value = next(iter(part), None) if isinstance(part, list) else "{{ its output }}"
            found.append(_fault(alias, name, ("expand", way, key), key, value))
    meant = {near_argument(alias, key) for key in given}.union(given, *items)
    place = ("with",) if "with" in spec else ("uses",)
    for key in alias.needs if items or over is None else ():
        if key not in meant:
            message, advice = f"{name} needs the argument {key}", f"write with: {{{key}: ...}}"
            found.append(Finding("DK222", message, place, advice, at_key=True))
    return [one for one in found if one is not None]


def _fault(alias: Alias, name: str, path: tuple[Any, ...], key: str, value: Any) -> Finding | None:
    fault = argument_fault(alias, name, key, value)
    return None if fault is None else Finding("DK222", fault.message, path, fault.help, at_key=fault.at_key)


def platform(facts: Facts) -> list[Finding]:
    """An operator of ours on a platform that there is not."""
    name = (facts.entry.spec.get("with") or {}).get("platform")
    if not isinstance(name, str) or not str(facts.operator).startswith("airflow_doeks."):
        return []
    fault = facts.pipeline.setting.unknown_platform(name)
    return [] if fault is None else [Finding("DK208", fault, ("with", "platform"), _near(facts, name))]


def _near(facts: Facts, name: str) -> str:
    return suggestion(name, facts.pipeline.setting.known_platforms)


def allowed(facts: Facts) -> list[Finding]:
    """What the platform team does not let pipelines use."""
    name, operator = facts.entry.spec["uses"], facts.operator
    if operator is None:
        return []
    if runs_job(operator):
        message = f'"{name}" would run a job that no policy sees'
        return [Finding("DK305", message, ("uses",), "write spark: with the job's keys below it", is_firm=True)]
    if is_allowed(name, operator, tuple(facts.policies.get("allowed_uses") or ())):
        return []
    advice = (
        _near_class(operator) or f"the platform team can add it: policies: {{allowed_uses: [{name}]}} in doeks.yaml"
    )
    return [Finding("DK305", f'"{name}" is not on the allow-list', ("uses",), advice)]


def _near_class(operator: str) -> str:
    """The alias whose class is called as this one nearly is; empty for the class itself."""
    classes = {_KIND.sub("", alias.path.rpartition(".")[2]): alias.path for alias in aliases().values()}
    named = suggestion(_KIND.sub("", operator.rpartition(".")[2]), classes).partition('"')[2].partition('"')[0]
    near = classes.get(named, operator)
    return "" if near == operator else f'did you mean "{near}"?'


def importable(facts: Facts) -> list[Finding]:
    """A class that this Python does not have, and a function where YAML has none; nothing is imported to know."""
    spec = facts.entry.spec
    if facts.operator is None or alias_of(spec["uses"]) is not None:
        return []
    from airflow_doeks.language.installed import missing

    why = missing(facts.operator, facts.pipeline.setting.project.folder)
    advice = "install it here, or correct the path"
    found = [] if why is None else [Finding("DK242", why, ("uses",), advice, gives_way=True)]
    for key, value in (spec.get("with") or {}).items():
        if key.endswith("_callable") and isinstance(value, str) and "{{" not in value:
            message = f"{key} takes a function, and YAML has only its name"
            advice = "write a task with `python: {file: ..., function: ...}`, which names a function of the project"
            found.append(Finding("DK222", message, ("with", key), advice))
    return found
