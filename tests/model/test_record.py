"""The record: its JSON form is a promise."""

import json
from datetime import datetime, timezone
from decimal import Decimal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_doeks.model.lineage import Column, Dataset, Lineage
from airflow_doeks.model.record import (
    Attempt,
    Cost,
    JobFacts,
    JobFailure,
    JobRecord,
    Times,
    Usage,
    UsageAmounts,
)
from airflow_doeks.model.schemas import SCHEMAS, published_schema
from airflow_doeks.model.status import JobState
from airflow_doeks.model.telemetry import Telemetry

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
MONEY = st.none() | st.decimals(min_value=0, max_value=10**9, places=10)
TIME = st.none() | st.datetimes(timezones=st.just(timezone.utc))
COUNT = st.none() | st.integers(0, 10**15)
DATASETS = st.lists(
    st.builds(
        Dataset,
        namespace=TEXT,
        name=TEXT,
        rows=COUNT,
        bytes=COUNT,
        files=COUNT,
        usd=MONEY,
        slot_share=st.none() | st.floats(0, 1),
        source=st.sampled_from(["observed", "declared", "both"]),
    ),
    max_size=3,
).map(tuple)
RECORDS = st.builds(
    JobRecord,
    record_id=TEXT,
    revision=st.integers(1, 9),
    attempt=st.builds(Attempt, dag_id=TEXT, run_id=TEXT, task_id=TEXT, try_number=st.integers(1, 9)),
    job=st.builds(
        JobFacts,
        ref=st.none() | TEXT,
        platform=TEXT,
        type=TEXT,
        engine=st.sampled_from(["spark", "flink"]),
        name=TEXT,
        state=st.sampled_from(JobState),
    ),
    times=st.builds(Times, submitted=TIME, scheduled=TIME, started=TIME, ended=TIME),
    usage=st.builds(
        Usage,
        vcpu_seconds=MONEY,
        memory_gib_seconds=MONEY,
        by_capacity_type=st.dictionaries(
            st.sampled_from(["on_demand", "spot"]),
            st.builds(UsageAmounts, vcpu_seconds=MONEY.filter(bool), memory_gib_seconds=MONEY.filter(bool)),
            max_size=2,
        ),
    ),
    cost=st.builds(Cost, usd_total=MONEY, usd_compute=MONEY, usd_uplift=MONEY, unknown=st.just(("idle",))),
    lineage=st.builds(Lineage, inputs=DATASETS, outputs=DATASETS, complete=st.booleans()),
    cost_tags=st.dictionaries(TEXT, TEXT, max_size=3),
    failure=st.none() | st.builds(JobFailure, message=TEXT),
    actual=st.none() | st.dictionaries(TEXT, TEXT, max_size=2),
)


def test_only_a_word_may_stand_where_a_newer_version_has_a_word():
    """A number, a sentence and an empty text are refused; a state that is not known has not ended."""
    for odd in (7, "out of memory", "", None):
        with pytest.raises(ValidationError):
            JobFailure(category=odd)
        with pytest.raises(ValueError, match="JobState"):
            JobState(odd)
    assert not JobState("PAUSED").is_terminal


@given(RECORDS)
def test_a_record_survives_json_and_keeps_the_published_schema(record):
    """Record -> JSON -> record is the same, to the last digit of money, and valid against the schema we publish."""
    text = record.model_dump_json()
    assert JobRecord.model_validate_json(text) == record
    jsonschema.Draft202012Validator(published_schema("record")).validate(json.loads(text))


@pytest.fixture
def record():
    """A record with 20 datasets, as `fit` leaves it at most, and a failure."""
    datasets = tuple(
        Dataset(namespace="s3://a-bucket-with-a-name", name=f"warehouse/team/table_{i}/", rows=10**9, bytes=10**12)
        for i in range(20)
    )
    return JobRecord(
        record_id="0" * 32,
        attempt=Attempt(dag_id="team.pipeline", run_id="scheduled__2026-11-20", task_id="task", try_number=1),
        job=JobFacts(ref=None, platform="lake", type="emr_on_eks", engine="spark", name="n", state=JobState.FAILED),
        times=Times(submitted=NOON),
        cost=Cost(usd_total=Decimal("0.0000001")),
        lineage=Lineage(outputs=datasets),
        failure=JobFailure(message="boom", log_tail=("x" * 1000,) * 100),
    )


def test_a_record_with_twenty_datasets_is_below_8_kb(record):
    """Log tails and columns stay out of the record; so it fits an XCom and an asset event."""
    assert len(record.model_dump_json()) < 8192
    assert "log_tail" not in record.model_dump_json()


def test_money_is_text_and_time_is_utc_with_offset(record):
    """No exponent, no float: 0.0000001 stays itself; times carry their offset."""
    data = json.loads(record.model_dump_json())
    assert data["v"] == 1
    assert data["cost"]["usd_total"] == "0.0000001"
    assert data["cost"]["usd_idle"] is None
    assert data["times"]["submitted"] == "2026-11-20T12:00:00+00:00"


def test_columns_stay_out_of_the_record():
    """Schemas and column lineage stand in the detail; the record's datasets are short."""
    dataset = Dataset(namespace="file", name="/a", columns=(Column(name="id", type="bigint"),))
    assert "columns" not in dataset.model_dump(mode="json")


def test_a_record_is_frozen(record):
    """A record is never changed in place."""
    with pytest.raises(ValidationError, match="frozen"):
        record.revision = 2


def test_a_record_of_a_newer_version_is_read_and_written_as_it_is(record):
    """Keys that this version does not know stand in no way and are kept, at the top and inside."""
    plain = json.loads(record.model_dump_json())
    plain |= {"window": "2026-11-20", "cost": plain["cost"] | {"usd_carbon": "0.1"}}
    read = JobRecord.model_validate_json(json.dumps(plain))
    assert read.cost.usd_total == record.cost.usd_total
    assert json.loads(read.model_dump_json()) == plain


def test_a_time_without_offset_is_refused():
    """A naive time is nobody's time."""
    with pytest.raises(ValidationError, match="timezone"):
        Times.model_validate({"submitted": "2026-11-20T12:00:00"})


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_published_schemas_are_valid_json_schema(name):
    """Each has an id and a dialect; a user's telemetry may have no unknown key, a record may: a newer version's."""
    schema = published_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:airflow-doeks:schema:{name}:1"
    assert schema["additionalProperties"] is (name == "record")


def test_telemetry_as_a_user_writes_it_fits_the_published_schema():
    """The smallest useful telemetry: a pod with role, requests, times and node, and a node with a type."""
    data = {
        "pods": [
            {
                "uid": "driver",
                "role": "driver",
                "vcpu": 1,
                "memory_gib": "4",
                "started": "2026-11-20T12:00:00Z",
                "ended": "2026-11-20T12:10:00Z",
                "node": "n1",
            }
        ],
        "nodes": [{"uid": "n1", "instance_type": "m5.xlarge", "capacity_type": "spot", "zone": "us-east-1a"}],
    }
    jsonschema.Draft202012Validator(published_schema("telemetry")).validate(data)
    assert Telemetry.model_validate(data).pods[0].vcpu == 1
