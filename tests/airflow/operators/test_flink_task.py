"""A stream as its tasks see it: deployed, saved, stopped; what they return and leave in the ledger, and who waits."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta, timezone

import pytest

from airflow_doeks.compat import AirflowException, AirflowFailException
from airflow_doeks.hooks.settings import load_settings, open_ledger
from airflow_doeks.lifecycle.windows import IN_WINDOWS
from airflow_doeks.model.status import JobRef
from airflow_doeks.operators.job import FlinkJobOperator
from airflow_doeks.sensors.job import JobSensor
from tests.airflow.operators.test_emr_task import Task
from tests.fakes.cluster import FLINK
from tests.platforms.harness_apache_flink import JOB_ID, NAMESPACE, harness
from tests.platforms.harness_kubeflow_spark import kubeconfig

ENTRY = {
    "name": "streams",
    "type": "apache_flink",
    "connection": "kube_fake",
    "namespace": NAMESPACE,
    "image": "acme/flink:1.20.1",
    "state": "s3://acme-state/",
    "priced_as": "m7g.4xlarge",
}
STREAM = {"jar": "local:///opt/clicks.jar", "mode": "streaming", "stable_for": "0.2s"}
SAVEPOINT = "s3://acme-state/savepoint-1"


@pytest.fixture
def flink(tmp_path, monkeypatch):
    """A namespace with the operator behind the Airflow connection `kube_fake`."""
    with harness(tmp_path) as made:
        extra = {"kube_config": json.dumps(kubeconfig(made.server.url))}
        monkeypatch.setenv("AIRFLOW_CONN_KUBE_FAKE", json.dumps({"conn_type": "kubernetes", "extra": extra}))
        monkeypatch.setenv("AIRFLOW__DOEKS__LEDGER_PATH", str(tmp_path / "ledger"))
        yield made


def task(kind=FlinkJobOperator, **arguments):
    """One attempt of a task of the pipeline `orders`."""
    return Task(kind, platform=ENTRY, **arguments)


def stopping():
    """The task that stops the stream of task `clean`; of another id."""
    made = task(job={"stop": "clean"})
    made.context["ti"].task_id = "stop"
    return made


def deployed(flink):
    """A stream that runs, deployed by its task; gives its ref."""
    first = task(job=STREAM)
    deferral = first.start()
    ref = deferral[1]["ref"]
    flink.until_running(JobRef(ref))
    event = first.wait(deferral)
    assert first.operator.execute_complete(first.context, event, **deferral[2]) == ref
    return JobRef(ref), first


def records():
    """What the ledger has."""
    return list(open_ledger(load_settings()).records())


def test_a_deploying_task_ends_when_its_stream_runs_well(flink):
    """Its return value is the ref; the stream runs on, its record says that it runs, and a second run sends nothing."""
    ref, first = deployed(flink)
    (record,) = records()
    assert (record.cost.why_unknown, record.settled_by_try, record.job.ref) == ("running", None, ref)
    assert first.xcom["doeks_job"]["ref"] == ref
    calls = flink.server.calls["patch flinkdeployments"]
    again = task(job=STREAM)
    again.context["ti"].run_id = "another"
    assert again.finish() == ref
    assert flink.server.calls["patch flinkdeployments"] == calls
    assert flink.platform().observe(ref).state.value == "RUNNING"


def test_a_deploy_that_does_not_come_up_fails_with_its_cause_and_stops_no_pod_twice(flink):
    """The time to start is over: the stream is suspended with its state kept, and the task says why."""
    first = task(job=STREAM, timeouts={"startup_timeout": 0.3})
    deferral = first.start()
    ref = JobRef(deferral[1]["ref"])
    flink.move(ref, "DEPLOYED", "RECONCILING", "ERROR", "Back-off pulling image acme/flink:1.20.1")

    def operator():
        while flink.cluster.get(FLINK, NAMESPACE, ref.path[1])["spec"]["job"]["state"] != "suspended":
            threading.Event().wait(0.02)
        flink.move(ref, "SUSPENDED", "FINISHED", "MISSING")  # as the real operator says it

    player = threading.Thread(target=operator)
    player.start()
    event = first.wait(deferral)
    player.join()
    assert event["overdue"] == "startup_timeout"
    with pytest.raises(AirflowException, match="timeout: used up its startup_timeout"):
        first.operator.execute_complete(first.context, event, **deferral[2])


def test_a_stop_returns_the_savepoint_and_writes_the_streams_days(flink):
    """The stop's return value is the path; the ledger has a record a day and a closing one, of the deploying task."""
    ref, _ = deployed(flink)
    begun = datetime.now(timezone.utc) - timedelta(days=2)
    created = {"metadata": {"creationTimestamp": begun.strftime("%Y-%m-%dT%H:%M:%SZ")}}
    flink.cluster.update(FLINK, NAMESPACE, ref.path[1], created)
    stop = stopping()
    deferral = stop.start()
    for pod in (flink.manager(ref), f"{ref.path[1]}-taskmanager-1-1"):
        flink.end_pod(pod, 0, "Completed")
    saved = {"lastSavepoint": {"location": SAVEPOINT}}
    flink.move(ref, "SUSPENDED", "FINISHED", "MISSING", savepointInfo=saved)
    assert stop.operator.execute_complete(stop.context, stop.wait(deferral), **deferral[2]) == SAVEPOINT
    (closing,) = [record for record in records() if record.window is None and record.settled_by_try]
    days = [record for record in records() if record.window is not None]
    assert (closing.attempt.task_id, closing.job.state.value, closing.cost) == ("clean", "SUCCEEDED", IN_WINDOWS)
    assert [record.window for record in days] == [begun.date() + timedelta(days=number) for number in range(3)]
    assert {record.attempt.task_id for record in days} == {"clean"}
    assert days[-1].usage.vcpu_seconds > 0
    assert {record.usage.vcpu_seconds for record in days[:2]} == {None}  # nobody saw a pod: unknown, not 0


def test_a_stop_without_a_savepoint_is_no_success(flink):
    """A stream that ended and names no savepoint fails the task that was to return its path."""
    ref, _ = deployed(flink)
    stop = stopping()
    deferral = stop.start()
    flink.move(ref, "SUSPENDED", "FINISHED", "MISSING")
    with pytest.raises(AirflowFailException, match="no savepoint is known"):
        stop.operator.execute_complete(stop.context, stop.wait(deferral), **deferral[2])


def test_killing_a_deploying_task_leaves_its_stream(flink):
    """A mark, a clear or a lost worker never stops a stream."""
    first = task(job=STREAM)
    deferral = first.start()
    flink.until_running(JobRef(deferral[1]["ref"]))
    first.operator.on_kill()
    assert deferral[1]["owns_job"] is False
    assert flink.cluster.get(FLINK, NAMESPACE, JobRef(deferral[1]["ref"]).path[1])["spec"]["job"]["state"] == "running"


def test_a_sensor_waits_until_a_stream_runs_or_took_checkpoints(flink):
    """Running well ends the wait in the triggerer; completed checkpoints are looked at now and then."""
    ref, _ = deployed(flink)
    assert task(JobSensor, ref=ref, until="running", stable_for=0.1).finish() == ref
    sensor = task(JobSensor, ref=ref, checkpoints=2, poke_interval=0.01, timeout=60)
    answer = {"counts": {"completed": 1}}
    flink.server.proxied[f"{ref.path[1]}-rest/jobs/{JOB_ID}/checkpoints"] = answer
    assert not sensor.operator.poke({})
    answer["counts"]["completed"] = 2
    sensor.operator.execute(sensor.context)
