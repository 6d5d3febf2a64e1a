"""What people write who come from another tool, and what is written here: the next step of a diagnostic."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_doeks.language.diagnostics import Diagnostic
from airflow_doeks.language.ids import root_of
from airflow_doeks.language.operators import aliases, owned_arguments
from airflow_doeks.language.rules import schema
from airflow_doeks.language.text import Document

_NEARLY = 0.9  # so alike is a word that only a letter was forgotten
_DAG_WORDS = frozenset({"tasks", "default_args", "task_groups", "schedule_interval"})  # of a DAG of dag-factory


def key_advice(kind: str, word: str, known: tuple[str, ...]) -> str:
    """What to write instead of a key that there is not, where the ``known`` ones may stand; empty if nobody can say.

    ``kind`` is ``pipeline`` or ``doeks``.
    """
    row = _table().get(word, {})
    for name, advice in row.items() if isinstance(row, dict) else [(row, f"write {row}")]:
        if name in known:
            return str(advice)
    owned = owned_arguments().get(word, "") if "needs" in known else ""
    if owned:
        return f"write {owned}"
    below = [name for name in known if word in _keys_below(kind).get(name, ())]
    if "with" in known and any(word in alias.takes for alias in aliases().values()):
        below = ["with"]
    if below and not difflib.get_close_matches(word, known, 1, _NEARLY):
        return f"write it under {' or '.join(below)}"
    if kind == "pipeline" and "tasks" not in known and "needs" not in known and word in _keys_of_tasks():
        return "write it at the task"
    if word in schema(kind)["properties"] and "tasks" not in known:
        return "write it at the top of the file"
    return ""


def shape_advice(path: tuple[Any, ...], value: Any) -> str:
    """What to write instead of a list of assets, as Airflow takes it; empty for any other value."""
    if path not in (("schedule",), ("schedule", "assets")) or not isinstance(value, list):
        return ""
    return "write {assets: {all: [...]}}; any in place of all starts a run at each update"


@functools.lru_cache(maxsize=1)
def _table() -> Mapping[str, Any]:
    import yaml

    found: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("slips.yaml").read_text("utf-8"))
    return found


@functools.lru_cache(maxsize=1)
def _keys_of_tasks() -> frozenset[str]:
    """The keys that every kind of task has."""
    definitions = schema("pipeline")["$defs"]
    return frozenset.intersection(*(frozenset(definitions[name]["properties"]) for name in ("SparkTask", "UsesTask")))


@functools.lru_cache(maxsize=2)
def _keys_below(kind: str) -> Mapping[str, frozenset[str]]:
    """Key that holds a mapping of fixed keys -> those keys."""
    document = schema(kind)
    found: dict[str, set[str]] = {}
    for node in (document, *document["$defs"].values()):
        for name, value in node.get("properties", {}).items():
            for option in (value, *value.get("anyOf", ())):
                below = document["$defs"].get(option.get("$ref", "").rpartition("/")[2], {})
                found.setdefault(name, set()).update(below.get("properties", ()))
    return {name: frozenset(keys) for name, keys in found.items() if keys}


def other_dialect(document: Document) -> Diagnostic | None:
    """A file of dag-factory, told once instead of key by key; None for a pipeline."""
    data = document.data
    if not isinstance(data, dict) or "tasks" in data:
        return None
    dags = [name for name, dag in data.items() if isinstance(dag, dict) and name != "default" and _is_dag(dag)]
    if not dags:
        return None
    message = f'this is a file of dag-factory: "{dags[0]}" holds a whole DAG'
    advice = f"doeks convert {document.file} --out {root_of(document.file)} writes it as pipelines"
    return document.fault("DK114", message, (dags[0],), at_key=True, help=advice)


def _is_dag(value: Mapping[str, Any]) -> bool:
    tasks = value.get("tasks")
    entries = list(tasks.values()) if isinstance(tasks, dict) else tasks if isinstance(tasks, list) else []
    return bool(_DAG_WORDS.intersection(value)) and any(isinstance(one, dict) and "operator" in one for one in entries)
