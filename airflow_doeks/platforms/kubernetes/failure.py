"""Why a job of an operator failed: its resource, its pods, events, its engine's word and its log, in that order.

At most seven calls in 20 seconds: the resource, lists of pods and events, what the engine itself says, the log of the
pod that leads the job (the driver, as its category calls it), also of before it was started again, or where that pod is
gone, its node, and once more its events where the resource is gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from airflow_doeks.model.record import FailureCategory, JobFailure
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from airflow_doeks.platforms.kubernetes.operator import moment
from airflow_doeks.platforms.kubernetes.pods import WORDS, PodFact, category_of, placeholders, pod_facts, told, working
from airflow_doeks.platforms.kubernetes.resources import Resources
from airflow_doeks.platforms.kubernetes.server import EVENTS, NODES, PODS
from airflow_doeks.platforms.kubernetes.verdict import Cause, verdict
from airflow_doeks.platforms.patience import Refusal
from airflow_doeks.platforms.reading import read_within

SECONDS = 20.0  # for all; what was not read by then is told
CALL_SECONDS = 6.0
TAIL_LINES = 200
# What the operator's own error says -> category; the first match holds. Words of three operators, November 2026.
SAID: tuple[tuple[str, FailureCategory], ...] = (
    *WORDS,
    (r"failed calling webhook|admission webhook", "platform"),
    (r"[Ff]orbidden|cannot (get|list|watch|create|patch|delete) resource|not authorized", "permission"),
    (r"UnknownHost|no such host", "network"),
    (r"StartTimedOut|timed out", "timeout"),
    (r"timeout of \d+ ms has been exceeded when getting a connection", "platform"),  # the API server, from spark-submit
    (r"failed to run spark-submit", "user_code"),  # what it was given cannot be submitted
)


@dataclass
class _Found:
    """What was read so far; a thread adds to it. ``root_cause`` reads it from lines of a log."""

    root_cause: Callable[[Sequence[str]], Cause]
    status: JobStatus | None = None
    drivers: list[Mapping[str, Any]] = field(default_factory=list)
    kept: Mapping[str, Any] | None = None  # the driver's pod as its operator keeps it
    pods: list[PodFact] = field(default_factory=list)
    sees_pods: bool = False
    logged: Cause | None = None
    tail: tuple[str, ...] = ()
    evidence: list[str] = field(default_factory=list)


def explain(
    ref: JobRef,
    resources: Resources,
    links: Mapping[str, str],
    *,
    root_cause: Callable[[Sequence[str]], Cause],
    ask_engine: Callable[[float], str] | None = None,
    seconds: float = SECONDS,
) -> JobFailure:
    """Category, root cause, evidence and the log's tail; never raises, what could not be read is in the evidence.

    ``root_cause`` is the engine's; ``ask_engine`` gives what the engine itself says, within seconds, read like a log.
    """
    found = _Found(root_cause)
    steps = {"the resource": _read_resource, "pods and events": _read_pods, "the log": _read_log}
    reads = {what: partial(step, ref, resources, found) for what, step in steps.items()}
    if ask_engine is not None:
        reads["what the job itself says"] = partial(_read_engine, found, ask_engine)
    evidence = read_within(seconds, reads, found.evidence)
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
    found.kept = {**_lead(resources), "status": kept} if kept else None
    words = (found.status.native_state or found.status.state.value, found.status.reason)
    found.evidence.append(f"{resources.operator.title}: " + " - ".join(word for word in words if word))


def _read_pods(ref: JobRef, resources: Resources, found: _Found) -> None:
    """Pods by their label, events by the names of pods that are gone, too; each tells also without the other."""
    namespace, name, _ = ref.path
    names = resources.operator.pods
    pods = _unless_refused(lambda: resources.pods(ref, CALL_SECONDS), "pods", found)
    found.drivers += [pod for pod in pods or () if names.role(pod) == names.lead]
    found.sees_pods = pods is not None
    kept = [found.kept] if found.kept and not found.drivers else []
    known = [*(pods or ()), *kept]
    found.pods += pod_facts(known, [], names)  # before events, of which there may be many
    about = {pod["metadata"]["name"] for pod in pods or ()} | {name}
    events = _unless_refused(lambda: resources.calls.list(EVENTS, namespace, CALL_SECONDS), "events", found) or ()
    since = found.status.changed if found.status else None  # before it, events are of what was replaced
    places = placeholders([pod for pod in found.drivers if not pod["spec"].get("nodeName")])
    ours = [
        event
        for event in events
        if (_is_about(event, name, about) or _keeps_waiting(event, places)) and not _is_older(event, since)
    ]
    found.pods[:] = pod_facts(known, ours, names)
    if not found.drivers:
        found.pods += _gone_with_its_node(resources, ours, found)
    found.evidence += told(found.pods)


def _unless_refused(ask: Callable[[], list[dict[str, Any]]], what: str, found: _Found) -> list[dict[str, Any]] | None:
    """What is listed; None where that is refused, which is in the evidence."""
    try:
        return ask()
    except Refusal as refusal:
        found.evidence.append(f"{what} could not be read: {refusal}")
        return None


def _gone_with_its_node(resources: Resources, events: Sequence[Mapping[str, Any]], found: _Found) -> list[PodFact]:
    """The leading pod's node was deleted, and the pod with it: an event tells where it was, which nobody knows now."""
    names = resources.operator.pods
    placed = [
        (event["involvedObject"]["name"], match[1])
        for event in sorted(events, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
        if event.get("reason") == "Scheduled"
        and names.role_of_name(event["involvedObject"].get("name", "")) == names.lead
        and (match := re.search(r" to (\S+)$", str(event.get("message") or "")))
    ]
    if not placed:
        return []
    pod, node = placed[-1]
    try:
        is_gone = resources.calls.get(NODES, "", node, CALL_SECONDS) is None
    except Refusal as refusal:
        found.evidence.append(f"whether {pod} went with its node {node} is not known: {refusal}")
        return []
    return [PodFact("driver", "spot_loss", f"{pod}: its node {node} is gone")] if is_gone else []


def _is_about(event: Mapping[str, Any], name: str, names: set[str]) -> bool:
    about = _name_in(event)
    return about in names or about.startswith(f"{name}-")


def _keeps_waiting(event: Mapping[str, Any], places: tuple[str, ...]) -> bool:
    """Why a gang has no room; whatever else befalls its placeholders keeps no job."""
    text = f"{event.get('reason')} {event.get('message')}"
    return _name_in(event).startswith(places) and category_of(text) == "unschedulable"


def _name_in(event: Mapping[str, Any]) -> str:
    """The name of what an event is about."""
    return str((event.get("involvedObject") or {}).get("name") or "")


def _is_older(event: Mapping[str, Any], since: datetime | None) -> bool:
    at = moment(event.get("lastTimestamp") or event.get("eventTime"))
    return since is not None and at is not None and at < since.replace(microsecond=0)


def _read_log(ref: JobRef, resources: Resources, found: _Found) -> None:
    """The tail of the leading pod's log, while it is there; before it, what the pod itself tells of the log's end."""
    names = resources.operator.pods
    if not found.drivers and found.kept:
        _heed(_last_words(working(found.kept, names)), f"what the operator keeps of the {names.lead}", found)
    if not found.drivers:
        if found.sees_pods:
            found.evidence.append(f"the {names.lead}'s pod is gone, and its log with it")
        return
    driver = max(found.drivers, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))
    name = driver["metadata"]["name"]
    _heed(_last_words(working(driver, names)), f"the end of pod {name}", found)
    query = {"container": names.containers[names.lead], "tailLines": TAIL_LINES}
    path = PODS.path(ref.path[0], name, "log")
    _heed(resources.calls.text(path, query, CALL_SECONDS), f"the log of pod {name}", found)
    if found.logged is None and any(one.get("restartCount") for one in working(driver, names)):
        text = resources.calls.text(path, {**query, "previous": "true"}, CALL_SECONDS)
        _heed(text, f"the log of pod {name} before it was started again", found)


def _heed(text: str, where: str, found: _Found) -> None:
    if not text.strip():
        return
    found.tail = tuple(text.splitlines())
    category, message = found.root_cause(found.tail)
    if category != "unknown" or message:
        found.logged = category, message
        found.evidence.append(f"root cause in {where}")


def _read_engine(found: _Found, ask: Callable[[float], str]) -> None:
    """What the engine keeps of its failures: it goes before a log, in which they are some of many."""
    tail = found.tail
    _heed(ask(CALL_SECONDS), "what the job itself says", found)
    found.tail = tail or found.tail


def _lead(resources: Resources) -> Mapping[str, Any]:
    """The leading pod, where only its operator keeps its status."""
    names = resources.operator.pods
    word = next(word for word, role in names.roles.items() if role == names.lead)
    return {"metadata": {"name": f"the {names.lead}", "labels": {names.role_label: word}}}


def _last_words(containers: Sequence[Mapping[str, Any]]) -> str:
    """The termination message, which holds the last 2 KiB of the log of a container that failed."""
    for container in containers:
        for state in ("state", "lastState"):  # one that was started again tells of the end before
            message = ((container.get(state) or {}).get("terminated") or {}).get("message")
            if message:
                return str(message)
    return ""


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
