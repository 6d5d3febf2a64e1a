"""Arguments that cannot be meant: one clear error, and nothing is sent."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_doeks.compat import AirflowFailException
from airflow_doeks.model.errors import SpecError
from airflow_doeks.operators.job import SparkJobOperator
from airflow_doeks.sensors.job import JobSensor
from tests.airflow.operators.test_emr_task import LAKE, Task, aws  # noqa: F401 - a fixture

ARN = "arn:aws:emr-containers:us-east-1:123456789012:/virtualclusters/abc/jobruns/0000000000000000000"


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    "ref",
    [
        "None",
        None,
        "",
        ARN,
        "{'ref': 'emr_on_eks://1.us-east-1/abc/0'}",
        "local://host/run",
        "emr_on_eks://1.us-east-1/abc",
        "emr_on_eks://1.us-east-1/abc/",
        "emr_on_eks://1.us-east-1/abc/0/1",
        "emr_on_eks://1.us-east-1/abc/0\n",
    ],
)
def test_a_sensor_refuses_what_is_no_job(aws, ref, deferrable):  # noqa: F811
    """A ref that rendered to nothing, an ARN or another platform's: the error says what is expected; no retry."""
    sensor = Task(JobSensor, ref=ref, deferrable=deferrable)
    with pytest.raises(AirflowFailException) as failed:
        sensor.operator.execute(sensor.context)
    assert str(failed.value) == (
        f"ref: {str(ref)!r} is no job of platform 'lake'; expected "
        "emr_on_eks://<account>.<region>/<virtual-cluster>/<job-run>, the return value of the task that submits the "
        "job. That task must have run before this one."
    )
    assert aws.aws.connections == 0


@pytest.mark.parametrize("value", [0, "0s", timedelta(0)])
def test_a_budget_of_zero_is_refused(value):
    """A job that may wait or run no second would only be cancelled; no limit is None."""
    with pytest.raises(SpecError, match=r"^timeouts.queue_timeout: .* is out of range; expected a duration above 0"):
        spark({"queue_timeout": value})


def spark(budgets):
    """An operator with these timeouts."""
    return SparkJobOperator(task_id="clean", job={"main": "s3://acme-code/m.py"}, platform=LAKE, timeouts=budgets)


@pytest.mark.parametrize(
    ("value", "seconds"), [(timedelta(hours=1), 3600), (90, 90), (1.5, 1.5), ("3600", 3600), ("1h30m", 5400)]
)
def test_a_budget_is_seconds_a_timedelta_or_a_duration(aws, value, seconds):  # noqa: F811
    """Each form reaches the trigger as seconds; None is no limit."""
    task = Task(timeouts={"run_timeout": value, "queue_timeout": None})
    carried = task.start()[1]["budgets"]
    assert (carried["run_timeout"], carried["queue_timeout"]) == (seconds, None)


@pytest.mark.parametrize(
    "value", [timedelta(hours=-1), -1, True, "soon", "", float("nan"), float("inf"), [60], timedelta(days=40000)]
)
def test_a_budget_that_is_no_duration_is_refused_when_the_dag_is_built(value):
    """By its name, with the forms that are known; nothing is submitted first."""
    with pytest.raises(SpecError, match=r"^timeouts\.run_timeout: .*(is not a duration|is out of range)"):
        spark({"run_timeout": value})


def test_an_unknown_budget_is_refused_when_the_dag_is_built():
    """With the names that are known; `deadline` is execution_timeout's."""
    for name in ("run_timeout_seconds", "deadline"):
        with pytest.raises(SpecError, match=f"timeouts: unknown key '{name}'; (did you mean|known are)"):
            spark({name: 60})
