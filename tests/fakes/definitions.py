"""Objects held against the definitions of their kinds (CRDs), as an API server does with strict field validation.

The definitions are data of the operators and no part of this project: they are read below ``DOEKS_SHARED`` where it is.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

FILES = {  # group and kind -> the file that defines it
    ("sparkoperator.k8s.io", "SparkApplication"): "kubeflow-sparkoperator.k8s.io_sparkapplications.yaml",
    ("spark.apache.org", "SparkApplication"): "apache-spark.apache.org_sparkapplications.yaml",
    ("flink.apache.org", "FlinkDeployment"): "flink.apache.org_flinkdeployments.yaml",
    ("flink.apache.org", "FlinkSessionJob"): "flink.apache.org_flinksessionjobs.yaml",
    ("flink.apache.org", "FlinkStateSnapshot"): "flink.apache.org_flinkstatesnapshots.yaml",
}
# What EMR's Flink operator adds to the kind; its definition is not public, these fields are of EMR's documentation.
OF_EMR = ("emrReleaseLabel", "executionRoleArn", "monitoringConfiguration")


def folder() -> Path | None:
    """Where the definitions are; None where nobody has them."""
    shared = os.environ.get("DOEKS_SHARED")
    return Path(shared) / "crds" if shared and (Path(shared) / "crds").is_dir() else None


def violations(item: Mapping[str, Any]) -> list[str]:
    """What the definition of the object's kind refuses, unknown fields among it; nothing without a definition."""
    group, _, version = str(item.get("apiVersion", "")).rpartition("/")
    where, kind = folder(), (group, str(item.get("kind", "")))
    if where is None or kind not in FILES:
        return []
    if OF_EMR[0] in (item.get("spec") or {}):
        item = {**item, "spec": {key: value for key, value in item["spec"].items() if key not in OF_EMR}}
    found = _validator(where / FILES[kind], version).iter_errors(item)
    return sorted(f"{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in found)


@functools.lru_cache(maxsize=16)
def _validator(file: Path, version: str) -> Draft202012Validator:
    definition = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
    schema = next(
        served["schema"]["openAPIV3Schema"]
        for served in definition["spec"]["versions"]
        if served["name"] == version and served["served"]
    )
    # Every kind has these three; a definition need not say so.
    schema["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
    schema["properties"]["metadata"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return Draft202012Validator(_strict(schema))


def _strict(schema: Any) -> Any:
    """The schema as JSON Schema that knows no other fields; Kubernetes says it by keywords of its own."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _strict(value) for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    result.pop("format", None)
    if isinstance(schema.get("properties"), dict):
        result["properties"] = {key: _strict(value) for key, value in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            result.setdefault("additionalProperties", False)
    if schema.get("nullable"):
        result.pop("nullable")
        result = {"anyOf": [{"type": "null"}, result]}
    return result
