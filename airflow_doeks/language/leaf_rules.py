"""Rules for single values, and the words of a fault: the leaves of `rules.py`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

_SHOWN_MAX = 60
_ASSIGNED = re.compile(r"([\w.-]+)=(\S+)")
_DIGITS = re.compile(r"-?\d+(\.\d+)?")
_NOT_OF_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
_NO_BLANK = re.compile(r"([a-z_]+):(\S.*)")
_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


class Fault(NamedTuple):
    """One rejection. ``at_key``: the key is to blame, not its value; ``known``: what would have been right.

    ``help`` is the next step where the value itself shows it.
    """

    path: tuple[Any, ...]
    code: str
    message: str
    at_key: bool = False
    word: str = ""
    known: tuple[str, ...] = ()
    help: str = ""


Rule = Callable[[Any], "list[Fault] | None"]


def shown(value: Any) -> str:
    """A value as a message names it: short, on one line."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = "null" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 3]}..."


def anything(_value: Any) -> None:
    """Accept every value."""


def search_of(pattern: str) -> Callable[[str], Any]:
    """The pattern's search, read as ECMA does: ``$`` is the very end of the text, not before a last line break."""
    return re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", pattern.replace("$)", r"\Z)"))).search


def kind_of(node: dict[str, Any]) -> str:
    """The schema type of a node; without one it is a mapping."""
    return str(node.get("type") or "object")


def scalar_rule(kind: str, node: dict[str, Any]) -> Rule:
    """The rule of a text, a number, a boolean or null with its bounds."""
    types = TYPES[kind]
    search = search_of(node["pattern"]) if "pattern" in node else None
    least, above, most = node.get("minimum"), node.get("exclusiveMinimum"), node.get("maximum")
    shortest = node.get("minLength", 0)
    bounded = least is not None or above is not None or most is not None

    def check(value: Any) -> list[Fault] | None:
        if kind == "integer" and type(value) is float and value.is_integer():  # JSON Schema takes 2.0 for 2
            point = Fault((), "DK210", f"{value} is written with a point; write {value:.0f}")
            return check(int(value)) or [point]
        if type(value) not in types:
            return [wrong_type(value, node, kind)]
        if search is not None and not search(value):
            message = f"{shown(value)} is not {node.get('x-expected') or _described(node)}"
            return [Fault((), "DK108", message, help=_meant(value, search))]
        if shortest and len(value) < shortest:
            return [Fault((), "DK110", "is empty; text must stand here")]
        if bounded and not (
            (least is None or value >= least) and (above is None or value > above) and (most is None or value <= most)
        ):
            return [Fault((), "DK110", f"{shown(value)} is out of range; expected {_range(node)}")]
        return None

    return check


def enum_rule(allowed: list[Any], node: dict[str, Any]) -> Rule:
    """The rule that a value is one of those allowed."""
    known = tuple(str(item) for item in allowed)
    kinds = {type(item) for item in allowed}

    def check(value: Any) -> list[Fault] | None:
        if type(value) in kinds and value in allowed:
            return None
        if type(value) not in kinds:
            return [wrong_type(value, node, str(node.get("type") or "string"))]
        message = f"{shown(value)} is not allowed; expected {listed(list(known))}"
        return [Fault((), "DK107", message, word=str(value), known=known)]

    return check


def platform_rule(rules: dict[str, Rule]) -> Rule:
    """The rule of a platform: the one that its key ``type`` names."""
    known = tuple(sorted(rules))

    def check(value: Any) -> list[Fault] | None:
        if type(value) is not dict:
            return [wrong_type(value, {}, "object")]
        if "type" not in value:
            return [Fault((), "DK106", 'key "type" is missing', known=known)]
        rule = rules.get(value["type"]) if isinstance(value["type"], str) else None
        if rule is None:
            message = f"{shown(value['type'])} is not a platform type; expected {listed(list(known))}"
            return [Fault(("type",), "DK107", message, word=str(value["type"]), known=known)]
        return rule(value)

    return check


def wrong_type(value: Any, node: dict[str, Any], kind: str) -> Fault:
    """A value of another type than the schema says."""
    expected = node.get("x-expected") or _WORDS[kind]
    message = f"expected {expected}, found {shown(value)}{_hint(value, node, kind)}"
    return Fault((), "DK105", message, help=_reshaped(value, node, kind))


def wrong_any(value: Any, node: dict[str, Any], options: list[dict[str, Any]]) -> Fault:
    """A value that no option of an ``anyOf`` takes."""
    kinds = [kind_of(option) for option in options]
    expected = node.get("x-expected") or listed(list(dict.fromkeys(_WORDS[kind] for kind in kinds if kind != "null")))
    fits = any(type(value) in TYPES[kind] for kind in kinds)
    if fits and isinstance(value, str):
        patterns = [search_of(option["pattern"]) for option in options if "pattern" in option]
        help_ = _meant(value, lambda text: any(matches(text) for matches in patterns))
        return Fault((), "DK108", f"{shown(value)} is not {expected}", help=help_)
    if fits:
        return Fault((), "DK110", f"{shown(value)} is out of range; expected {expected}")
    told = f"expected {expected}, found {shown(value)}{_hint(value, options[0], kinds[0])}"
    shapes = (_reshaped(value, option, kind) for option, kind in zip(options, kinds, strict=True))
    return Fault((), "DK105", told, help=_with_unit(value, expected) or next(filter(None, shapes), ""))


def _hint(value: Any, node: dict[str, Any], kind: str) -> str:
    """What is wrong with a value that is nearly one; a number in quotes is no URI yet, and no size of memory."""
    if kind == "string" and isinstance(value, (int, float)):
        is_enough = "pattern" not in node or search_of(node["pattern"])(str(value))
        return "; put it in quotes" if is_enough and not _is_memory(node.get("x-expected")) else ""
    if kind == "boolean" and isinstance(value, str):
        return "; only true and false are booleans here"
    return ""


def _is_memory(expected: str | None) -> bool:
    return "memory" in (expected or "")


def _with_unit(value: Any, expected: str) -> str:
    """A number of memory with the unit that it lacks; empty for what is no memory."""
    from airflow_doeks.model.quantities import meant_memory

    meant = meant_memory(value) if _is_memory(expected) and type(value) in (int, float) else ""
    return meant and f"write {meant}"


def _reshaped(value: Any, node: dict[str, Any], kind: str) -> str:
    """How to write a value of the wrong shape."""
    if kind == "object":
        return _as_mapping(value, node)
    if kind == "array" and isinstance(value, str) and value:
        return f"write [{value}]"
    if kind in ("integer", "number") and isinstance(value, str) and _DIGITS.fullmatch(value):
        return f"write {value}, without quotes"
    return _with_unit(value, node.get("x-expected", ""))


def _as_mapping(value: Any, node: dict[str, Any]) -> str:
    keys = node.get("properties", {})
    if value is None:
        return "write its keys below it, further right"
    if isinstance(value, list):
        return _entries_as_mapping(value)
    if type(value) is int and keys.keys() >= {"min", "max"}:
        return f"write {{min: {value}, max: {value}}}"
    if not isinstance(value, str):
        return ""
    if split := _NO_BLANK.fullmatch(value):
        return f"write a blank behind the colon: {split[1]}: {split[2]}"
    meant = (key for key in ("sql", "main", "memory") if key in keys and (key != "sql" or value.endswith(".sql")))
    return next((f"write {{{key}: {value}}}" for key in meant), "")


def _entries_as_mapping(values: list[Any]) -> str:
    first = values[0] if values else None
    if isinstance(first, dict):
        return 'write a name and a colon above the keys of each entry, in place of the "-"'
    if isinstance(first, str) and (split := _ASSIGNED.fullmatch(first)):
        return f"write each as a key of its own: {split[1]}: {split[2]}"
    return ""


_CORRECTIONS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt])(?:i?b|i)?", re.IGNORECASE),
        lambda found: f"{found[1]}{found[2].upper()}i",
    ),
    (re.compile(r"(\d+)\s*([smhd])[a-z]*", re.IGNORECASE), lambda found: f"{found[1]}{found[2].lower()}"),
    (re.compile(r"([a-z0-9.-]+):([A-Za-z0-9._-]+)"), lambda found: f"{found[1]}/{found[2]}"),
    (re.compile(r"\$?\s*(\d+(?:\.\d+)?)\s*(?:\$|USD)?", re.IGNORECASE), lambda found: found[1]),
    (re.compile(r"(s3[an]?|gs):/?([^/].*)"), lambda found: f"{found[1]}://{found[2]}"),
    (re.compile(r"/[^/].*"), lambda found: f"file://{found[0]}"),
)


def _meant(text: str, fits: Callable[[str], Any]) -> str:
    """What a malformed quantity may have meant, if that fits."""
    found = (meant(match) for pattern, meant in _CORRECTIONS if (match := pattern.fullmatch(text.strip())))
    return next((f"write {one}" for one in found if fits(one)), "")


def no_name(key: str, fits: Callable[[str], Any]) -> Fault:
    """A key that is no name of a task, a platform, a cost tag, ..."""
    near = _NOT_OF_NAMES.sub("_", key).strip("_-")
    message = f"{shown(key)} is not a name: letters, digits, `_` and `-`"
    if key and near == key:
        most = next(length for length in range(len(key), 0, -1) if fits("x" * length))
        message = f"{shown(key)} is too long for a name: {len(key)} characters, at most {most}"
    return Fault((key,), "DK108", message, at_key=True, help=f"write {near}" if fits(near) and near != key else "")


def _described(node: dict[str, Any]) -> str:
    examples = node.get("examples")
    return f"of a form such as {examples[0]}" if examples else f"of the form {node['pattern']}"


def _range(node: dict[str, Any]) -> str:
    words = (("minimum", "at least"), ("exclusiveMinimum", "above"), ("maximum", "at most"))
    return " and ".join(f"{word} {node[key]}" for key, word in words if key in node)


def listed(words: list[str], last: str = "or") -> str:
    """Words as a sentence names them: ``a, b or c``."""
    quoted = [str(word) for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"
