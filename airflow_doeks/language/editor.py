"""The JSON Schema as an editor wants it for one project: names to choose from, and faults in words.

What the compiler reads is never changed; the names of a project, its platforms, presets and variables, enter a copy.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_doeks.language.operators import Alias, aliases, is_allowed
from airflow_doeks.language.project import Project
from airflow_doeks.language.rules import schema

KINDS = {"pipeline": "pipeline.schema.json", "doeks": "doeks.schema.json"}  # kind -> file beside doeks.yaml
_VARIABLE = {"$ref": "#/$defs/Variable"}
_SCALARS = ("string", "integer", "number", "boolean")
_TYPES = {  # kind of an operator's argument -> what an editor checks; the rest is left to lint
    "text": {"type": "string"},
    "list": {"type": "array"},
    "flag": {"type": "boolean"},
    "mapping": {"type": "object"},
}


def editor_schema(kind: str, project: Project) -> dict[str, Any]:
    """The schema of ``kind`` (pipeline or doeks) with the names that a project has."""
    document = copy.deepcopy(schema(kind))
    definitions = document["$defs"]
    variables = sorted({name for entry in project.declared("environments").values() for name in _variables(entry)})
    definitions["Variable"]["defaultSnippets"] = [
        {"label": f"${{{name}}}", "body": f"\\${{{name}}}", "description": "A variable of the environments."}
        for name in variables
    ]
    for properties in _properties(document):
        if "platform" in properties:
            _choose(properties["platform"], list(project.declared("platforms")), "a platform of doeks.yaml")
        if "cost_tags" in properties:
            _name_tags(properties["cost_tags"], project.declared("policies"))
    if "UsesTask" in definitions:
        _choose_operator(definitions["UsesTask"], project)
    for engine, ours in document["x-presets"].items():
        job = _definition_of(document, engine)
        named = [*ours, *(name for name, jobs in project.declared("presets").items() if engine in (jobs or {}))]
        _choose(job["properties"]["presets"]["items"], named, "a preset of ours or of doeks.yaml")
    _say(document, definitions["Variable"])
    return document


def schema_texts(project: Project) -> dict[str, str]:
    """File name -> text of what stands beside a project's doeks.yaml for editors."""
    return {name: json.dumps(editor_schema(kind, project), indent=1) + "\n" for kind, name in KINDS.items()}


def _variables(environment: Any) -> list[str]:
    found = environment.get("variables") if isinstance(environment, dict) else None
    return list(found) if isinstance(found, dict) else []


def _properties(node: Any) -> Iterator[dict[str, Any]]:
    for found in (node, *node["$defs"].values()):
        if "properties" in found:
            yield found["properties"]


def _definition_of(document: dict[str, Any], engine: str) -> dict[str, Any]:
    """What a job of an engine is, found where the engine's key stands."""
    node = next(found[engine] for found in _properties(document) if "$ref" in found.get(engine, {}))
    found: dict[str, Any] = document["$defs"][node["$ref"].rpartition("/")[2]]
    return found


def _choose(node: dict[str, Any], names: list[str], what: str) -> None:
    """Make a text one of some names, or a variable; nothing changes without names."""
    if not names:
        return
    node.pop("type", None)
    node["x-expected"] = f"{what}: {', '.join(names)}"
    node["anyOf"] = [{"enum": names, "type": "string"}, {"type": "null"}, _VARIABLE]


def _name_tags(node: dict[str, Any], policies: Mapping[str, Any]) -> None:
    """The cost tags that the policies ask for, and the values that they allow."""
    allowed = policies.get("allowed_cost_tags") or {}
    found = {name: {"enum": list(values), "type": "string"} for name, values in allowed.items()}
    for name in policies.get("required_cost_tags") or ():
        found.setdefault(name, {"type": "string"})
    if found:
        node["properties"] = found


def _choose_operator(task: dict[str, Any], project: Project) -> None:
    """Aliases that the project's policies allow, and for each of them its arguments below ``with``."""
    policies = project.declared("policies")
    allowed = tuple(policies.get("allowed_uses") or ())
    offered = {name: row for name, row in aliases().items() if is_allowed(name, row.path, allowed)}
    uses = task["properties"]["uses"]
    uses["anyOf"] = [{"enum": list(offered), "type": "string"}, {"pattern": r"[.:]", "type": "string"}, _VARIABLE]
    uses["x-expected"] = f"an alias ({', '.join(offered)}), or the import path of an operator"
    task["allOf"] = [
        {
            "if": {"properties": {"uses": {"const": name}}, "required": ["uses"]},
            "then": {"properties": {"with": {"properties": _arguments(row)}}},
        }
        for name, row in offered.items()
    ]


def _arguments(row: Alias) -> dict[str, Any]:
    return {name: {**_TYPES.get(kind, {}), **_needed(row, name)} for name, kind in row.takes.items()}


def _needed(row: Alias, name: str) -> dict[str, str]:
    return {"description": "The operator needs it."} if name in row.needs else {}


def _say(node: Any, variable: Mapping[str, Any], words: str = "") -> None:
    """Give every type, pattern and list of names the words of its key, which editors show instead of their own."""
    if isinstance(node, list):
        for item in node:
            _say(item, variable, words)
        return
    if not isinstance(node, dict):
        return
    words = f"expected {node['x-expected']}" if "x-expected" in node else words
    if words and node == _VARIABLE:
        node.clear()
        node |= variable
    if words and ("enum" in node or node.get("type") in _SCALARS):
        node["errorMessage"] = words
    if words and "pattern" in node:
        node["patternErrorMessage"] = words
    for key, value in node.items():
        _say(value, variable, words if key in {"anyOf", "items"} else "")
