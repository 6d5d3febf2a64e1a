"""Names, keys and labels that carry a job's owner through every platform."""

import dataclasses
import hashlib
import json
import re
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_doeks.model.identity import JobIdentity, digest, label_value, slug

LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
RUN = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


@pytest.fixture
def identity():
    """One attempt of one task."""
    return JobIdentity(
        instance="prod-eu",
        dag_id="sales.daily_orders",
        run_id="scheduled__2026-11-20T00:00:00+00:00",
        task_id="clean.orders",
        map_index=-1,
        try_number=2,
        run_started=RUN,
        attempt_id="0199-aa",
        cost_tags={"team": "sales", "cost_center": "4711"},
    )


def test_the_task_key_is_what_the_design_promises(identity):
    """sha256 over compact JSON of instance, DAG, run, task and map index: other tools can compute it."""
    parts = ["prod-eu", "sales.daily_orders", "scheduled__2026-11-20T00:00:00+00:00", "clean.orders", -1]
    expected = hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()
    assert identity.task_key == expected
    assert identity.token == digest(expected, "0199-aa")
    assert len(identity.token) == 64  # EMR's clientToken takes 64 characters


def test_tries_share_the_task_key_and_have_their_own_token(identity):
    """A retry is found by its task's key and submits under its own token."""
    retry = dataclasses.replace(identity, try_number=3, attempt_id="0199-bb")
    assert retry.task_key == identity.task_key
    assert retry.task_name == identity.task_name
    assert retry.token != identity.token
    assert retry.name != identity.name


@pytest.mark.parametrize("field", ["instance", "dag_id", "run_id", "task_id"])
def test_every_part_of_the_key_counts(identity, field):
    """Another installation, DAG, run or task has another key and another token."""
    other = dataclasses.replace(identity, **{field: "other"})
    assert (other.task_key, other.token) != (identity.task_key, identity.token)
    assert other.task_key != identity.task_key


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_an_instance_is_legal_everywhere_and_never_another_one(one, other):
    """Whatever an installation is called, its name is a legal tag and label, and no other name has the same form."""
    first, second = (JobIdentity(name, "d", "r", "t", -1, 1, RUN, "a").instance for name in (one, other))
    assert LABEL.fullmatch(first)
    assert len(first) <= 63
    assert (first == second) == (one == other) or {one, other} & {first, second}


def test_every_key_of_a_job_stands_in_its_tags(identity):
    """The promised keys with full values, cost tags after them."""
    assert identity.tags("f" * 64) == {
        "airflow-doeks/dag": "sales.daily_orders",
        "airflow-doeks/instance": "prod-eu",
        "airflow-doeks/map": "-1",
        "airflow-doeks/run": "scheduled__2026-11-20T00:00:00+00:00",
        "airflow-doeks/run-started": "2026-11-20T12:00:00+00:00",
        "airflow-doeks/spec": "f" * 16,
        "airflow-doeks/task": "clean.orders",
        "airflow-doeks/task-key": identity.task_key[:16],
        "airflow-doeks/try": "2",
        "airflow-doeks/tag-cost_center": "4711",
        "airflow-doeks/tag-team": "sales",
    }


@given(st.text(max_size=200), st.text(max_size=200))
def test_names_are_legal_for_kubernetes(dag_id, task_id):
    """Whatever a DAG is called, the job's name is DNS-1035 and at most 49 characters long."""
    identity = JobIdentity("i", dag_id, "r", task_id, -1, 1, RUN, "a")
    for name in (identity.name, identity.task_name):
        assert DNS_1035.fullmatch(name)
        assert len(name) <= 49


@given(st.text(max_size=200))
def test_a_tags_label_form_is_always_legal(value):
    """Any value becomes a Kubernetes label of at most 63 characters; a legal one stays itself."""
    label = label_value(value)
    assert LABEL.fullmatch(label)
    assert len(label) <= 63
    assert label_value(label) == label


@given(st.text(min_size=1, max_size=100), st.text(min_size=1, max_size=100))
def test_different_values_have_different_labels(one, other):
    """A value that is not legal carries its hash, so two of them are not taken for one."""
    assert (label_value(one) == label_value(other)) == (one == other) or {one, other} & {
        label_value(one),
        label_value(other),
    }


@given(st.text(), st.integers(8, 40))
def test_a_slug_starts_with_a_letter_and_keeps_its_length(text, length):
    """Lower case, digits and single dashes; never longer than asked for."""
    name = slug(text, length)
    assert DNS_1035.fullmatch(name)
    assert len(name) <= length


def test_names_and_labels_never_change():
    """Jobs that run under these names are looked for by the next release: each is pinned to the letter."""
    identity = JobIdentity(
        instance="prod",
        dag_id="sales.eu.täglich_and_a_very_long_name_of_a_pipeline",
        run_id="scheduled__2026-11-20T00:00:00+00:00",
        task_id="clean.orders",
        map_index=3,
        try_number=2,
        run_started=RUN,
        attempt_id="a2",
    )
    assert (identity.task_key, identity.token) == (
        "39d7e7f73233c0e7a24b3efb08d3b710de3af368d3bb05d967d4f02fe62a185a",
        "82fa54c5ec310a41a8cea6c732e2f78de1d259467d0e56cf20df7598d68eaad6",
    )
    assert identity.name == "sales-eu-t-glich-and-a-very-long-nam-82fa54c5ec31"
    assert identity.task_name == "sales-eu-t-glich-and-a-very-long-nam-39d7e7f73233"
    assert label_value("a" * 63) == "a" * 63
    assert label_value("a" * 64) == f"{'a' * 50}-ffe054fe"
    assert (label_value("äää"), label_value("---")) == ("x-1cf0cca6", "x-cb3f91d5")
