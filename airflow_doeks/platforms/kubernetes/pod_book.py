"""All pods of a namespace that are ours, as one watch tells them, and the nodes they are on, each looked up once."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from airflow_doeks.model.telemetry import Node, Pod, Sighting
from airflow_doeks.platforms.kubernetes.calls import KubeCalls
from airflow_doeks.platforms.kubernetes.neighbours import Neighbours
from airflow_doeks.platforms.kubernetes.operator import Operator
from airflow_doeks.platforms.kubernetes.server import NODES
from airflow_doeks.platforms.kubernetes.sightings import PodLife, life_of, node_of
from airflow_doeks.platforms.kubernetes.watch import Change
from airflow_doeks.platforms.patience import Refusal

log = logging.getLogger(__name__)


@dataclass
class PodBook:
    """Pods by the job that their label names.

    Attributes:
        is_wanted: true of the name of a job that somebody here follows; of others pods that are gone are forgotten.
        news: job and uid of pods of which there is something new to tell.
    """

    calls: KubeCalls
    operator: Operator
    is_wanted: Callable[[str], bool]
    lives: dict[str, dict[str, PodLife]] = field(default_factory=dict)  # job -> pod uid -> life
    nodes: dict[str, Node | None] = field(default_factory=dict)
    news: deque[tuple[str, str]] = field(default_factory=deque)
    looks: dict[str, asyncio.Future[Node | None]] = field(default_factory=dict)
    may_look: bool = True
    _neighbours: Neighbours = field(init=False)
    _present: set[str] = field(default_factory=set)
    _unknown: set[str] = field(default_factory=set)  # nodes to look up

    def __post_init__(self) -> None:
        self._neighbours = Neighbours(self.calls, self.operator.job_label)

    def heed(self, change: Change) -> None:
        """Note what a watch of pods told."""
        if change.what == "begins":
            self._present = set()
        elif change.what == "synced":
            self._end_absent()
        else:
            job = (change.item["metadata"].get("labels") or {}).get(self.operator.job_label, "")
            is_gone = change.what == "deleted"
            life = life_of(change.item, self.operator.pods, is_gone=is_gone, now=self.calls.patience.clock.now())
            if life is not None and job:
                self._present.add(life.pod.uid)
                self._note(job, life)
                if is_gone and not self.is_wanted(job):
                    self._drop(job, life.pod.uid)

    def lead(self, job: str) -> PodLife | None:
        """The newest leading pod of a job: its driver, its job manager."""
        leads = [life for life in self.lives.get(job, {}).values() if life.pod.role == self.operator.pods.lead]
        return max(leads, key=lambda life: life.pod.requested or life.seen, default=None)

    def follow(self, job: str) -> None:
        """Somebody wants to know of this job: all its pods are news."""
        for uid, life in self.lives.get(job, {}).items():
            self.news.append((job, uid))
            self._neighbours.came(job, life)

    def forget(self, job: str) -> None:
        """Nobody wants to know of it any more."""
        self.lives.pop(job, None)
        self._neighbours.forget(job)

    def sighting(self, ref: str, job: str, uid: str) -> Sighting | None:
        """A pod as last seen, with its node once that is known, and what all pods there held of it."""
        lives = self.lives.get(job, {})
        life = lives.get(uid)
        if life is None:
            return None
        node = self.nodes.get(life.pod.node or "")
        node = self._neighbours.with_allocated(node, job, lives.values()) if node is not None else None
        return Sighting(ref=ref, seen=life.seen, pod=life.pod, node=node)

    def look(self) -> Iterator[asyncio.Future[Any]]:
        """Ask for nodes that nobody knows yet, and for what is on those that are held; gives the tasks that do so."""
        for name in self._unknown if self.may_look else ():
            self.looks[name] = asyncio.ensure_future(self.calls.in_thread(self._node, name))
            yield self.looks[name]
        self._unknown.clear()
        if self._neighbours.is_round_due(self.calls.patience.clock.monotonic()):
            self._neighbours.due |= {pod.node for _, _, pod in self._living() if pod.node}
        yield from self._neighbours.look(self.nodes)

    @property
    def open_looks(self) -> Iterator[asyncio.Future[Any]]:
        """Tasks that were not taken yet."""
        yield from self.looks.values()
        yield from self._neighbours.looks.values()

    def _living(self) -> Iterator[tuple[str, str, Pod]]:
        """Job, uid and pod of all that live of jobs that are followed."""
        for job, lives in self.lives.items():
            if self.is_wanted(job):
                yield from ((job, uid, life.pod) for uid, life in lives.items() if not life.ended)

    def looked(self) -> None:
        """Take the nodes that were found, and what is on them; their pods are news."""
        if seen := set(self._neighbours.looked()):
            self.news.extend((job, uid) for job, uid, pod in self._living() if pod.node in seen)
        for name, look in [pair for pair in self.looks.items() if pair[1].done()]:
            del self.looks[name]
            try:
                self.nodes[name] = look.result()
            except Refusal as refusal:
                if refusal.retryable:
                    self._unknown.add(name)
                    continue
                log.warning("%s Until then nodes are priced as `priced_as` of the platform says.", refusal)
                self.may_look = False
                return
            self.news.extend(
                (job, uid) for job, lives in self.lives.items() for uid, life in lives.items() if life.pod.node == name
            )

    def _node(self, name: str) -> Node | None:
        found = self.calls.get(NODES, "", name)
        return node_of(found) if found else None

    def _note(self, job: str, life: PodLife) -> None:
        lives = self.lives.setdefault(job, {})
        before = lives.get(life.pod.uid)
        if before is not None and before.ended and not life.ended:
            return  # a late word of a pod whose end is known
        lives[life.pod.uid] = life
        if life.pod.node and life.pod.node not in self.nodes and life.pod.node not in self.looks:
            self._unknown.add(life.pod.node)
        if self.is_wanted(job):
            self._neighbours.came(job, life)
        if before is None or before.pod != life.pod:
            self.news.append((job, life.pod.uid))

    def _drop(self, job: str, uid: str) -> None:
        self.lives[job].pop(uid, None)
        if not self.lives[job]:
            del self.lives[job]

    def _end_absent(self) -> None:
        """Pods that went while nobody watched ended by now at the latest."""
        now = self.calls.patience.clock.now()
        for job, lives in self.lives.items():
            for uid, life in lives.items():
                if uid not in self._present and not life.pod.ended:
                    pod = life.pod.model_copy(update={"ended": now, "started": life.pod.started or life.scheduled})
                    lives[uid] = life._replace(pod=pod, seen=now, ended=now)
                    self.news.append((job, uid))
