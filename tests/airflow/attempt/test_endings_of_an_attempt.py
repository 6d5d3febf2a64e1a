"""How an attempt ends its job, on a platform in memory: by whose time-out, after which failure, under whose name."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_doeks.attempt.orphans import settle_again
from airflow_doeks.compat import DAG, AirflowException, AirflowFailException, AirflowTaskTimeout, TaskDeferred
from airflow_doeks.hooks import stores
from airflow_doeks.lifecycle import Clock, waiting
from airflow_doeks.model.engine import SPARK
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.status import JobState
from airflow_doeks.operators.job import FlinkJobOperator, SparkJobOperator
from airflow_doeks.platforms.patience import Refusal, seconds_left
from airflow_doeks.platforms.registry import TYPES
from tests.fakes.memory_platform import MEMORY, PLACES, START, MemoryPlatform
from tests.lifecycle.test_submission import FOR_EVER

ENTRY = {"name": "mem", "type": "memory", "place": "here"}
JOB = {"main": "s3://acme-code/clean.py"}


class Reads:
    """What was asked of the ledger's store."""

    def __init__(self) -> None:
        self.reads: list[str] = []
        self.writes: list[str] = []


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> MemoryPlatform:
    """A platform that the registry knows, whose jobs run until they are cancelled."""
    fresh = MemoryPlatform(script=FOR_EVER, cancel_takes=0)
    monkeypatch.setitem(TYPES, "memory", MEMORY)
    monkeypatch.setitem(PLACES, "here", fresh)
    monkeypatch.setattr(waiting, "Clock", lambda: Clock(fresh.time.now, fresh.time.sleep))
    monkeypatch.setenv("AIRFLOW__DOEKS__LEDGER_PATH", str(tmp_path / "ledger"))
    return fresh


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """Reads and writes of any folder."""
    counted = Reads()
    for name, log in (("list", counted.reads), ("open", counted.reads), ("write", counted.writes)):
        inner = getattr(stores.LocalStore, name)

        def outer(store: Any, key: str = "", *rest: Any, inner: Any = inner, log: Any = log) -> Any:
            log.append(key)
            return inner(store, key, *rest)

        monkeypatch.setattr(stores.LocalStore, name, outer)
    return counted


class Try:
    """One try of a task, its XCom a dict that tries share."""

    def __init__(self, number: int = 1, xcom: dict[str, Any] | None = None, **arguments: Any) -> None:
        arguments = {"job": JOB, "platform": ENTRY, "retries": 3, "cost_tags": {"team": "sales"}} | arguments
        operator = arguments.pop("operator", SparkJobOperator)
        with DAG("orders", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)):
            self.operator = operator(task_id="clean", **arguments)
        self.xcom = {} if xcom is None else xcom
        ti = SimpleNamespace(
            dag_id="orders",
            run_id="r",
            task_id="clean",
            map_index=-1,
            try_number=number,
            id=f"u{number}",
            max_tries=arguments["retries"],
            start_date=datetime.now(timezone.utc),
            state="running",
            xcom_push=lambda key, value: self.xcom.update({key: value}),
            xcom_pull=lambda key, **_: self.xcom.get(key),
        )
        self.context = {"ti": ti, "dag_run": SimpleNamespace(start_date=START, queued_at=START), "task": self.operator}

    def start(self) -> Any:
        """Submit or adopt, and leave the worker; gives the trigger."""
        with pytest.raises(TaskDeferred) as deferred:
            self.operator.execute(self.context)
        return deferred.value.trigger


class ReadTimeoutError(Exception):
    """As HTTP clients call it."""


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ReadTimeoutError("read timed out"), JobState.RUNNING),
        (AirflowException("Trigger failure"), JobState.RUNNING),
        (AirflowTaskTimeout("30 s"), JobState.CANCELLED),
        (AirflowException("Trigger timeout"), JobState.CANCELLED),
        (AirflowException("Trigger/execution timeout"), JobState.CANCELLED),
        (AirflowFailException("the YAML is wrong"), JobState.CANCELLED),
    ],
)
def test_only_airflows_own_timeout_ends_a_job_that_a_try_would_adopt(
    platform: MemoryPlatform, error: BaseException, state: JobState
) -> None:
    """An error whose name says time-out may be anybody's: with tries left the job lives on."""
    task = Try()
    task.start()
    platform.tick(30)
    settle_again(task.context | {"exception": error})
    (job,) = platform.sent.values()
    assert platform.observe(job.ref).state is state
    if isinstance(error, AirflowTaskTimeout):
        assert task.xcom["doeks_record"]["failure"]["category"] == "timeout"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (RuntimeError("read timed out"), JobState.RUNNING),
        (AirflowTaskTimeout("30 s"), JobState.CANCELLED),
        (KeyboardInterrupt(), JobState.CANCELLED),
    ],
)
def test_a_fault_while_the_worker_waits_leaves_the_job_to_the_next_try(
    platform: MemoryPlatform, monkeypatch: pytest.MonkeyPatch, error: BaseException, state: JobState
) -> None:
    """A kill, a time-out or an interrupt of the task ends the job; an exception of some library does not."""
    task = Try(deferrable=False)

    def broken(*_: Any) -> None:
        platform.tick(30)
        monkeypatch.undo()
        raise error

    monkeypatch.setattr(platform, "observe", broken)
    with pytest.raises(type(error)):
        task.operator.execute(task.context)
    (job,) = platform.sent.values()
    assert platform.observe(job.ref).state is state


@pytest.mark.parametrize("error", ["Trigger timeout", "Trigger/execution timeout"])
def test_a_deferral_that_ran_out_of_time_ends_its_job(platform: MemoryPlatform, error: str) -> None:
    """Airflow fails the task; its record says why."""
    task = Try()
    task.start()
    with pytest.raises(AirflowException):
        task.operator.resume_execution("__fail__", {"error": error}, task.context)
    assert task.xcom["doeks_record"]["job"]["state"] == "CANCELLED"
    assert task.xcom["doeks_record"]["failure"]["category"] == "timeout"


def test_a_trigger_that_broke_leaves_the_job_to_the_worker(platform: MemoryPlatform) -> None:
    """The triggerer could not run it: the worker waits for the job's end, and the task succeeds with it."""
    platform.script = ((0, JobState.QUEUED), (10, JobState.RUNNING), (300, JobState.SUCCEEDED))
    task = Try()
    task.start()
    ref = task.operator.resume_execution("__fail__", {"error": "Trigger failure"}, task.context)
    assert ref == task.xcom["doeks_job"]["ref"]
    assert task.xcom["doeks_record"]["job"]["state"] == "SUCCEEDED"
    assert not platform.cancelled


def test_an_adopted_job_that_cannot_be_seen_for_now_is_followed(
    platform: MemoryPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage at that moment fails no try: the trigger outlasts it."""
    first = Try()
    first.start()
    platform.tick(30)

    def away(*_: Any) -> None:
        msg = "the platform does not answer"
        raise PlatformError(msg, retryable=True)

    monkeypatch.setattr(platform, "observe", away)
    second = Try(2, first.xcom)
    second.start()
    assert second.xcom["doeks_job"]["submission"]["adopted"]
    assert platform.submits == 1


def test_a_task_that_adopts_comes_back_no_sooner_than_one_that_submits(platform: MemoryPlatform) -> None:
    """Airflow loses a resume in the first seconds of a deferral, however long ago its job was submitted."""
    first = Try()
    assert first.start().deferred is None  # its job was submitted just now
    platform.tick(3600)
    before = datetime.now(timezone.utc)
    assert datetime.fromisoformat(Try(2, first.xcom).start().deferred) >= before


def test_an_adopted_job_keeps_its_own_name_token_try_and_tags(platform: MemoryPlatform) -> None:
    """XCom and record say who submitted it; only who settles it is the later try."""
    first = Try()
    first.start()
    own = dict(first.xcom["doeks_job"])
    platform.tick(30)
    second = Try(2, cost_tags={"team": "growth"})
    second.start()
    assert second.xcom["doeks_job"]["submission"]["adopted"] is True
    assert all(second.xcom["doeks_job"][key] == own[key] for key in ("ref", "platform", "token", "tags", "links"))
    platform.script = FOR_EVER
    (job,) = platform.sent.values()
    platform.scripts[job.ref] = ((0, JobState.QUEUED), (10, JobState.RUNNING), (40, JobState.SUCCEEDED))
    platform.tick(30)
    second.operator.execute_complete(second.context, {"status": platform.observe(job.ref).to_json()})
    record = second.xcom["doeks_record"]
    assert (record["job"]["name"], record["attempt"]["try_number"], record["settled_by_try"]) == (job.name, 1, 2)
    assert record["cost_tags"] == {"team": "sales"}


def test_a_job_that_a_later_try_replaces_leaves_its_record(platform: MemoryPlatform) -> None:
    """The try that starts another job settles the one it ended, under the name of the try that submitted it."""
    first = Try()
    first.start()
    platform.tick(30)
    Try(2, job=JOB | {"args": ["--fast"]}).start()
    from airflow_doeks.hooks.settings import load_settings, open_ledger

    records = {found.attempt.try_number: found for found in open_ledger(load_settings()).records()}
    assert records[1].job.state is JobState.CANCELLED
    assert records[1].failure is not None
    assert records[1].failure.message == "try 2 runs a job of its own instead"
    assert records[1].cost.why_unknown != "running"
    assert records[2].settled_by_try is None


def test_a_task_that_settled_its_job_costs_the_callback_one_read(platform: MemoryPlatform, asked: Reads) -> None:
    """No question to the platform; the settle itself reads the ledger once and writes record and detail."""
    platform.script = ((0, JobState.QUEUED), (10, JobState.RUNNING), (40, JobState.SUCCEEDED))
    platform.time.sleep((datetime.now(timezone.utc).replace(hour=12) - platform.time.now()).total_seconds())
    task = Try()
    task.start()
    platform.tick(60)
    (job,) = platform.sent.values()
    asked.reads.clear(), asked.writes.clear()
    task.operator.execute_complete(task.context, {"status": platform.observe(job.ref).to_json()})
    assert (len(asked.reads), len(asked.writes)) == (1, 2)
    asked.reads.clear(), asked.writes.clear()
    platform.observe = platform.find = None  # type: ignore[assignment, method-assign]
    settle_again(task.context)
    assert (len(asked.reads), len(asked.writes)) == (1, 0)


def test_all_questions_of_a_callback_share_its_time(platform: MemoryPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow gives a callback 20 seconds: no call is repeated for a minute in them, the record has its share."""
    left: list[float] = []
    for name in ("observe", "explain", "telemetry"):
        inner = getattr(platform, name)
        monkeypatch.setattr(platform, name, lambda ref, inner=inner: (left.append(seconds_left(60.0)), inner(ref))[1])
    platform.before_cancel = lambda: left.append(seconds_left(60.0))
    task = Try(retries=0)
    task.start()
    settle_again(task.context | {"exception": AirflowTaskTimeout("30 s")})
    assert len(left) >= 4
    assert all(0 < seconds <= 12 for seconds in left)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.STALLED, JobState.LOST])
def test_only_success_is_a_success(platform: MemoryPlatform, state: JobState) -> None:
    """Whatever an event tells of a job that did not succeed, its task fails."""
    task = Try()
    task.start()
    (job,) = platform.sent.values()
    platform.scripts[job.ref] = ((0, state if state is not JobState.LOST else JobState.FAILED),)
    event = {"status": platform.observe(job.ref).to_json() | {"state": state.value}, "overdue": "run_timeout"}
    with pytest.raises(AirflowException, match="timeout: used up its run_timeout"):
        task.operator.execute_complete(task.context, event)


def test_a_killed_task_tells_of_a_job_that_it_could_not_end(
    platform: MemoryPlatform, caplog: pytest.LogCaptureFixture
) -> None:
    """on_kill raises nothing; the log names the job and what to do."""

    def refuse() -> None:
        msg = "role/x may not CancelJobRun"
        raise PlatformError(msg)

    task = Try()
    task.start()
    platform.before_cancel = refuse
    task.operator.on_kill()
    assert "could not be cancelled; it may still run and cost: role/x may not CancelJobRun" in caplog.text
    assert task.xcom["doeks_job"]["ref"] in caplog.text


@pytest.mark.parametrize(
    ("kind", "category"),
    [("quota", "quota"), ("denied", "permission"), ("refused", "platform"), ("unavailable", "platform")],
)
def test_a_job_that_never_came_to_be_has_the_category_of_its_refusal(
    platform: MemoryPlatform, monkeypatch: pytest.MonkeyPatch, kind: str, category: str
) -> None:
    """A quota that is used up and a right that lacks are no fault of the platform's."""

    def refuse(_: Any) -> None:
        raise Refusal(kind, "pods: exceeded")

    monkeypatch.setattr(platform, "submit", refuse)
    task = Try(4)  # the last one
    with pytest.raises(AirflowException, match="exceeded"):
        task.operator.execute(task.context)
    assert task.xcom["doeks_record"]["failure"]["category"] == category


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch, platform: MemoryPlatform) -> MemoryPlatform:
    """A platform whose engine's jobs have no end of their own where they are restarted by a retry."""
    engine = replace(SPARK, endless=("on_retry", "restart"))
    monkeypatch.setattr(SparkJobOperator, "engine", engine)
    monkeypatch.setitem(TYPES, "memory", replace(MEMORY, engines=frozenset({engine})))
    return platform


@pytest.mark.parametrize(("on_retry", "state"), [("restart", JobState.RUNNING), ("adopt", JobState.CANCELLED)])
def test_a_job_without_an_end_of_its_own_outlives_its_task(
    endless: MemoryPlatform, on_retry: str, state: JobState
) -> None:
    """A killed task, and a worker that is lost for good, end only a job that ends by itself."""
    for end in (lambda task: task.operator.on_kill(), lambda task: settle_again(task.context)):
        task = Try(job=JOB | {"on_retry": on_retry}, retries=0)
        endless.sent.clear()
        task.start()
        endless.tick(30)
        end(task)
        (job,) = endless.sent.values()
        assert endless.observe(job.ref).state is state


def test_a_budget_ends_a_job_without_an_end_of_its_own(endless: MemoryPlatform) -> None:
    """Its task's time-out was asked for, and holds for it too."""
    task = Try(job=JOB | {"on_retry": "restart"})
    task.start()
    settle_again(task.context | {"exception": AirflowTaskTimeout("30 s")})
    (job,) = endless.sent.values()
    assert endless.observe(job.ref).state is JobState.CANCELLED


def test_an_engine_that_its_platform_does_not_run_is_refused(platform: MemoryPlatform) -> None:
    """Before anything is sent, with what the platform runs."""
    task = Try(operator=FlinkJobOperator, job={"jar": "s3://acme-code/a.jar"})
    with pytest.raises(AirflowFailException, match="platform 'mem' runs Spark, not Flink"):
        task.operator.execute(task.context)
    assert not platform.sent
    assert task.xcom["doeks_record"]["job"]["engine"] == "flink"
