"""Requests and answers held against a service model of botocore: what the real service would refuse, a fake refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from botocore.model import ServiceModel, Shape


def route(model: ServiceModel, method: str, path: str) -> tuple[str, dict[str, str]] | None:
    """Operation and URI parameters of a request; None if the model has none."""
    for name in model.operation_names:
        http = model.operation_model(name).http
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", http["requestUri"])
        match = re.fullmatch(pattern, path)
        if http["method"] == method and match:
            return name, {key: unquote(value) for key, value in match.groupdict().items()}
    return None


def read(
    model: ServiceModel, action: str, values: dict[str, str], query: Mapping[str, list[str]], body: bytes
) -> tuple[dict[str, Any], list[str]]:
    """The parameters of an operation from path, query and body, and every violation of its shape."""
    shape = model.operation_model(action).input_shape
    parameters: dict[str, Any] = json.loads(body) if body else {}
    for name, member in shape.members.items():
        place, key = member.serialization.get("location"), member.serialization.get("name", name)
        if place == "uri":
            parameters[name] = values[key]
        elif place == "querystring" and key in query:
            parameters[name] = query[key] if member.type_name == "list" else query[key][0]
    parameters = _typed(parameters, shape)
    return parameters, violations(parameters, shape)


def _typed(value: Any, shape: Shape) -> Any:
    if shape.type_name == "structure":
        return {k: _typed(v, shape.members[k]) if k in shape.members else v for k, v in value.items()}
    if shape.type_name == "list":
        return [_typed(item, shape.member) for item in value]
    if shape.type_name == "timestamp":
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    return int(value) if shape.type_name == "integer" and isinstance(value, str) else value


def violations(value: Any, shape: Shape, where: str = "") -> list[str]:
    """Everything in which a value breaks a shape of the service model: keys, types, lengths, enums, patterns."""
    kind, rules = shape.type_name, shape.metadata
    if kind == "structure":
        found = [f"{where}.{key} is missing" for key in shape.required_members if key not in value]
        found += [f"{where}.{key} is unknown" for key in value if key not in shape.members]
        return found + [
            line
            for k, v in value.items()
            if k in shape.members
            for line in violations(v, shape.members[k], f"{where}.{k}")
        ]
    found = []
    if kind in ("list", "map", "string") and not rules.get("min", 0) <= len(value) <= rules.get("max", 10**9):
        found.append(f"{where} has length {len(value)}, allowed is {rules.get('min', 0)} to {rules.get('max')}")
    if kind == "list":
        return found + [
            line for i, item in enumerate(value) for line in violations(item, shape.member, f"{where}[{i}]")
        ]
    if kind == "map":
        for key, item in value.items():
            found += violations(key, shape.key, f"{where} key") + violations(item, shape.value, f"{where}[{key}]")
        return found
    types = {"string": str, "integer": int, "long": int, "boolean": bool, "timestamp": datetime}
    if not isinstance(value, types[kind]):
        return [f"{where} is {type(value).__name__}, expected {kind}"]
    if kind == "string" and value and "pattern" in rules and not re.fullmatch(rules["pattern"], value, re.DOTALL):
        found.append(f"{where} does not match {rules['pattern']}")
    if kind == "string" and "enum" in rules and value not in rules["enum"]:
        found.append(f"{where} is {value!r}, not one of {rules['enum']}")
    return found


def plain(value: Any) -> Any:
    """JSON-able, times as ISO 8601."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value
