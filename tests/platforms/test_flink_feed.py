"""Following streams: one watch for all of a namespace, whose resources are deployed again and again."""

import asyncio
import contextlib

import pytest

from airflow_doeks.lifecycle import Followers
from airflow_doeks.model.status import JobState
from tests.platforms.harness_apache_flink import harness
from tests.platforms.test_flink_streams import act, deploy, stopped
from tests.platforms.test_kubeflow_feed import following, states
from tests.platforms.test_kubernetes_watch import until


@pytest.fixture
def flink(tmp_path):
    """A namespace with an operator."""
    with harness(tmp_path) as made:
        yield made


@contextlib.asynccontextmanager
async def followed(flink, ref):
    """What one follower sees of a job while the block runs."""
    seen = []

    async def read():
        async for status in Followers.of_running_loop().follow(flink.platform(), ref):
            seen.append(status)  # noqa: PERF401 - read while it grows

    task = asyncio.create_task(read())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_stream_that_is_deployed_again_is_not_told_by_its_end_of_before(flink):
    """Its resource, and so its ref, is the same: who follows what was sent now is told how that does."""
    ref, other = deploy(flink), deploy(flink, flink.identity(task_id="other"))
    flink.until_running(ref)
    flink.until_running(other)
    async with followed(flink, other) as of_other:
        await until(lambda: of_other)
        flink.platform().submit(act(flink, "stop"))
        async with followed(flink, ref) as seen:
            await until(lambda: seen)
            stopped(flink, ref)
            await until(lambda: seen[-1].state is JobState.SUCCEEDED)
        assert deploy(flink, flink.identity(run_id="next")) == ref
        async with followed(flink, ref) as seen:
            await until(lambda: seen)
            flink.move(ref, "STABLE", "RUNNING", "READY")
            await until(lambda: seen[-1].state is JobState.RUNNING)
            assert not any(status.state.is_terminal for status in seen)


async def test_an_end_is_not_the_last_word_of_a_stream_that_is_still_followed(flink):
    """Who left and came back between two looks of the feed is told what was sent meanwhile."""
    ref = deploy(flink)
    flink.until_running(ref)
    async with following(flink, {ref}) as told:
        await until(lambda: states(told, ref) == [JobState.RUNNING])
        flink.platform().submit(act(flink, "stop"))
        stopped(flink, ref)
        await until(lambda: states(told, ref)[-1] is JobState.SUCCEEDED)
        deploy(flink, flink.identity(run_id="next"))
        flink.move(ref, "STABLE", "RUNNING", "READY")
        await until(lambda: states(told, ref)[-1] is JobState.RUNNING)


async def test_a_stream_that_was_deleted_hides_no_stream_of_its_name(flink):
    """Its resource was deleted and is made anew: who still follows the one of before leaves, the other is followed."""
    gone = deploy(flink)
    flink.lose(gone)
    ref = deploy(flink, flink.identity(run_id="next"))
    wanted = {gone, ref}
    async with following(flink, wanted) as told:
        await until(lambda: states(told, gone) == [JobState.LOST] and states(told, ref) == [JobState.QUEUED])
        wanted.discard(gone)
        flink.until_running(ref)
        await until(lambda: states(told, ref)[-1] is JobState.RUNNING)
