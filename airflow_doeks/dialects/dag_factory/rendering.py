"""A converted pipeline as text: our YAML with the notes as comments where they belong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from airflow_doeks.dialects.dag_factory.notes import Note
from airflow_doeks.language.text import plain

_DATE = "tag:yaml.org,2002:timestamp"
_BREAKS = frozenset("\r\x85\u2028\u2029")  # end a line for YAML, so a block would lose its indent


class _Dumper(yaml.SafeDumper):
    """Dates without quotes: in our YAML they are text."""

    yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] != _DATE]
        for first, pairs in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_typed = "\n" not in text and not isinstance(plain(text), str)  # to us also what YAML 1.1 takes for text, as 1e3
    style = '"' if _BREAKS.intersection(text) else "|" if "\n" in text else "'" if is_typed else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text_node)


def pipeline_text(dag_id: str, pipeline: Mapping[str, Any], notes: Mapping[str, Sequence[Note]]) -> str:
    """The file of a pipeline; ``notes`` are by task id, ``""`` for the pipeline's own."""
    return "\n".join(_lines(dag_id, literal(dict(pipeline)), notes)) + "\n"


def literal(value: Any) -> Any:
    """The value with each ``${`` of the source as ``$${``: in our YAML ``${name}`` is a variable."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: literal(item) for key, item in value.items()}
    return [literal(item) for item in value] if isinstance(value, list) else value


def _lines(dag_id: str, pipeline: Mapping[str, Any], notes: Mapping[str, Sequence[Note]]) -> Iterator[str]:
    yield f"# Converted from the dag-factory DAG {dag_id}."
    yield from _comments(notes.get("", ()), "")
    yield from _yaml_lines({key: value for key, value in pipeline.items() if key != "tasks"})
    yield "tasks:"
    yield from _task_lines(pipeline["tasks"], "", notes)


def _task_lines(tasks: Mapping[str, Any], parent: str, notes: Mapping[str, Sequence[Note]]) -> Iterator[str]:
    indent = "  " * (2 * parent.count(".") + 1)
    for name, task in tasks.items():
        yield from _comments(notes.get(f"{parent}{name}", ()), indent)
        yield f"{indent}{_key(name)}:"
        body = {key: value for key, value in task.items() if key != "tasks"}
        yield from (f"{indent}  {line}" for line in _yaml_lines(body))
        if "tasks" in task:
            yield f"{indent}  tasks:"
            yield from _task_lines(task["tasks"], f"{parent}{name}.", notes)


def _key(name: str) -> str:
    return str(yaml.dump(name, Dumper=_Dumper)).partition("\n")[0]


def _comments(notes: Sequence[Note], indent: str) -> Iterator[str]:
    yield from (f"{indent}# {'TODO' if note.todo else 'NOTE'} {note.text}" for note in notes)


def _yaml_lines(entry: Mapping[str, Any]) -> Iterator[str]:
    """Lines of YAML: a key a line, short collections in one line, long text as a block."""
    for key, value in entry.items():
        style = None if isinstance(value, (dict, list)) else False
        text: str = yaml.dump(
            {key: value},
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            width=110,
            default_flow_style=style,
        )
        yield from text.removesuffix("\n").split("\n")
