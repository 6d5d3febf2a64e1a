"""Text of dag-factory's YAML to plain values of the shape that the conversion expects; nothing that it names is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from airflow_doeks.dialects.dag_factory.values import Tagged
from airflow_doeks.language.ids import is_dag_id
from airflow_doeks.language.layers import merge
from airflow_doeks.language.text import LINE_LENGTH, MAX_NODES
from airflow_doeks.model.errors import SpecError


class _Loader(yaml.SafeLoader):
    pass


_Loader.add_multi_constructor("", lambda _loader, suffix, _node: Tagged(suffix))


def read_dags(text: str, name: str) -> dict[str, dict[str, Any]]:
    """DAG id -> its mapping with the file's defaults merged in.

    Raises SpecError, with the name of the file, for text that is no dag-factory YAML, for an alias bomb, and for a DAG
    id that cannot be the path of a pipeline.
    """
    document = _load(text, name)
    dags = {key: dag for key, dag in document.items() if key != "default"} if isinstance(document, dict) else {}
    if not dags or not all(isinstance(dag, dict) and "tasks" in dag for dag in dags.values()):
        msg = f"{name}: expected dag-factory YAML: DAG ids with `tasks` below them"
        raise SpecError(msg)
    default = document.get("default") or {}
    found = {str(dag_id): merge(default, dag) for dag_id, dag in dags.items()}
    for dag_id in found:
        if not is_dag_id(dag_id, ""):
            msg = (
                f'{name}: DAG id {dag_id!r} is no path of a pipeline: expected letters, digits, "_" and "-" between "."'
            )
            raise SpecError(msg)
    return found


def entries_of(found: Mapping[str, Any], key: str, name_key: str) -> dict[str, dict[str, Any]]:
    """Tasks or groups of a DAG by name, from a mapping (dag-factory 0.x) or a list with ``name_key`` (1.x)."""
    entries = found.get(key) or {}
    if isinstance(entries, list) and all(isinstance(entry, dict) and name_key in entry for entry in entries):
        return {str(entry[name_key]): entry for entry in entries}
    if isinstance(entries, dict) and all(isinstance(entry or {}, dict) for entry in entries.values()):
        return {str(name): entry or {} for name, entry in entries.items()}
    msg = f"`{key}` is neither a mapping of mappings nor a list of mappings with `{name_key}`"
    raise ValueError(msg)


def _load(text: str, name: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _is_bomb(node):
            msg = f"{name}: more than {MAX_NODES:,} values once aliases are expanded"
            raise SpecError(msg)
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError) as error:  # a ValueError is a date or a number that does not exist
        msg = f"{name}: {error}"
        raise SpecError(msg) from error
    except RecursionError as error:
        msg = f"{name}: nested too deep"
        raise SpecError(msg) from error
    finally:
        loader.dispose()


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
