"""Text of dag-factory's YAML to plain values of the shape that the conversion expects; nothing that it names is run."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from airflow_doeks.language.text import LINE_LENGTH, MAX_NODES
from airflow_doeks.model.errors import SpecError

_DATE = "tag:yaml.org,2002:timestamp"
_PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True, eq=False)
class Tagged:
    """What stood under a YAML tag, which is not run."""

    tag: str
    value: Any


class _Loader(yaml.SafeLoader):
    """YAML 1.1, as dag-factory reads it, but dates stay as they are written."""

    yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] != _DATE]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _tagged(loader: _Loader, tag: str, node: Any) -> Tagged:
    if isinstance(node, yaml.ScalarNode):
        return Tagged(tag, loader.construct_scalar(node))
    if isinstance(node, yaml.SequenceNode):
        return Tagged(tag, loader.construct_sequence(node, deep=True))
    return Tagged(tag, loader.construct_mapping(node, deep=True))


_Loader.add_multi_constructor("", _tagged)


def load(text: str, name: str) -> tuple[Any, list[str]]:
    """The plain value of a file, and the keys that stand twice in a mapping, with their lines.

    Mappings have keys of text. Raises SpecError, with the name of the file, for text that is no YAML and for an alias
    bomb.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, []
        if _is_bomb(node):
            msg = f"{name}: more than {MAX_NODES:,} values once aliases are expanded"
            raise SpecError(msg)
        doubles = list(_doubles(node))
        return _plain(loader.construct_document(node)), doubles
    except (yaml.YAMLError, ValueError) as error:  # a ValueError is a number that does not exist
        msg = f"{name}: {error}"
        raise SpecError(msg) from error
    except RecursionError as error:
        msg = f"{name}: nested too deep"
        raise SpecError(msg) from error
    finally:
        loader.dispose()


def entries_of(found: Mapping[str, Any], key: str, name_key: str) -> dict[str, dict[str, Any]]:
    """Tasks or groups of a DAG by name, from a mapping (dag-factory 0.x) or a list with ``name_key`` (1.x)."""
    entries = found.get(key) or {}
    if isinstance(entries, list) and all(isinstance(entry, dict) and name_key in entry for entry in entries):
        named = {str(entry[name_key]): _without(entry, name_key) for entry in entries}
        if len(named) < len(entries):
            msg = f"`{key}` has the same `{name_key}` twice"
            raise ValueError(msg)
        return named
    if isinstance(entries, dict) and all(isinstance(entry or {}, dict) for entry in entries.values()):
        return {name: entry or {} for name, entry in entries.items()}
    msg = f"`{key}` is neither a mapping of mappings nor a list of mappings with `{name_key}`"
    raise ValueError(msg)


def _without(entry: Mapping[str, Any], gone: str) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != gone}


def _plain(value: Any) -> Any:
    """The value of mappings with keys of text, lists and scalars; what YAML has besides them is a Tagged."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Tagged):
        return Tagged(value.tag, _plain(value.value))
    if isinstance(value, _PLAIN):
        return value
    inside = [_plain(item) for item in value] if isinstance(value, (set, tuple)) else str(value)
    return Tagged(type(value).__name__, inside)


def _doubles(root: Any) -> Iterator[str]:
    """Keys that an earlier entry of their mapping has, too: YAML keeps the last one."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            seen: set[Hashable] = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                    if key.value in seen:
                        yield f"`{key.value}` stands twice: as in dag-factory, line {key.start_mark.line + 1} counts"
                    seen.add(key.value)
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _is_bomb(root: Any) -> bool:
    """True if the values are too many to write out; an alias that contains itself has no end, and is one, too."""
    waiting, count = [root], 1
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.ScalarNode):
            count += len(node.value) // LINE_LENGTH
            children: list[Any] = []
        elif isinstance(node, yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
        else:
            children = node.value
        count += len(children)
        if count > MAX_NODES:
            return True
        waiting += children
    return False
