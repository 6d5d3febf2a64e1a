"""The record in OpenLineage's words."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal

import pytest

from airflow_doeks.hooks.openlineage import operator_lineage
from airflow_doeks.model.lineage import Column, Dataset, Lineage
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobRecord, Times
from airflow_doeks.model.status import JobState

pytest.importorskip("airflow.providers.openlineage", reason="the extra `openlineage` is not installed")

RECORD = JobRecord(
    record_id="a" * 32,
    attempt=Attempt(dag_id="d", run_id="r", task_id="t", try_number=1),
    job=JobFacts(
        ref="local://h/x", platform="laptop", type="local", engine="spark", name="x", state=JobState.SUCCEEDED
    ),
    times=Times(submitted=datetime(2026, 11, 20, tzinfo=timezone.utc)),
    cost=Cost(usd_total=Decimal("0.25"), usd_compute=Decimal("0.25")),
    lineage=Lineage(
        inputs=(Dataset(namespace="s3://raw", name="orders", rows=10, bytes=100, files=1),),
        outputs=(
            Dataset(
                namespace="s3://clean",
                name="orders",
                rows=9,
                bytes=90,
                files=2,
                symlinks=("hive/mart.orders",),
                columns=(Column(name="id", type="bigint", inputs=("s3://raw/orders:order_id",)),),
            ),
        ),
    ),
)


def test_counts_schema_column_lineage_and_cost_are_told() -> None:
    """Rows, bytes and files, the schema, which column comes from which, and the dollars."""
    from openlineage.client import facet_v2

    lineage = operator_lineage(RECORD)
    (read,), (written,) = lineage.inputs, lineage.outputs
    statistics = written.outputFacets["outputStatistics"]
    assert (written.namespace, written.name) == ("s3://clean", "orders")
    assert (statistics.rowCount, statistics.size, statistics.fileCount) == (9, 90, 2)
    if hasattr(facet_v2, "input_statistics_input_dataset"):  # the client of MWAA 2.10.3 does not know the facet
        assert read.inputFacets["inputStatistics"].rowCount == 10
    assert (read.namespace, read.name) == ("s3://raw", "orders")
    (field,) = written.facets["columnLineage"].fields["id"].inputFields
    assert (field.namespace, field.name, field.field) == ("s3://raw", "orders", "order_id")
    assert written.facets["symlinks"].identifiers[0].name == "mart.orders"
    assert lineage.run_facets["doeks_costRun"].cost["usd_total"] == "0.25"


def test_the_lineage_serialises_as_openlineage() -> None:
    """The client's own serialiser accepts all of it."""
    from openlineage.client import event_v2
    from openlineage.client.serde import Serde

    lineage = operator_lineage(RECORD)
    run = event_v2.Run("01931b6e-7b6c-7000-8000-000000000000", facets=lineage.run_facets)
    event = event_v2.RunEvent(
        eventTime="2026-11-20T00:00:00Z",
        run=run,
        job=event_v2.Job("airflow", "d.t"),
        inputs=lineage.inputs,
        outputs=lineage.outputs,
        producer="https://example.org/test",
    )
    told = json.loads(Serde.to_json(event))
    assert told["run"]["facets"]["doeks_costRun"]["cost"]["usd_total"] == "0.25"
    assert told["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 9
