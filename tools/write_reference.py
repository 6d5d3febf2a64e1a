"""The reference in docs/: yaml.md from the JSON Schema, errors.md, ledger.md, commands.md, settings.md from code.

A key that several kinds of tasks, or several platform types, take alike stands in one table, which they all name.

Run: `python tools/write_reference.py`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from command_pages import commands_page, settings_page

from airflow_doeks.language.codes import codes, explain
from airflow_doeks.language.operators import aliases
from airflow_doeks.language.rules import VARIABLE, schema
from airflow_doeks.ledger.parquet import TYPES
from airflow_doeks.model.tables import TABLES

DOCS = Path(__file__).parents[1] / "docs"
_GROUPS = {
    "DK1": "Structure: what the JSON Schema rejects, or what is no document at all",
    "DK2": "Meaning: beyond the schema",
    "DK3": "Policy: what the platform team demands in doeks.yaml",
    "DK4": "Platform: what would be refused when the job is sent",
    "DK9": "Ourselves: what no file should meet",
}
_FAMILIES = (("Keys of every task", "*Task"), ("Keys of platforms", "platform_*"))  # title, which definitions
_LIKE_A_TASK = {"*Task": "PipelineDefaults"}
_INTRO = """# The YAML language

Generated from the models. A pipeline is one file below `pipelines/`; its DAG id is its path with "/" as ".".
`doeks.yaml`, the nearest one upward, is the platform team's. Editors check both while you type with the first line
`# yaml-language-server: $schema=../pipeline.schema.json`; `doeks schema --write` writes that file beside doeks.yaml,
with the names of the project.

Merge, last wins: presets, `defaults` of doeks.yaml, of the environment, of the pipeline, the task. Mappings merge by
key, lists and scalars replace, null, where the type has it, takes an inherited value away. `platform` of an
environment goes before all.
`${name}` takes a variable of the environment, `$${` is a literal `${`. `{{ ... }}` is rendered by Airflow when the task
runs: in jobs, `with`, cost tags, `reads` and `writes`.
"""
_LEDGER = """# The ledger: what stands where, and how to ask it

Every job leaves one JSON record below `[doeks] ledger_path`, which is the source of every number on [the pages](ui.md)
and in `doeks report`. The tables below are generated from the code; columns are added, none changes its meaning.

| object | holds |
| --- | --- |
| `v1/submitted=DAY/<record_id>.json` | a record; day is the UTC day of submission, the highest `revision` holds |
| `v1/submitted=DAY/<record_id>.actual.json` | what the bill said |
| `v1/submitted=DAY/<record_id>.detail.json.zst` | minutes, pods, stages, columns, advice, the end of the log |
| `v1/submitted=DAY/part.jsonl.zst` | the records of a compacted day with their bills, a line each |
| `v2/records/day=DAY/part.parquet`, `v2/datasets/...`, `v2/minutes/...` | the same day as tables |

## Compaction

`pip install 'airflow-doeks[report]'` brings DuckDB, and `doeks ledger compact`, once a day, makes one object and three
Parquet files of each day that ended three days ago. It may be killed at any moment and loses nothing: loose records are
deleted last, and only those that nobody wrote anew meanwhile. A late record or a bill stands loose beside the part, is
read at once, and is taken in by the next run. Details stay where they are. Run one at a time.

Whoever reads records (tasks, pages, `doeks report`) reads loose and compacted days alike and needs no DuckDB for it.
With the extra, `doeks report` asks DuckDB over both instead of reading each record; dollars are the same to the last
digit (by capacity type to seven places). It takes 144 MB at most at first and puts the rest on disk; what cannot go
there is asked once more with what the machine has.

`python benchmarks/report.py`: 100,000 records of 30 days, 29 of them compacted (3,333 objects are loose), in an HTTP
store that answers after 20 ms. Seconds of the clock on two quiet cores, and of the processor. Plain JSON fetches all
objects and parses each line.

| | clock | processor | memory |
| --- | --- | --- | --- |
| plain JSON, by team | 3.6 | 2.8 | 233 MB |
| `--by team` | 2.9 | 1.8 | 202 MB |
| `--by pipeline` | 2.9 | 1.8 | 204 MB |
| `--by task` | 2.8 | 1.7 | 205 MB |
| `--by dataset` | 3.0 | 2.0 | 238 MB |
| `--by platform` | 2.9 | 1.8 | 202 MB |
| `--by capacity` | 3.3 | 2.7 | 272 MB |
| `--by day` | 2.8 | 1.7 | 201 MB |
| `--by hour` | 3.2 | 2.3 | 278 MB |
| `--by minute` | 4.4 | 3.4 | 283 MB |
| `--sla --by task` | 2.8 | 1.8 | 203 MB |
| `--upstream` | 3.2 | 2.3 | 256 MB |
| `--by team --since 2026-11-16 --compare previous` | 3.3 | 1.9 | 186 MB |
| `--by dataset`, S3 by boto3 | 8.8 | 8.4 | 354 MB |

The aims are 5 s and 300 MB. Through boto3 and Airflow's S3 hook both are missed: the hook takes seconds to import, and
each of the loose objects 1.5 ms.

## Athena, Trino, Spark

`doeks ledger ddl --engine athena|trino|spark` prints tables over `v2/`, and the views `doeks_records`, `doeks_datasets`
and `doeks_minutes`, in which each record stands once. They hold compacted days; younger ones are not in them.

```sql
SELECT r.team, d.dataset, sum(d.usd) AS usd
FROM doeks_datasets d JOIN doeks_records r ON r.record_id = d.record_id
WHERE d.direction = 'output' GROUP BY r.team, d.dataset ORDER BY usd DESC
```

Of these statements those of Spark were run (Spark 4, in the tests, against DuckDB to the last digit); Athena's and
Trino's were not.

## Tables

Times are UTC without a zone. Amounts have ten places. What is unknown is null, never 0.
"""


def yaml_page() -> str:
    """docs/yaml.md."""
    parts = [_INTRO]
    for title, name in (("pipelines/*.yaml", "pipeline"), ("doeks.yaml", "doeks")):
        document = schema(name)
        known = schema("pipeline")["$defs"] if name == "doeks" else {}
        parts += [f"## {title}", "", *_table(document["properties"], document.get("required", ()))]
        definitions = {
            key: node for key, node in document["$defs"].items() if key not in known and "properties" in node
        }
        families = [one for one in (_family(*row, definitions) for row in _FAMILIES) if one.members]
        told: set[str] = set()
        for key, node in definitions.items():
            family = next((one for one in families if key in one.members), None)
            if family is not None and family.title not in told:
                told.add(family.title)
                parts += family.section()
            parts += _section(key, node, family)
    parts += ["## Aliases of `uses`", "", "| alias | operator | arguments (bold: must be given) |", "|---|---|---|"]
    for key, alias in aliases().items():
        listed = ", ".join(f"**{name}**" if name in alias.needs else name for name in alias.takes)
        parts.append(f"| `{key}` | `{alias.path}` | {listed} |")
    parts += ["", "## Presets"]
    for engine, names in schema("pipeline")["x-presets"].items():
        parts += ["", f"Of `{engine}`: {', '.join(f'`{name}`' for name in names) or 'none yet'}."]
    return "\n".join(parts) + "\n"


def ledger_page() -> str:
    """docs/ledger.md."""
    parts = [_LEDGER]
    for table, columns in TABLES.items():
        parts += [f"### {table}", "", "| column | type | meaning |", "|---|---|---|"]
        parts += [f"| `{column.name}` | {TYPES[column.kind]} | {column.meaning} |" for column in columns]
        parts.append("")
    return "\n".join(parts)


@dataclass(frozen=True)
class _Family:
    """Definitions that take many keys alike: key -> its schema, and which of them take it."""

    title: str
    members: dict[str, dict[str, Any]]
    shared: dict[str, dict[str, Any]]

    def takers(self, key: str) -> list[str]:
        return [name for name, node in self.members.items() if node["properties"].get(key) == self.shared[key]]

    def section(self) -> list[str]:
        by_takers: dict[str, dict[str, Any]] = {}
        for key, node in self.shared.items():
            takers = self.takers(key)
            who = "" if len(takers) == len(self.members) else ", ".join(f"`{_called(one)}`" for one in takers)
            by_takers.setdefault(who, {})[key] = node
        parts = [f"### {self.title}", ""]
        for who, nodes in sorted(by_takers.items()):
            parts += ([f"Only {who}:", ""] if who else []) + _table(nodes, ())
        return parts


def _family(title: str, pattern: str, definitions: dict[str, Any]) -> _Family:
    members = {
        key: node for key, node in definitions.items() if fnmatchcase(key, pattern) or key == _LIKE_A_TASK.get(pattern)
    }
    shared: dict[str, dict[str, Any]] = {}
    for node in members.values():
        for key, value in node["properties"].items():
            alike = [one for one in members.values() if one["properties"].get(key) == value]
            if len(alike) > 1 and key not in shared:
                shared[key] = value
    return _Family(title, members, shared)


def _called(name: str) -> str:
    """A definition as a reader knows it."""
    return name.removeprefix("platform_") if name.startswith("platform_") else name


def _section(key: str, node: dict[str, Any], family: _Family | None) -> list[str]:
    shared = family.shared if family else {}
    own = {name: value for name, value in node["properties"].items() if shared.get(name) != value}
    parts = [f"### {key.replace('_', ' ', 1)}", "", node.get("description", ""), ""]
    if family and len(own) < len(node["properties"]):
        anchor = family.title.lower().replace(" ", "-")
        parts += [f"Beside these, [{family.title.lower()}](#{anchor}).", ""]
    return parts + (_table(own, node.get("required", ())) if own else [])


def _table(keys: dict[str, Any], required: Sequence[str]) -> list[str]:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, value in keys.items():
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


PAGES = {
    "commands.md": commands_page,
    "errors.md": errors_page,
    "ledger.md": ledger_page,
    "settings.md": settings_page,
    "yaml.md": yaml_page,
}


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
