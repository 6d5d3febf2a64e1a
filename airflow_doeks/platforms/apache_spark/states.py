"""The words of the Apache Spark Kubernetes Operator in ours. SparkApplication v1, read November 2026.

Its two last words carry no outcome: how a job ended is the last verdict in its history before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.kubernetes.operator import Operator, Told, moment
from airflow_doeks.platforms.kubernetes.server import Kind
from airflow_doeks.platforms.spark.resource.names import SPARK_PODS

STATES = {
    "": JobState.QUEUED,  # the operator has not taken it up
    "Submitted": JobState.QUEUED,
    "ScheduledToRestart": JobState.QUEUED,  # where a restart policy says so; ours never does
    "DriverRequested": JobState.QUEUED,  # STARTING as soon as the driver's pod has a node
    "DriverStarted": JobState.STARTING,  # its container runs, Spark is not up yet
    "DriverReady": JobState.RUNNING,
    "InitializedBelowThresholdExecutors": JobState.RUNNING,  # fewer executors than it was told to start with
    "RunningHealthy": JobState.RUNNING,
    "RunningWithPartialCapacity": JobState.RUNNING,
    "RunningWithBelowThresholdExecutors": JobState.RUNNING,
    "DriverStartTimedOut": JobState.RUNNING,  # this and the next six: a verdict, its pods are being removed
    "DriverReadyTimedOut": JobState.RUNNING,
    "ExecutorsStartTimedOut": JobState.RUNNING,
    "SchedulingFailure": JobState.RUNNING,
    "DriverEvicted": JobState.RUNNING,
    "Failed": JobState.RUNNING,
    "Succeeded": JobState.RUNNING,
    "ResourceReleased": JobState.LOST,  # the verdict stands in the history
    "TerminatedWithoutReleaseResources": JobState.LOST,  # the same; its pods are kept
}
ENDED = frozenset({"ResourceReleased", "TerminatedWithoutReleaseResources"})
VERDICTS = {  # of the history -> how the job ended
    "Succeeded": JobState.SUCCEEDED,
    "Failed": JobState.FAILED,
    "DriverStartTimedOut": JobState.FAILED,
    "DriverReadyTimedOut": JobState.FAILED,
    "ExecutorsStartTimedOut": JobState.FAILED,
    "SchedulingFailure": JobState.FAILED,
    "DriverEvicted": JobState.FAILED,
}


def read(resource: Mapping[str, Any]) -> Told:
    """What the status of a SparkApplication says; an end without a verdict is a job that was ended: cancelled."""
    status = resource.get("status") or {}
    current = status.get("currentState") or {}
    word = str(current.get("currentStateSummary") or "")
    attempt = (status.get("currentAttemptSummary") or {}).get("attemptInfo") or {}
    attempts = int(attempt["id"]) + 1 if "id" in attempt else None
    if word not in ENDED:
        return Told(word, str(current.get("message") or ""), attempts=attempts)
    last = _verdict(status)
    end = last if last is not None else current
    verdict = str(end.get("currentStateSummary") or "")
    state = VERDICTS.get(verdict, JobState.CANCELLED)
    why = "" if state is JobState.SUCCEEDED else f"{verdict}: {end['message']}" if end.get("message") else verdict
    return Told(word, why, state, moment(end.get("lastTransitionTime")), attempts)


def driver_status(resource: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The status of the driver's pod as the operator saw it last; it outlives the pod."""
    status = resource.get("status") or {}
    last = _verdict(status) or status.get("currentState") or {}
    found: Mapping[str, Any] | None = last.get("lastObservedDriverStatus")
    return found


def _verdict(status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The last state of the history that tells an outcome, of the last attempt."""
    history = status.get("stateTransitionHistory") or {}
    for number in sorted(history, key=int, reverse=True):
        word = history[number].get("currentStateSummary")
        if word in VERDICTS:
            found: Mapping[str, Any] = history[number]
            return found
        if word == "ScheduledToRestart":
            return None
    return None


OPERATOR = Operator(
    type="apache_spark",
    title="Apache Spark Kubernetes Operator",
    kind=Kind("spark.apache.org", "v1", "sparkapplications", "SparkApplication"),
    states=STATES,
    read=read,
    conf=lambda resource: (resource.get("spec") or {}).get("sparkConf") or {},
    column="Current State",
    must_look=ENDED,
    verdicts=VERDICTS,
    job_label="spark.operator/spark-app-name",
    pods=SPARK_PODS,
    driver_status=driver_status,
)
