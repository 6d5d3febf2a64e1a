"""A triggerer that EMR refuses: one bad answer to the list that all share ends no job; the worker looks for itself."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

import pytest

from airflow_doeks.compat import AirflowException, AirflowFailException, TaskDeferred
from airflow_doeks.lifecycle import Clock, waiting
from airflow_doeks.triggers import job as triggers
from tests.airflow.operators.test_emr_task import Task
from tests.fakes.emr_containers import Fault, Step
from tests.platforms.harness_emr_on_eks import world

JOBS = 4  # more than are described one by one: they share a list


@pytest.fixture
def aws(tmp_path, monkeypatch):
    """A fake AWS behind the Airflow connection `aws_fake`, whose jobs run until a test ends them."""
    with world(tmp_path / "s3", cancel_seconds=0.0) as fresh:
        fresh.emr.script = lambda _: (Step(0, "RUNNING"),)
        extra = {"region_name": "us-east-1", "endpoint_url": fresh.aws.url}
        keys = {"login": "AKIAEXAMPLEEXAMPLE00", "password": "secret"}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_FAKE", json.dumps({"conn_type": "aws", **keys, "extra": extra}))
        monkeypatch.setenv("AIRFLOW__DOEKS__LEDGER_PATH", str(tmp_path / "ledger"))
        monkeypatch.setattr(waiting, "Clock", lambda: Clock(lambda: fresh.emr.now, fresh.sleep))
        yield fresh


def start() -> list[tuple[Task, list]]:
    """Tasks of as many runs, deferred."""
    tasks = [Task() for _ in range(JOBS)]
    for number, task in enumerate(tasks):
        vars(task.context["ti"]).update(run_id=f"r{number}", id=f"u{number}")
    return [(task, task.start()) for task in tasks]


def fire(deferrals: list[list]) -> list[dict]:
    """The events of triggers that wait in one triggerer."""

    async def first(arguments):
        async with aclosing(triggers.JobTrigger(**arguments).run()) as events:
            return (await anext(events)).payload

    async def every():
        return await asyncio.wait_for(asyncio.gather(*(first(arguments) for _, arguments, _ in deferrals)), 60)

    return asyncio.run(every())


def defer_again(task: Task, event: dict, deferral: list) -> list:
    """What the task leaves when it resumes with the event and finds its job alive."""
    with pytest.raises(TaskDeferred) as deferred:
        task.operator.execute_complete(task.context, event, **deferral[2])
    return json.loads(json.dumps([*deferred.value.trigger.serialize(), deferred.value.kwargs]))


def end_jobs(aws, *, seconds: float = 0, word: str = "COMPLETED", **step) -> None:
    """Every job ends so many seconds from now."""
    aws.sleep(1)
    for job in aws.emr.jobs.values():
        age = (aws.emr.now - job.created).total_seconds()
        job.steps += (Step(age + seconds, word, **step),)


def test_one_refused_list_ends_no_job(aws):
    """Every task of the virtual cluster comes back, finds its job alive, and waits again until the job's end."""
    tasks = start()
    aws.emr.faults.append(Fault("ListJobRuns", "ValidationException", message="no such page"))
    events = fire([deferral for _, deferral in tasks])
    assert ["no such page" in event.get("error", "") for event in events] == [True] * JOBS
    again = [defer_again(task, event, deferral) for (task, deferral), event in zip(tasks, events, strict=True)]
    assert aws.emr.calls["CancelJobRun"] == 0
    end_jobs(aws)
    for (task, _), event, deferral in zip(tasks, fire(again), again, strict=True):
        assert task.operator.execute_complete(task.context, event, **deferral[2]) == task.xcom["doeks_job"]["ref"]
        assert task.xcom["doeks_record"]["job"]["state"] == "SUCCEEDED"


def test_a_triggerer_that_is_refused_for_good_leaves_the_job_to_the_worker(aws):
    """The second time the worker waits itself, until the job's end."""
    tasks = start()
    aws.emr.denied.add("ListJobRuns")
    events = fire([deferral for _, deferral in tasks])
    again = [defer_again(task, event, deferral) for (task, deferral), event in zip(tasks, events, strict=True)]
    end_jobs(aws, seconds=60)
    task, event, deferral = tasks[0][0], fire(again)[0], again[0]
    assert "not authorized to perform: emr-containers:ListJobRuns" in event["error"]
    assert task.operator.execute_complete(task.context, event, **deferral[2]) == task.xcom["doeks_job"]["ref"]
    assert task.xcom["doeks_record"]["job"]["state"] == "SUCCEEDED"
    assert aws.emr.calls["CancelJobRun"] == 0


def test_a_job_that_is_over_is_settled_as_it_ended(aws):
    """The triggerer could not tell the end; the worker sees it, with its cause."""
    task, deferral = start()[0]
    end_jobs(aws, word="FAILED", details="exit code 1", reason="USER_ERROR")
    with pytest.raises(AirflowFailException, match="Spark job FAILED: user_code"):
        task.operator.execute_complete(task.context, {"error": "refused"}, **deferral[2])
    assert task.xcom["doeks_record"]["job"]["state"] == "FAILED"


def test_a_job_that_the_worker_may_not_see_either_is_cancelled(aws):
    """Refused twice: the job ends before its task fails, and the message holds what the worker was told."""
    task, deferral = start()[0]
    aws.emr.faults.append(Fault("DescribeJobRun", "ValidationException", times=2, message="not for you"))
    with pytest.raises(AirflowException, match=r"could not be followed and was cancelled: .*not for you"):
        task.operator.execute_complete(task.context, {"error": "refused"}, **deferral[2])
    record = task.xcom["doeks_record"]
    assert (record["job"]["state"], record["failure"]["category"]) == ("CANCELLED", "platform")


def test_a_job_that_nobody_may_see_or_cancel_is_said_to_run_perhaps(aws):
    """Without an answer about its end the message does not claim it."""
    task, deferral = start()[0]
    aws.emr.denied.add("DescribeJobRun")
    with pytest.raises(AirflowException, match="could not be followed and may still run"):
        task.operator.execute_complete(task.context, {"error": "refused"}, **deferral[2])


def test_an_overdue_job_that_the_triggerer_lost_from_sight_timed_out(aws):
    """The trigger cancelled it for its budget and was refused afterwards: the verdict still names the budget."""
    task, deferral = start()[0]
    end_jobs(aws, word="CANCELLED")
    with pytest.raises(AirflowException, match="timeout: used up its run_timeout"):
        task.operator.execute_complete(task.context, {"error": "refused", "overdue": "run_timeout"}, **deferral[2])
