"""The Apache Spark Kubernetes Operator's words: its last ones carry no outcome, the history before them does."""

import pytest

from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.apache_spark.states import STATES
from tests.fakes.cluster import PODS
from tests.platforms.harness_apache_spark import harness
from tests.platforms.harness_kubeflow_spark import NAMESPACE


@pytest.fixture
def apache(tmp_path):
    """A namespace with the operator."""
    with harness(tmp_path) as made:
        yield made


@pytest.fixture
def ref(apache):
    """A job that its operator took up."""
    platform = apache.platform()
    made = platform.submit(platform.render(apache.job(), apache.identity()))
    apache.move(made, "Submitted")
    return made


@pytest.mark.parametrize("last", ["ResourceReleased", "TerminatedWithoutReleaseResources"])
@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        ("Succeeded", JobState.SUCCEEDED),
        ("Failed", JobState.FAILED),
        ("DriverEvicted", JobState.FAILED),
        ("SchedulingFailure", JobState.FAILED),
        ("DriverStartTimedOut", JobState.FAILED),
        ("DriverReadyTimedOut", JobState.FAILED),
        ("ExecutorsStartTimedOut", JobState.FAILED),
        ("RunningHealthy", JobState.CANCELLED),
    ],
)
def test_the_history_tells_how_it_ended(apache, ref, verdict, state, last):
    """The same last word is a success, a failure or a cancel, by what came before it."""
    apache.move(ref, verdict, "as it was")
    apache.move(ref, last)
    status = apache.platform().observe(ref)
    assert (status.state, status.native_state) == (state, last)
    assert status.ended
    assert status.reason == ("" if state is JobState.SUCCEEDED else status.reason)


def test_an_earlier_attempt_tells_nothing(apache, ref):
    """A failure that led to a restart is no verdict on the restart."""
    for word in ("Failed", "ScheduledToRestart", "DriverRequested", "ResourceReleased"):
        apache.move(ref, word)
    assert apache.platform().observe(ref).state is JobState.CANCELLED


@pytest.mark.parametrize("word", [word for word in STATES if word and "Release" not in word])
def test_only_released_resources_end_a_job(apache, ref, word):
    """Whatever else the operator says, pods may still live and cost."""
    apache.move(ref, word)
    assert apache.platform().observe(ref).state is STATES[word]
    assert not STATES[word].is_terminal


def test_a_driver_that_is_gone_still_tells_why(apache, ref):
    """The operator keeps the driver's last status: exit code and reason outlive the pod."""
    ended = {"exitCode": 137, "reason": "OOMKilled"}
    kept = {"containerStatuses": [{"name": "spark-kubernetes-driver", "state": {"terminated": ended}}]}
    apache.start_driver(ref)
    apache.cluster.remove(PODS, NAMESPACE, f"{ref.path[1]}-driver")
    apache.move(ref, "Failed", "Driver exited with 137", driver=kept)
    apache.move(ref, "ResourceReleased")
    failure = apache.platform().explain(ref)
    assert failure.category == "oom_driver"
    assert "OOMKilled, exit code 137" in failure.message
