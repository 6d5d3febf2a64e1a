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
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_doeks.lifecycle.records import record_id
from airflow_doeks.model.noun import Noun
from airflow_doeks.model.stores import ByteStore
from airflow_doeks.model.telemetry import Node, Pod, Sighting, Telemetry

log = logging.getLogger(__name__)

KEEP_SECONDS = 60.0
_of_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Keeper] = weakref.WeakKeyDictionary()


@dataclass
class _Kept:
    submitted: datetime
    seen: dict[str, Sighting] = field(default_factory=dict)  # by pod
    is_new: bool = False


class Keeper:
    """Keeps the sightings of all jobs that one event loop follows.

    Args:
        open_store: gives the ledger's store; blocks.
        in_thread: runs a function in a thread from which it may be called.
    """

    def __init__(self, open_store: Callable[[], ByteStore], in_thread: Callable[..., Awaitable[Any]]) -> None:
        self._open_store, self._in_thread = open_store, in_thread
        self._jobs: dict[str, _Kept] = {}
        self._writer = uuid.uuid4().hex[:8]

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

    @contextlib.asynccontextmanager
    async def keeping(self, ref: str, submitted: datetime) -> AsyncIterator[None]:
        """Keep what is seen of a job while the block runs; written every minute if it is news, and at the end."""
        kept = self._jobs.setdefault(ref, _Kept(submitted))
        writing = asyncio.create_task(self._write_now_and_then(ref, kept))
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            # Airflow cancels a trigger again and again until it is gone: what was seen is written all the same.
            await asyncio.shield(asyncio.ensure_future(self._write(ref, kept)))
            self._jobs.pop(ref, None)

    async def _write_now_and_then(self, ref: str, kept: _Kept) -> None:
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            await self._write(ref, kept)

    async def _write(self, ref: str, kept: _Kept) -> None:
        """A border: what was seen is worth much, and fails no job."""
        if not kept.is_new:
            return
        kept.is_new = False
        content = json.dumps([sighting.model_dump(mode="json") for sighting in kept.seen.values()]).encode()
        name = f"{_prefix(ref, kept.submitted)}{self._writer}.json"
        try:
            await self._in_thread(lambda: self._open_store().write(name, content))
        except Exception:
            kept.is_new = True
            log.exception("What was seen of the pods of %s was not kept; its cost may rest on its event log", ref)


def read_sightings(store: ByteStore, ref: str, submitted: datetime) -> list[Sighting]:
    """What all writers saw of a job; an object, or an entry, that cannot be read is left out with a warning."""
    found: list[Sighting] = []
    for name in store.list(_prefix(ref, submitted)):
        found += _read(store, name)
    return found


def _read(store: ByteStore, name: str) -> list[Sighting]:
    try:
        with store.open(name) as file:
            entries = list(json.loads(file.read()))
    except (OSError, ValueError, TypeError) as error:
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


def _prefix(ref: str, submitted: datetime) -> str:
    return f"v1/sightings/submitted={submitted.date().isoformat()}/{record_id(ref, '')}."
