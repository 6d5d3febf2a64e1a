"""The OpenLineage run facet of a record."""

from decimal import Decimal

from airflow_doeks.cost import cost_run_facet
from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobRecord
from airflow_doeks.model.status import JobState


def test_the_run_facet_carries_the_cost_as_text():
    """An OpenLineage consumer finds producer, schema, cost and each output's dollars; unknown stays null."""
    outputs = tuple(Dataset(namespace="file", name=n, usd=usd) for n, usd in (("/a", Decimal("0.05")), ("/b", None)))
    record = JobRecord(
        record_id="r1",
        attempt=Attempt(dag_id="sales", run_id="run", task_id="t", try_number=1),
        job=JobFacts(ref="local://h/1", platform="lake", type="local", engine="spark", name="n", state=JobState.FAILED),
        cost=Cost(usd_total=Decimal("0.10"), basis="pods"),
        lineage=Lineage(outputs=outputs),
    )
    facet = cost_run_facet(record)
    assert facet["_schemaURL"] == "urn:airflow-doeks:schema:doeks_costRun:1-0-0"
    assert facet["cost"]["usd_total"] == "0.10"
    assert facet["cost"]["usd_idle"] is None
    assert [output["usd"] for output in facet["outputs"]] == ["0.05", None]
