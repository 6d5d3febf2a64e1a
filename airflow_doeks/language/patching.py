"""A value set in a YAML file by the place of its node: what stands around it, comments too, stays as it was."""

from __future__ import annotations

import copy
from typing import Any

import yaml

from airflow_doeks.language.text import Document, Refused, parse
from airflow_doeks.model.errors import SpecError

Path = tuple[str, ...]


def with_value(document: Document, path: Path, value: str) -> str:
    """The text with a plain scalar at a path, or one more item of the list that stands there.

    Keys that are missing are written, in the style of the mapping above them. SpecError where the place is shared
    (an anchor), or holds something else.
    """
    node, depth = document.root, 0
    while depth < len(path) and isinstance(node, yaml.MappingNode):
        below = next((child for key, child in node.value if key.value == path[depth]), None)
        if below is None:
            break
        if not _is_inside(below, node):
            msg = f"{document.file}: {'.'.join(path)} stands in an anchor, which others may share"
            raise SpecError(msg)
        node, depth = below, depth + 1
    text, missing = document.text, path[depth:]
    if not missing and isinstance(node, yaml.ScalarNode) and node.value:
        return _checked(document, path, value, _put(text, node.start_mark.index, node.end_mark.index, value))
    if not missing and isinstance(node, yaml.SequenceNode):
        return _checked(document, path, value, _into(text, node, node.value, value))
    if missing and isinstance(node, yaml.MappingNode):
        *above, last = missing[1:] or [""]
        inner = f"{last}: {value}" if last else value
        for name in reversed(above):
            inner = f"{name}: {{{inner}}}"
        entry = f"{missing[0]}: {{{inner}}}" if last else f"{missing[0]}: {value}"
        return _checked(document, path, value, _into(text, node, [key for key, _ in node.value], entry))
    msg = f"{document.file}: {'.'.join(path[:depth])} is no place for {'.'.join(missing) or value}"
    raise SpecError(msg)


def _is_inside(node: Any, outer: Any) -> bool:
    return bool(outer.start_mark.index <= node.start_mark.index and node.end_mark.index <= outer.end_mark.index)


def _put(text: str, start: int, end: int, new: str) -> str:
    return text[:start] + new + text[end:]


def _into(text: str, node: Any, items: list[Any], entry: str) -> str:
    """One more entry: behind the last in braces or brackets, else in a line of its own before the first."""
    if node.flow_style:
        close = node.end_mark.index - 1
        at = len(text[:close].rstrip())  # a comma may not stand behind a comment
        line = text[:at].rpartition("\n")[2]
        if "#" in line:
            at = close
        return _put(text, at, at, f", {entry}" if items and not text[:at].endswith(",") else entry)
    first = items[0].start_mark.index
    before = text[:first].rpartition("\n")[2]  # the indent, and `- ` of a list
    return _put(text, first, first, f"{entry}\n{before}")


def _checked(document: Document, path: Path, value: str, text: str) -> str:
    """The text, if it says what it said with this one value more; SpecError else."""
    wanted = copy.deepcopy(document.data)
    place = wanted
    for step in path[:-1]:
        place = place.setdefault(step, {})
    listed = place.get(path[-1])
    try:
        found = parse(text.encode(), document.file).data
        plain = parse(f"v: {value}".encode(), "value").data["v"]
    except Refused as error:
        msg = f"{document.file}: {'.'.join(path)} cannot be written there: {error}"
        raise SpecError(msg) from error
    if isinstance(listed, list):
        place[path[-1]] = found_list = _walk(found, path)
        is_same = isinstance(found_list, list) and sorted(map(str, found_list)) == sorted(
            [*map(str, listed), str(plain)]
        )
    else:
        place[path[-1]] = plain if not isinstance(plain, list) else _walk(found, path)
        is_same = True
    if not is_same or found != wanted:
        msg = f"{document.file}: {'.'.join(path)} cannot be written there without a change of something else"
        raise SpecError(msg)
    return text


def _walk(data: Any, path: Path) -> Any:
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data
