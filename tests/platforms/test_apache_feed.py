"""Following SparkApplications of the Apache operator, which tells the outcome before the end."""

import pytest

from airflow_doeks.model.status import JobState
from tests.platforms.harness_apache_spark import harness
from tests.platforms.test_kubeflow_feed import following, states
from tests.platforms.test_kubernetes_watch import until


@pytest.fixture
def apache(tmp_path):
    """A namespace with the operator."""
    with harness(tmp_path) as made:
        yield made


def submit(apache):
    """A job whose driver runs."""
    platform = apache.platform()
    ref = platform.submit(platform.render(apache.job(), apache.identity()))
    apache.until_running(ref)
    return ref


@pytest.mark.parametrize(("verdict", "state"), [("Succeeded", JobState.SUCCEEDED), ("Failed", JobState.FAILED)])
async def test_a_verdict_that_was_seen_needs_no_look(apache, verdict, state):
    """Whoever watches sees Succeeded or Failed before the last word: no call is made to tell how the job ended."""
    ref = submit(apache)
    async with following(apache, {ref}) as told:
        await until(lambda: states(told, ref) == [JobState.RUNNING])
        apache.move(ref, verdict)
        apache.move(ref, "ResourceReleased")
        await until(lambda: states(told, ref)[-1] is state)
        assert apache.server.calls["get sparkapplications"] == 0


async def test_a_verdict_that_nobody_saw_is_looked_up(apache):
    """A triggerer that comes after the end reads the history once."""
    ref = submit(apache)
    apache.succeed(ref)
    async with following(apache, {ref}) as told:
        await until(lambda: states(told, ref) == [JobState.SUCCEEDED])
        assert apache.server.calls["get sparkapplications"] == 1


async def test_a_restart_takes_a_verdict_back(apache):
    """Failed and then restarted is no failure: what is told at the end is of the last attempt."""
    ref = submit(apache)
    async with following(apache, {ref}) as told:
        await until(lambda: states(told, ref) == [JobState.RUNNING])
        for word in ("Failed", "ScheduledToRestart", "RunningHealthy", "Succeeded", "ResourceReleased"):
            apache.move(ref, word)
        await until(lambda: states(told, ref)[-1] is JobState.SUCCEEDED)
        assert JobState.FAILED not in states(told, ref)
