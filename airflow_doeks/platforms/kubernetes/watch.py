"""One list, then one watch, for ever: every change of all objects of a kind in a namespace over one connection.

What is survived without a lost change: versions that are too old (410), errors told in the stream, connections that
are half open, an API server that restarts or is away, credentials that expire, a Role without `watch` (a paged list
again and again). A watch is renewed every 25 s, so that a connection that says nothing is found out within 30 s.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from airflow_doeks.platforms.kubernetes.calls import UNAUTHORIZED, KubeCalls, object_of, refusal_of
from airflow_doeks.platforms.kubernetes.server import Kind, Server, target
from airflow_doeks.platforms.patience import Refusal, to_feed

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
WATCH_SECONDS, READ_SECONDS = 25, 30.0
LIST_SECONDS = 15.0  # between lists where `watch` is refused
PAGE_ROWS, PAGE_OBJECTS = 500, 100  # some milliseconds of parsing a page
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 10.0
TURN_LINES = 50  # of a stream that are read before others have their turn


class Change(NamedTuple):
    """What happened: a list ``begins``, all that is ``present``, ``synced`` (others are gone); then one by one."""

    what: Literal["begins", "present", "synced", "changed", "deleted"]
    item: Mapping[str, Any] = {}  # an object, or a row as column -> value


@dataclass
class Watch:
    """What is watched. As a table a change costs 260 bytes, not 10 kB, and tells the kind's printed columns only."""

    calls: KubeCalls
    kind: Kind
    namespace: str
    selector: str
    as_table: bool = False
    columns: list[str] = field(default_factory=list)
    version: str = ""
    may_watch: bool = True

    async def changes(self) -> AsyncIterator[Change]:
        """The present, then every change; raises Refusal when the server refuses for good."""
        clock, pause, since = self.calls.patience.clock, 0.0, None
        async with self._session() as session:
            while True:
                try:
                    async for change in self._round(session):
                        since = since if change.what == "begins" else None  # a list that begins was not answered yet
                        yield change
                    since = None
                except Refusal as refusal:  # noqa: PERF203 - one of many rounds may fail
                    now = clock.monotonic()
                    told = to_feed(refusal, 0.0 if since is None else now - since)
                    if not told.is_repeated:
                        raise told from None
                    if since is None:
                        log.warning("%s; %s are followed again once it answers", refusal, self.kind.plural)
                        pause, since = 0.0, now
                    pause = min(2 * pause + FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
                    await clock.asleep(random.uniform(0, pause))  # noqa: S311 - jitter

    async def _round(self, session: aiohttp.ClientSession) -> AsyncIterator[Change]:
        """A list if none is known or it is too old, then a watch until its time is over."""
        if not self.version or not self.may_watch:
            async for change in self._list(session):
                yield change
        if not self.may_watch:
            await self.calls.patience.clock.asleep(LIST_SECONDS)
            return
        try:
            async for change in self._stream(session):
                yield change
        except Refusal as refusal:
            if refusal.kind == "expired":
                self.version = ""
            elif refusal.kind == "denied" and self.may_watch and "watch" in str(refusal):
                log.warning("%s Until then %s are listed every %.0f s.", refusal, self.kind.plural, LIST_SECONDS)
                self.may_watch = False
            else:
                raise

    async def _list(self, session: aiohttp.ClientSession) -> AsyncIterator[Change]:
        token: str | None = None
        limit = PAGE_ROWS if self.as_table else PAGE_OBJECTS
        yield Change("begins")
        while True:
            content = await self._read(session, {"limit": limit, "continue": token})
            page = object_of(content, f"list {self.kind.plural}", self.calls.server)
            for item in self._items(page):
                yield Change("present", item)
            token = page["metadata"].get("continue")
            self.version = page["metadata"]["resourceVersion"]
            if not token:
                break
            await asyncio.sleep(0)
        yield Change("synced")

    async def _stream(self, session: aiohttp.ClientSession) -> AsyncIterator[Change]:
        query = {"watch": True, "allowWatchBookmarks": True, "timeoutSeconds": WATCH_SECONDS}
        rest, lines = b"", 0
        async with self._asked(session, query | {"resourceVersion": self.version}) as answer:
            async for block in answer.content.iter_any():
                *whole, rest = (rest + block).split(b"\n")
                for line in whole:
                    event = object_of(line, f"watch {self.kind.plural}", self.calls.server)
                    for change in self._told(event, self.calls.server):
                        yield change
                    lines += 1
                    if lines % TURN_LINES == 0:
                        await asyncio.sleep(0)

    def _told(self, event: Mapping[str, Any], server: Server) -> list[Change]:
        what, item = event["type"], event["object"]
        if what == "ERROR":
            code = int(item.get("code") or 500)
            raise refusal_of(code, json.dumps(item).encode(), f"watch {self.kind.plural}", server)
        self.version = (item.get("metadata") or {}).get("resourceVersion") or self.version
        if what == "BOOKMARK":
            return []
        return [Change("deleted" if what == "DELETED" else "changed", row) for row in self._items(item, is_event=True)]

    def _items(self, answer: Mapping[str, Any], *, is_event: bool = False) -> list[Mapping[str, Any]]:
        """Objects, or rows by the names of their columns: their order differs between versions of a kind."""
        if answer.get("kind") != "Table":
            return [answer] if is_event else list(answer.get("items") or ())
        if answer.get("columnDefinitions"):  # only the first event of a stream says them
            self.columns = [column["name"] for column in answer["columnDefinitions"]]
        return [dict(zip(self.columns, row["cells"], strict=False)) for row in answer.get("rows") or ()]

    async def _read(self, session: aiohttp.ClientSession, query: Mapping[str, Any]) -> bytes:
        try:
            async with self._asked(session, query) as answer:
                return await answer.read()
        except Refusal as refusal:
            if refusal.kind == "expired":  # the list took longer than its moment is kept
                raise Refusal(kind="unavailable", message=str(refusal)) from refusal
            raise

    def _session(self) -> aiohttp.ClientSession:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=READ_SECONDS)
        return aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=1))

    def _asked(self, session: aiohttp.ClientSession, query: Mapping[str, Any]) -> _Asked:
        table = {"includeObject": "None"} if self.as_table else {}
        where = target(self.kind.path(self.namespace), {"labelSelector": self.selector, **table, **query})
        return _Asked(self.calls, session, where, TABLE if self.as_table else "application/json")


@dataclass
class _Asked:
    """One GET whose failures are Refusals; credentials that are refused are read anew once."""

    calls: KubeCalls
    session: aiohttp.ClientSession
    where: str
    accept: str
    answer: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> aiohttp.ClientResponse:
        for is_last in (False, True):
            server, headers = await self.calls.in_thread(self._credentials)
            answer = await self._send(server, headers)
            if answer.status < 400:  # noqa: PLR2004 - HTTP's number
                self.answer = answer
                return answer
            content = await answer.read()
            if answer.status == UNAUTHORIZED and not is_last:
                self.calls.forget(server)
                continue
            what = f"{'watch' if 'watch=true' in self.where else 'list'} {self.where.partition('?')[0]}"
            raise refusal_of(answer.status, content, what, server)
        raise AssertionError  # pragma: no cover - the loop returns or raises

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        import aiohttp

        if self.answer is not None:
            self.answer.close()
        if isinstance(error, (aiohttp.ClientError, asyncio.TimeoutError, OSError)):
            msg = f"{self.calls.server.url} broke off: {error or type(error).__name__}"
            raise Refusal(kind="unavailable", message=msg) from error

    def _credentials(self) -> tuple[Server, dict[str, str]]:
        server = self.calls.server
        return server, {"Accept": self.accept, "User-Agent": "airflow-doeks", **server.headers()}

    async def _send(self, server: Server, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        import aiohttp
        from yarl import URL

        settings: dict[str, Any] = {"proxy": server.proxy} | ({"ssl": server.tls} if server.tls else {})
        try:
            answer = await self.session.get(URL(server.url + self.where, encoded=True), headers=headers, **settings)
            if answer.status >= 400:  # noqa: PLR2004 - HTTP's number
                await answer.read()  # it is kept; that it breaks off is told as a Refusal here
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            msg = f"{server.url} does not answer: {error or type(error).__name__}"
            raise Refusal(kind="unavailable", message=msg) from error
        return answer
