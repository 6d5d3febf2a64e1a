"""The JSON Schema as functions: what the schema rejects is a fault with a path, a code and words, and nothing else is.

Only the keywords that `schema.py` writes are known. A rule returns None for a good value, so that good files are cheap.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
_SHOWN_MAX = 60
VARIABLE = {"$ref": "#/$defs/Variable"}
_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


class Fault(NamedTuple):
    """One rejection. ``at_key``: the key is to blame, not its value; ``known``: what would have been right."""

    path: tuple[Any, ...]
    code: str
    message: str
    at_key: bool = False
    word: str = ""
    known: tuple[str, ...] = ()


Rule = Callable[[Any], "list[Fault] | None"]


def shown(value: Any) -> str:
    """A value as a message names it: short, on one line."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = "null" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 3]}..."


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
            return _enum(node.get("enum") or [node["const"]], node)
        kind = node.get("type")
        if kind in ("object", "array"):
            return self._object(node) if kind == "object" else self._array(node)
        return _scalar(kind, node) if kind else _anything

    def _ref(self, name: str) -> Rule:
        if name not in self.done:
            self.done[name] = lambda value: self.done[name](value)  # noqa: PLW0108 - it is another one by then
            self.done[name] = self.rule(self.definitions[name])
        return self.done[name]

    def _object(self, node: dict[str, Any]) -> Rule:
        properties = {key: self.rule(value) for key, value in node.get("properties", {}).items()}
        required = [key for key in node.get("required", ()) if key in properties]
        patterns = [(_search(key), self.rule(value), value) for key, value in node.get("patternProperties", {}).items()]
        free = node.get("additionalProperties", True)
        others = _anything if free is True else self.rule(free) if isinstance(free, dict) else None
        known = tuple(properties)
        least = node.get("minProperties", 0)

        def unknown(key: str) -> Fault:
            if not patterns:
                return Fault((key,), "DK104", f"unknown key {shown(key)}", at_key=True, word=key, known=known)
            return Fault((key,), "DK108", f"{shown(key)} is not a name: letters, digits, `_` and `-`", at_key=True)

        def check(value: Any) -> list[Fault] | None:
            if type(value) is not dict:
                return [_wrong_type(value, node, "object")]
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
            faults += [Fault((), "DK106", f"key {shown(key)} is missing") for key in required if key not in value]
            if len(value) < least:
                faults.append(Fault((), "DK110", "is empty; at least one entry must stand here"))
            return faults or None

        return check

    def _array(self, node: dict[str, Any]) -> Rule:
        item_rule = self.rule(node.get("items", {}))
        least = node.get("minItems", 0)

        def check(value: Any) -> list[Fault] | None:
            if type(value) is not list:
                return [_wrong_type(value, node, "array")]
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
            return _by_type(by_type)
        by_key = {branch["required"][0]: rule for branch, rule in zip(branches, rules, strict=True)}

        def check(value: Any) -> list[Fault] | None:
            if type(value) is not dict:
                return [_wrong_type(value, node, "object")]
            present = [key for key in by_key if key in value]
            if len(present) == 1:
                return by_key[present[0]](value)
            if present:
                return [Fault((present[1],), "DK109", f"{_listed(present, 'and')} exclude each other", at_key=True)]
            faults = [
                Fault((), "DK109", f"one of the keys {_listed(list(by_key))} must stand here", known=tuple(by_key))
            ]
            allowed = {key for branch in branches for key in branch["properties"]}
            for key in value:
                if key not in allowed:
                    known = tuple(sorted(allowed))
                    faults.append(Fault((key,), "DK104", f"unknown key {shown(key)}", True, key, known))  # noqa: FBT003
            return faults

        return check

    def _any_of(self, node: dict[str, Any]) -> Rule:
        worded = {key: node[key] for key in ("x-expected",) if key in node}
        options = [self._merged(option) | worded for option in node["anyOf"] if option != VARIABLE]
        rules = [(_kind(option), self.rule(option)) for option in options]
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
                if isinstance(value, _TYPES.get(kind, (object,))) or faults[0].code == "DK210":
                    refusals = faults
            return refusals or [_wrong_any(value, node, options)]

        return check

    def _merged(self, option: dict[str, Any]) -> dict[str, Any]:
        """An option that names a definition, with that definition's keywords, so that its kind is known."""
        if "$ref" not in option:
            return option
        return {"type": self.definitions[option["$ref"].rpartition("/")[2]].get("type"), **option}


def _anything(_value: Any) -> None:
    return None


def _search(pattern: str) -> Callable[[str], Any]:
    # ECMA's $ is the very end of the text; Python's also matches before a last line break.
    return re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", pattern.replace("$)", r"\Z)"))).search


def _type_of(branch: dict[str, Any]) -> Any:
    return branch.get("properties", {}).get("type", {}).get("const")


def _kind(node: dict[str, Any]) -> str:
    return str(node.get("type") or "object")


def _unambiguous(rules: list[tuple[str, Rule]]) -> dict[type, Rule]:
    """Python type -> the one rule that can accept it; a type that two rules could accept is left out."""
    found: dict[type, list[Rule]] = {}
    for kind, rule in rules:
        for accepted in _TYPES[kind]:
            found.setdefault(accepted, []).append(rule)
    return {accepted: some[0] for accepted, some in found.items() if len(some) == 1}


def _scalar(kind: str, node: dict[str, Any]) -> Rule:
    types = _TYPES[kind]
    search = _search(node["pattern"]) if "pattern" in node else None
    least, above, most = node.get("minimum"), node.get("exclusiveMinimum"), node.get("maximum")
    shortest = node.get("minLength", 0)
    bounded = least is not None or above is not None or most is not None

    def check(value: Any) -> list[Fault] | None:
        if type(value) not in types:
            if kind == "integer" and type(value) is float and value.is_integer():  # JSON Schema takes 2.0 for 2
                return [Fault((), "DK210", f"{value} is written with a point; write {value:.0f}")]
            return [_wrong_type(value, node, kind)]
        if search is not None and not search(value):
            return [Fault((), "DK108", f"{shown(value)} is not {node.get('x-expected') or _described(node)}")]
        if shortest and len(value) < shortest:
            return [Fault((), "DK110", "is empty; text must stand here")]
        if bounded and not (
            (least is None or value >= least) and (above is None or value > above) and (most is None or value <= most)
        ):
            return [Fault((), "DK110", f"{shown(value)} is out of range; expected {_range(node)}")]
        return None

    return check


def _enum(allowed: list[Any], node: dict[str, Any]) -> Rule:
    known = tuple(str(item) for item in allowed)
    kinds = {type(item) for item in allowed}

    def check(value: Any) -> list[Fault] | None:
        if type(value) in kinds and value in allowed:
            return None
        if type(value) not in kinds:
            return [_wrong_type(value, node, str(node.get("type") or "string"))]
        message = f"{shown(value)} is not allowed; expected {_listed(list(known))}"
        return [Fault((), "DK107", message, word=str(value), known=known)]

    return check


def _by_type(rules: dict[str, Rule]) -> Rule:
    known = tuple(sorted(rules))

    def check(value: Any) -> list[Fault] | None:
        if type(value) is not dict:
            return [_wrong_type(value, {}, "object")]
        if "type" not in value:
            return [Fault((), "DK106", 'key "type" is missing', known=known)]
        rule = rules.get(value["type"]) if isinstance(value["type"], str) else None
        if rule is None:
            message = f"{shown(value['type'])} is not a platform type; expected {_listed(list(known))}"
            return [Fault(("type",), "DK107", message, word=str(value["type"]), known=known)]
        return rule(value)

    return check


def _wrong_type(value: Any, node: dict[str, Any], kind: str) -> Fault:
    expected = node.get("x-expected") or _WORDS[kind]
    return Fault((), "DK105", f"expected {expected}, found {shown(value)}{_hint(value, kind)}")


def _wrong_any(value: Any, node: dict[str, Any], options: list[dict[str, Any]]) -> Fault:
    kinds = [_kind(option) for option in options]
    expected = node.get("x-expected") or _listed(list(dict.fromkeys(_WORDS[kind] for kind in kinds if kind != "null")))
    fits = any(type(value) in _TYPES[kind] for kind in kinds)
    if fits and isinstance(value, str):
        return Fault((), "DK108", f"{shown(value)} is not {expected}")
    if fits:
        return Fault((), "DK110", f"{shown(value)} is out of range; expected {expected}")
    return Fault((), "DK105", f"expected {expected}, found {shown(value)}{_hint(value, kinds[0])}")


def _hint(value: Any, kind: str) -> str:
    if kind == "string" and isinstance(value, (int, float)):
        return "; put it in quotes"
    if kind == "boolean" and isinstance(value, str):
        return "; only true and false are booleans here"
    return ""


def _described(node: dict[str, Any]) -> str:
    return f"of the form {node['pattern']}"


def _range(node: dict[str, Any]) -> str:
    words = (("minimum", "at least"), ("exclusiveMinimum", "above"), ("maximum", "at most"))
    return " and ".join(f"{word} {node[key]}" for key, word in words if key in node)


def _listed(words: list[str], last: str = "or") -> str:
    quoted = [str(word) for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"
