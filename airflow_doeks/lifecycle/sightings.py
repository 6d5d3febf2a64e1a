"""What is seen of pods while they live, kept beside the running record: executors and Spot nodes are gone at the end.

One object a job and writer, rewritten at most once a minute and at the end; whoever settles the job reads them all.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import uuid
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any

from airflow_doeks.ledger import Ledger
from airflow_doeks.lifecycle.records import record_id
from airflow_doeks.model.errors import DoeksError
from airflow_doeks.model.noun import Noun
from airflow_doeks.model.status import JobState
from airflow_doeks.model.stores import ByteStore
from airflow_doeks.model.telemetry import Node, Pod, Sighting, Telemetry

log = logging.getLogger(__name__)

KEEP_SECONDS = 60.0
LAST_SECONDS = 0.1  # that a job's end waits for the last write; a worker that settles comes seconds later
_ROOT = "v1/sightings/submitted="
_MOMENT = "%Y%m%dT%H%M%S.%fZ.json"
_SETTLED_AFTER, _UNKNOWN_AFTER = timedelta(days=3), timedelta(days=35)  # ages of the day of submission
_of_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Keeper] = weakref.WeakKeyDictionary()


@dataclass
class _Kept:
    submitted: datetime
    seen: dict[str, Sighting] = field(default_factory=dict)  # by pod
    is_new: bool = False
    followers: int = 0
    writer: str = field(default_factory=lambda: uuid.uuid4().hex[:8])  # whoever follows it again forgets none of this


class Keeper:
    """Keeps the sightings of all jobs that one event loop follows.

    Args:
        open_store: gives the ledger's store; blocks.
        in_thread: runs a function in a thread from which it may be called.
    """

    def __init__(self, open_store: Callable[[], ByteStore], in_thread: Callable[..., Awaitable[Any]]) -> None:
        self._open_store, self._in_thread = open_store, in_thread
        self._store: ByteStore | None = None
        self._jobs: dict[str, _Kept] = {}
        self._last_writes: set[asyncio.Future[None]] = set()

    @staticmethod
    def of_running_loop(open_store: Callable[[], ByteStore], in_thread: Callable[..., Awaitable[Any]]) -> Keeper:
        """The one of the event loop that runs now."""
        return _of_loop.setdefault(asyncio.get_running_loop(), Keeper(open_store, in_thread))

    def take(self, sighting: Sighting) -> None:
        """Note what was seen; a later sighting of a pod replaces what it says, a node once known stays."""
        kept = self._jobs.get(sighting.ref)
        if kept is None:
            return
        before = kept.seen.get(sighting.pod.uid)
        if sighting.node is None and before is not None and before.node is not None:
            sighting = sighting.model_copy(update={"node": before.node})
        kept.is_new = kept.is_new or before is None or (before.pod, before.node) != (sighting.pod, sighting.node)
        kept.seen[sighting.pod.uid] = sighting

    def seen(self, ref: str) -> list[Sighting]:
        """What is known of a job's pods now."""
        kept = self._jobs.get(ref)
        return list(kept.seen.values()) if kept else []

    async def first_seen(self, ref: str, submitted: datetime, state: JobState, now: datetime) -> datetime:
        """When anybody first saw the job in a state, ``now`` if nobody did; ``now`` too while the store is away."""
        try:
            found: datetime = await self._in_thread(lambda: first_seen(self._opened(), ref, submitted, state, now))
        except (DoeksError, OSError) as error:
            self._store = None
            log.warning("Since when %s is %s is not kept; a time-out may count from now: %s", ref, state.value, error)
            return now
        return found

    @contextlib.asynccontextmanager
    async def keeping(self, ref: str, submitted: datetime) -> AsyncIterator[None]:
        """Keep what is seen of a job while the block runs; written every minute if it is news, and at the end.

        A store that is slow holds up no end: its last write goes on beside what follows.
        """
        kept = self._jobs.setdefault(ref, _Kept(submitted))
        kept.followers += 1
        writing = asyncio.create_task(self._write_now_and_then(ref, kept))
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            last = asyncio.ensure_future(self._write(ref, kept))
            self._last_writes.add(last)  # a task that nobody holds may vanish
            last.add_done_callback(self._last_writes.discard)
            kept.followers -= 1
            if not kept.followers:
                self._jobs.pop(ref, None)
            # Airflow cancels a trigger again and again until it is gone: what was seen is written all the same.
            await asyncio.wait({last}, timeout=LAST_SECONDS)

    async def _write_now_and_then(self, ref: str, kept: _Kept) -> None:
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            await self._write(ref, kept)

    async def _write(self, ref: str, kept: _Kept) -> None:
        """A border: what was seen is worth much, and fails no job."""
        if not kept.is_new:
            return
        kept.is_new = False
        seen = list(kept.seen.values())
        try:
            await self._in_thread(
                lambda: write_sightings(self._opened(), ref, kept.submitted, seen, writer=kept.writer)
            )
        except Exception:
            kept.is_new, self._store = True, None
            log.exception("What was seen of the pods of %s was not kept; its cost may rest on its event log", ref)

    def _opened(self) -> ByteStore:
        """The store; opened once, for a client of S3 costs a tenth of a second of CPU, and anew after a failure."""
        store = self._store = self._store or self._open_store()
        return store


def write_sightings(
    store: ByteStore, ref: str, submitted: datetime, sightings: Iterable[Sighting], *, writer: str
) -> None:
    """Keep what one writer saw of a job, in the place of what it kept before."""
    content = json.dumps([sighting.model_dump(mode="json") for sighting in sightings]).encode()
    store.write(f"{_prefix(ref, submitted)}{writer}.json", content)


def first_seen(store: ByteStore, ref: str, submitted: datetime, state: JobState, now: datetime) -> datetime:
    """The moment in the name of an object beside the sightings, which is no sighting itself; made if there is none."""
    start = f"{_prefix(ref, submitted)}{state.value.lower()}-"
    for name in store.list(start):
        with contextlib.suppress(ValueError):  # not of ours
            return min(now, datetime.strptime(name[len(start) :], _MOMENT).replace(tzinfo=timezone.utc))
    store.write(f"{start}{now.astimezone(timezone.utc).strftime(_MOMENT)}", b"[]")
    return now


def read_sightings(store: ByteStore, ref: str, submitted: datetime) -> list[Sighting]:
    """What all writers saw of a job; a broken object, or entry, is left out with a warning.

    OSError if one cannot be read for now: the others do not stand for it.
    """
    found: list[Sighting] = []
    for name in store.list(_prefix(ref, submitted)):
        found += _read(store, name)
    return found


def _read(store: ByteStore, name: str) -> list[Sighting]:
    try:
        with store.open(name) as file:
            entries = list(json.loads(file.read()))
    except FileNotFoundError:  # deleted since it was listed
        return []
    except (ValueError, TypeError) as error:
        log.warning("%s/%s is skipped, it cannot be read: %s", store.url, name, str(error).splitlines()[0])
        return []
    read = (_sighting(entry, f"{store.url}/{name}") for entry in entries)
    return [sighting for sighting in read if sighting is not None]


def _sighting(entry: Any, where: str) -> Sighting | None:
    """What this version or a newer one wrote, without the keys that this one does not know; None if it is none."""
    try:
        known = _known(Sighting, entry)
        node = known.get("node")
        known |= {"pod": _known(Pod, entry["pod"]), "node": node and _known(Node, node)}
        return Sighting.model_validate(known)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        log.warning("%s: one sighting is skipped, it cannot be read: %s", where, str(error).splitlines()[0])
        return None


def _known(noun: type[Noun], plain: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in plain.items() if key in noun.model_fields}


def with_sightings(telemetry: Telemetry, sightings: Iterable[Sighting]) -> Telemetry:
    """Pods and nodes that are still there beside those that were seen; of two views of a pod the later holds."""
    newest: dict[str, Sighting] = {}
    nodes: dict[str, Node] = {}
    for sighting in sorted(sightings, key=lambda one: one.seen):
        newest[sighting.pod.uid] = sighting
        if sighting.node is not None:
            nodes[sighting.node.uid] = sighting.node
    pods = {uid: sighting.pod for uid, sighting in newest.items()} | {pod.uid: pod for pod in telemetry.pods}
    nodes |= {node.uid: node for node in telemetry.nodes}
    return telemetry.model_copy(update={"pods": _in_order(pods.values()), "nodes": tuple(nodes.values())})


def _in_order(pods: Iterable[Pod]) -> Sequence[Pod]:
    return tuple(sorted(pods, key=lambda pod: (pod.role != "driver", pod.requested is None, pod.requested or pod.uid)))


def stale_sightings(ledger: Ledger, now: datetime) -> Iterator[str]:
    """Names of what nobody needs any more: of days past whose jobs are settled, and long past that no record knows."""
    by_day: dict[date, list[str]] = {}
    for name in ledger.store.list(_ROOT):
        with contextlib.suppress(ValueError):  # not of ours
            by_day.setdefault(date.fromisoformat(name[len(_ROOT) :].partition("/")[0]), []).append(name)
    for day, names in by_day.items():
        age = now.date() - day
        if age <= _SETTLED_AFTER:
            continue
        around = ledger.records(since=day - timedelta(days=1), until=day + timedelta(days=1))  # beside midnight
        is_settled = {record.record_id: record.settled_by_try is not None for record in around}
        for name in names:
            key = name.rpartition("/")[2].partition(".")[0]
            if is_settled.get(key, age > _UNKNOWN_AFTER):
                yield name


def _prefix(ref: str, submitted: datetime) -> str:
    return f"{_ROOT}{submitted.date().isoformat()}/{record_id(ref, '')}."
