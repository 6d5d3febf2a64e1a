"""The published JSON Schemas of what others read (the record) and write (telemetry); made from the nouns themselves."""

from __future__ import annotations

from typing import Any, Literal

from airflow_doeks.model.noun import Noun
from airflow_doeks.model.record import JobRecord
from airflow_doeks.model.telemetry import Telemetry

SCHEMAS: dict[str, tuple[type[Noun], Literal["serialization", "validation"]]] = {
    "record": (JobRecord, "serialization"),  # as we write it: money is text
    "telemetry": (Telemetry, "validation"),  # as we accept it: money is a number or text
}


def published_schema(name: str) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of ``record`` or ``telemetry``."""
    noun, mode = SCHEMAS[name]
    schema = noun.model_json_schema(mode=mode)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:airflow-doeks:schema:{name}:1",
        **schema,
    }
