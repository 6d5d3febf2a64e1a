"""What reconciling does with jobs whose task is over, is at work or is gone, and what a kill in between leaves."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_doeks.attempt.reconciling import Finding, Reconciler, counts
from airflow_doeks.hooks import stores
from airflow_doeks.hooks.platforms import connect
from airflow_doeks.hooks.settings import Settings, load_settings, open_ledger
from airflow_doeks.lifecycle import Clock, Submission, refused_record, submit, submitted_record
from airflow_doeks.lifecycle.reconciliation import TaskNow
from airflow_doeks.lifecycle.windows import window_id
from airflow_doeks.model.engine import SPARK
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.record import Attempt, JobFailure, JobRecord
from airflow_doeks.model.status import JobRef, JobState
from airflow_doeks.model.telemetry import Node, Pod, Telemetry
from airflow_doeks.platforms.local import runs
from airflow_doeks.platforms.registry import TYPES
from tests.fakes.memory_platform import MEMORY, PLACES, START, MemoryPlatform
from tests.lifecycle.test_submission import FOR_EVER

MEM = {"name": "mem", "type": "memory", "place": "here"}
JOB = SparkJob.model_validate({"main": "s3://acme-code/clean.py"})
LEFT_BEHIND = "its task ended without it, no try was left, and it was cancelled"
FAILED, SUCCEEDED, DEFERRED = TaskNow("failed"), TaskNow("success"), TaskNow("deferred")


class World:
    """A platform in memory, a ledger in a folder, and what Airflow says of each task."""

    def __init__(self, platform: MemoryPlatform, settings: Settings) -> None:
        self.platform, self.settings = platform, settings
        self.states: dict[str, TaskNow | None] = {}

    def job(self, task_id: str, *, is_noted: bool = True, instance: str = "tests") -> Submission:
        """A job of a task that nobody follows; ``is_noted``: the ledger has it as running."""
        identity = JobIdentity(instance, "orders", "r", task_id, -1, 1, START, task_id, {"team": "sales"})
        submission = submit(self.platform, JOB, identity, clock=self.clock)
        submission = replace(submission, platform="mem")
        if is_noted:
            open_ledger(self.settings).write(submitted_record(submission, identity, "memory"))
        return submission

    @property
    def clock(self) -> Clock:
        return Clock(self.platform.time.now, self.platform.time.sleep)

    def reconcile(self, **changes: Any) -> list[Finding]:
        """One pass."""
        reconciler = Reconciler(
            **{
                "settings": self.settings,
                "platforms": {"mem": MEM},
                "tasks": lambda attempt: self.states.get(attempt.task_id),
                "since": START.date(),
                "clock": self.clock,
                **changes,
            }
        )
        return list(reconciler.run())

    def records(self) -> dict[str, JobRecord]:
        """The ledger's records by task."""
        found = list(open_ledger(self.settings).records())
        assert len({record.record_id for record in found}) == len(found)
        return {record.attempt.task_id: record for record in found}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """Jobs that run until they are cancelled."""
    platform = MemoryPlatform(script=FOR_EVER, cancel_takes=0)
    monkeypatch.setitem(TYPES, "memory", MEMORY)
    monkeypatch.setitem(PLACES, "here", platform)
    monkeypatch.setenv("AIRFLOW__DOEKS__LEDGER_PATH", str(tmp_path / "ledger"))
    return World(platform, load_settings())


def test_a_job_that_ended_unheard_gets_its_record(world: World) -> None:
    """Its task is over, its record said `running`: it is settled as its platform tells, with cost and tags."""
    world.platform.script = ((0, JobState.QUEUED), (10, JobState.RUNNING), (40, JobState.SUCCEEDED))
    world.job("clean")
    world.platform.tick(60)
    world.states["clean"] = FAILED
    (finding,) = world.reconcile()
    record = world.records()["clean"]
    assert finding.record == record
    assert (record.job.state, record.settled_by_try, record.cost_tags) == (JobState.SUCCEEDED, 1, {"team": "sales"})
    assert record.cost.usd_total is not None
    assert record.cost.usd_total > 0
    assert world.reconcile() == []


@pytest.mark.parametrize("is_noted", [True, False])
@pytest.mark.parametrize(
    ("state", "message"),
    [
        (FAILED, LEFT_BEHIND),
        (SUCCEEDED, LEFT_BEHIND),
        (
            TaskNow("up_for_retry", run_state="failed"),
            "its task ended without it, no try was left, and it was cancelled",
        ),
        (None, "its task is gone from Airflow, and it was cancelled"),
    ],
)
def test_an_orphan_is_cancelled_with_a_record(
    world: World, state: TaskNow | None, message: str, is_noted: bool
) -> None:
    """Whether the ledger knew of it or only its platform, by its tags."""
    world.job("clean", is_noted=is_noted)
    world.platform.tick(601)
    world.states["clean"] = state
    assert counts(world.reconcile()) == {"leave": 0, "settle": 0, "cancel": 1, "days": 0, "trouble": 0}
    record = world.records()["clean"]
    assert (record.job.state, record.attempt.dag_id, record.cost_tags) == (
        JobState.CANCELLED,
        "orders",
        {"team": "sales"},
    )
    assert record.failure is not None
    assert (record.failure.category, record.failure.message) == ("cancelled", message)
    assert world.reconcile() == []


@pytest.mark.parametrize(
    "state",
    [
        DEFERRED,
        TaskNow("running", run_state="failed"),
        TaskNow("up_for_retry", run_state="running"),
        TaskNow("queued", run_state="running"),
        TaskNow(None, run_state="queued"),
    ],
)
def test_a_job_whose_task_is_at_work_or_comes_again_is_left_alone(world: World, state: TaskNow) -> None:
    """Living or ended: its task follows, adopts or ends it, and writes its record."""
    world.job("living")
    world.platform.script = ((0, JobState.QUEUED), (10, JobState.FAILED))
    world.job("ended")
    world.platform.tick(86_400)
    world.states = {"living": state, "ended": state}
    assert counts(world.reconcile()) == {"leave": 2, "settle": 0, "cancel": 0, "days": 0, "trouble": 0}
    assert not world.platform.cancelled
    assert {record.settled_by_try for record in world.records().values()} == {None}


def test_an_orphan_has_ten_minutes(world: World) -> None:
    """Since its task was over, where Airflow tells when: callback and trigger go first."""
    world.job("clean")
    world.platform.tick(3600)
    world.states["clean"] = TaskNow("failed", ended=world.platform.time.now() - timedelta(minutes=9))
    (finding,) = world.reconcile()
    assert finding.decision is not None
    assert finding.decision.why == "its task is failed: it is cancelled in 60 s if it still runs"
    assert not world.platform.cancelled
    world.platform.tick(61)
    assert counts(world.reconcile())["cancel"] == 1


def test_a_dry_run_tells_and_does_nothing(world: World) -> None:
    """The same decisions, no cancel, no record."""
    world.job("clean", is_noted=False)
    world.platform.tick(3600)
    assert counts(world.reconcile(is_dry=True))["cancel"] == 1
    assert not world.platform.cancelled
    assert world.records() == {}


def test_jobs_of_another_airflow_are_left_alone(world: World) -> None:
    """Two Airflows may share a platform and a ledger: each deals with its own, by tags and by the record."""
    world.job("theirs", instance="other")
    world.platform.script = ((0, JobState.QUEUED), (10, JobState.FAILED))
    world.job("theirs_ended", instance="other")
    world.platform.tick(3600)
    assert world.reconcile() == []
    assert {record.settled_by_try for record in world.records().values()} == {None}


def test_tags_that_were_cut_never_end_a_job(world: World) -> None:
    """A shortened DAG id is none that Airflow knows, and would look like a deleted run: the job is told, not ended."""
    world.job("clean", is_noted=False)
    (token,) = world.platform.sent
    job = world.platform.sent[token]
    world.platform.sent[token] = replace(job, tags={**job.tags, "airflow-doeks/dag": "ord-0a1b2c3d"})
    world.platform.tick(3600)
    (finding,) = world.reconcile()
    assert finding.trouble is not None
    assert "do not tell its task in full" in finding.trouble
    assert not world.platform.cancelled


def test_what_cannot_be_ended_stays_on_the_list(world: World) -> None:
    """A platform that refuses the cancel leaves the record open; the next pass tries again."""

    def refuse() -> None:
        msg = "role/x may not CancelJobRun"
        raise PlatformError(msg)

    world.job("clean")
    world.platform.tick(3600)
    world.platform.before_cancel = refuse
    (finding,) = world.reconcile()
    assert finding.trouble == "it was not ended: role/x may not CancelJobRun"
    assert world.records()["clean"].settled_by_try is None
    world.platform.before_cancel = lambda: None
    assert counts(world.reconcile())["cancel"] == 1


def test_a_settled_job_that_still_runs_is_ended_too(world: World) -> None:
    """Its task could not follow it and wrote so; the record then has its true end."""
    submission = world.job("clean")
    running = world.records()["clean"]
    lost = running.model_copy(
        update={"settled_by_try": 1, "job": running.job.model_copy(update={"state": JobState.LOST})}
    )
    open_ledger(world.settings).write(lost)
    world.platform.tick(3600)
    world.states["clean"] = FAILED
    assert counts(world.reconcile())["cancel"] == 1
    assert world.platform.observe(submission.ref).state is JobState.CANCELLED
    assert world.records()["clean"].job.state is JobState.CANCELLED


def test_a_job_whose_submit_was_not_answered_has_one_record(world: World) -> None:
    """Its task wrote that no job came to be; that record goes when one is found under the same token."""
    identity = JobIdentity("tests", "orders", "r", "clean", -1, 1, START, "clean", {"team": "sales"})
    failure = JobFailure(category="platform", message="timed out")
    open_ledger(world.settings).write(refused_record(identity, MEM, failure, world.clock).record)
    submission = world.job("clean", is_noted=False)
    world.platform.tick(3600)
    world.states["clean"] = FAILED
    assert counts(world.reconcile())["cancel"] == 1
    assert [record.job.ref for record in open_ledger(world.settings).records()] == [submission.ref]


def test_an_airflow_that_does_not_answer_ends_nothing(world: World) -> None:
    """Without its task's state nothing is decided."""
    world.job("clean")
    world.platform.tick(3600)

    def away(_: Attempt) -> TaskNow | None:
        msg = "502"
        raise PlatformError(msg, retryable=True)

    with pytest.raises(PlatformError):
        world.reconcile(tasks=away)
    assert not world.platform.cancelled


def test_a_platform_that_is_away_hides_no_other(world: World) -> None:
    """Its records are told as trouble, those of others are dealt with."""
    world.job("clean")
    world.platform.tick(3600)
    findings = world.reconcile(platforms={"gone": {"name": "gone", "type": "memory"}, "mem": MEM})
    assert counts(findings) == {"leave": 0, "settle": 0, "cancel": 1, "days": 0, "trouble": 1}


class Streaming(MemoryPlatform):
    """A platform that shows one pod of each living job, a whole node."""

    pod, since = "tm", None
    told: Any = ({"name": "clicks", "checkpoints": 7},)

    def inner_jobs(self, ref: JobRef) -> tuple[dict[str, Any], ...]:
        if isinstance(self.told, Exception):
            raise self.told
        found: tuple[dict[str, Any], ...] = self.told
        return found

    def telemetry(self, ref: JobRef) -> Telemetry:
        status = self.observe(ref)
        if status.state.is_terminal:
            return Telemetry()
        size = {"vcpu": Decimal(4), "memory_gib": Decimal(16), "storage_gib": Decimal(0)}
        started = self.since or status.submitted
        pod = Pod(uid=self.pod, role="taskmanager", node="n", started=started, **size)
        node = Node(uid="n", instance_type="m7g.xlarge", capacity_type="on_demand", zone="us-east-1a")
        return Telemetry(pods=(pod,), nodes=(node,))


@pytest.fixture
def streaming(world: World, monkeypatch: pytest.MonkeyPatch) -> Streaming:
    """Where a stream has lived from noon of the first day to midnight of the third; its task is over since long."""
    streaming = Streaming(script=FOR_EVER, cancel_takes=0)
    world.platform = streaming
    monkeypatch.setitem(PLACES, "here", streaming)
    monkeypatch.setitem(TYPES, "memory", replace(MEMORY, has_pods=True))
    world.job("stream")
    (token,) = streaming.sent
    identity = JobIdentity("tests", "orders", "r", "stream", -1, 1, START, "stream", {"team": "sales"})
    streaming.sent[token] = replace(streaming.sent[token], tags=identity.lasting_tags("a" * 64))
    world.states["stream"] = SUCCEEDED
    streaming.tick(86_400 * 2.5)
    return streaming


def test_a_job_without_an_end_has_a_record_a_day_and_a_closing_one(world: World, streaming: Streaming) -> None:
    """Days that are over are written while it lives; all of them sum to what it cost."""
    for _ in range(2):
        assert counts(world.reconcile()) == {"leave": 0, "settle": 0, "cancel": 0, "days": 1, "trouble": 0}
    days = [record for record in open_ledger(world.settings).records() if record.window]
    hour = Decimal("0.1632")
    assert {str(record.window): record.cost.usd_total for record in days} == {
        "2026-11-20": 12 * hour,
        "2026-11-21": 24 * hour,
        "2026-11-22": 24 * hour,
    }
    assert not streaming.cancelled
    streaming.tick(3600)
    streaming.sent.clear()  # its resource is gone, and its tags with it
    assert counts(world.reconcile())["settle"] == 1
    records = list(open_ledger(world.settings).records())
    assert [record.cost.usd_total for record in records if not record.window] == [0]
    assert sum(record.cost.usd_total or 0 for record in records) == 61 * hour
    assert world.reconcile() == []


def test_the_day_that_is_over_keeps_how_the_streams_job_did(world: World, streaming: Streaming) -> None:
    """Its detail is as of the pass that first wrote it; a manager that does not answer costs the day no record."""
    world.reconcile()
    streaming.told = PlatformError("no endpoints")
    streaming.tick(86_400)
    world.reconcile()
    ledger = open_ledger(world.settings)
    details = {str(record.window): ledger.read_detail(record)["jobs"] for record in ledger.records() if record.window}
    (job,) = details.pop("2026-11-22")
    assert (job["name"], job["checkpoints"], job["seen"][:10]) == ("clicks", 7, "2026-11-23")
    assert details == {"2026-11-20": [], "2026-11-21": [], "2026-11-23": []}


@pytest.mark.parametrize(("minutes", "has_days"), [(-10, True), (10, True), (-720, False)])
def test_a_stream_is_known_by_its_first_day_also_near_midnight(world: World, minutes: int, has_days: bool) -> None:
    """Its platform told a submission just after midnight, the record one before it, or the other way round."""
    midnight = datetime(2026, 11, 21, tzinfo=timezone.utc)
    day = midnight + timedelta(hours=0 if minutes < 0 else -1)
    ref, ledger = world.job("stream", is_noted=False).ref, open_ledger(world.settings)
    identity = JobIdentity("tests", "orders", "r", "stream", -1, 1, START, "stream", {})
    submission = Submission(ref, "mem", "n", "t", "", 1, midnight + timedelta(minutes=minutes))
    record = ledger.write(submitted_record(submission, identity, "memory"))
    first = {"record_id": window_id(ref, day.date()), "window": day.date(), "settled_by_try": 1}
    times = record.times.model_copy(update={"submitted": day + timedelta(minutes=30)})
    ledger.write(record.model_copy(update={**first, "times": times}))
    reconciler = Reconciler(settings=world.settings, platforms={}, tasks=lambda _: None, since=START.date())
    assert reconciler._has_days(record) is has_days


def test_a_stream_is_not_settled_before_its_days_are(world: World, streaming: Streaming) -> None:
    """Without prices its closing record says that its cost is unknown, and the next pass finds it again."""
    world.reconcile()
    streaming.tick(3600)
    streaming.sent.clear()
    (finding,) = world.reconcile(rate_card={"file": "/no/such/card.json"})
    assert "days could not be accounted for" in str(finding.trouble)
    (closing,) = [record for record in open_ledger(world.settings).records() if not record.window]
    assert (closing.settled_by_try, closing.cost.usd_total) == (None, None)
    assert counts(world.reconcile())["settle"] == 1
    total = sum(record.cost.usd_total or 0 for record in open_ledger(world.settings).records())
    assert total == 61 * Decimal("0.1632")


def test_a_look_that_fails_once_loses_no_pods_of_a_stream(
    world: World, streaming: Streaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen of pods that are gone is not replaced by those that live; the pass tells that it could not look."""
    world.reconcile()
    streaming.pod, streaming.since = "tm2", streaming.time.now()
    inner = stores.LocalStore.open

    def failing(store: stores.LocalStore, name: str) -> Any:
        if "sightings" in name:
            raise PermissionError(name)
        return inner(store, name)

    with monkeypatch.context() as patch:
        patch.setattr(stores.LocalStore, "open", failing)
        (finding,) = world.reconcile()
        assert "could not be looked at" in str(finding.trouble)
    world.reconcile()
    streaming.tick(86_400)
    world.reconcile()
    total = sum(record.cost.usd_total or 0 for record in open_ledger(world.settings).records())
    assert total == (60 + 24) * Decimal("0.1632")


LAPTOP = {"name": "laptop", "type": "local"}
ENDED = {"code": 1, "ended": "2026-11-20T12:10:00+00:00", "is_cancelled": False, "reason": ""}


def made(settings: Settings, number: int) -> None:
    """One of three kinds of jobs that nobody looks after: ended unheard, orphaned, orphaned and known to nobody."""
    platform = connect(LAPTOP, settings)
    identity = JobIdentity("tests", "orders", "r", f"t{number}", -1, 1, START, str(number))
    request = platform.render(JOB, identity)
    run = Path(request.body["run_dir"])
    granted = {"granted": {"vcpu": "2", "memory_mib": 4096}, "why": []}
    runs.create(run, request, granted, datetime.now(timezone.utc))
    submission = Submission(
        runs.JobRef(runs.read_request(run)["ref"]), "laptop", request.name, "", "", 1, START, engine=SPARK.name
    )
    if number % 3 < 2:
        open_ledger(settings).write(submitted_record(submission, identity, "local"))
    if number % 3 == 0:
        (run / "state.json").write_text(json.dumps({"started": "2026-11-20T12:00:00+00:00", "exit": ENDED}))


def one_pass(settings: Settings, before: Callable[[], object] = lambda: None) -> None:
    """All that one reconcile does with those jobs; ``before`` is called before and after whatever it changes."""
    write, cancel = stores.LocalStore.write, runs.cancel

    def watched(function: Any) -> Any:
        def call(*arguments: Any) -> None:
            before()
            function(*arguments)
            before()

        return call

    stores.LocalStore.write, runs.cancel = watched(write), watched(cancel)
    try:
        list(
            Reconciler(
                settings,
                {"laptop": LAPTOP},
                lambda _: FAILED,
                START.date(),
                orphan_after=timedelta(0),
            ).run()
        )
    finally:
        stores.LocalStore.write, runs.cancel = write, cancel


def killed_at(settings: Settings, point: int) -> None:
    """One pass in a process that SIGKILLs itself at a point."""
    child = os.fork()
    if child == 0:
        passed = 0

        def die_at_the_point() -> None:
            nonlocal passed
            passed += 1
            if passed == point:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            one_pass(settings, die_at_the_point)
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def figures(settings: Settings) -> dict[str, tuple[Any, ...]]:
    """What counts of each record."""
    found = list(open_ledger(settings).records())
    assert len({record.record_id for record in found}) == len(found)
    ledger = open_ledger(settings)
    return {
        record.attempt.task_id: (
            record.job.state,
            record.settled_by_try,
            record.cost.usd_total,
            bool(ledger.read_detail(record)),
        )
        for record in found
    }


def test_a_kill_at_any_point_loses_and_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL before or after the n-th write or cancel, ten times over the same jobs, then one pass to the end."""
    monkeypatch.setattr(runs, "START_SECONDS", 1e9)  # the orphans wait for their supervisors, however slow the test is
    settings = replace(load_settings(), instance="tests")
    calm = replace(settings, ledger_path=f"{tmp_path}/calm/ledger", local_dir=f"{tmp_path}/calm/local")
    rough = replace(settings, ledger_path=f"{tmp_path}/rough/ledger", local_dir=f"{tmp_path}/rough/local")
    for number in range(12):
        made(calm, number)
        made(rough, number)
    one_pass(calm)
    for point in (1, 2, 3, 4, 5, 6, 7, 2, 4, 6):
        killed_at(rough, point)
    one_pass(rough)
    expected = figures(calm)
    assert len(expected) == 12
    assert {row[0] for row in expected.values()} == {JobState.FAILED, JobState.CANCELLED}
    assert {row[1] for row in expected.values()} == {1}
    assert sum(row[2] or Decimal(0) for row in expected.values()) > 0
    assert figures(rough) == expected
    one_pass(rough)
    assert figures(rough) == expected
