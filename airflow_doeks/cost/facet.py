"""The OpenLineage run facet ``doeks_costRun``: what the run cost, as the record tells it."""

from __future__ import annotations

from typing import Any

from airflow_doeks import __version__
from airflow_doeks.model.record import JobRecord

FACET_NAME = "doeks_costRun"
SCHEMA_URL = "urn:airflow-doeks:schema:doeks_costRun:1-0-0"


def cost_run_facet(record: JobRecord) -> dict[str, Any]:
    """The facet's JSON: cost and usage with money as text, and dollars per output dataset. Unknown is null."""
    return {
        "_producer": f"https://pypi.org/project/airflow-doeks/{__version__}/",
        "_schemaURL": SCHEMA_URL,
        "record_id": record.record_id,
        "job_ref": record.job.ref,
        "platform": record.job.platform,
        "cost": record.cost.model_dump(mode="json"),
        "usage": record.usage.model_dump(mode="json"),
        "cost_tags": dict(record.cost_tags),
        "outputs": [
            {
                "namespace": dataset.namespace,
                "name": dataset.name,
                "usd": None if dataset.usd is None else format(dataset.usd, "f"),
                "slot_share": dataset.slot_share,
            }
            for dataset in record.lineage.outputs
        ],
    }
