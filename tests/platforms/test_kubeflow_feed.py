"""Following SparkApplications: one watch for all, ends that are told whatever befalls resource, pod or operator."""

import asyncio
import contextlib

import pytest

from airflow_doeks.model.status import JobState
from airflow_doeks.model.telemetry import Sighting
from airflow_doeks.platforms.patience import Refusal, Time
from tests.fakes.cluster import KUBEFLOW
from tests.platforms.harness_kubeflow_spark import NAMESPACE, harness
from tests.platforms.test_kubernetes_watch import until

JOBS = 100


@pytest.fixture
def kubeflow(tmp_path):
    """A namespace with the operator."""
    with harness(tmp_path) as made:
        yield made


def submit(kubeflow, **changes):
    """One attempt, not taken up yet."""
    platform = kubeflow.platform()
    return platform.submit(platform.render(kubeflow.job(), kubeflow.identity(**changes)))


@contextlib.asynccontextmanager
async def following(kubeflow, wanted, **entry):
    """A feed that runs, and what it told of each job."""
    platform = kubeflow.platform(**entry)
    told, seen = {ref: [] for ref in wanted}, []

    async def read():
        async for status in platform.feed(platform.scope(next(iter(wanted))), wanted):
            if isinstance(status, Sighting):
                seen.append(status)
            elif not told[status.ref] or told[status.ref][-1].state is not status.state:
                told[status.ref].append(status)

    task = asyncio.create_task(read())
    told["sightings"] = seen
    try:
        yield told
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def states(told, ref):
    """What was told of one job."""
    return [status.state for status in told[ref]]


async def test_a_driver_on_a_node_is_starting(kubeflow):
    """SUBMITTED waits for room until the driver's pod has a node: then it starts, and is told when."""
    ref = submit(kubeflow)
    kubeflow.move(ref, "SUBMITTED")
    async with following(kubeflow, {ref}) as told:
        await until(lambda: states(told, ref) == [JobState.QUEUED])
        kubeflow.start_driver(ref)
        await until(lambda: states(told, ref)[-1] is JobState.STARTING)
        assert told[ref][-1].scheduled
        kubeflow.move(ref, "RUNNING")
        await until(lambda: states(told, ref)[-1] is JobState.RUNNING)
        kubeflow.succeed(ref)
        await until(lambda: states(told, ref)[-1] is JobState.SUCCEEDED)
        assert told[ref][-1].started < told[ref][-1].ended
        assert {sighting.pod.role for sighting in told["sightings"]} == {"driver"}


async def test_many_jobs_cost_what_one_costs(kubeflow):
    """A hundred jobs run to their end over two connections, without a call for any of them."""
    refs = {submit(kubeflow, map_index=number) for number in range(JOBS)}
    before, connected = kubeflow.server.calls.total(), kubeflow.server.connections
    async with following(kubeflow, refs) as told:
        await until(lambda: all(told[ref] for ref in refs))
        for word in ("SUBMITTED", "RUNNING", "COMPLETED"):
            for ref in refs:
                kubeflow.move(ref, word)
        await until(lambda: all(states(told, ref)[-1] is JobState.SUCCEEDED for ref in refs))
        assert kubeflow.server.connections - connected == 2
        assert kubeflow.server.calls.total() - before <= 6  # two lists, two watches, perhaps renewed once


async def test_a_resource_that_is_gone_while_it_ran_is_lost(kubeflow):
    """Somebody deletes the resource of a running job: its followers are told that it is lost and why."""
    ref = submit(kubeflow)
    kubeflow.until_running(ref)
    async with following(kubeflow, {ref}) as told:
        await until(lambda: states(told, ref) == [JobState.RUNNING])
        kubeflow.lose(ref)
        await until(lambda: states(told, ref)[-1] is JobState.LOST)
        assert "somebody else deleted it" in told[ref][-1].reason


async def test_a_cancel_elsewhere_is_told_as_one(kubeflow):
    """A worker cancels what a triggerer follows: the triggerer tells a cancelled job, not a lost one."""
    ref = submit(kubeflow)
    kubeflow.until_running(ref)
    async with following(kubeflow, {ref}) as told:
        await until(lambda: states(told, ref) == [JobState.RUNNING])
        await asyncio.to_thread(kubeflow.platform().cancel, ref)
        kubeflow.let_cancel_happen(ref)
        await until(lambda: states(told, ref)[-1] is JobState.CANCELLED)


async def test_a_success_outlives_its_resource(kubeflow):
    """A job that succeeded and whose resource is removed before anybody looked succeeded: its events say so."""
    ref = submit(kubeflow)
    kubeflow.until_running(ref)
    kubeflow.succeed(ref)
    kubeflow.lose(ref)
    async with following(kubeflow, {ref}) as told:
        await until(lambda: states(told, ref) == [JobState.SUCCEEDED])


async def test_an_end_that_could_not_be_looked_at_is_looked_at_again(kubeflow):
    """A resource goes while the API server answers no read: its end is told once one is answered, not forgotten."""
    ref = submit(kubeflow)
    kubeflow.until_running(ref)
    moment = [0.0]
    kubeflow.clock = Time(monotonic=lambda: moment[0], sleep=lambda seconds: moment.append(moment.pop() + seconds))
    async with following(kubeflow, {ref}) as told:
        await until(lambda: states(told, ref) == [JobState.RUNNING])
        kubeflow.server.away = {"get sparkapplications"}
        kubeflow.lose(ref)
        asked = kubeflow.server.calls["get sparkapplications"]
        await until(lambda: moment[0] > 120)  # more than the patience of one look
        assert kubeflow.server.calls["get sparkapplications"] > asked
        kubeflow.server.away = set()
        await until(lambda: states(told, ref)[-1] is JobState.LOST)


async def test_an_end_is_looked_at_once(kubeflow):
    """What is told as ended is not asked for again, whatever its pods still do."""
    ref = submit(kubeflow)
    kubeflow.until_running(ref)
    async with following(kubeflow, {ref}) as told:
        await until(lambda: states(told, ref) == [JobState.RUNNING])
        kubeflow.lose(ref)
        await until(lambda: states(told, ref)[-1] is JobState.LOST)
        asked = kubeflow.server.calls["get sparkapplications"]
        metadata = {"name": ref.path[1], "labels": {"airflow-doeks/task-key": "another"}}
        kubeflow.cluster.create(KUBEFLOW, NAMESPACE, {"metadata": metadata, "spec": {}})
        kubeflow.start_driver(ref)
        await until(lambda: any(sighting.pod.ended is None for sighting in told["sightings"][-1:]))
        assert kubeflow.server.calls["get sparkapplications"] == asked


async def test_events_that_may_not_be_read_leave_it_lost(kubeflow):
    """Without the right to list events, a job whose resource is gone is lost, and the missing right is named."""
    ref = submit(kubeflow)
    kubeflow.lose(ref)
    kubeflow.server.denied = {"list events"}
    async with following(kubeflow, {ref}) as told:
        await until(lambda: states(told, ref) == [JobState.LOST])
        assert 'cannot list resource "events"' in told[ref][-1].reason


async def test_pods_that_may_not_be_watched_are_done_without(kubeflow, caplog):
    """Without pods jobs are followed all the same, with one warning that says what is missed."""
    kubeflow.server.denied = {"list pods"}
    ref = submit(kubeflow)
    kubeflow.until_running(ref)
    async with following(kubeflow, {ref}) as told:
        await until(lambda: states(told, ref) == [JobState.RUNNING])
        kubeflow.succeed(ref)
        await until(lambda: states(told, ref)[-1] is JobState.SUCCEEDED)
    assert len([record for record in caplog.records if "Without pods" in record.message]) == 1


async def test_resources_that_may_not_be_listed_end_the_feed(kubeflow):
    """Without `list` the feed ends with a refusal that names the verb; it says nothing of the jobs."""
    ref = submit(kubeflow)
    kubeflow.server.denied = {"list sparkapplications"}
    platform = kubeflow.platform()
    with pytest.raises(Refusal, match='cannot list resource "sparkapplications"'):
        async for _ in platform.feed(platform.scope(ref), {ref}):
            pass


async def test_an_operator_that_is_down_stalls_its_jobs(kubeflow):
    """A job that nobody takes up is STALLED after a while, with the question to ask, and recovers."""
    moment = [0.0]
    ref = submit(kubeflow)
    kubeflow.clock = Time(monotonic=lambda: moment[0])
    async with following(kubeflow, {ref}) as told:
        await until(lambda: states(told, ref) == [JobState.QUEUED])
        moment[0] += 121
        await until(lambda: states(told, ref)[-1] is JobState.STALLED)
        assert "has not taken it up for 120 s; is the operator running?" in told[ref][-1].reason
        kubeflow.until_running(ref)
        await until(lambda: states(told, ref)[-1] is JobState.RUNNING)
        kubeflow.end_driver(ref, 0, "Completed")
        await until(lambda: _ages(moment) and states(told, ref)[-1] is JobState.STALLED)
        assert "though its driver ended" in told[ref][-1].reason
        kubeflow.move(ref, "COMPLETED")
        await until(lambda: states(told, ref)[-1] is JobState.SUCCEEDED)


def _ages(moment):
    moment[0] += 1
    return True
