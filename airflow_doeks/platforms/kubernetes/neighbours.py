"""What all pods request on the nodes of our jobs, as averages: they tell a job's part of what its nodes held free.

One list of a node's pods a minute, and one when a job comes to it; only where pods of all namespaces may be listed.
Nobody who misses that right is told more than once, and nothing is guessed: a node whose pods were not looked at for
minutes of a job's time has no average.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from airflow_doeks.model.quantities import GIB, parse_quantity
from airflow_doeks.model.telemetry import Node
from airflow_doeks.platforms.kubernetes.calls import KubeCalls
from airflow_doeks.platforms.kubernetes.labels import GPU
from airflow_doeks.platforms.kubernetes.server import PODS
from airflow_doeks.platforms.kubernetes.sightings import PodLife
from airflow_doeks.platforms.patience import Refusal

log = logging.getLogger(__name__)

Json = Mapping[str, Any]
LOOK_SECONDS, GAP_SECONDS = 60.0, 180.0  # between looks; more between two of them is time of which nothing is known
LOOKS_AT_ONCE = 2
_LIVING = "status.phase!=Succeeded,status.phase!=Failed"


class Requests(NamedTuple):
    """Amounts that pods request together, or such amounts times seconds."""

    vcpu: Decimal = Decimal(0)
    memory_gib: Decimal = Decimal(0)
    gpu: Decimal = Decimal(0)

    def plus(self, other: Requests, times: Decimal = Decimal(1)) -> Requests:
        """The sum with ``other``, taken so many times."""
        return Requests(*(mine + theirs * times for mine, theirs in zip(self, other, strict=True)))


def requests_of(pod: Json) -> Requests:
    """What a pod reserves of its node: all containers and side-cars, or the largest of its first steps if that is more.

    What a container does not say, or in a form that we do not know, is 0, as for the scheduler.
    """
    spec = pod.get("spec") or {}
    total, largest = Requests(), Requests()
    for container in spec.get("containers") or ():
        total = total.plus(_requests(container))
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            total = total.plus(_requests(container))
        else:
            largest = Requests(*map(max, largest, _requests(container)))
    total = Requests(*map(max, total, largest))
    return total.plus(_amounts(spec.get("overhead") or {}))


def _requests(container: Json) -> Requests:
    resources = container.get("resources") or {}
    return _amounts({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _amounts(said: Json) -> Requests:
    try:
        vcpu, memory, gpu = (parse_quantity(said.get(what) or 0) for what in ("cpu", "memory", GPU))
    except ValueError:
        return Requests()
    return Requests(vcpu, memory / GIB, gpu)


@dataclass
class Stay:
    """A job's time on a node: what others request there, added up from look to look.

    Attributes:
        since: when the job's first pod had the node.
        upto: until when it is added up.
    """

    since: datetime
    upto: datetime
    sums: Requests = field(default_factory=Requests)  # times seconds
    last: Requests | None = None
    is_whole: bool = True

    def note(self, others: Requests, at: datetime) -> None:
        """What was seen holds until the next look; the first look holds for the time before it, too."""
        self.since = min(self.since, at)  # the clock of whoever placed the pod may be ahead of ours
        seconds = Decimal(str(max((at - self.upto).total_seconds(), 0.0)))
        if seconds > GAP_SECONDS:
            self.is_whole = False
        self.sums = self.sums.plus(self.last or others, seconds)
        self.last, self.upto = others, at

    def mean(self, now: datetime) -> Requests | None:
        """The average until now; None where too little was seen."""
        left = (now - self.upto).total_seconds()
        if self.last is None or not self.is_whole or left > GAP_SECONDS:
            return None
        upto = max(now, self.upto)
        seconds = Decimal(str((upto - self.since).total_seconds()))
        sums = self.sums.plus(self.last, Decimal(str(max(left, 0.0))))
        return Requests(*(amount / seconds for amount in sums)) if seconds else self.last


@dataclass
class Neighbours:
    """The nodes on which followed jobs have pods, and what else is there.

    Attributes:
        stays: node -> job -> its time there.
        due: nodes to look at.
    """

    calls: KubeCalls
    job_label: str
    stays: dict[str, dict[str, Stay]] = field(default_factory=dict)
    due: set[str] = field(default_factory=set)
    looks: dict[str, asyncio.Future[dict[str, Requests]]] = field(default_factory=dict)
    may_look: bool = True
    next_round: float = 0.0

    def came(self, job: str, life: PodLife) -> None:
        """A pod of a followed job has a node: it is looked at soon, if the job is new there."""
        since, node = life.scheduled or life.started, life.pod.node
        if not self.may_look or since is None or not node or life.ended:
            return
        jobs = self.stays.setdefault(node, {})
        if job not in jobs:
            jobs[job] = Stay(since, since)
            self.due.add(node)

    def forget(self, job: str) -> None:
        """Nobody follows it any more."""
        for node in [node for node, jobs in self.stays.items() if jobs.pop(job, None) and not jobs]:
            del self.stays[node]
            self.due.discard(node)

    def is_round_due(self, now: float) -> bool:
        """True once a minute, for who then says which nodes are still held."""
        if not self.may_look or not self.stays or now < self.next_round:
            return False
        self.next_round = now + LOOK_SECONDS
        return True

    def look(self, nodes: Mapping[str, Node | None]) -> Iterator[asyncio.Future[dict[str, Requests]]]:
        """Ask for the pods of nodes that are due and known, few at once; gives the tasks that do so.

        A node of Fargate is its one pod's.
        """
        self.due -= {name for name in self.due & nodes.keys() if not _is_shared(nodes[name])}
        due = sorted((self.due & nodes.keys()) - self.looks.keys())
        for node in due[: LOOKS_AT_ONCE - len(self.looks)]:
            self.due.discard(node)
            self.looks[node] = asyncio.ensure_future(self.calls.in_thread(self._by_job, node))
            yield self.looks[node]

    def looked(self) -> list[str]:
        """Take what was found; gives the nodes of which there is news."""
        news = []
        for node, look in [pair for pair in self.looks.items() if pair[1].done()]:
            del self.looks[node]
            try:
                found = look.result()
            except Refusal as refusal:
                if not refusal.retryable:
                    log.info("%s Until then what nodes hold free (`usd_idle`) is not known.", refusal)
                    self.may_look = False
                    self.stays.clear()
                    self.due.clear()
                    return []
                continue  # the next round asks again
            now = self.calls.patience.clock.now()
            whole = Requests()
            for requests in found.values():
                whole = whole.plus(requests)
            for job, stay in self.stays.get(node, {}).items():
                stay.note(whole.plus(found.get(job, Requests()), Decimal(-1)), now)
            news.append(node)
        return news

    def with_allocated(self, node: Node, job: str, lives: Iterable[PodLife]) -> Node:
        """The node with what all pods held of it on average, while pods of the job were there; ``lives`` are those."""
        stay, now = self.stays.get(node.uid, {}).get(job), self.calls.patience.clock.now()
        if stay is None:
            return node
        mine = [life for life in lives if life.pod.node == node.uid and (life.scheduled or life.started)]
        ends = [life.ended or now for life in mine]
        others = stay.mean(max(ends, default=now))
        if others is None:
            return node
        held = others.plus(_mean_of(mine, now))
        allocated = {
            "allocated_vcpu": _at_most(held.vcpu, node.vcpu),
            "allocated_memory_gib": _at_most(held.memory_gib, node.memory_gib),
        }
        return node.model_copy(update=allocated | {"allocated_gpu": int(held.gpu.to_integral_value())})

    def _by_job(self, node: str) -> dict[str, Requests]:
        """What the living pods of a node request, by the job whose they are; of no job: under no name."""
        sums: dict[str, Requests] = {}
        selected = f"spec.nodeName={node},{_LIVING}"  # version 0: from the server's memory, not from etcd
        for pod in self.calls.list(PODS, "", fieldSelector=selected, resourceVersion="0"):
            job = (pod["metadata"].get("labels") or {}).get(self.job_label, "")
            sums[job] = sums.get(job, Requests()).plus(requests_of(pod))
        return sums


def _at_most(held: Decimal, capacity: Decimal | None) -> Decimal:
    """Requests never exceed a node; averages may, where pods of others went between two looks and ours came."""
    return held if capacity is None else min(held, capacity)


def _is_shared(node: Node | None) -> bool:
    return node is not None and node.capacity_type != "fargate"


def _mean_of(lives: Iterable[PodLife], now: datetime) -> Requests:
    """What a job's own pods held of a node on average, over the time in which it had any there."""
    sums, held, seconds, until = Requests(), Requests(), 0.0, None
    times = [(life.scheduled or life.started or now, life.ended or now, life.pod) for life in lives]
    for start, end, pod in sorted(times, key=lambda entry: entry[0]):
        requested = Requests(pod.vcpu or Decimal(0), pod.memory_gib or Decimal(0), Decimal(pod.gpu))
        held = held.plus(requested)
        sums = sums.plus(requested, Decimal(str(max((end - start).total_seconds(), 0.0))))
        new = max(start, until) if until else start
        seconds += max((end - new).total_seconds(), 0.0)
        until = max(end, until) if until else end
    return Requests(*(amount / Decimal(str(seconds)) for amount in sums)) if seconds else held
