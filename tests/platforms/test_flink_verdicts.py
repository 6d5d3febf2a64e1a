"""How a Flink job does, by what its operator says: every row of the table, and the traps that peers fall into."""

import itertools
import json

import pytest

from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.flink.operator import operator, read
from airflow_doeks.platforms.flink.verdicts import ANY, ROWS, Said, error_line, verdict

OPERATOR = operator("apache_flink", is_session=False, is_emr=False)
LIFECYCLES = ("", "CREATED", "SUSPENDED", "UPGRADING", "DEPLOYED", "STABLE", "ROLLING_BACK", "ROLLED_BACK", "FAILED")
JOBS = ("", "INITIALIZING", "CREATED", "RUNNING", "FAILING", "FAILED", "CANCELLING", "CANCELED", "FINISHED")
JOBS += ("RESTARTING", "SUSPENDED", "RECONCILING")
MANAGERS = ("", "READY", "DEPLOYED_NOT_READY", "DEPLOYING", "MISSING", "ERROR")
RUNNING, SUCCEEDED, FAILED = JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED
QUEUED, STARTING, CANCELLED = JobState.QUEUED, JobState.STARTING, JobState.CANCELLED


@pytest.mark.parametrize(
    ("said", "state", "is_well"),
    [
        # A deployment that answers says nothing of its job: the peer's sensor calls both of these a success.
        (Said("STABLE", "FAILED", "READY"), FAILED, True),
        (Said("STABLE", "RUNNING", "READY"), RUNNING, True),
        # The job manager is removed after the end: the peer's sensor fails here.
        (Said("STABLE", "FINISHED", "MISSING"), SUCCEEDED, True),
        # The peer's sensor waits for ever.
        (Said("DEPLOYED", "RECONCILING", "DEPLOYING", error="ErrImagePull"), STARTING, False),
        (Said("DEPLOYED", "RECONCILING", "DEPLOYING"), QUEUED, False),
        (Said("FAILED", error="parallelism must be positive"), FAILED, True),
        # A savepoint ends the job that is replaced: no success, and no end.
        (Said("UPGRADING", "FINISHED", "MISSING", is_stream=True), QUEUED, False),
        (Said("SUSPENDED", "FINISHED", "MISSING", is_stream=True), SUCCEEDED, True),
        # Half of a bounded job's work is no success.
        (Said("SUSPENDED", "FINISHED", "MISSING"), CANCELLED, True),
        (Said("DEPLOYED", "RESTARTING", "READY"), RUNNING, False),
        (Said("ROLLED_BACK", "RUNNING", "READY"), RUNNING, False),
        (Said("STABLE", "CANCELED", "READY"), CANCELLED, True),
        (Said(), QUEUED, False),
    ],
)
def test_what_the_operator_says_is_one_of_our_words(said, state, is_well):
    """Lifecycle, job, deployment and error are read together."""
    row = verdict(said)
    assert (row.state, row.is_well) == (state, is_well)


def test_every_word_has_a_verdict_and_every_row_holds_for_some():
    """No combination of the operator's words is left without a verdict, and no row stands behind one that hides it."""
    reached = {
        id(verdict(Said(lifecycle, job, manager, is_stream, error)))
        for lifecycle, job, manager, is_stream, error in itertools.product(
            LIFECYCLES, JOBS, MANAGERS, (True, False), ("", "x")
        )
    }
    assert id(None) not in reached
    assert reached == {id(row) for row in ROWS}


def test_rows_use_words_of_the_operator_only():
    """A row with a word that no operator says would never hold."""
    for row in ROWS:
        assert row.lifecycle in (ANY, *LIFECYCLES)
        assert row.job in (ANY, *JOBS)
        assert row.manager in (ANY, *MANAGERS)


def resource(status, **changes):
    """A FlinkDeployment of the second generation."""
    metadata = {"name": "x", "namespace": "sales", "uid": "u", "generation": 2} | changes
    return {"metadata": metadata, "spec": {}, "status": status}


STREAM = {"labels": {"airflow-doeks/mode": "streaming"}}
OF_FIRST = json.dumps({"resource_metadata": {"metadata": {"generation": 1}}})


@pytest.mark.parametrize(
    "seen", [{"observedGeneration": 1}, {"reconciliationStatus": {"lastReconciledSpec": OF_FIRST}}]
)
def test_what_was_said_of_an_earlier_spec_is_no_end_and_not_well(seen):
    """A status from before the last change tells neither health nor an end; older operators only keep the spec."""
    running = {"lifecycleState": "STABLE", "jobStatus": {"state": "RUNNING"}, "jobManagerDeploymentStatus": "READY"}
    told = read(resource(running | seen, **STREAM))
    assert (told.state, told.is_well) == (RUNNING, False)
    suspended = {"lifecycleState": "SUSPENDED", "jobStatus": {"state": "FINISHED"}}
    assert read(resource(suspended | seen, **STREAM)).state is QUEUED
    assert read(resource(running | {"observedGeneration": 2}, **STREAM)).is_well


def test_a_stopped_stream_names_its_savepoint():
    """The end of a stream that was stopped says where its state is."""
    job = {"state": "FINISHED", "upgradeSavepointPath": "s3://s/savepoint-1", "updateTime": "1764000000000"}
    told = read(resource({"lifecycleState": "SUSPENDED", "jobStatus": job}, **STREAM))
    assert (told.state, told.savepoint) == (SUCCEEDED, "s3://s/savepoint-1")
    assert told.reason == "it was stopped with a savepoint; its state is in s3://s/savepoint-1"
    assert told.ended.year == 2025


def test_a_word_nobody_knows_is_still_running(caplog):
    """A newer operator's word is taken as running, with one warning."""
    status = {"lifecycleState": "HIBERNATING", "jobStatus": {"state": "RUNNING_SLOWLY"}}
    for _ in range(2):
        assert OPERATOR.status("host", resource(status)).state is RUNNING
    assert caplog.text.count("HIBERNATING RUNNING_SLOWLY") == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, ""),
        ("plain\nwords", "plain"),
        ('{"type": "a.b.ReconciliationException", "message": "quota\\nmore"}', "ReconciliationException: quota"),
        (
            json.dumps(
                {"type": "a.Outer", "message": "o", "throwableList": [{"type": "b.Inner", "message": "disk full"}]}
            ),
            "Inner: disk full",
        ),
        ("[1]", "[1]"),
    ],
)
def test_an_error_is_one_line(text, line):
    """The operator's error is the innermost of its causes."""
    assert error_line(text) == line
