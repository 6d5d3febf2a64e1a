"""Every wanted job of a namespace by one watch of their resources' printed columns, and their pods by another.

Nothing is asked for one job but what the columns do not tell: how a job ended whose resource is gone, or whose operator
keeps the verdict elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.identity import PREFIX
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from airflow_doeks.model.telemetry import Sighting
from airflow_doeks.platforms.kubernetes.calls import KubeCalls
from airflow_doeks.platforms.kubernetes.operator import Operator
from airflow_doeks.platforms.kubernetes.pod_book import PodBook
from airflow_doeks.platforms.kubernetes.server import PODS
from airflow_doeks.platforms.kubernetes.watch import Change, Watch
from airflow_doeks.platforms.patience import Refusal

log = logging.getLogger(__name__)

TICK_SECONDS = 0.5  # how soon a job that came is told its state, and silence is noticed
REPEAT_SECONDS = 10.0  # the present of all wanted jobs again, from memory: for who left and came back
LOOKS_AT_ONCE = 2
OURS = f"{PREFIX}task-key"  # a label of every resource and pod of ours


@dataclass
class Feed:
    """One scope's jobs.

    Args:
        observe: looks at one job; blocks, runs in a thread.
        no_progress_seconds: silence of the operator after which a job is STALLED.
    """

    calls: KubeCalls
    operator: Operator
    namespace: str
    wanted: AbstractSet[JobRef]
    observe: Callable[[JobRef], JobStatus]
    no_progress_seconds: float
    rows: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    refs: dict[str, JobRef] = field(default_factory=dict)  # by name, of the wanted jobs that are known here
    told: dict[JobRef, JobStatus] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)  # by name: the outcome that an operator told before its end
    silent_since: dict[JobRef, float] = field(default_factory=dict)
    stalled: dict[JobRef, str] = field(default_factory=dict)  # the operator's word that it has not left since
    looks: dict[JobRef, asyncio.Task[JobStatus]] = field(default_factory=dict)
    is_synced: bool = False

    def __post_init__(self) -> None:
        self._news: deque[str] = deque()  # names whose rows changed
        self.book = PodBook(self.calls, self.operator, self.refs.__contains__)
        self._present: set[str] = set()
        self._woken = asyncio.Event()
        self._turns = asyncio.Semaphore(LOOKS_AT_ONCE)

    async def statuses(self) -> AsyncIterator[JobStatus | Sighting]:
        """Present states, then changes; raises PlatformError when jobs cannot be followed."""
        jobs = asyncio.create_task(self._follow(self.operator.kind, self._job_changed, as_table=self.operator.as_table))
        pods = asyncio.create_task(self._follow_pods())
        woken = asyncio.ensure_future(self._woken.wait())  # not `wait_for`, which loses cancellations before 3.12
        try:
            repeat_at = self._now() + REPEAT_SECONDS
            while True:
                await asyncio.wait({woken}, timeout=TICK_SECONDS)
                if woken.done():
                    self._woken.clear()
                    woken = asyncio.ensure_future(self._woken.wait())
                if jobs.done():
                    await jobs
                for told in self._due():
                    yield told
                if self._now() >= repeat_at:
                    repeat_at = self._now() + REPEAT_SECONDS
                    for status in list(self.told.values()):
                        yield status
        finally:
            tasks: tuple[asyncio.Future[Any], ...] = (jobs, pods, woken, *self.looks.values(), *self.book.open_looks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _due(self) -> list[JobStatus | Sighting]:
        """What is to be told now."""
        due: list[JobStatus | Sighting] = []
        self._meet()
        while self._news:
            ref = self.refs.get(self._news.popleft())
            if ref is not None:
                due += self._state_of(ref)
        for ref, look in list(self.looks.items()):
            if look.done():
                del self.looks[ref]
                due += self._looked(ref, look)
        due += self._silent()
        due += self._seen()
        return due

    def _seen(self) -> list[JobStatus | Sighting]:
        """What is new of pods: sightings, and states that a driver's pod adds to."""
        found: list[JobStatus | Sighting] = []
        self.book.looked()
        while self.book.news:
            job, uid = self.book.news.popleft()
            ref = self.refs.get(job)
            sighting = self.book.sighting(ref, job, uid) if ref is not None else None
            if ref is None or sighting is None:
                continue
            found.append(sighting)
            if sighting.pod.role == self.operator.pods.lead:
                found += self._state_of(ref)
        for look in self.book.look():
            look.add_done_callback(lambda _: self._woken.set())
        return found

    def _meet(self) -> None:
        """Jobs that came are looked for among what is known; jobs that left are forgotten."""
        if self.is_synced:
            for ref in self.wanted - self.told.keys() - self.looks.keys():
                name = ref.path[1]
                if name not in self.refs:
                    self.book.follow(name)
                self.refs[name] = ref
                self._news.append(name)
        left = self.told.keys() - self.wanted
        for ref in left:
            del self.told[ref]
            self.silent_since.pop(ref, None)
            self.stalled.pop(ref, None)
        others = {ref.path[1]: ref for ref in self.told} if left else {}
        for name in {ref.path[1] for ref in left}:
            if name in others:  # what had its name before is gone: this one has it now
                self.refs[name] = others[name]
                self._news.append(name)
            elif self.refs.get(name) in left:
                del self.refs[name]
                self.book.forget(name)

    def _state_of(self, ref: JobRef) -> list[JobStatus]:
        known = self.told.get(ref)
        if known is not None and known.state.is_terminal and not known.changed:  # what is sent again has a later end
            return []
        row = self.rows.get(ref.path[1])
        verdict = self.verdicts.get(ref.path[1], "")
        status = self.operator.status_of_row(ref, row, verdict) if row is not None else None
        if status is None:
            self._look(ref)
            return []
        return self._tell(status)

    def _tell(self, status: JobStatus) -> list[JobStatus]:
        """The status with what the driver's pod adds, if it is news."""
        driver = self.book.lead(status.ref.path[1])
        if driver is not None:
            status = replace(status, scheduled=driver.scheduled, started=status.started or driver.started)
            if status.state is JobState.QUEUED and driver.scheduled:
                status = replace(status, state=JobState.STARTING)
        self._listen(status, has_ended=bool(driver and driver.ended))
        if self.told.get(status.ref) == status or self.stalled.get(status.ref) == status.native_state:
            return []
        self.stalled.pop(status.ref, None)
        self.told[status.ref] = status
        return [status]

    def _listen(self, status: JobStatus, *, has_ended: bool) -> None:
        """From when on the operator should write something: a job that is new, or whose driver ended."""
        waits = not status.state.is_terminal and (not status.native_state or has_ended)
        if not waits:
            self.silent_since.pop(status.ref, None)
        elif self.stalled.get(status.ref) != status.native_state:
            self.silent_since.setdefault(status.ref, self._now())

    def _silent(self) -> list[JobStatus]:
        """Jobs whose operator should have written something by now."""
        late = [ref for ref, since in self.silent_since.items() if self._now() - since > self.no_progress_seconds]
        for ref in late:
            del self.silent_since[ref]
            seen = self.told[ref]
            what = (
                "has not taken it up" if not seen.native_state else "says nothing of its end, though its driver ended"
            )
            reason = f"the {self.operator.title} {what} for {self.no_progress_seconds:.0f} s; is the operator running?"
            self.told[ref] = replace(seen, state=JobState.STALLED, reason=reason)
            self.stalled[ref] = seen.native_state
        return [self.told[ref] for ref in late]

    def _look(self, ref: JobRef) -> None:
        if ref not in self.looks:
            self.looks[ref] = asyncio.create_task(self._observed(ref))

    async def _observed(self, ref: JobRef) -> JobStatus:
        async with self._turns:
            try:
                status: JobStatus = await self.calls.in_thread(self.observe, ref)
            finally:
                self._woken.set()
        return status

    def _looked(self, ref: JobRef, look: asyncio.Task[JobStatus]) -> list[JobStatus]:
        try:
            status = look.result()
        except PlatformError as error:
            if not error.retryable:
                raise
            log.warning("%s will be looked at again: %s", ref, error)
            self._news.append(ref.path[1])
            return []
        return self._tell(status) if ref in self.wanted else []

    async def _follow(self, kind: Any, heed: Callable[[Change], None], *, as_table: bool) -> None:
        async for change in Watch(self.calls, kind, self.namespace, OURS, as_table=as_table).changes():
            heed(change)
            self._woken.set()

    async def _follow_pods(self) -> None:
        try:
            await self._follow(PODS, self.book.heed, as_table=False)
        except Refusal as refusal:
            log.warning("%s Without pods, a job's start is told late and its cost rests on its event log.", refusal)

    def _job_changed(self, change: Change) -> None:
        row = self.operator.row(self.calls.server.host, change.item) if change.item else {}
        name = str(row.get("Name") or "")
        if change.what == "begins":
            self._present = set()
        elif change.what == "synced":
            for gone in self.rows.keys() - self._present:
                self._drop(gone)
                self._news.append(gone)
            self.is_synced = True
        elif change.what == "deleted":
            self._drop(name)
            self._news.append(name)
        else:
            self._present.add(name)
            if self.rows.get(name) != row:
                self.rows[name] = row
                self._note_verdict(name, self.operator.word(row))
                self._news.append(name)

    def _note_verdict(self, name: str, word: str) -> None:
        if word in self.operator.verdicts:
            self.verdicts[name] = word
        elif word not in self.operator.must_look:
            self.verdicts.pop(name, None)  # it goes on: that was an earlier attempt's

    def _drop(self, name: str) -> None:
        self.rows.pop(name, None)
        self.verdicts.pop(name, None)

    def _now(self) -> float:
        return self.calls.patience.clock.monotonic()
