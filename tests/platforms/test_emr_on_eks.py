"""EMR on EKS through the real boto3 client on a fake service: submit, find, observe, feed, cancel, pace. Rung R2."""

from __future__ import annotations

import logging
from contextlib import aclosing
from datetime import timedelta

import pytest

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.status import JobRef, JobState
from airflow_doeks.platforms.aws_calls import THROTTLES
from airflow_doeks.platforms.emr_on_eks.states import STATES
from airflow_doeks.platforms.patience import Pace, Time
from tests.fakes.emr_containers import MODEL, Fault, Step
from tests.platforms.harness_emr_on_eks import CLUSTER, world

JOB = SparkJob(main="s3://acme-code/jobs/clean.py", presets=("termination_log",))


@pytest.fixture
def aws(tmp_path):
    """A fresh fake AWS."""
    with world(tmp_path) as fresh:
        yield fresh


def submit(platform, aws, **identity) -> JobRef:
    """A job of an attempt, submitted without lifecycle."""
    return platform.submit(platform.render(JOB, aws.identity(**identity)))


async def seen(platform, refs, *, until, most=2000) -> dict:
    """Last states of the refs, following the feed until the condition holds."""
    states: dict = {}
    wanted = set(refs)
    async with aclosing(platform.feed(platform.scope(refs[0]), wanted)) as feed:
        async for status in feed:
            states[status.ref] = status
            if status.state.is_terminal:
                wanted.discard(status.ref)
            most -= 1
            assert most, "the feed never got there"
            if until(states):
                break
    return states


def all_ended(refs):
    """True once every ref was seen terminal."""
    return lambda states: all(ref in states and states[ref].state.is_terminal for ref in refs)


def test_submit_uploads_templates_and_starts_one_job(aws):
    """Submitting puts the pod template where the request says, makes the event log's folder and gives a ref."""
    platform = aws.platform()
    request = platform.render(JOB, aws.identity())
    ref = platform.submit(request)
    assert ref == f"emr_on_eks://123456789012.us-east-1/{CLUSTER}/0000000000000000000"
    driver, executor, folder = request.body["uploads"]
    assert "terminationMessagePolicy" in aws.aws.s3.place(driver).read_text()
    assert "DOEKS_NODE" in aws.aws.s3.place(executor).read_text()
    assert aws.aws.s3.place(folder).is_dir()


def test_the_same_token_gives_the_same_job(aws):
    """Submitting twice, also from another process, starts one job."""
    first, second = submit(aws.platform(), aws), submit(aws.platform(), aws)
    assert first == second
    assert len(aws.emr.jobs) == 1


async def test_an_odd_entry_of_a_list_hides_no_other(aws, caplog, monkeypatch):
    """A job run in a form that nobody expected is told once; the ends of all others are told as ever."""
    platform = aws.platform()
    refs = [submit(platform, aws, task_id=f"t{number}") for number in range(5)]
    describe = aws.emr.describe

    def odd(job, **how):
        run = describe(job, **how)
        return {key: run[key] for key in run if key != "arn" or job.id != refs[2].path[1]}

    monkeypatch.setattr(aws.emr, "describe", odd)
    others = [ref for ref in refs if ref != refs[2]]
    states = await seen(platform, refs, until=all_ended(others))
    assert {states[ref].state for ref in others} == {JobState.SUCCEEDED}
    assert caplog.text.count("in a form that cannot be read (KeyError") == 1
    with pytest.raises(PlatformError, match="in a form that cannot be read"):
        platform.observe(refs[2])


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "InternalServerException"])
def test_a_submit_without_an_answer_is_repeated_to_one_job(aws, fault):
    """A time-out before or after the commit and a 5xx end in exactly one job."""
    aws.emr.faults.append(Fault("StartJobRun", fault, 500, times=2))
    ref = submit(aws.platform(), aws)
    assert [job.id for job in aws.emr.jobs.values()] == [ref.path[1]]
    assert aws.emr.calls["StartJobRun"] == 3


def test_a_refusal_repeats_no_secret_of_the_request(aws):
    """AWS quotes the arguments that it refuses; what it quotes of a secret is not told."""
    quoted = "Value '[--db-password, hunter2]' at 'entryPointArguments' failed to satisfy constraint"
    aws.emr.faults.append(Fault("StartJobRun", "ValidationException", message=quoted))
    with pytest.raises(PlatformError, match=r"Value '\[--db-password, \*\*\*\]' at 'entryPointArguments'") as caught:
        submit(aws.platform(), aws)
    assert "hunter2" not in str(caught.value)


def test_a_refused_request_is_not_repeated(aws):
    """A ValidationException is told at once, in the service's words."""
    aws.emr.faults.append(Fault("StartJobRun", "ValidationException", message="release emr-0 is unknown"))
    with pytest.raises(PlatformError, match=r"StartJobRun failed: .*release emr-0 is unknown") as caught:
        submit(aws.platform(), aws)
    assert not caught.value.retryable
    assert aws.emr.calls["StartJobRun"] == 1


def test_denied_names_the_caller(aws):
    """Without permission it fails at once, and the message holds the ARN that asked and the action."""
    aws.emr.denied.add("StartJobRun")
    with pytest.raises(PlatformError, match=r"StartJobRun(.|\n)*assumed-role/airflow/worker(.|\n)*docs/platforms.md"):
        submit(aws.platform(), aws)
    assert aws.emr.calls["StartJobRun"] == 1


def test_an_expired_token_is_renewed_once(aws):
    """When credentials expire the client is made anew from the connection: one refused call, no failure."""
    tokens = iter(["old", "new", "new"])
    platform = aws.platform(tokens=tokens)
    ref = submit(platform, aws)
    aws.emr.dead_tokens.add("old")
    assert platform.observe(ref).state is JobState.QUEUED
    assert aws.emr.calls["expired"] == 1


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("PENDING", JobState.QUEUED),
        ("SUBMITTED", JobState.STARTING),
        ("RUNNING", JobState.RUNNING),
        ("COMPLETED", JobState.SUCCEEDED),
        ("FAILED", JobState.FAILED),
        ("CANCELLED", JobState.CANCELLED),
        ("CANCEL_PENDING", JobState.RUNNING),
    ],
)
def test_every_state_of_the_service_has_one_of_ours(aws, word, state):
    """The service's seven states map to ours; CANCEL_PENDING still runs and is marked as being cancelled."""
    aws.emr.script = lambda _: (Step(0, word),)
    platform = aws.platform()
    status = platform.observe(submit(platform, aws))
    assert (status.state, status.native_state) == (state, word)
    assert status.is_cancelling is (word == "CANCEL_PENDING")
    assert set(MODEL.shape_for("JobRunState").enum) == set(STATES)


def test_an_unheard_state_is_no_end(aws):
    """Least of all a success: one look says so, without waiting for anything."""
    platform = aws.platform()
    ref = submit(platform, aws)
    aws.emr.odd_state = "NAPPING"
    status = platform.observe(ref)
    assert (status.state, status.native_state) == (JobState.RUNNING, "NAPPING")


async def test_an_unheard_state_is_still_running_with_one_warning(aws, caplog):
    """A state that AWS adds tomorrow keeps the task waiting and is warned about once, not at every look."""
    platform = aws.platform()
    refs = [submit(platform, aws, task_id=f"t{number}") for number in range(4)]
    aws.emr.odd_state = "HIBERNATING"
    states: dict = {}
    looks = 0

    def enough(found):
        nonlocal looks
        states.update(found)
        looks += 1
        return looks > 20

    with caplog.at_level(logging.WARNING):
        await seen(platform, refs, until=enough)
    assert {status.state for status in states.values()} == {JobState.RUNNING}
    assert [record.message.count("HIBERNATING") for record in caplog.records] == [1]


def test_a_job_nobody_knows_is_lost(aws):
    """Observing a job run that EMR does not know gives LOST, not an error."""
    platform = aws.platform()
    ref = JobRef(submit(platform, aws)[:-1] + "9")
    assert platform.observe(ref).state is JobState.LOST


@pytest.mark.parametrize("has_tags", [True, False])
def test_find_gives_this_tasks_jobs_with_or_without_tags_in_the_list(aws, has_tags):
    """Jobs of a task are found by name and compared by tags, also when ListJobRuns leaves tags out."""
    aws.emr.list_has_tags = has_tags
    platform = aws.platform()
    old = submit(platform, aws)
    aws.sleep(10)
    new = submit(platform, aws, try_number=2)
    submit(platform, aws, task_id="other")
    found = platform.find(aws.identity(try_number=3))
    assert [status.ref for status in found] == [new, old]
    assert [status.tags["airflow-doeks/try"] for status in found] == ["2", "1"]


def test_find_sees_no_job_of_another_airflow_or_an_earlier_run(aws):
    """Two Airflows with the same DAG and run ids on one virtual cluster do not see each other's jobs."""
    platform = aws.platform()
    submit(platform, aws, instance="test")
    submit(platform, aws)
    assert len(platform.find(aws.identity())) == 1
    later = aws.identity(run_started=aws.emr.now + timedelta(hours=1))
    assert len(platform.find(later)) == 1  # it lives, so a new start of its run has to know
    aws.sleep(700)
    assert platform.find(later) == []


def test_a_reason_shows_no_secret(aws):
    """What EMR says about a state goes to the task log, without what looks like a secret."""
    aws.emr.script = lambda _: (Step(0, "FAILED", "spark-submit --password canary-8c5f failed"),)
    platform = aws.platform()

    status = platform.observe(submit(platform, aws))

    assert "canary" not in str(status)
    assert "spark-submit --password *** failed" in status.reason


def test_cancel_may_be_called_any_time_and_twice(aws):
    """Cancelling a living, a cancelling, an ended or an unknown job is fine; the living one ends."""
    platform = aws.platform()
    ref = submit(platform, aws)
    platform.cancel(ref)
    platform.cancel(ref)
    assert platform.observe(ref).is_cancelling
    aws.sleep(aws.emr.cancel_seconds)
    platform.cancel(ref)
    assert platform.observe(ref).state is JobState.CANCELLED
    platform.cancel(JobRef(ref[:-1] + "9"))


def test_telemetry_gives_the_requested_pods_and_the_event_log(aws):
    """Requests, the assumed node and the event log's place come from the job itself; EMR shows no pods."""
    platform = aws.platform()
    job = SparkJob(
        main=JOB.main,
        presets=("pvc_reuse",),
        executors={"min": 1, "max": 2, "cpu": 2, "memory": "8Gi", "capacity": "spot"},
    )
    ref = platform.submit(platform.render(job, aws.identity()))
    facts = platform.telemetry(ref)
    assert [(pod.role, str(pod.vcpu), str(pod.memory_gib), pod.capacity_type) for pod in facts.requested] == [
        ("driver", "1", "2", "on_demand"),
        ("executor", "2", "8", "spot"),
        ("executor", "2", "8", "spot"),
    ]
    assert [pod.storage_gib for pod in facts.requested] == [0, 100, 100]
    assert facts.assumed_node.instance_type == "m7g.4xlarge"
    assert facts.event_log == f"s3://acme-logs/spark-events/{aws.identity().name}"
    assert (facts.pods, facts.why) == ((), ())


async def test_one_list_follows_many_jobs_and_describes_only_the_ended(aws):
    """50 ten-minute jobs: three pages a cycle of about 14 s, one DescribeJobRun each at the end, one connection."""
    aws.emr.page_size = 20
    platform = aws.platform()
    refs = [submit(platform, aws, task_id=f"t{number}") for number in range(50)]
    aws.emr.calls.clear()
    before = aws.aws.connections
    states = await seen(platform, refs, until=all_ended(refs), most=20_000)
    assert {status.state for status in states.values()} == {JobState.SUCCEEDED}
    assert aws.emr.calls["DescribeJobRun"] <= 50 * 1.1  # a page may shift while jobs end
    assert aws.emr.calls["ListJobRuns"] <= 3 * (600 / 14 + 2)
    assert aws.aws.connections == before


async def test_up_to_two_jobs_are_described_instead_of_listed(aws):
    """One or two jobs do not page through everybody's jobs of the virtual cluster."""
    platform = aws.platform()
    refs = [submit(platform, aws, task_id=f"t{number}") for number in range(2)]
    await seen(platform, refs, until=all_ended(refs))
    assert aws.emr.calls["ListJobRuns"] == 0


async def test_a_job_that_fails_tells_why_through_the_feed(aws):
    """The end of a job carries EMR's reason and details even if lists leave them out."""
    aws.emr.list_has_tags = False
    aws.emr.script = lambda _: (Step(0, "PENDING"), Step(30, "FAILED", "exit code 1", "USER_ERROR"))
    platform = aws.platform()
    refs = [submit(platform, aws, task_id=f"t{number}") for number in range(3)]
    states = await seen(platform, refs, until=all_ended(refs))
    assert {status.reason for status in states.values()} == {"USER_ERROR - exit code 1"}


@pytest.mark.parametrize("code", sorted(THROTTLES))
async def test_every_throttling_error_is_waited_out(aws, code):
    """No throttling error of the service or the SDK fails a job, whatever its HTTP status."""
    platform = aws.platform()
    refs = [submit(platform, aws, task_id=f"t{number}") for number in range(3)]
    aws.emr.faults.append(Fault("*", code, 429 if code.startswith("EKS") else 400, times=5))
    states = await seen(platform, refs, until=all_ended(refs))
    assert {status.state for status in states.values()} == {JobState.SUCCEEDED}


async def test_denied_lists_end_the_feed_at_once(aws):
    """A feed without permission fails with the caller's ARN on its first call instead of asking for ever."""
    platform = aws.platform()
    refs = [submit(platform, aws, task_id=f"t{number}") for number in range(3)]
    aws.emr.denied.add("ListJobRuns")
    with pytest.raises(PlatformError, match="assumed-role/airflow/worker") as caught:
        await seen(platform, refs, until=all_ended(refs))
    assert not caught.value.retryable
    assert aws.emr.calls["ListJobRuns"] == 1


async def test_a_full_outage_of_a_minute_costs_few_calls(aws):
    """With every call throttled for 60 seconds and 500 jobs the rate falls below a call a second, and it recovers."""
    aws.emr.script = lambda _: (Step(0, "RUNNING"), Step(150, "COMPLETED"))
    platform = aws.platform()
    template = platform.render(JOB, aws.identity()).body["start_job_run"]
    refs = []
    for number in range(500):
        job = aws.emr._new_job(template | {"clientToken": str(number), "configurationOverrides": {}})
        refs.append(JobRef(f"emr_on_eks://123456789012.us-east-1/{CLUSTER}/{job.id}"))
    end = aws.emr.now + timedelta(seconds=60)
    outage = Fault("*", "ThrottlingException", times=float("inf"), until=end)
    aws.emr.faults.append(outage)
    states = await seen(platform, refs, until=all_ended(refs), most=50_000)
    assert {status.state for status in states.values()} == {JobState.SUCCEEDED}
    assert 1 <= outage.hits < 60
    assert platform._emr.patience.pace.per_second == platform.config.calls_per_second


def test_the_pace_halves_when_throttled_and_grows_back():
    """Throttling halves the rate down to a floor; every answer gives a twentieth back, up to the configured rate."""
    now = 0.0
    pace = Pace(8, Time(monotonic=lambda: now))
    for _ in range(2):
        pace.refused(throttled=True)
    assert pace.per_second == 2
    for _ in range(100):
        pace.refused(throttled=True)
    assert pace.per_second == 0.1
    for _ in range(200):
        pace.answered()
    assert pace.per_second == 8


def test_what_was_not_used_is_saved_for_a_list_of_many_pages():
    """After a rest ten seconds' worth of calls go at once; throttling empties the bucket, which then holds half."""
    now = 0.0
    pace = Pace(5, Time(monotonic=lambda: now))
    assert sum(pace.reserve() for _ in range(50)) == 0
    assert pace.reserve() == pytest.approx(1 / 5)
    now = 1000.0
    pace.refused(throttled=True)
    assert pace.reserve() == pytest.approx(1 / 2.5)
    now = 2000.0
    assert sum(pace.reserve() for _ in range(25)) == 0
    assert pace.reserve() == pytest.approx(1 / 2.5)
