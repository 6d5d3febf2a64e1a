"""Write the JSON Schema 2020-12 of pipelines and of doeks.yaml from the models: `python tools/write_schema.py`.

What it writes, below airflow_doeks/language/, is what editors and the compiler read. Keys that start with ``x-`` are
our annotations: ``x-expected`` words an error, ``x-engines`` and ``x-presets`` carry what platforms know.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import job_types
import language
import project_language

from airflow_doeks.model.engine import ENGINES

HERE = Path(__file__).parents[1] / "airflow_doeks" / "language"
FILES = {
    "pipeline": HERE / "pipeline.schema.json",
    "doeks": HERE / "doeks.schema.json",
    "types": HERE.parent / "model" / "job_types.py",
}
DIALECT = "https://json-schema.org/draft/2020-12/schema"
VARIABLE = {
    "type": "string",
    "pattern": r"(^|[^$])(\$\$)*\$\{[A-Za-z_][A-Za-z0-9_]*\}",
    "description": "A variable of doeks.yaml.",
}
_NAMES = {  # pydantic's title of a model -> what the schema calls it
    "Project": "doeks.yaml of airflow-doeks",
    "Pipeline": "pipeline of airflow-doeks",
}


def build(name: str) -> dict[str, Any]:
    """The schema ``pipeline`` or ``doeks``, from the models and the platform types that are built."""
    models: dict[str, Any] = {"pipeline": language.Pipeline, "doeks": project_language.Project}
    model = models[name]
    schema = model.model_json_schema(by_alias=True)
    schema["$defs"]["Variable"] = VARIABLE
    for row in ENGINES.values():
        schema["$defs"][row.noun.partition(":")[2]]["properties"].pop("sql_text", None)  # ours, never the author's
    if name == "doeks":
        schema["properties"]["platforms"] = _platforms(schema)
    schema = {key: _tidy(value) if key != "$defs" else value for key, value in schema.items()}
    schema["$defs"] = {key: value if key == "Variable" else _tidy(value) for key, value in schema["$defs"].items()}
    presets = {row.name: row.preset_names() for row in ENGINES.values()}
    return {"$schema": DIALECT, **schema, "title": _NAMES[model.__name__], "x-presets": presets}


def _platforms(schema: dict[str, Any]) -> dict[str, Any]:
    """Each built type's own Config, told apart by ``type``."""
    from airflow_doeks.platforms.registry import TYPES

    for name, row in sorted(TYPES.items()):
        module = row.load()
        config = module.Config.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
        schema["$defs"] |= config.pop("$defs", {})
        config["x-engines"] = sorted(engine.name for engine in row.engines)
        config["required"] = sorted({"type", *config.get("required", [])})
        schema["$defs"][f"platform_{name}"] = config
    entry = {"oneOf": [{"$ref": f"#/$defs/platform_{name}"} for name in sorted(TYPES)]}
    platforms_node: dict[str, Any] = schema["properties"]["platforms"]
    return platforms_node | {"patternProperties": {_name_pattern(schema): entry}}


def _name_pattern(schema: dict[str, Any]) -> str:
    return str(next(iter(schema["properties"]["platforms"]["patternProperties"])))


def _tidy(node: Any, *, key: str = "") -> Any:
    """Titles out, unions flat, names strict, and `${variable}` allowed wherever a scalar is typed."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    if key in {"properties", "patternProperties"}:
        return {name: _tidy(value) for name, value in node.items()}
    if key in {"default", "examples"}:
        return node
    node = {name: _tidy(value, key=name) for name, value in node.items() if name not in {"title", "propertyNames"}}
    if node.get("default", 0) in (None, [], {}) or isinstance(node.get("default"), dict):
        node.pop("default")
    if "patternProperties" in node:
        node["additionalProperties"] = False
    return _with_variable(_flat(node))


def _flat(node: dict[str, Any]) -> dict[str, Any]:
    """One level of anyOf; a choice between mappings becomes oneOf, told apart by the keys that must be there."""
    if "anyOf" not in node:
        return node
    options: list[dict[str, Any]] = []
    for option in node["anyOf"]:
        plain = {"$ref": "#/$defs/Variable"}
        if "anyOf" in option:
            options += [inner for inner in option["anyOf"] if inner != plain]
            node |= {key: option[key] for key in ("x-expected",) if key in option}
        else:
            options.append(option)
    if len(options) > 1 and all("$ref" in option for option in options):
        return {key: value for key, value in node.items() if key != "anyOf"} | {"oneOf": options}
    return node | {"anyOf": options}


def _with_variable(node: dict[str, Any]) -> dict[str, Any]:
    """The schema of a scalar, opened for `${name}`; what any text fits is left as it is."""
    variable = {"$ref": "#/$defs/Variable"}
    outer = {key: node[key] for key in ("description", "examples", "default", "x-expected") if key in node}
    rule = {key: value for key, value in node.items() if key not in outer}
    if "anyOf" in rule and variable not in rule["anyOf"]:
        free = any(option.get("type") == "string" and len(option) == 1 for option in rule["anyOf"])
        return node if free else outer | {"anyOf": [*rule["anyOf"], variable]}
    typed = rule.get("type") in {"integer", "number", "boolean"}
    text = rule.get("type") == "string" and rule.keys() - {"type", "minLength"} and "const" not in rule
    return outer | {"anyOf": [rule, variable]} if typed or text else node


def render(name: str) -> str:
    """The text of a file."""
    if name == "types":
        return job_types.render(build("pipeline")["$defs"])
    return json.dumps(build(name), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the schema files; with ``--check`` only tell which differ (exit 1)."""
    stale = [path for name, path in FILES.items() if not path.exists() or path.read_text("utf-8") != render(name)]
    if "--check" not in sys.argv:
        for name, path in FILES.items():
            path.write_text(render(name), "utf-8")
        return 0
    for path in stale:
        sys.stderr.write(f"{path.name} is not what the models say; run python tools/write_schema.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
