"""A record is under 8 KB, whatever it holds; what it has no room for stands in its detail."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_doeks.lifecycle.account import Account
from airflow_doeks.lifecycle.record_size import MAX_RECORD_BYTES
from airflow_doeks.lifecycle.records import fit
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobFailure, JobRecord, Usage
from airflow_doeks.model.status import JobState

LONG = "https://console.example/" + "a" * 3000
ATTEMPT = {"dag_id": "sales", "run_id": "r", "task_id": "t", "try_number": 1}
JOB = {"ref": "local://h/1", "platform": "lake", "type": "local", "engine": "spark", "name": "n"}


def record(attempt: dict[str, Any] | None = None, **changes: Any) -> JobRecord:
    """A record of a job that failed."""
    facts = JobFacts(**{**JOB, **changes.pop("job", {})}, state=JobState.FAILED)
    return JobRecord(record_id="a" * 32, attempt=Attempt(**{**ATTEMPT, **(attempt or {})}), job=facts, **changes)


def fitted(whole: JobRecord) -> JobRecord:
    """The record as it is written."""
    return fit(whole, Account(usage=Usage(), cost=Cost(), lineage=Lineage()), EventLogSummary()).record


def datasets(count: int, length: int) -> tuple[Dataset, ...]:
    """Datasets of long names with as long symlinks."""
    return tuple(
        Dataset(namespace="s3://raw", name=f"{i}/" + "d" * length, symlinks=("spark/" + "t" * length,) * 3)
        for i in range(count)
    )


LARGE = {
    "41 cost tags": {"cost_tags": {f"key-{i:02}-" + "k" * 115: "v" * 256 for i in range(41)}},
    "a long URI": {"lineage": Lineage(inputs=datasets(1, 9000), outputs=datasets(1, 9000))},
    "many datasets": {"lineage": Lineage(inputs=datasets(200, 100), outputs=datasets(200, 100))},
    "long differences": {"lineage": Lineage(differences=("x" * 5000,) * 9)},
    "long links": {"failure": JobFailure(message="m" * 9000, links={f"log {i}": LONG for i in range(9)})},
    "much evidence": {"failure": JobFailure(message="é" * 9000, evidence=("\x01" * 9000,) * 99)},
    "much that is unknown": {"cost": Cost(why_unknown="w" * 20_000, unknown=("compute",) * 5000)},
    "a long bill": {"actual": {f"line {i}": "9" * 100 for i in range(200)}},
    "names of 250 letters": {
        "attempt": {"dag_id": "字" * 250, "run_id": "字" * 250, "task_id": "字" * 250},
        "job": {"ref": "local://h/" + "字" * 1000, "platform": "字" * 250, "name": "字" * 250},
        "cost_tags": {"team": "字" * 256},
    },
}
LARGE["all of it"] = {key: value for change in LARGE.values() for key, value in change.items()}


@pytest.mark.parametrize("what", LARGE)
def test_a_record_is_under_8_kb_whatever_it_holds(what):
    """Tags, URIs, links, reasons, names: the record that is written is under its bound and still a record."""
    told = fitted(record(**LARGE[what]))
    text = told.model_dump_json()
    assert len(text.encode()) < MAX_RECORD_BYTES
    assert JobRecord.model_validate_json(text) == told
    assert told.record_id == "a" * 32


TEXTS = st.text(max_size=2000)


@given(st.dictionaries(TEXTS, TEXTS, max_size=50), TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=9))
def test_any_texts_fit(tags, message, name, links):
    """Control characters take six bytes in JSON, emoji four: the bound is of what is written."""
    failure = JobFailure(message=message, links=links)
    told = fitted(record({"run_id": name}, cost_tags=tags, failure=failure, job={"name": name}))
    assert len(told.model_dump_json().encode()) < MAX_RECORD_BYTES


def test_what_a_record_has_no_room_for_stands_in_its_detail():
    """The team that pays is kept, other tags as far as they fit; the detail holds them all, and datasets too."""
    tags = {f"key-{i:02}-" + "k" * 115: "v" * 256 for i in range(41)} | {"team": "sales"}
    settled = fit(
        record(cost_tags=tags, lineage=Lineage(inputs=datasets(3, 4000))),
        Account(usage=Usage(), cost=Cost(), lineage=Lineage()),
        EventLogSummary(),
    )
    kept = settled.record.cost_tags
    assert kept["team"] == "sales"
    assert 1 < len(kept) < len(tags)
    assert kept.items() <= tags.items()
    assert settled.detail["cost_tags"] == tags
    assert settled.record.lineage.truncated
    assert len(settled.detail["lineage"]["inputs"]) == 3


def test_a_small_record_is_left_as_it_is():
    """What fits is written whole."""
    whole = record(cost_tags={"team": "sales"}, failure=JobFailure(message="m", links={"log": "s3://logs/1"}))
    assert fitted(whole) == whole.model_copy(update={"detail": f"{'a' * 32}.detail.json.zst"})
