"""What must hold on EMR on EKS on a bad day, from submit to the last state; virtual time, the real boto3 client.

Rows are those of the table of failure modes that every platform type is held to.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from datetime import timedelta

import pytest

from airflow_doeks.lifecycle import Budgets, Clock, Followers, cancel, submit, wait
from airflow_doeks.lifecycle.deadlines import next_deadline
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from tests.fakes.emr_containers import Fault, Step
from tests.platforms.harness_emr_on_eks import CLUSTER, World, world

JOB = SparkJob(main="s3://acme-code/jobs/clean.py")
OTHER = SparkJob(main="s3://acme-code/jobs/clean.py", args=("--fast",))
FOR_EVER = (Step(0, "PENDING"), Step(5, "SUBMITTED"), Step(20, "RUNNING"))


@pytest.fixture
def aws(tmp_path):
    """A fresh fake AWS whose jobs run until somebody ends them."""
    with world(tmp_path) as fresh:
        fresh.emr.script = lambda _: FOR_EVER
        yield fresh


def clock(aws: World) -> Clock:
    """The service's time."""
    return Clock(lambda: aws.emr.now, aws.sleep)


def run(aws: World, job=JOB, *, base_try=0, platform=None, **identity):
    """Submit an attempt from a worker of its own."""
    return submit(platform or aws.platform(), job, aws.identity(**identity), base_try=base_try, clock=clock(aws))


def direct(aws: World, count: int) -> list[JobRef]:
    """Small jobs that are already there, without the time it takes to submit them."""
    request = {"virtualClusterId": CLUSTER, "releaseLabel": "emr-7.9.0-latest"}
    request |= {"jobDriver": {"sparkSubmitJobDriver": {"entryPoint": "s3://c/m.py"}}}
    jobs = [aws.emr._new_job(request | {"clientToken": str(number)}) for number in range(count)]
    return [JobRef(f"emr_on_eks://123456789012.us-east-1/{CLUSTER}/{job.id}") for job in jobs]


async def follow(platform, ref, followers=None, *, stop=lambda status: status.state.is_terminal) -> list[JobStatus]:
    """What a trigger sees of a job until it stops looking."""
    seen: list[JobStatus] = []
    async with aclosing((followers or Followers()).follow(platform, ref)) as statuses:
        async for status in statuses:
            seen.append(status)
            if stop(status):
                break
    return seen


@pytest.mark.parametrize("instance", ["prod-eu", "prod (eu)", "prod,eu", "team#1", "p" * 300])
def test_row_1_an_instance_may_have_any_name(aws, instance):
    """Also one with characters that AWS refuses in a tag: the retry follows the one job, another instance does not."""
    first = run(aws, instance=instance)
    assert run(aws, try_number=2, instance=instance).ref == first.ref
    assert run(aws, try_number=2, instance=f"{instance}!").ref != first.ref
    assert len(aws.emr.jobs) == 2


@pytest.mark.parametrize("try_number", [1, 2])
def test_row_1_a_worker_killed_after_the_commit_leaves_one_job(aws, try_number):
    """The worker dies before it wrote anything down: the same try again, or the next, follows the one job."""
    first = run(aws)
    again = run(aws, try_number=try_number)
    assert again.ref == first.ref
    assert again.adopted is (try_number == 2)
    assert len(aws.emr.jobs) == 1


def test_row_1_a_clock_ahead_of_the_services_finds_its_job(aws):
    """Airflow's clock runs two minutes ahead: the job seems older than its run, and is adopted all the same."""
    ahead = aws.emr.now + timedelta(minutes=2)
    first = run(aws, run_started=ahead)
    assert run(aws, try_number=2, run_started=ahead).ref == first.ref


def test_row_1_a_job_that_succeeded_unnoticed_is_adopted(aws):
    """The job ended well while no worker looked: the retry takes it over instead of running it again."""
    first = run(aws)
    aws.emr.jobs[first.ref.path[1]].steps += (Step(30, "COMPLETED"),)
    aws.sleep(60)
    assert run(aws, try_number=2).ref == first.ref
    assert len(aws.emr.jobs) == 1


@pytest.mark.parametrize("has_tags", [True, False])
def test_row_2_a_timeout_after_the_commit_leaves_one_job(aws, has_tags):
    """The service committed and the answer was lost until the task failed: the next try adopts that job."""
    aws.emr.list_has_tags = has_tags
    aws.emr.faults.append(Fault("StartJobRun", "drop_after", times=100))
    with pytest.raises(PlatformError, match="StartJobRun failed") as caught:
        run(aws)
    assert caught.value.retryable
    aws.emr.faults.clear()
    assert run(aws, try_number=2).adopted
    assert len(aws.emr.jobs) == 1


async def test_row_3_a_job_that_ended_while_the_triggerer_was_away_is_told_at_once(aws):
    """After a restart of the triggerer the end is told within 5 seconds, and the restart cancelled nothing."""
    submission = run(aws)
    before = await follow(aws.platform(), submission.ref, stop=lambda status: status.state is JobState.RUNNING)
    assert before[-1].state is JobState.RUNNING
    aws.emr.jobs[submission.ref.path[1]].steps += (Step(60, "COMPLETED"),)
    aws.sleep(300)
    back = aws.emr.now
    after = await follow(aws.platform(), submission.ref)
    assert [status.state for status in after] == [JobState.SUCCEEDED]
    assert aws.emr.now - back < timedelta(seconds=5)
    assert aws.emr.calls["CancelJobRun"] == 0


async def test_row_4_a_minute_of_throttling_fails_no_task(aws):
    """Every call is throttled for a minute: all followers keep waiting and all see their job's end."""
    aws.emr.script = lambda _: (Step(0, "RUNNING"), Step(120, "COMPLETED"))
    refs, platform, followers = direct(aws, 60), aws.platform(), Followers()
    outage = Fault("*", "EKSRequestThrottledException", 429, float("inf"), until=aws.emr.now + timedelta(seconds=60))
    aws.emr.faults.append(outage)
    all_seen = await asyncio.gather(*(follow(platform, ref, followers) for ref in refs))
    assert {seen[-1].state for seen in all_seen} == {JobState.SUCCEEDED}
    assert outage.hits < 60


async def test_row_6_credentials_that_expire_while_following_fail_nothing(aws):
    """A token that expires in the middle costs one refused call: the client is made anew."""
    aws.emr.script = lambda _: (Step(0, "RUNNING"), Step(1800, "COMPLETED"))
    tokens = iter(["old", "new"])
    platform, ref = aws.platform(tokens=tokens), direct(aws, 1)[0]

    def expire(status):
        if status.state is JobState.RUNNING:
            aws.emr.dead_tokens.add("old")
        return status.state.is_terminal

    assert (await follow(platform, ref, stop=expire))[-1].state is JobState.SUCCEEDED
    assert aws.emr.calls["expired"] == 1


async def test_row_11_two_hours_in_the_queue_hold_nobody_and_end_only_by_queue_timeout(aws):
    """A job queued for two hours stays QUEUED and lives, unless queue_timeout says otherwise."""
    aws.emr.script = lambda _: (Step(0, "PENDING", "queued by the virtual cluster"), Step(7200, "COMPLETED"))
    submission = run(aws)
    seen = await follow(aws.platform(), submission.ref)
    assert [status.state for status in seen] == [JobState.QUEUED, JobState.SUCCEEDED]
    assert seen[0].reason == "queued by the virtual cluster"
    times = {"submitted": submission.submitted, "entered": submission.submitted}
    assert next_deadline(seen[0], Budgets(startup_timeout=60, run_timeout=60), **times) is None
    due = submission.submitted + timedelta(seconds=1800)
    assert next_deadline(seen[0], Budgets(queue_timeout=1800), **times) == (due, "queue_timeout")


def test_row_13_a_killed_task_has_no_job_five_seconds_later(aws):
    """Marking, clearing or killing a task ends its job; CANCEL_PENDING is waited for, not taken for the end."""
    submission = run(aws)
    aws.sleep(30)
    asked = aws.emr.now
    last = cancel(aws.platform(), submission.ref, wait_seconds=60, clock=clock(aws))
    assert (last.state, last.native_state) == (JobState.CANCELLED, "CANCELLED")
    waited = (aws.emr.now - asked).total_seconds()
    assert aws.emr.cancel_seconds <= waited <= aws.emr.cancel_seconds + 2
    assert aws.emr.calls["CancelJobRun"] == 1


def test_row_14_execution_timeout_cancels_before_it_fails(aws):
    """At the deadline the job is cancelled and its end awaited; no job outlives its task."""
    submission = run(aws)
    budgets = Budgets(deadline=submission.submitted + timedelta(minutes=10))
    status, spent = wait(aws.platform(), submission, budgets, clock=clock(aws))
    assert (status.state, spent) == (JobState.CANCELLED, "execution_timeout")
    last = aws.platform().observe(submission.ref)
    assert next_deadline(last, budgets, submitted=submission.submitted, entered=submission.submitted) is None


def test_row_15_a_cleared_task_really_runs_again(aws):
    """Clearing a finished task starts a new job: jobs of the life before are not adopted."""
    first = run(aws)
    aws.emr.jobs[first.ref.path[1]].steps += (Step(30, "COMPLETED"),)
    aws.sleep(60)
    again = run(aws, try_number=2, base_try=1)
    assert again.ref != first.ref
    assert not again.adopted


async def test_row_16_a_thousand_jobs_share_one_connection(aws):
    """1,000 deferred jobs: one feed, one connection, at most 1.6 calls a second."""
    aws.emr.answer_seconds = 0.05
    aws.emr.script = lambda _: (Step(0, "RUNNING"), Step(100_000, "COMPLETED"))
    refs, followers = direct(aws, 1000), Followers()
    start, calls = aws.emr.now, aws.emr.calls
    until = start + timedelta(seconds=150)
    tasks = [asyncio.create_task(follow(aws.platform(), ref, followers)) for ref in refs]
    while aws.emr.now < until:  # noqa: ASYNC110 - the clock that is waited for is virtual
        await asyncio.sleep(0.01)
    assert followers.feeds == 1
    assert aws.aws.connections == 1
    assert calls.total() / (aws.emr.now - start).total_seconds() <= 1.6
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert followers.feeds == 0


@pytest.mark.parametrize(("spread_seconds", "answer_seconds"), [(60, 0.05), (10, 0.05), (60, 0.2)])
async def test_row_16_ends_are_told_within_one_list_cycle(aws, spread_seconds, answer_seconds):
    """1,000 jobs that end in any order, in ten seconds or in a minute: each end is told within 15 s."""
    aws.emr.answer_seconds, told = answer_seconds, []
    ends = iter(60 + number * 617 % 1000 * spread_seconds / 1000 for number in range(1000))
    aws.emr.script = lambda _: (Step(0, "RUNNING"), Step(next(ends), "COMPLETED"))
    refs, followers = direct(aws, 1000), Followers()

    async def wait_for(ref):
        last = (await follow(aws.platform(), ref, followers))[-1]
        told.append((aws.emr.now - last.ended).total_seconds())

    await asyncio.gather(*map(wait_for, refs))
    assert max(told) <= 15


async def test_row_17_an_unheard_state_keeps_the_task_waiting(aws, caplog):
    """A state AWS invents is still running, warned about once, and the job's end is seen when it comes."""
    aws.emr.odd_state = "THAWING"
    submission = run(aws)

    aws.emr.jobs[submission.ref.path[1]].steps += (Step(600, "COMPLETED"),)
    with caplog.at_level(logging.WARNING):
        task = asyncio.create_task(follow(aws.platform(), submission.ref))
        while aws.emr.calls["DescribeJobRun"] < 10:  # noqa: ASYNC110 - a count of the service
            await asyncio.sleep(0.01)
        aws.emr.odd_state = None
        seen = await task
    assert [status.state for status in seen][:1] == [JobState.RUNNING]
    assert seen[-1].state is JobState.SUCCEEDED
    assert sum("THAWING" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize("job", [JOB, OTHER])
@pytest.mark.parametrize(
    "tags",
    [
        None,
        {"airflow-doeks/instance": "staging"},
        {"airflow-doeks/task-key": "0123456789abcdef"},
    ],
)
def test_row_18_a_job_of_the_same_name_that_is_not_ours_is_never_touched(aws, job, tags):
    """A living job that bears our name but not all of our tags is neither adopted nor, for other work, cancelled."""
    foreign = aws.platform().render(JOB, aws.identity()).body["start_job_run"] | {"clientToken": "theirs"}
    foreign |= {"tags": foreign["tags"] | tags} if tags else {"tags": {"team": "theirs"}}
    theirs = aws.make("emr-containers").start_job_run(**foreign)["id"]
    mine = run(aws, job, try_number=2)
    assert mine.ref.path[1] != theirs
    assert aws.emr.calls["CancelJobRun"] == 0


async def test_row_19_emrs_own_retries_are_not_the_end_and_are_counted(aws):
    """With EMR's retries asked for, a driver that starts again is one job that still runs, attempts shown."""
    aws.emr.script = lambda _: (
        Step(0, "RUNNING", attempt=1),
        Step(100, "SUBMITTED", "driver failed, attempt 2 starts", attempt=2),
        Step(200, "COMPLETED", attempt=2),
    )
    submission = run(aws, platform=aws.platform(max_attempts=2))
    seen = await follow(aws.platform(), submission.ref)
    assert [(status.state, status.attempts) for status in seen] == [
        (JobState.RUNNING, 1),
        (JobState.STARTING, 2),
        (JobState.SUCCEEDED, 2),
    ]
    assert str(seen[1]) == f"{submission.ref} is STARTING, attempt 2: driver failed, attempt 2 starts"


def test_changed_work_ends_the_old_job_before_the_new_one_starts(aws):
    """A retry with other arguments cancels the living job of the try before and waits for its end."""
    first = run(aws)
    second = run(aws, OTHER, try_number=2)
    assert second.ref != first.ref
    assert aws.platform().observe(first.ref).state is JobState.CANCELLED
    assert aws.emr.jobs[second.ref.path[1]].created >= aws.emr.jobs[first.ref.path[1]].cancelled


def test_a_job_being_cancelled_is_never_adopted(aws):
    """CANCEL_PENDING is not a job to come back to: its end is awaited and a new one starts."""
    first = run(aws)
    aws.platform().cancel(first.ref)
    second = run(aws, try_number=2)
    assert second.ref != first.ref
    assert not second.adopted


def test_two_airflows_on_one_virtual_cluster_never_touch_each_other(aws):
    """The same DAG, run and task ids in two installations are two jobs, through retries and restarts."""
    one, two = run(aws, instance="prod"), run(aws, instance="test")
    assert one.ref != two.ref
    assert run(aws, instance="prod", try_number=2).ref == one.ref
    run(aws, OTHER, instance="test", try_number=2)
    assert aws.platform().observe(one.ref).state is not JobState.CANCELLED


def test_no_secret_gets_into_logs_or_messages(aws, caplog):
    """Session tokens, keys and secret property values appear in no log line and no error."""
    secret = SparkJob(main=JOB.main, conf={"spark.hadoop.fs.s3a.secret.key": "hunter2"})
    aws.emr.faults.append(Fault("StartJobRun", "ThrottlingException", times=2))
    with caplog.at_level(logging.DEBUG, logger="airflow_doeks"):
        submission = run(aws, secret)
        aws.emr.denied.add("StartJobRun")
        with pytest.raises(PlatformError) as caught:
            run(aws, secret, run_id="other")
    text = caplog.text + str(caught.value) + str(submission.to_json())
    assert not [word for word in ("hunter2", "session", "AKIAEXAMPLE") if word in text]
