"""The same questions to every platform type; a new type adds its harness and answers them all."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json

import pytest

from airflow_doeks.lifecycle import Followers
from airflow_doeks.model.identity import PREFIX, label_value
from airflow_doeks.model.status import JobState
from airflow_doeks.model.telemetry import Sighting
from airflow_doeks.platforms.registry import TYPES
from tests.platforms.harness_local import until

HARNESSES = (
    "apache_flink",
    "apache_spark",
    "emr_on_eks",
    "kubeflow_spark",
    "local",
)  # platform type -> tests/platforms/harness_<type>.py

TRACEBACK = """\
Traceback (most recent call last):
  File "/jobs/clean.py", line 7, in <module>
    raise ValueError("no flights in 2013-13")
ValueError: no flights in 2013-13
"""


@pytest.fixture(params=(*HARNESSES, "local_flink", "memory"))
def harness(request, tmp_path):
    """A place where jobs of one platform type run."""
    module = importlib.import_module(f"tests.platforms.harness_{request.param}")
    with module.harness(tmp_path) as made:
        yield made


def submit(harness, **changes):
    """Submit an attempt and let it start."""
    platform = harness.platform()
    ref = platform.submit(platform.render(harness.job(), harness.identity(**changes)))
    harness.until_running(ref)
    return ref


def test_every_type_answers():
    """No platform type is left out of these questions."""
    assert set(HARNESSES) == set(TYPES)


def test_render_is_pure(harness):
    """The request is JSON, the same every time, made without a call, and holds the token once computed."""
    one, two = (harness.platform().render(harness.job(), harness.identity()) for _ in range(2))
    assert one == two
    assert json.loads(json.dumps(one.body)) == one.body
    assert (one.token, len(one.spec_hash)) == (harness.identity().token, 64)
    assert harness.applications() == 0


def test_spec_hash_is_the_work(harness):
    """Who asks does not change the spec hash; what is asked does."""
    platform = harness.platform()
    first = platform.render(harness.job(), harness.identity())
    other = harness.identity(try_number=2, run_id="other", cost_tags={"team": "growth"})
    assert platform.render(harness.job(), other).spec_hash == first.spec_hash
    for change in (
        {"args": ["x"]},
        {"conf": {"spark.sql.shuffle.partitions": 7}},
        harness.bigger,
        {"env": {"A": "b"}},
    ):
        assert platform.render(harness.job(**change), harness.identity()).spec_hash != first.spec_hash, change


def test_same_token_is_one_job(harness):
    """However often and from wherever an attempt is submitted, one application runs."""
    ref = submit(harness)
    again = harness.platform()
    assert again.submit(again.render(harness.job(), harness.identity())) == ref
    harness.succeed(ref)
    assert again.submit(again.render(harness.job(), harness.identity())) == ref
    assert harness.applications() == 1


def test_every_attempt_is_its_own_job(harness):
    """A second try, or the same task of another run, starts a job of its own."""
    refs = {submit(harness), submit(harness, try_number=2), submit(harness, run_id="other")}
    until(lambda: harness.applications() >= len(refs))
    assert (len(refs), harness.applications()) == (3, 3)


def test_find_by_task(harness):
    """All tries of a task are found, newest first, with every key they carry; other tasks' are not."""
    first, second = submit(harness), submit(harness, try_number=2)
    submit(harness, task_id="rollup"), submit(harness, instance="staging"), submit(harness, map_index=3)
    platform = harness.platform()
    found = platform.find(harness.identity(try_number=3))
    assert [status.ref for status in found] == [second, first]
    identity = harness.identity(try_number=2)
    expected = identity.tags(platform.render(harness.job(), identity).spec_hash)
    assert expected.keys() <= found[0].tags.keys()
    for key, value in expected.items():
        assert found[0].tags[key] in (value, label_value(value)), key
    assert found[1].tags[f"{PREFIX}try"] == "1"
    assert platform.find(harness.identity(run_id="never")) == []


def test_a_job_tells_under_what_it_was_submitted(harness):
    """Who finds a job of an earlier try, or looks at it, is told the name and token of its own."""
    platform = harness.platform()
    request = platform.render(harness.job(), harness.identity())
    ref = platform.submit(request)
    for status in (*platform.find(harness.identity(try_number=2)), platform.observe(ref)):
        assert (status.name, status.token) == (request.name, request.token)


def test_life_of_a_job(harness):
    """A job runs and succeeds, with the times its platform tells in order; nothing changes it afterwards."""
    ref = submit(harness)
    running = harness.platform().observe(ref)
    assert (running.state, running.ended, running.is_cancelling) == (JobState.RUNNING, None, False)
    harness.succeed(ref)
    ended = harness.platform().observe(ref)
    assert ended.state is JobState.SUCCEEDED
    told = [moment for moment in (ended.submitted, ended.started, ended.ended) if moment is not None]
    assert told == sorted(told)
    assert {ended.submitted, ended.ended} <= set(told)
    harness.platform().cancel(ref)
    harness.platform().cancel(ref)
    assert harness.platform().observe(ref) == ended


def test_cancel_twice(harness):
    """A cancel from another process ends the job; a second one is fine; it is said to be cancelled, not failed."""
    ref = submit(harness)
    harness.platform().cancel(ref)
    harness.platform().cancel(ref)
    harness.let_cancel_happen(ref)
    assert harness.platform().observe(ref).state is JobState.CANCELLED
    assert harness.platform().explain(ref).category == "cancelled"


def test_unknown_job(harness):
    """A job that nobody knows is LOST; cancelling and explaining it raises nothing."""
    platform, ref = harness.platform(), harness.unknown()
    status = platform.observe(ref)
    assert (status.state, bool(status.reason)) == (JobState.LOST, True)
    platform.cancel(ref)
    assert platform.explain(ref).message


def test_lost_job(harness):
    """A job that vanishes without a verdict is LOST, with a reason, and is not taken for failed or running."""
    ref = submit(harness)
    harness.lose(ref)
    status = harness.platform().observe(ref)
    assert (status.state, bool(status.reason)) == (JobState.LOST, True)


def test_explain_gives_the_root_cause(harness):
    """A failed job is explained by its exception in one line, with a category, evidence and the log's tail."""
    ref = submit(harness)
    harness.fail(ref, TRACEBACK)
    failure = harness.platform().explain(ref)
    assert (failure.category, failure.message) == ("user_code", "ValueError: no flights in 2013-13")
    assert failure.evidence
    assert failure.log_tail[-1] == "ValueError: no flights in 2013-13"
    assert harness.platform().observe(ref).state is JobState.FAILED


def test_a_failure_repeats_no_secret(harness):
    """What a job's log says of secrets is in neither cause nor tail, whatever the platform."""
    ref = submit(harness)
    harness.fail(ref, f"argv: ['--db-password', 'hunter2']\n{TRACEBACK.rstrip()} for password=ab;hunter2\n")
    failure = harness.platform().explain(ref)
    assert failure.message == "ValueError: no flights in 2013-13 for password=***"
    assert failure.log_tail[0] == "argv: ['--db-password', '***']"
    assert "hunter2" not in repr(failure)


def test_telemetry_states_facts(harness):
    """What a job requested and how long it held it is known after its end, or why not."""
    ref = submit(harness)
    harness.succeed(ref)
    telemetry = harness.platform().telemetry(ref)
    pods = telemetry.pods or telemetry.requested
    assert all(pod.vcpu and pod.memory_gib for pod in pods)
    assert pods
    assert (telemetry.started or telemetry.submitted) <= telemetry.ended
    assert telemetry.assumed_node.instance_type


async def collect(feed, states, enough):
    """Take states from a feed, not what it sees of pods, until ``enough`` says so."""
    async for told in feed:
        states += [] if isinstance(told, Sighting) else [(told.ref, told.state)]
        if enough(states):
            return


async def test_feed_tells_the_present_then_changes(harness):
    """One feed covers all wanted jobs of the scope: where they are now, then what happens."""
    platform = harness.platform()
    one, two = submit(harness), submit(harness, try_number=2)
    assert platform.scope(one) == platform.scope(two)
    feed, states = platform.feed(platform.scope(one), {one, two}), []
    await asyncio.wait_for(collect(feed, states, lambda seen: len(set(seen)) == 2), 30)
    assert set(states) == {(one, JobState.RUNNING), (two, JobState.RUNNING)}
    await asyncio.to_thread(harness.succeed, two)
    feed = platform.feed(platform.scope(one), {one, two})
    await asyncio.wait_for(collect(feed, states, lambda seen: len(set(seen)) == 3), 30)
    assert (two, JobState.SUCCEEDED) in states
    assert (one, JobState.SUCCEEDED) not in states


async def test_feed_tells_whoever_comes_while_it_runs(harness):
    """A job that comes to be wanted while the feed runs is told where it is, also if it ended before."""
    platform = harness.platform()
    ended, late = submit(harness), submit(harness, try_number=2)
    first = submit(harness, try_number=3)
    await asyncio.to_thread(harness.succeed, ended)
    wanted, states = {first}, []

    def comes(seen):
        wanted.update({late, ended})
        return {(late, JobState.RUNNING), (ended, JobState.SUCCEEDED)} <= set(seen)

    await asyncio.wait_for(collect(platform.feed(platform.scope(first), wanted), states, comes), 30)


async def test_a_late_follower_is_told_the_end(harness):
    """Whoever follows a job that the shared feed saw end, before or after somebody else left it, is told the end."""
    platform, followers = harness.platform(), Followers()
    ref, other = submit(harness), submit(harness, try_number=2)

    async def end_of(wanted):
        async with contextlib.aclosing(followers.follow(platform, wanted)) as statuses:
            return [status.state async for status in statuses][-1]

    keeps_it_open = asyncio.create_task(end_of(other))
    await asyncio.to_thread(harness.succeed, ref)
    for _ in range(2):
        assert await asyncio.wait_for(end_of(ref), 30) is JobState.SUCCEEDED
    await asyncio.to_thread(harness.succeed, other)
    assert await asyncio.wait_for(keeps_it_open, 30) is JobState.SUCCEEDED


def test_living_jobs_of_an_instance(harness):
    """What an Airflow started and still lives is found by its instance, whatever the task; others' jobs are not."""
    long = "https://airflow.example.com/" + "x" * 60
    refs = {submit(harness), submit(harness, task_id="rollup", run_id="other")}
    ended = submit(harness, try_number=2)
    elsewhere = submit(harness, instance=long)
    harness.succeed(ended)
    assert {status.ref for status in harness.platform().living("prod")} == refs
    (status,) = harness.platform().living(long)
    assert (status.ref, status.state, status.tags[f"{PREFIX}task"]) == (elsewhere, JobState.RUNNING, "clean")
