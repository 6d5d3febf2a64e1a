"""The words of the Kubeflow Spark Operator in ours. SparkApplication v1beta2, operator 2.4, read November 2026."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.kubernetes.operator import Operator, Told, moment
from airflow_doeks.platforms.kubernetes.server import Kind
from airflow_doeks.platforms.spark.pods import IMAGE
from airflow_doeks.platforms.spark.resource.names import SPARK_PODS

STATES = {
    "": JobState.QUEUED,  # the operator has not taken it up; also a resource without a status
    "SUBMITTED": JobState.QUEUED,  # spark-submit ran; STARTING as soon as the driver's pod has a node
    "SUBMISSION_FAILED": JobState.QUEUED,  # becomes FAILED, or is submitted again where a restart policy says so
    "PENDING_RERUN": JobState.QUEUED,  # the operator will submit it again
    "INVALIDATING": JobState.QUEUED,  # its spec was changed: the run is ended and submitted anew
    "RUNNING": JobState.RUNNING,
    "SUCCEEDING": JobState.RUNNING,  # the driver ended well; COMPLETED follows
    "FAILING": JobState.RUNNING,  # the driver ended badly or is gone; FAILED or PENDING_RERUN follows
    "UNKNOWN": JobState.RUNNING,  # the operator cannot see the driver's node and looks again
    "SUSPENDING": JobState.RUNNING,  # somebody suspended it: its pods are being deleted
    "SUSPENDED": JobState.QUEUED,  # waits for a person, or for Kueue, to resume it
    "RESUMING": JobState.QUEUED,  # will be submitted again
    "COMPLETED": JobState.SUCCEEDED,
    "FAILED": JobState.FAILED,
}


def read(resource: Mapping[str, Any]) -> Told:
    """What the status of a SparkApplication says."""
    status = resource.get("status") or {}
    state = status.get("applicationState") or {}
    word = str(state.get("state") or "")
    return Told(
        word=word,
        reason=str(state.get("errorMessage") or ""),
        ended=moment(status.get("terminationTime")) if word in ("COMPLETED", "FAILED") else None,
        attempts=status.get("executionAttempts"),
    )


_FIELDS = {  # field of driver or executor -> Spark property
    "cores": "spark.{}.cores",
    "coreRequest": "spark.kubernetes.{}.request.cores",
    "memory": "spark.{}.memory",
    "memoryOverhead": "spark.{}.memoryOverhead",
    "instances": "spark.{}.instances",
}


def conf(resource: Mapping[str, Any]) -> dict[str, str]:
    """The Spark properties that a SparkApplication asks for, its own fields among them."""
    spec = resource.get("spec") or {}
    found = dict(spec.get("sparkConf") or {})
    if spec.get("image"):
        found[IMAGE] = str(spec["image"])
    for role in ("driver", "executor"):
        pod = spec.get(role) or {}
        found |= {key.format(role): str(pod[field]) for field, key in _FIELDS.items() if field in pod}
    most = (spec.get("dynamicAllocation") or {}).get("maxExecutors")
    return found | ({"spark.dynamicAllocation.maxExecutors": str(most)} if most is not None else {})


OPERATOR = Operator(
    type="kubeflow_spark",
    title="Kubeflow Spark Operator",
    kind=Kind("sparkoperator.k8s.io", "v1beta2", "sparkapplications", "SparkApplication"),
    states=STATES,
    read=read,
    conf=conf,
    column="Status",
    ended_column="Finish",
    attempts_column="Attempts",
    job_label="sparkoperator.k8s.io/app-name",
    pods=SPARK_PODS,
    end_events={
        "SparkDriverCompleted": JobState.SUCCEEDED,  # 2.4 tells of the driver, seen; the other two are in its source
        "SparkDriverFailed": JobState.FAILED,
        "SparkApplicationCompleted": JobState.SUCCEEDED,
        "SparkApplicationFailed": JobState.FAILED,
    },
)
