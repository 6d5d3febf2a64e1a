"""Why a job of an operator failed: its resource, its pods, events, and the driver's log, in that order.

At most five calls in 20 seconds: the resource, lists of pods and events, the driver's log, and once more its events
where the resource is gone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from airflow_doeks.model.record import FailureCategory, JobFailure
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from airflow_doeks.platforms.kubernetes.pods import WORDS, PodFact, pod_facts, told
from airflow_doeks.platforms.kubernetes.resources import Resources
from airflow_doeks.platforms.kubernetes.server import EVENTS, PODS
from airflow_doeks.platforms.kubernetes.sightings import CONTAINERS
from airflow_doeks.platforms.reading import read_within
from airflow_doeks.platforms.spark.root_cause import root_cause
from airflow_doeks.platforms.spark.verdict import Cause, verdict

SECONDS = 20.0  # for all; what was not read by then is told
CALL_SECONDS = 6.0
TAIL_LINES = 200
# What the operator's own error says -> category; the first match holds. Words of both Spark operators, November 2026.
SAID: tuple[tuple[str, FailureCategory], ...] = (
    *WORDS,
    (r"failed calling webhook|admission webhook", "platform"),
    (r"[Ff]orbidden|cannot (get|list|watch|create|patch|delete) resource|not authorized", "permission"),
    (r"UnknownHost|no such host", "network"),
    (r"StartTimedOut|timed out", "timeout"),
    (r"failed to run spark-submit", "user_code"),  # what it was given cannot be submitted
)


_DRIVER = {"metadata": {"name": "the driver", "labels": {"spark-role": "driver"}}}


@dataclass
class _Found:
    """What was read so far; a thread adds to it."""

    status: JobStatus | None = None
    drivers: list[Mapping[str, Any]] = field(default_factory=list)
    kept: Mapping[str, Any] | None = None  # the driver's pod as its operator keeps it
    pods: list[PodFact] = field(default_factory=list)
    logged: Cause | None = None
    tail: tuple[str, ...] = ()
    evidence: list[str] = field(default_factory=list)


def explain(ref: JobRef, resources: Resources, links: Mapping[str, str]) -> JobFailure:
    """Category, root cause, evidence and the log's tail; never raises, what could not be read is in the evidence."""
    found = _Found()
    steps = {"the resource": _read_resource, "pods and events": _read_pods, "the log": _read_log}
    evidence = read_within(
        SECONDS, {what: partial(step, ref, resources, found) for what, step in steps.items()}, found.evidence
    )
    found = replace(found, pods=list(found.pods), evidence=evidence)
    category, message = _verdict(found, resources.operator.title)
    return JobFailure(
        category=category,
        message=message,
        evidence=tuple(found.evidence),
        links=dict(links),
        log_tail=tuple(found.tail[-TAIL_LINES:]),
    )


def _read_resource(ref: JobRef, resources: Resources, found: _Found) -> None:
    found.status, resource = resources.look(ref)
    kept = resources.operator.driver_status(resource) if resource and resources.operator.driver_status else None
    found.kept = {**_DRIVER, "status": kept} if kept else None
    words = (found.status.native_state or found.status.state.value, found.status.reason)
    found.evidence.append(f"{resources.operator.title}: " + " - ".join(word for word in words if word))


def _read_pods(ref: JobRef, resources: Resources, found: _Found) -> None:
    """Pods by their label, events by the names of pods that are gone, too."""
    namespace, name, _ = ref.path
    pods = resources.pods(ref, CALL_SECONDS)
    found.drivers += [pod for pod in pods if _role(pod) == "driver"]
    names = {pod["metadata"]["name"] for pod in pods} | {name}
    events = resources.calls.list(EVENTS, namespace, CALL_SECONDS)
    ours = [event for event in events if _is_about(event, name, names)]
    kept = [found.kept] if found.kept and not found.drivers else []
    found.pods += pod_facts([*pods, *kept], ours)
    found.evidence += told(found.pods)


def _is_about(event: Mapping[str, Any], name: str, names: set[str]) -> bool:
    about = (event.get("involvedObject") or {}).get("name") or ""
    return about in names or about.startswith(f"{name}-")


def _read_log(ref: JobRef, resources: Resources, found: _Found) -> None:
    """The tail of the driver's log, while its pod is there; before it, what the pod itself tells of the log's end."""
    if not found.drivers and found.kept:
        _heed(_last_words(found.kept), "what the operator keeps of the driver", found)
    if not found.drivers:
        found.evidence.append("the driver's pod is gone, and its log with it")
        return
    driver = max(found.drivers, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))
    name = driver["metadata"]["name"]
    _heed(_last_words(driver), f"the end of pod {name}", found)
    query = {"container": CONTAINERS["driver"], "tailLines": TAIL_LINES}
    text = resources.calls.text(PODS.path(ref.path[0], name, "log"), query, CALL_SECONDS)
    _heed(text, f"the log of pod {name}", found)


def _heed(text: str, where: str, found: _Found) -> None:
    if not text.strip():
        return
    found.tail = tuple(text.splitlines())
    category, message = root_cause(found.tail)
    if category != "unknown" or message:
        found.logged = category, message
        found.evidence.append(f"root cause in {where}")


def _last_words(pod: Mapping[str, Any]) -> str:
    """The termination message, which holds the last 2 KiB of the log of a container that failed."""
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        message = ((container.get("state") or {}).get("terminated") or {}).get("message")
        if message:
            return str(message)
    return ""


def _role(pod: Mapping[str, Any]) -> str:
    return str((pod["metadata"].get("labels") or {}).get("spark-role", ""))


def _verdict(found: _Found, title: str) -> Cause:
    """What the driver's end, its log and other pods tell goes before what the operator says of it."""
    status = found.status
    if status is not None and status.state is JobState.CANCELLED:
        return "cancelled", status.reason or "the job was cancelled"
    logged = found.logged if found.logged and found.logged[0] != "unknown" else None
    return verdict(found.pods, logged, None, found.evidence) or _said(found, title)


def _said(found: _Found, title: str) -> Cause:
    """From what the operator says, where nothing else tells."""
    reason = found.status.reason if found.status else ""
    said = next((category for pattern, category in SAID if re.search(pattern, reason)), None)
    if said:
        return said, reason
    if found.status is not None and found.status.state is JobState.STALLED:
        return "operator_down", reason
    message = reason or (found.logged[1] if found.logged else "")
    return "unknown", message or f"neither the {title} nor a log tells why"
