"""docs/yaml.md from the JSON Schema: every key with its type, default and meaning; docs/errors.md from the codes.

Run: `python tools/write_reference.py`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airflow_doeks.language.codes import codes, explain
from airflow_doeks.language.operators import aliases
from airflow_doeks.language.rules import VARIABLE, schema

DOCS = Path(__file__).parents[1] / "docs"
_GROUPS = {
    "DK1": "Structure: what the JSON Schema rejects, or what is no document at all",
    "DK2": "Meaning: beyond the schema",
    "DK3": "Policy: what the platform team demands in doeks.yaml",
    "DK4": "Platform: what would be refused when the job is sent",
    "DK9": "Ourselves: what no file should meet",
}
_INTRO = """# The YAML language

Generated from the models. A pipeline is one file below `pipelines/`; its DAG id is its path with "/" as ".".
`doeks.yaml`, the nearest one upward, is the platform team's. Editors check both while you type with the first line
`# yaml-language-server: $schema=<path>`, where `doeks schema` prints the schema.

Merge, last wins: presets, `defaults` of doeks.yaml, of the environment, of the pipeline, the task. Mappings merge by
key, lists and scalars replace, null takes an inherited value away. `platform` of an environment goes before all.
`${name}` takes a variable of the environment, `$${` is a literal `${`. `{{ ... }}` is rendered by Airflow when the task
runs: in jobs, `with`, cost tags, `reads` and `writes`.
"""


def yaml_page() -> str:
    """docs/yaml.md."""
    parts = [_INTRO]
    for title, name in (("pipelines/*.yaml", "pipeline"), ("doeks.yaml", "doeks")):
        document = schema(name)
        known = schema("pipeline")["$defs"] if name == "doeks" else {}
        parts += [f"## {title}", "", *_table(document)]
        for key, definition in document["$defs"].items():
            if key != "Variable" and key not in known and "properties" in definition:
                parts += [
                    f"### {key.replace('_', ' ', 1)}",
                    "",
                    definition.get("description", ""),
                    "",
                    *_table(definition),
                ]
    parts += ["## Aliases of `uses`", "", "| alias | operator | arguments (bold: must be given) |", "|---|---|---|"]
    for key, alias in aliases().items():
        listed = ", ".join(f"**{name}**" if name in alias.needs else name for name in alias.takes)
        parts.append(f"| `{key}` | `{alias.path}` | {listed} |")
    parts += ["", "## Presets"]
    for engine, names in schema("pipeline")["x-presets"].items():
        parts += ["", f"Of `{engine}`: {', '.join(f'`{name}`' for name in names) or 'none yet'}."]
    return "\n".join(parts) + "\n"


def _table(node: dict[str, Any]) -> list[str]:
    required = node.get("required", ())
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, value in node["properties"].items():
        default = "required" if key in required else f"`{json.dumps(value['default'])}`" if "default" in value else ""
        example = (
            f" Example: `{json.dumps(value['examples'][0], ensure_ascii=False)}`." if value.get("examples") else ""
        )
        cells = (f"`{key}`", _type(value), default, value.get("description", "") + example)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return [*rows, ""]


def _type(node: dict[str, Any]) -> str:
    if "x-expected" in node:
        return str(node["x-expected"])
    options = node.get("anyOf") or node.get("oneOf")
    if options:
        return " or ".join(dict.fromkeys(_type(one) for one in options if one != VARIABLE))
    if "enum" in node or "const" in node:
        return ", ".join(f"`{one}`" for one in node.get("enum") or [node["const"]])
    return str(node["$ref"].rpartition("/")[2]) if "$ref" in node else _plain_type(node)


def _plain_type(node: dict[str, Any]) -> str:
    if node.get("type") == "array":
        return f"list of {_type(node.get('items', {}))}"
    if node.get("type") == "object":
        inner = next(iter(node.get("patternProperties", {}).values()), node.get("additionalProperties"))
        return f"mapping of {_type(inner)}" if isinstance(inner, dict) else "mapping"
    return "template" if node.get("pattern", "").startswith("\\{\\{") else str(node.get("type", "anything"))


def errors_page() -> str:
    """docs/errors.md."""
    parts = [
        "# Diagnostics",
        "",
        "Generated from `airflow_doeks/language/codes.yaml`. A code never changes its meaning.",
    ]
    for code in codes():
        if code[3:] == "01":
            parts += ["", f"# {_GROUPS[code[:3]]}"]
        parts += ["", explain(code) or ""]
    return "\n".join(parts) + "\n"


PAGES = {"errors.md": errors_page, "yaml.md": yaml_page}


def main() -> int:
    """Write the pages; with ``--check`` only tell which differ (exit 1)."""
    stale = [
        name for name, page in PAGES.items() if not (DOCS / name).exists() or (DOCS / name).read_text("utf-8") != page()
    ]
    if "--check" not in sys.argv:
        DOCS.mkdir(exist_ok=True)
        for name, page in PAGES.items():
            (DOCS / name).write_text(page(), "utf-8")
        return 0
    for name in stale:
        sys.stderr.write(f"docs/{name} is not what the models say; run python tools/write_reference.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
