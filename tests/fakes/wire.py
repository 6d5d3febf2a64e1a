"""The forms in which a Kubernetes API server answers: tables, events of a watch, statuses."""

from __future__ import annotations

import json

from tests.fakes.cluster import Change, Json, Refused, Resource, at


def table(resource: Resource, items: list[Json], metadata: Json, *, has_columns: bool, has_object: bool) -> Json:
    """A Table of some objects; rows without their objects where that is asked for."""
    rows = [
        {
            "cells": [at(item, path) for _, path in resource.columns],
            "object": item if has_object else None,
        }
        for item in items
    ]
    definitions = [{"name": name, "type": "string"} for name, _ in resource.columns] if has_columns else []
    kind = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
    return kind | {"columnDefinitions": definitions, "rows": rows}


def event(resource: Resource, change: Change, query: dict[str, str], *, is_table: bool, is_first: bool) -> bytes:
    """One event of a watch; only the first of a stream says what a Table's columns are."""
    if not is_table:
        return line(change.type, change.object)
    metadata = {"resourceVersion": str(change.version)}
    has_object = query.get("includeObject") != "None"
    return line(change.type, table(resource, [change.object], metadata, has_columns=is_first, has_object=has_object))


def bookmark(resource: Resource, version: int, *, is_table: bool) -> bytes:
    """How far a watch has come, while nothing happens."""
    metadata = {"resourceVersion": str(version), "creationTimestamp": None}
    if is_table:
        return line("BOOKMARK", table(resource, [{"metadata": {}}], metadata, has_columns=False, has_object=False))
    return line("BOOKMARK", {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata})


def line(kind: str, item: Json) -> bytes:
    """One line of a watch."""
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def status(refused: Refused) -> Json:
    """A refusal as the API server words it."""
    said = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": refused.code}
    return said | {"reason": refused.reason, "message": refused.message}
