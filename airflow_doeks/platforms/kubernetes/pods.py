"""What Kubernetes tells of a job's pods, in our categories: their last states, and events, which outlive them. Pure.

Pods and events are the API's JSON. Words of Kubernetes 1.34, Karpenter 1.x and the AWS node termination handler, read
November 2026.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from airflow_doeks.model.record import FailureCategory
from airflow_doeks.platforms.kubernetes.labels import YUNIKORN
from airflow_doeks.platforms.kubernetes.operator import PodNames

Json = Mapping[str, Any]
PodRole = Literal["driver", "executor", "other"]
EVIDENCE_MAX = 10  # lines about pods

# What is told of a pod -> category; the first match holds, and of two facts the one that stands higher.
WORDS: tuple[tuple[str, FailureCategory], ...] = (
    (r"ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull|pull(ing)? image", "image"),
    (r"OOMKilled|exit ?code:? 137", "oom_driver"),
    (r"CreateContainerConfigError", "user_code"),  # a secret or config map that the job names and nobody made
    (r"exceeded quota", "quota"),
    (r"failed to assign an IP address|InsufficientFreeAddresses|InsufficientCidrBlocks", "network"),  # the VPC CNI's
    (r"does not fit in queue", "unschedulable"),  # YuniKorn 1.8: its queue's most, or what the cluster has
    # Before preemption: a pod that fits nowhere is told that nobody could be preempted for it.
    (r"[Uu]nschedulable|FailedScheduling|nodes are available|Insufficient (cpu|memory)", "unschedulable"),
    (r"[Ss]pot[ -]?[Ii]nterrupt|node .*(terminated|not ready|NotReady|shut ?down|lost)|NodeLost", "spot_loss"),
    (r"NodeNotReady|NodeShutdown|Marking for deletion|DeletionByTaintManager", "spot_loss"),  # its node went away
    (r"\bEvict|evicted|[Pp]reempt|TerminationByKubelet", "eviction"),
)
_RANKS = {category: rank for rank, (_, category) in enumerate(WORDS)}
_RANKS |= dict.fromkeys(("oom_executor", "platform"), _RANKS["oom_driver"])
_OUT_OF_MEMORY: dict[PodRole, FailureCategory] = {"driver": "oom_driver", "executor": "oom_executor"}
# Events of a good day, whose messages hold names that anybody chose.
_USUAL = frozenset({"Pulling", "Pulled", "Created", "Killing", "Nominated", "Completed", "SuccessfulDelete"})
# An event -> what a pod has overcome by then.
_OVERCOME: dict[str, frozenset[FailureCategory]] = {
    "Scheduled": frozenset({"unschedulable"}),
    "Started": frozenset({"unschedulable", "image", "user_code"}),
    "SuccessfulCreate": frozenset({"quota"}),
}


class PodFact(NamedTuple):
    """Something that went wrong with a pod."""

    role: PodRole
    category: FailureCategory
    text: str


def category_of(text: str) -> FailureCategory | None:
    """The category of what is told of a leading pod."""
    return next((category for pattern, category in WORDS if re.search(pattern, text)), None)


def told(facts: Sequence[PodFact]) -> list[str]:
    """Facts as lines of evidence, the first ten."""
    more = [f"Kubernetes: {len(facts) - EVIDENCE_MAX} more"] if len(facts) > EVIDENCE_MAX else []
    return [*(f"Kubernetes: {fact.text}" for fact in facts[:EVIDENCE_MAX]), *more]


def placeholders(pods: Sequence[Json]) -> tuple[str, ...]:
    """How the names of the pods begin that hold the places of these pods' gangs: YuniKorn 1.8, which tells them why."""
    ids = ((pod["metadata"].get("annotations") or {}).get(f"{YUNIKORN}app-id") for pod in pods)
    return tuple(f"tg-{one[:28]}-" for one in ids if one)


def pod_facts(pods: Sequence[Json], events: Sequence[Json], names: PodNames) -> list[PodFact]:
    """What went wrong with these pods and with what these events are about, the most telling first, each once."""
    found = [fact for pod in pods for fact in _facts_of_pod(pod, names)]
    by_name: dict[str, list[Json]] = {}
    for event in sorted(events, key=_moment):
        by_name.setdefault(event["involvedObject"].get("name", ""), []).append(event)
    for name, of_pod in by_name.items():
        found += _facts_of_events(name, of_pod, names)
    return sorted(dict.fromkeys(found), key=lambda fact: _RANKS[fact.category])


def working(pod: Json, names: PodNames) -> Sequence[Json]:
    """Statuses of the container that does the pod's work; of all where none has its name.

    A side-car (a service mesh's, EMR's fluentd) is killed once the work is done: its end says nothing of it.
    """
    found: Sequence[Json] = (pod.get("status") or {}).get("containerStatuses") or ()
    name = names.containers.get(names.role(pod) or "")
    return [one for one in found if one.get("name") == name] or found


def commonest(facts: Sequence[PodFact]) -> PodFact | None:
    """A fact of the category that most of them have."""
    counts = Counter(fact.category for fact in facts)
    return max(facts, key=lambda fact: counts[fact.category], default=None)


def _facts_of_pod(pod: Json, names: PodNames) -> Iterator[PodFact]:
    status = pod.get("status") or {}
    told = [_joined(status.get("reason"), status.get("message"))]
    for condition in status.get("conditions") or ():
        kind, holds = condition.get("type"), condition.get("status") == "True"
        if (kind == "DisruptionTarget" and holds) or (kind == "PodScheduled" and not holds):
            told.append(_joined(condition.get("reason"), condition.get("message")))
    mine = working(pod, names)
    for container in status.get("containerStatuses") or ():
        for state in (container.get("state") or {}, container.get("lastState") or {}):
            ended, waits = (state.get("terminated") or {}) if container in mine else {}, state.get("waiting") or {}
            code = f"exit code {ended['exitCode']}" if ended.get("exitCode") else None
            told += [_joined(ended.get("reason"), code), _joined(waits.get("reason"), waits.get("message"))]
    name = pod["metadata"]["name"]
    role = _part(names.role(pod), names)
    for text in told:
        fact = _fact(name, role, text)
        if fact:
            yield fact
            return


def _facts_of_events(name: str, events: Sequence[Json], names: PodNames) -> list[PodFact]:
    role = _part(names.role_of_name(name), names)
    facts: list[PodFact] = []
    for event in events:
        reason = event.get("reason") or ""
        overcome = _OVERCOME.get(reason)
        if overcome:
            facts = [fact for fact in facts if fact.category not in overcome]
        elif reason not in _USUAL:
            fact = _fact(name, role, _joined(reason, event.get("message")))
            facts += [fact] if fact else []
    return facts


def _part(role: str | None, names: PodNames) -> PodRole:
    """What a role is in the words of categories: the pod that leads, one that works for it, another."""
    return "other" if role is None else "driver" if role == names.lead else "executor"


def _fact(name: str, role: PodRole, text: str) -> PodFact | None:
    category = category_of(text)
    if category == "oom_driver":
        category = _OUT_OF_MEMORY.get(role, "platform")
    return PodFact(role, category, f"{name}: {text}") if category else None


def _joined(*parts: str | None) -> str:
    return ", ".join(part for part in parts if part)


def _moment(event: Json) -> str:
    series = event.get("series") or {}
    return str(series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or "")
