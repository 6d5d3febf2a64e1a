"""What a job is expected to cost, read when it was submitted already: nothing of it may leave the job alone."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_doeks.attempt.estimates import with_estimate

PROVIDER = "airflow.providers.amazon.aws.hooks.s3"


@pytest.mark.parametrize("place", ["gs://acme/ledger", "s3://acme/ledger"])
def test_a_ledger_that_cannot_be_opened_leaves_the_job_as_it_is(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that is none, and S3 where the provider that reads it is not installed."""
    monkeypatch.setitem(sys.modules, PROVIDER, None)
    identity, submission = SimpleNamespace(dag_id="orders", task_id="clean"), SimpleNamespace(estimate_usd=None)
    books: Any = SimpleNamespace(may_outlive=False, identity=identity, settings=SimpleNamespace(ledger_path=place))
    assert with_estimate(submission, books) is submission
