"""Why an EMR job failed: from what EMR says, its logs, and its pods and events where Kubernetes can be asked.

At most 6 calls in 20 seconds: one describe, one list of logs and up to three logs, or two and lists of pods and events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from airflow_doeks.model.record import FailureCategory, JobFailure
from airflow_doeks.model.status import JobRef
from airflow_doeks.platforms.aws_calls import AwsCalls
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.emr_on_eks.config import Config
from airflow_doeks.platforms.emr_on_eks.logs import CALL_SECONDS, CONTAINERS, job_links, no_log, read_logs
from airflow_doeks.platforms.emr_on_eks.request import all_conf
from airflow_doeks.platforms.kubernetes.pods import WORDS, PodFact, pod_facts, told
from airflow_doeks.platforms.kubernetes.verdict import Cause, verdict
from airflow_doeks.platforms.reading import read_within
from airflow_doeks.platforms.root_cause import root_cause
from airflow_doeks.platforms.spark.pods import EXECUTOR_PREFIX
from airflow_doeks.platforms.spark.resource.names import SPARK_PODS

SECONDS = 20.0  # for all; what was not read by then is told
EVENTS_MAX = 5000  # a kilobyte each; they come sorted by name, so a cut list may lack ours
JOB_LABEL = "emr-containers.amazonaws.com/job.id"  # on every pod of a job run
TAIL_LINES = 200
_PLAIN = {"_request_timeout": CALL_SECONDS, "_preload_content": False}  # JSON, alike on every client
# What stateDetails says -> category; the first match holds. Words of EMR beside those of Kubernetes, November 2026.
_DETAILS: tuple[tuple[str, FailureCategory], ...] = (
    *WORDS,
    (r"AccessDenied|Access Denied|not authorized|[Ff]orbidden|assume ?role", "permission"),
    (r"timed out|timeout", "timeout"),
)
# EMR's failureReason -> category, where neither details nor logs say more.
_REASONS: dict[str, FailureCategory] = {
    "INTERNAL_ERROR": "platform",
    "CLUSTER_UNAVAILABLE": "platform",
    "USER_ERROR": "user_code",
    "VALIDATION_ERROR": "user_code",
}


@dataclass
class _Found:
    """What was read so far; a thread adds to it."""

    run: Mapping[str, Any] = field(default_factory=dict)
    logged: Cause | None = None  # the root cause
    tail: tuple[str, ...] = ()  # of the log that holds it, else of the first
    listed: list[Mapping[str, Any]] = field(default_factory=list)
    pods: list[PodFact] = field(default_factory=list)  # what went wrong with them
    evidence: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Sources:
    """Where an explanation is read from."""

    config: Config
    clients: Clients
    emr: AwsCalls
    logs: AwsCalls


def explain(ref: JobRef, sources: Sources) -> JobFailure:
    """Category, root cause, evidence and the log's tail; never raises, what could not be read is in the evidence."""
    found = _Found()
    steps = {"the job": _read_job, "logs": _read_logs, "pods": _read_pods, "events": _read_events}
    evidence = read_within(
        SECONDS, {what: partial(step, ref, sources, found) for what, step in steps.items()}, found.evidence
    )
    pods = list(found.pods)
    found = replace(found, pods=pods, evidence=[*evidence, *told(pods)])
    category, message = _verdict(found)
    return JobFailure(
        category=category,
        message=message,
        evidence=tuple(found.evidence),
        links=job_links(ref, sources.config),
        log_tail=tuple(found.tail[-TAIL_LINES:]),
    )


def _read_job(ref: JobRef, sources: Sources, found: _Found) -> None:
    cluster, job_run = ref.path
    answer = sources.emr.patiently("describe_job_run", CALL_SECONDS, virtualClusterId=cluster, id=job_run)
    found.run = answer["jobRun"]
    words = (found.run.get(key) for key in ("state", "failureReason", "stateDetails"))
    found.evidence.append("EMR: " + " - ".join(word for word in words if word))


def _read_logs(ref: JobRef, sources: Sources, found: _Found) -> None:
    """One log after the other until one tells why."""
    most, has_log = len(CONTAINERS) - bool(sources.config.kubernetes), False
    for log_read in read_logs(ref, sources.config, sources.clients, sources.logs, most):
        has_log = True
        category, message = root_cause(log_read.lines)
        found.tail = found.tail or log_read.lines
        if category != "unknown":
            found.tail, found.logged = log_read.lines, (category, message)
            found.evidence.append(f"root cause in {log_read.where}")
            return
    if not has_log:
        found.evidence.append(no_log(ref, sources.config))


def _read_pods(ref: JobRef, sources: Sources, found: _Found) -> None:
    """Pods by EMR's label."""
    if not sources.config.kubernetes:
        return
    answer = _api(sources).list_namespaced_pod(
        sources.config.namespace, label_selector=f"{JOB_LABEL}={ref.path[1]}", **_PLAIN
    )
    found.listed += json.loads(answer.data)["items"]
    found.pods += pod_facts(found.listed, [], SPARK_PODS)


def _read_events(ref: JobRef, sources: Sources, found: _Found) -> None:
    """Events by the names of pods, also of those that are gone or may not be listed."""
    if not sources.config.kubernetes:
        return
    job_run, namespace = ref.path[1], sources.config.namespace
    events = json.loads(_api(sources).list_namespaced_event(namespace, limit=EVENTS_MAX, **_PLAIN).data)
    if events.get("metadata", {}).get("continue"):
        found.evidence.append(f"only {EVENTS_MAX} events of namespace {namespace} were read")
    names = {pod["metadata"]["name"] for pod in found.listed}
    executors = all_conf(found.run).get(EXECUTOR_PREFIX)

    def is_ours(name: str) -> bool:
        return name in names or job_run in name or bool(executors and name.startswith(f"{executors}-exec-"))

    ours = [event for event in events["items"] if is_ours(event["involvedObject"].get("name") or "")]
    found.pods[:] = pod_facts(found.listed, ours, SPARK_PODS)


def _api(sources: Sources) -> Any:
    from kubernetes.client import CoreV1Api

    return CoreV1Api(sources.clients.kubernetes(sources.config.kubernetes or ""))


def _verdict(found: _Found) -> Cause:
    """A cancel first, then pods and log; EMR's own reason where neither tells."""
    details, reason = found.run.get("stateDetails") or "", found.run.get("failureReason") or ""
    if found.run.get("state") == "CANCELLED":
        return "cancelled", details or "the job was cancelled"
    said = next((category for pattern, category in _DETAILS if re.search(pattern, details)), None)
    cause = verdict(found.pods, found.logged, (said, details) if said else None, found.evidence)
    return cause or (_REASONS.get(reason, "unknown"), details or reason or "neither EMR nor a log tells why")
