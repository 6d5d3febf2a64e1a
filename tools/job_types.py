"""airflow_doeks/model/job_types.py from the JSON Schema: jobs as TypedDicts, for editors of hand-written DAGs."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import Any

from airflow_doeks.model.engine import ENGINES

_HEAD = '''"""Jobs as types, for editors of hand-written DAGs. Written by tools/write_schema.py; nothing runs here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict
'''
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def render(definitions: Mapping[str, Any]) -> str:
    """The text of the file."""
    written: dict[str, str] = {}
    for row in ENGINES.values():
        _write(f"{row.title}Job", definitions, written)
    return "\n\n".join([_HEAD, *written.values()])


def _write(name: str, definitions: Mapping[str, Any], written: dict[str, str]) -> None:
    """One definition, after those that it names."""
    if name in written:
        return
    written[name] = ""
    needed: list[str] = []
    node = definitions[name]
    fields = {key: _type(value, needed) for key, value in node["properties"].items()}
    del written[name]
    for below in needed:
        if below != name:
            _write(below, definitions, written)
    if any(map(keyword.iskeyword, fields)):
        lines = [f'    "{key}": {_quoted(kind, name)},' for key, kind in fields.items()]
        body = "\n".join([f'{name}Values = TypedDict(\n    "{name}Values",\n    {{', *(f"    {x}" for x in lines)])
        written[name] = f"{body}\n    }},\n    total=False,\n)\n"
        return
    words = str(node["description"]).split("\n", 1)[0]
    lines = [f"    {key}: {kind}" for key, kind in fields.items()]
    written[name] = "\n".join([f"class {name}Values(TypedDict, total=False):", f'    """{words}"""', "", *lines]) + "\n"


def _quoted(kind: str, name: str) -> str:
    return f'"{kind}"' if f"{name}Values" in kind else kind


def _type(node: Mapping[str, Any], needed: list[str]) -> str:
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        needed.append(name)
        return f"{name}Values"
    if options := node.get("anyOf") or node.get("oneOf"):
        kinds = (_type(one, needed) for one in options if one.get("$ref") != "#/$defs/Variable")
        return " | ".join(dict.fromkeys(kinds))
    if "enum" in node or "const" in node:
        return f"Literal[{', '.join(f'{chr(34)}{one}{chr(34)}' for one in node.get('enum') or [node['const']])}]"
    if node.get("type") == "array":
        return f"Sequence[{_type(node['items'], needed)}]"
    if node.get("type") == "object":
        inner = next(iter(node.get("patternProperties", {}).values()), node.get("additionalProperties"))
        return f"Mapping[str, {_type(inner, needed) if isinstance(inner, dict) else 'Any'}]"
    return _PLAIN[node["type"]]
