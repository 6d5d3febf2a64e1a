"""What a person sees of one task on EMR on EKS: its log, links, verdict and no secret; operator, trigger and sensor."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
from contextlib import aclosing
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from airflow_doeks.compat import DAG, AirflowException, AirflowFailException, AirflowSkipException, TaskDeferred
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from airflow_doeks.operators import links
from airflow_doeks.operators.job import SparkJobOperator
from airflow_doeks.sensors.job import JobSensor
from tests.fakes.emr_containers import Step
from tests.platforms.harness_emr_on_eks import CLUSTER, ENTRY, world

CANARY = "canary-8c5f"
LAKE = ENTRY | {"name": "lake", "connection": "aws_fake", "list_seconds": 0.05}
BAD_DAY = (
    Step(0, "PENDING", "queued by the virtual cluster"),
    Step(60, "SUBMITTED"),
    Step(120, "RUNNING"),
    Step(200, "FAILED", "exit code 1", "USER_ERROR"),
)
TRACEBACK = ["Traceback (most recent call last):", "  File x", "ValueError: 7"]
LINES = [f"line {number}" for number in range(300)] + TRACEBACK


@pytest.fixture
def aws(tmp_path, monkeypatch):
    """A fake AWS behind the Airflow connection `aws_fake`; each call takes half a minute of its time."""
    with world(tmp_path / "s3") as fresh:
        fresh.emr.script, fresh.emr.answer_seconds = lambda _: BAD_DAY, 30
        extra = {"region_name": "us-east-1", "endpoint_url": fresh.aws.url}
        keys = {"login": "AKIAEXAMPLEEXAMPLE00", "password": CANARY}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_FAKE", json.dumps({"conn_type": "aws", **keys, "extra": extra}))
        monkeypatch.setenv("AIRFLOW__DOEKS__LEDGER_PATH", str(tmp_path / "ledger"))
        yield fresh


class Task:
    """One attempt of an operator, its XCom a dict."""

    def __init__(self, operator=SparkJobOperator, **arguments):
        arguments = {"platform": LAKE} | arguments
        if operator is SparkJobOperator:
            arguments = {"job": {"main": "s3://acme-code/m.py", "conf": {"spark.acme.password": CANARY}}} | arguments
        with DAG("orders", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)):
            made = operator(task_id="clean", **arguments)
        self._attempt(made)

    @classmethod
    def of(cls, operator):
        """A first try of a task `orders.clean` that somebody else made."""
        task = cls.__new__(cls)
        task._attempt(operator)
        return task

    def _attempt(self, operator):
        self.operator, self.xcom = operator, {}
        now = datetime(2026, 11, 20, 11, 59, tzinfo=timezone.utc)
        names = {"dag_id": "orders", "run_id": "r", "task_id": "clean", "map_index": -1, "try_number": 1, "id": "u"}
        ti = SimpleNamespace(
            **names,
            max_tries=0,
            start_date=datetime.now(timezone.utc),
            state="running",
            xcom_push=lambda key, value: self.xcom.update({key: value}),
            xcom_pull=lambda key, **_: self.xcom.get(key),
        )
        self.context = {"ti": ti, "dag_run": SimpleNamespace(start_date=now, queued_at=now), "task": self.operator}

    def start(self):
        """Run until it defers; gives the deferral as Airflow stores it."""
        with pytest.raises(TaskDeferred) as deferred:
            self.operator.execute(self.context)
        self.timeout = deferred.value.timeout
        path, arguments = deferred.value.trigger.serialize()
        return json.loads(json.dumps([path, arguments, deferred.value.kwargs or {}]))

    def wait(self, deferral):
        """The trigger's event; the job is as old as the service says, so nothing waits for its first seconds."""
        from airflow_doeks.triggers.job import JobTrigger

        deferral[1]["submitted"] = "2026-11-20T12:00:00+00:00"

        async def first():
            async with aclosing(JobTrigger(**deferral[1]).run()) as events:
                return (await anext(events)).payload

        return asyncio.run(first())

    def finish(self):
        """All of it; gives the job ref."""
        deferral = self.start()
        return self.operator.execute_complete(self.context, self.wait(deferral), **deferral[2])


@pytest.fixture
def told(caplog, capsys):
    """All that was logged, by Python's logging and by Airflow's, as one text; some of it stands there twice."""
    caplog.set_level(logging.DEBUG, logger="airflow_doeks")
    caplog.set_level(logging.INFO)
    return lambda: caplog.text + capsys.readouterr().out


def write_log(aws, lines=LINES):
    """The driver's output of the first job."""
    place = f"acme-logs/emr/{CLUSTER}/jobs/{0:019d}/containers/spark-1/spark-{0:019d}-driver/stdout.gz"
    file = aws.folder / place
    file.parent.mkdir(parents=True)
    file.write_bytes(gzip.compress("\n".join(lines).encode()))


def test_the_task_log_tells_every_state_its_reason_and_the_end_of_the_drivers_log(aws, told):
    """Each state once with EMR's reason, then the driver's last 200 lines, then the verdict with the job's address."""
    write_log(aws)
    with pytest.raises(AirflowFailException) as failed:
        Task().finish()
    ref, text = f"emr_on_eks://123456789012.us-east-1/{CLUSTER}/{0:019d}", told()
    assert list(dict.fromkeys(re.findall(rf"{ref} is (\w+(?:: [\w -]*\w)?)", text))) == [
        "QUEUED: queued by the virtual cluster",
        "STARTING",
        "RUNNING",
        "FAILED: USER_ERROR - exit code 1",
    ]
    tail = list(dict.fromkeys(re.findall(r"driver \| line (\d+)", text)))
    assert tail == [str(number) for number in range(103, 300)]
    assert re.search(r"driver \| ValueError: 7", text)
    verdict = str(failed.value).splitlines()
    assert verdict[:2] == ["Spark job FAILED: user_code: ValueError: 7", f"job: {ref}"]


@pytest.mark.parametrize("link", [links.SparkUILink, links.DriverLogLink, links.ConsoleLink])
def test_links_are_there_while_the_job_runs(aws, monkeypatch, link):
    """As soon as the task defers its XCom gives each link; before that they are empty."""
    task = Task()
    stored = SimpleNamespace(get_value=lambda key, **_: task.xcom.get(key))
    monkeypatch.setattr("airflow_doeks.compat.XCom", stored, raising=False)
    assert link().get_link(task.operator, ti_key=task.context["ti"]) == ""
    task.start()
    assert aws.emr.step(next(iter(aws.emr.jobs.values()))).state == "PENDING"
    assert link().get_link(task.operator, ti_key=task.context["ti"]).startswith("https://us-east-1.console.aws")


@pytest.mark.parametrize(
    ("details", "retry_on", "expected"),
    [
        ("exit code 1", None, AirflowFailException),
        ("exit code 1", ["user_code"], AirflowException),
        ("node ip-10-0-0-1 was terminated", None, AirflowException),
        ("node ip-10-0-0-1 was terminated", ["network"], AirflowFailException),
    ],
)
def test_retry_on_decides_by_category(aws, details, retry_on, expected):
    """The job's own error fails at once, a lost node is retried; `retry_on` says otherwise."""
    aws.emr.script = lambda _: (Step(0, "FAILED", details, "USER_ERROR"),)
    with pytest.raises(AirflowException) as failed:
        Task(retry_on=retry_on).finish()
    assert type(failed.value) is expected


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_task_succeeds_with_the_ref_of_its_job(aws, deferrable):
    """Deferred or waiting on the worker, the return value is the job ref and the record is an XCom."""
    aws.emr.script = lambda _: (Step(0, "COMPLETED"),)
    task = Task(deferrable=deferrable)
    ref = task.finish() if deferrable else task.operator.execute(task.context)
    assert ref == task.xcom["doeks_job"]["ref"]
    assert task.xcom["doeks_record"]["job"]["state"] == "SUCCEEDED"


def test_no_secret_leaves_the_request(aws, told):
    """The connection's password and a secret property: not in logs, XCom, trigger, record, links or the exception."""
    write_log(aws, [f"spark.acme.password={CANARY}", *TRACEBACK])
    task = Task()
    deferral = task.start()
    with pytest.raises(AirflowFailException) as failed:
        task.operator.execute_complete(task.context, task.wait(deferral), **deferral[2])
    assert CANARY in str(next(iter(aws.emr.jobs.values())).request)
    text = told()
    assert "driver | spark.acme.password=***" in text
    assert CANARY not in text + json.dumps([deferral, task.xcom]) + str(failed.value)


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_sensor_waits_for_a_job_of_somebody_else(aws, deferrable):
    """It succeeds with the job, gives its ref, cancels nothing and leaves no record."""
    aws.emr.script = lambda _: (Step(0, "RUNNING"), Step(100, "COMPLETED"))
    ref = Task().start()[1]["ref"]
    sensor = Task(JobSensor, ref=ref, deferrable=deferrable, poke_interval=0.05, timeout=90)
    if deferrable:
        assert sensor.finish() == ref
        assert sensor.timeout == timedelta(seconds=90)
    else:
        sensor.operator.execute(sensor.context)
    assert aws.emr.step(next(iter(aws.emr.jobs.values()))).state == "COMPLETED"
    assert aws.emr.calls["CancelJobRun"] == 0
    assert sensor.xcom == {}


@pytest.mark.parametrize("lost", [False, True])
def test_a_sensor_whose_triggerer_does_not_see_the_job_waits_on_its_worker(aws, lost):
    """A trigger that broke, or a job that is lost to the triggerer alone, says nothing of the job."""
    aws.emr.script = lambda _: (Step(0, "RUNNING"), Step(100, "COMPLETED"))
    ref = Task().start()[1]["ref"]
    sensor = Task(JobSensor, ref=ref, poke_interval=0.05, timeout=90)
    event = {"status": JobStatus(JobRef(ref), JobState.LOST).to_json()} if lost else {"error": "the feed broke"}
    assert sensor.operator.execute_complete(sensor.context, event) == ref
    assert aws.emr.step(next(iter(aws.emr.jobs.values()))).state == "COMPLETED"


@pytest.mark.parametrize(
    ("deferrable", "soft_fail", "expected"), [(True, False, AirflowException), (False, True, AirflowSkipException)]
)
def test_a_sensor_fails_with_the_jobs_root_cause(aws, deferrable, soft_fail, expected):
    """A failed job fails or, with soft_fail, skips the sensor; the message holds the root cause."""
    write_log(aws)
    ref = Task().start()[1]["ref"]
    sensor = Task(JobSensor, ref=ref, deferrable=deferrable, soft_fail=soft_fail, poke_interval=0.05)
    with pytest.raises(expected, match="user_code: ValueError: 7"):
        _ = sensor.finish() if deferrable else sensor.operator.execute(sensor.context)
