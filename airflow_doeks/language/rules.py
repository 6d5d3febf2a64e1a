"""The JSON Schema as functions: what the schema rejects is a fault with a path, a code and words, and nothing else is.

Only the keywords that `schema.py` writes are known. A rule returns None for a good value, so that good files are cheap.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_doeks.language.leaf_rules import (
    TYPES,
    Fault,
    Rule,
    anything,
    enum_rule,
    kind_of,
    listed,
    no_name,
    platform_rule,
    scalar_rule,
    search_of,
    shown,
    wrong_any,
    wrong_type,
)

HERE = Path(__file__).parent
VARIABLE = {"$ref": "#/$defs/Variable"}
_EMPTY: dict[str, Any] = {"array": (), "object": {}}  # defaults that the schema does not write


@functools.lru_cache(maxsize=4)
def schema(name: str) -> dict[str, Any]:
    """The generated schema ``pipeline`` or ``doeks``."""
    found: dict[str, Any] = json.loads((HERE / f"{name}.schema.json").read_text("utf-8"))
    return found


@functools.lru_cache(maxsize=4)
def rule_of(name: str) -> Rule:
    """The rule for a whole file of kind ``pipeline`` or ``doeks``."""
    document = schema(name)
    return _Compiler(document["$defs"]).rule(document)


def engines_of(platform: Mapping[str, Any]) -> list[str]:
    """Names of the engines whose jobs a platform of doeks.yaml runs."""
    found: list[str] = schema("doeks")["$defs"].get(f"platform_{platform['type']}", {}).get("x-engines", [])
    return found


def with_defaults(name: str, definition: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values that a definition of the schema ``name`` accepted, with its defaults for what is left out or null.

    Parts are filled, too: the same values as those of the model that the schema was written from.
    """
    keys = schema(name)["$defs"][definition]["properties"]
    return {**values, **{key: _filled(name, node, values.get(key)) for key, node in keys.items()}}


def _filled(name: str, node: Mapping[str, Any], value: Any) -> Any:
    if "$ref" in node:
        return with_defaults(name, node["$ref"].rpartition("/")[2], value or {})
    if value is None:
        return node.get("default", _EMPTY.get(node.get("type", "")))
    if isinstance(value, dict):
        entries = [*node.get("patternProperties", {}).values(), node.get("additionalProperties")]
        inner = next((one for one in entries if isinstance(one, dict) and "$ref" in one), None)
        return {key: _filled(name, inner, item) for key, item in value.items()} if inner else value
    items = node.get("items", {}) if isinstance(value, list) else {}
    return [_filled(name, items, item) for item in value] if "$ref" in items else value


class _Compiler:
    """Turns one schema into rules; a definition that is used twice, or by itself, is turned once."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self.definitions = definitions
        self.done: dict[str, Rule] = {}

    def rule(self, node: dict[str, Any]) -> Rule:
        if "$ref" in node:
            return self._ref(node["$ref"].rpartition("/")[2])
        if "oneOf" in node:
            return self._one_of(node)
        if "anyOf" in node:
            return self._any_of(node)
        if "const" in node or "enum" in node:
            return enum_rule(node.get("enum") or [node["const"]], node)
        kind = node.get("type")
        if kind in ("object", "array"):
            return self._object(node) if kind == "object" else self._array(node)
        return scalar_rule(kind, node) if kind else anything

    def _ref(self, name: str) -> Rule:
        if name not in self.done:
            self.done[name] = lambda value: self.done[name](value)  # noqa: PLW0108 - it is another one by then
            self.done[name] = self.rule(self.definitions[name])
        return self.done[name]

    def _object(self, node: dict[str, Any]) -> Rule:
        properties = {key: self.rule(value) for key, value in node.get("properties", {}).items()}
        required = [key for key in node.get("required", ()) if key in properties]
        patterns = [
            (search_of(key), self.rule(value), value) for key, value in node.get("patternProperties", {}).items()
        ]
        free = node.get("additionalProperties", True)
        others = anything if free is True else self.rule(free) if isinstance(free, dict) else None
        known = tuple(properties)
        least = node.get("minProperties", 0)

        def unknown(key: str) -> Fault:
            if not patterns:
                return Fault((key,), "DK104", f"unknown key {shown(key)}", at_key=True, word=key, known=known)
            return no_name(key, patterns[0][0])

        def check(value: Any) -> list[Fault] | None:
            if type(value) is not dict:
                return [wrong_type(value, node, "object")]
            faults: list[Fault] = []
            for key, item in value.items():
                rule = properties.get(key)
                if rule is None:
                    rule = next((found for matches, found, _ in patterns if matches(key)), others)
                    if rule is None:
                        faults.append(unknown(key))
                        continue
                below = rule(item)
                if below:
                    faults += [fault._replace(path=(key, *fault.path)) for fault in below]
            missing = [key for key in required if key not in value]
            faults += [Fault((), "DK106", f"key {shown(key)} is missing", word=key) for key in missing]
            if len(value) < least:
                faults.append(Fault((), "DK110", "is empty; at least one entry must stand here"))
            return faults or None

        return check

    def _array(self, node: dict[str, Any]) -> Rule:
        item_rule = self.rule(node.get("items", {}))
        least = node.get("minItems", 0)

        def check(value: Any) -> list[Fault] | None:
            if type(value) is not list:
                return [wrong_type(value, node, "array")]
            if len(value) < least:
                return [Fault((), "DK110", "is empty; at least one entry must stand here")]
            faults: list[Fault] = []
            for index, item in enumerate(value):
                below = item_rule(item)
                if below:
                    faults += [fault._replace(path=(index, *fault.path)) for fault in below]
            return faults or None

        return check

    def _one_of(self, node: dict[str, Any]) -> Rule:
        """A choice between mappings: by the value of ``type``, else by the key that must be there."""
        rules = [self.rule(option) for option in node["oneOf"]]
        branches = [self.definitions[option["$ref"].rpartition("/")[2]] for option in node["oneOf"]]
        by_type = {_type_of(branch): rule for branch, rule in zip(branches, rules, strict=True) if _type_of(branch)}
        if by_type:
            return platform_rule(by_type)
        by_key = {branch["required"][0]: rule for branch, rule in zip(branches, rules, strict=True)}

        def check(value: Any) -> list[Fault] | None:
            if type(value) is not dict:
                return [wrong_type(value, node, "object")]
            present = [key for key in by_key if key in value]
            if len(present) == 1:
                return by_key[present[0]](value)
            if present:
                return [Fault((present[1],), "DK109", f"{listed(present, 'and')} exclude each other", at_key=True)]
            faults = [
                Fault((), "DK109", f"one of the keys {listed(list(by_key))} must stand here", known=tuple(by_key))
            ]
            allowed = {key for branch in branches for key in branch["properties"]}
            for key in value:
                if key not in allowed:
                    known = tuple(sorted(allowed))
                    faults.append(Fault((key,), "DK104", f"unknown key {shown(key)}", True, key, known))  # noqa: FBT003
            return faults

        return check

    def _any_of(self, node: dict[str, Any]) -> Rule:
        worded = {key: node[key] for key in ("x-expected", "examples") if key in node}
        options = [self._merged(option) | worded for option in _one_mapping(node["anyOf"]) if option != VARIABLE]
        rules = [(kind_of(option), self.rule(option)) for option in options]
        by_type = _unambiguous(rules)

        def check(value: Any) -> list[Fault] | None:
            first = by_type.get(type(value))
            if first is not None:
                return first(value)
            refusals: list[Fault] = []
            for kind, rule in rules:
                faults = rule(value)
                if faults is None:
                    return None
                if type(value) in TYPES.get(kind, (type(value),)) or faults[0].code != "DK105":
                    said = faults[0].help or (refusals[0].help if refusals else "")
                    refusals = [faults[0]._replace(help=said), *faults[1:]]
            return refusals or [wrong_any(value, node, options)]

        return check

    def _merged(self, option: dict[str, Any]) -> dict[str, Any]:
        """An option that names a definition, with that definition's keywords, so that its kind is known."""
        if "$ref" not in option:
            return option
        return {"type": self.definitions[option["$ref"].rpartition("/")[2]].get("type"), **option}


def _one_mapping(options: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Options of which at most one is a mapping: several become a choice by the key that must be there."""
    mappings = [option for option in options if "$ref" in option and option != VARIABLE]
    if len(mappings) < 2:  # noqa: PLR2004 - several
        return options
    return [*(option for option in options if option not in mappings), {"oneOf": mappings}]


def _type_of(branch: dict[str, Any]) -> Any:
    return branch.get("properties", {}).get("type", {}).get("const")


def _unambiguous(rules: list[tuple[str, Rule]]) -> dict[type, Rule]:
    """Python type -> the one rule that can accept it; a type that two rules could accept is left out."""
    found: dict[type, list[Rule]] = {}
    for kind, rule in rules:
        for accepted in TYPES[kind]:
            found.setdefault(accepted, []).append(rule)
    return {accepted: some[0] for accepted, some in found.items() if len(some) == 1}
