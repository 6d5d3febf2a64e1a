"""Assets in dag-factory's notations: lists of them, and conditions with AND and OR."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_doeks.dialects.dag_factory.notes import Handler, Note, Taken, lost
from airflow_doeks.dialects.dag_factory.text import Tagged
from airflow_doeks.dialects.dag_factory.values import members_of, type_of

Word = Literal["any", "all"]
_ASSETS = ("Asset", "Dataset")  # Airflow 3's class and Airflow 2's
_CLASSES: Mapping[str, Word] = {  # class of a condition -> our word
    "AssetAny": "any",
    "DatasetAny": "any",
    "AssetAll": "all",
    "DatasetAll": "all",
}
_KEYS: Mapping[str, Word] = {"__or__": "any", "__and__": "all"}
_SIGNS: Mapping[Word, str] = {"any": " | ", "all": " & "}
_TOKEN = re.compile(r"\s*([()&|]|[^\s()&|]+)")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/\S*")


@dataclass(frozen=True)
class Condition:
    """Updates that start a run: any or all of the parts, which are URIs or conditions."""

    word: Word
    parts: tuple[str | Condition, ...]

    def __str__(self) -> str:
        return _SIGNS[self.word].join(part if isinstance(part, str) else f"({part})" for part in self.parts)


class NotAssets(ValueError):
    """A value that is no condition on assets with URIs."""


def condition_of(value: Any, word: Word = "all") -> tuple[Condition, tuple[Note, ...]]:
    """The condition of a value, and what its assets say besides their URI; a bare list means ``word``.

    Raises NotAssets for anything else, also for an asset without a URI.
    """
    notes: list[Note] = []
    found = _condition(value, word, notes)
    return (Condition(word, (found,)) if isinstance(found, str) else found), tuple(notes)


def _condition(value: Any, word: Word, notes: list[Note]) -> str | Condition:
    value = members_of(value)
    if isinstance(value, str):
        return _read_text(value)
    if isinstance(value, list):
        return _joined(word, [_condition(item, "all", notes) for item in value if item not in (None, "")])
    name = type_of(value)
    if name in _ASSETS:
        return _uri_of(value, notes)
    if name in _CLASSES and set(value) <= {"__type__", "__args__"}:
        return _condition(value.get("__args__"), _CLASSES[name], notes)
    if isinstance(value, Mapping) and len(value) == 1:
        (key, parts), *_ = value.items()
        if key in _KEYS and isinstance(members_of(parts), list):
            return _condition(parts, _KEYS[key], notes)
    raise NotAssets(value)


def _joined(word: Word, parts: list[str | Condition]) -> str | Condition:
    """The parts as one condition; what says the same without a level is written without it."""
    flat: dict[str | Condition, None] = {}
    for part in parts:
        inner = part.parts if isinstance(part, Condition) and part.word == word else (part,)
        flat |= dict.fromkeys(inner)
    if not flat:
        raise NotAssets(parts)
    return next(iter(flat)) if len(flat) == 1 else Condition(word, tuple(flat))


def _uri_of(asset: Mapping[str, Any], notes: list[Note]) -> str:
    """The URI of an asset; in Airflow 3 the name comes first, and one that is given alone is both."""
    rest = {key: item for key, item in asset.items() if key not in ("__type__", "__args__")}
    rest |= dict(zip(("name", "uri"), asset.get("__args__") or (), strict=False))
    name = rest.pop("name", None)
    uri = rest.pop("uri", None) or name
    if not isinstance(uri, str) or not _URI.fullmatch(uri):
        raise NotAssets(asset)
    if name not in (None, uri):
        notes.append(lost("name", name, f"the asset is known by its URI {uri}"))
    notes += [lost(key, item, f"of the asset {uri}") for key, item in rest.items() if item not in (None, {}, [])]
    return uri


def _read_text(text: str) -> str | Condition:
    """The condition in words such as ``(s3://a/b & s3://c/d) | s3://e/f``; as in Python, & binds before |."""
    tokens = [match[1] for match in _TOKEN.finditer(text)]
    found = _either(tokens)
    if tokens:
        raise NotAssets(text)
    return found


def _either(tokens: list[str]) -> str | Condition:
    parts = [_both(tokens)]
    while tokens[:1] == ["|"]:
        del tokens[0]
        parts.append(_both(tokens))
    return _joined("any", parts)


def _both(tokens: list[str]) -> str | Condition:
    parts = [_operand(tokens)]
    while tokens[:1] == ["&"]:
        del tokens[0]
        parts.append(_operand(tokens))
    return _joined("all", parts)


def _operand(tokens: list[str]) -> str | Condition:
    token = tokens.pop(0) if tokens else ""
    if token == "(":  # noqa: S105 - a bracket
        found = _either(tokens)
        if tokens[:1] != [")"]:
            raise NotAssets(tokens)
        del tokens[0]
        return found
    if not _URI.fullmatch(token):
        raise NotAssets(token)
    return token


def asset_list(ours: str) -> Handler:
    """The handler of the assets of a task; of those that have no URI a note."""

    def handle(key: str, value: Any) -> Taken:
        items = members_of(value)
        found: list[str] = []
        notes: list[Note] = []
        for item in items if isinstance(items, list) else [items]:
            try:
                uri = _condition(item, "all", notes)
            except NotAssets:
                uri = None
            if isinstance(uri, str):
                found.append(uri)
            else:
                notes.append(lost(key, item, "write URIs"))
        return Taken({ours: found} if found else {}, notes=tuple(notes))

    return handle


def every_text(value: Any) -> Iterator[str]:
    """Every text in a value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from every_text(item)
    elif isinstance(value, list):
        for item in value:
            yield from every_text(item)
    elif isinstance(value, Tagged):
        yield from every_text(value.value)
