"""Exactly one job per piece of work, whatever dies in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_doeks.lifecycle import Clock, Submission, submission_of, submit
from airflow_doeks.model.engine import FLINK
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.status import JobState
from tests.fakes.memory_platform import START, MemoryPlatform, VirtualTime

JOB = SparkJob(main="jobs/clean.py")
OTHER_JOB = SparkJob(main="jobs/clean.py", args=("--fast",))
FOR_EVER = ((0, JobState.QUEUED), (10, JobState.RUNNING))
FIRST = JobIdentity(
    instance="prod",
    dag_id="sales.daily",
    run_id="manual__1",
    task_id="clean",
    map_index=-1,
    try_number=1,
    run_started=START,
    attempt_id="a1",
)


def later_try(number: int, **changes: object) -> JobIdentity:
    """The same task, another try."""
    return replace(FIRST, try_number=number, attempt_id=f"a{number}", **changes)


def run(platform: MemoryPlatform, identity: JobIdentity, job: SparkJob = JOB, base_try: int = 0) -> Submission:
    """Submit on the platform's own time."""
    return submit(platform, job, identity, base_try=base_try, clock=Clock(platform.time.now, platform.time.sleep))


def test_the_same_try_executed_again_gets_the_same_job() -> None:
    """A try that Airflow executes twice submits one job."""
    platform = MemoryPlatform()
    assert run(platform, FIRST).ref == run(platform, FIRST).ref
    assert len(platform.sent) == 1


def test_a_timeout_after_the_commit_leaves_one_job() -> None:
    """Row 2: the platform committed, the answer was lost; the retry adopts the job that came to be."""
    platform = MemoryPlatform(script=FOR_EVER)
    platform.fail_submit_after_commit = True
    with pytest.raises(PlatformError, match="timed out"):
        run(platform, FIRST)
    platform.tick(1)
    second = run(platform, later_try(2))
    assert second.adopted
    assert second.try_number == 1
    assert len(platform.sent) == 1


def test_a_retry_adopts_the_living_job_of_a_dead_worker() -> None:
    """Row 1: the worker died after submit; the next try follows the same job."""
    platform = MemoryPlatform(script=FOR_EVER)
    first = run(platform, FIRST)
    platform.tick(30)
    second = run(platform, later_try(2))
    assert (second.ref, second.adopted, second.try_number) == (first.ref, True, 1)
    assert second.submitted == first.submitted


def test_a_clock_that_is_behind_doubles_no_job() -> None:
    """A job that its platform dates before the run began is this run's all the same: it carries the run's start."""
    platform = MemoryPlatform(VirtualTime(START - timedelta(seconds=5)), script=FOR_EVER)
    first = run(platform, FIRST)
    assert run(platform, later_try(2)).ref == first.ref
    assert len(platform.sent) == 1


def test_a_first_try_looks_for_nothing() -> None:
    """No try came before it, so it costs no call to the platform but the one that submits."""
    platform = MemoryPlatform()
    platform.find = None  # type: ignore[assignment, method-assign]
    assert not run(platform, FIRST).adopted


def test_a_retry_adopts_a_job_that_succeeded_unnoticed() -> None:
    """A job that ended well while nobody looked is not run again."""
    platform = MemoryPlatform()
    first = run(platform, FIRST)
    platform.tick(100)
    assert run(platform, later_try(2)).ref == first.ref


def test_a_failed_job_is_never_adopted() -> None:
    """A retry after a failure is a new job."""
    platform = MemoryPlatform(script=((0, JobState.QUEUED), (10, JobState.FAILED)))
    first = run(platform, FIRST)
    platform.tick(30)
    second = run(platform, later_try(2))
    assert second.ref != first.ref
    assert not second.adopted


def test_different_work_ends_the_living_job_first() -> None:
    """A retry with another job waits for the end of the old one before it submits."""
    platform = MemoryPlatform(script=FOR_EVER)
    first = run(platform, FIRST)
    platform.tick(30)
    second = run(platform, later_try(2), OTHER_JOB)
    assert platform.observe(first.ref).state is JobState.CANCELLED
    assert second.ref != first.ref


def test_restart_ends_the_living_job_and_starts_anew() -> None:
    """`on_retry: restart` gives two jobs, the first cancelled."""
    platform = MemoryPlatform(script=FOR_EVER)
    job = SparkJob(main="jobs/clean.py", on_retry="restart")
    first = run(platform, FIRST, job)
    second = run(platform, later_try(2), job)
    assert platform.observe(first.ref).state is JobState.CANCELLED
    assert second.ref != first.ref


def test_a_job_that_is_being_cancelled_is_awaited_not_adopted() -> None:
    """CANCEL_PENDING is neither adopted nor doubled."""
    platform = MemoryPlatform(script=FOR_EVER)
    first = run(platform, FIRST)
    platform.cancel(first.ref)
    second = run(platform, later_try(2))
    assert second.ref != first.ref
    assert platform.observe(first.ref).state is JobState.CANCELLED


def test_no_second_job_beside_one_that_will_not_end() -> None:
    """When the old job does not end in time the attempt fails and may be retried."""
    platform = MemoryPlatform(script=FOR_EVER, cancel_takes=10_000)
    run(platform, FIRST)
    with pytest.raises(PlatformError, match="no second job is started beside it") as caught:
        run(platform, later_try(2), OTHER_JOB)
    assert caught.value.retryable
    assert len(platform.sent) == 1


def test_clearing_a_succeeded_task_reruns_it() -> None:
    """Row 15: clearing raises max_tries, so the tries before it belong to another life."""
    platform = MemoryPlatform()
    first = run(platform, FIRST)
    platform.tick(100)
    assert run(platform, later_try(2), base_try=1).ref != first.ref


def test_clearing_a_waiting_task_ends_its_job_before_another_starts() -> None:
    """A job from before the clear is never adopted, and never lives beside the new one."""
    platform = MemoryPlatform(script=FOR_EVER)
    first = run(platform, FIRST)
    second = run(platform, later_try(2), base_try=1)
    assert second.ref != first.ref
    assert platform.observe(first.ref).state is JobState.CANCELLED


@pytest.mark.parametrize("base_try", [0, 1])
def test_a_run_that_starts_anew_ends_the_job_of_its_earlier_start(base_try: int) -> None:
    """A run that finished and is cleared starts anew: a job that still lives is neither adopted nor doubled."""
    platform = MemoryPlatform(script=FOR_EVER)
    first = run(platform, FIRST)
    second = run(platform, later_try(2, run_started=START + timedelta(microseconds=1)), base_try=base_try)
    assert second.ref != first.ref
    assert platform.observe(first.ref).state is JobState.CANCELLED


@pytest.mark.parametrize(
    "change",
    [
        {"instance": "staging"},
        {"run_id": "manual__2"},
        {"map_index": 0},
    ],
)
def test_nothing_is_adopted_from_another_life(change: dict[str, object]) -> None:
    """Another Airflow, another run or map index: each has its own job, both live."""
    platform = MemoryPlatform(script=FOR_EVER)
    first = run(platform, FIRST)
    second = run(platform, later_try(2, **change))
    assert second.ref != first.ref
    assert platform.observe(first.ref).state is JobState.QUEUED


def test_edited_retries_cancel_the_living_job() -> None:
    """When `retries` was edited the lives cannot be told apart: the living job ends, a new one starts."""
    platform = MemoryPlatform(script=FOR_EVER)
    first = run(platform, FIRST)
    second = run(platform, later_try(2), base_try=-1)
    assert platform.observe(first.ref).state is JobState.CANCELLED
    assert second.ref != first.ref


def test_a_submission_survives_json() -> None:
    """What a trigger carries is what was submitted."""
    submission = run(MemoryPlatform(), FIRST)
    assert Submission.from_json(submission.to_json()) == submission


def test_a_submission_of_a_newer_version_is_read_and_handed_on() -> None:
    """What a newer worker carries beside is not lost when an older one defers the task again."""
    newer = run(MemoryPlatform(), FIRST).to_json() | {"windows": ["2026-11-20"]}
    assert Submission.from_json(newer).to_json() == newer


def test_an_adopted_job_is_itself() -> None:
    """Name, token, tags and try are those under which it was submitted."""
    platform = MemoryPlatform(script=FOR_EVER)
    first = run(platform, FIRST)
    platform.tick(30)
    assert run(platform, later_try(2)) == replace(first, adopted=True)


def test_a_job_that_is_found_is_of_the_engine_of_its_task() -> None:
    """An orphan's record names the engine that ran it, whichever that is."""
    platform = MemoryPlatform(script=FOR_EVER)
    run(platform, FIRST)
    (status,) = platform.find(FIRST)
    found = submission_of(status, FIRST, engine=FLINK, platform="memory")
    assert found is not None
    assert found.engine == "flink"
