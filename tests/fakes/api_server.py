"""A Kubernetes API server over HTTP on a cluster in memory: what a client meets, faults of every kind among it.

It serves get, list (pages, tables), watch (bookmarks, errors in the stream), create (dry run, strict fields), delete,
patch, logs of pods and self access reviews. Rights, quota and webhooks refuse with the words of Kubernetes 1.34.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.cluster import PODS, Cluster, Json, Refused, Resource, selects
from tests.fakes.definitions import violations
from tests.fakes.wire import bookmark, event, line, status, table

_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?"
    r"/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?(?:/(?P<part>log|status|proxy)(?:/(?P<rest>.*))?)?"
)
BOOKMARK_SECONDS = 0.2


@dataclass
class ApiServer:
    """A cluster, who may do what in it, and what goes wrong.

    Attributes:
        tokens: bearer tokens that are known.
        denied: ``verb plural`` pairs that RBAC refuses, e.g. ``watch sparkapplications``; ``list all pods`` is the list
            of every namespace.
        away: such pairs that are answered 503.
        refusals: the next creations are refused so, first to last.
        meanwhile: what others do just before the next patches arrive, first to last.
        drops: the next creations are done, and the connection is cut before the answer.
        outages: how many requests are answered 503.
        cuts: how many refusals break off before their last byte, as behind a load balancer that changes its mind.
        stream_errors: the next watches end with this Status as an ERROR event.
        is_mute: open watches stay open and say nothing more, as behind a gateway that lost its state.
        unknown_fields: of `spec.job`, as in the definition of an older operator.
        calls: how often each verb was asked, refusals included.
        logs: pod -> what it printed; "pod before" -> what its container printed that was started again.
        proxied: name of a service and path below it -> what it answers through the API server; 503 for others.
    """

    cluster: Cluster = field(default_factory=Cluster)
    user: str = "system:serviceaccount:airflow:worker"
    tokens: set[str] = field(default_factory=lambda: {"a-canary-token"})
    denied: set[str] = field(default_factory=set)
    away: set[str] = field(default_factory=set)
    refusals: list[Refused] = field(default_factory=list)
    meanwhile: list[Callable[[], object]] = field(default_factory=list)
    drops: int = 0
    outages: int = 0
    cuts: int = 0
    stream_errors: list[Json] = field(default_factory=list)
    is_mute: bool = False
    logs: dict[str, str] = field(default_factory=dict)
    proxied: dict[str, Any] = field(default_factory=dict)
    unknown_fields: set[str] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    watches: int = 0
    url: str = ""
    is_closing: bool = False
    generation: int = 0  # open watches end when it rises

    def break_streams(self) -> None:
        """Open watches end, as when the server shuts down."""
        with self.cluster.changed:
            self.generation += 1
            self.cluster.changed.notify_all()

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Json | str | Iterator[bytes]:
        """JSON, text, or the lines of a watch; raises Refused."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        match = _PATH.fullmatch(parts.path)
        if match is None:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        verb = _verb(method, match["name"], query)
        self._admit(verb, match, headers)
        if match["part"] == "proxy":
            where = f"{match['name'].partition(':')[0]}/{match['rest']}"
            if where not in self.proxied:
                raise Refused(503, "ServiceUnavailable", f"no endpoints available for service {match['name']}")
            told = self.proxied[where]
            return told if isinstance(told, dict) else iter([json.dumps(told).encode()])
        resource = self.cluster.resource(match["group"] or "", match["version"], match["plural"])
        namespace, name, sent = match["namespace"] or "", match["name"], json.loads(body) if body else {}
        is_table = "as=Table" in headers.get("accept", "")
        if match["part"] == "log":
            return self._log(namespace, name, query)
        acts: dict[str, Callable[[], Json | Iterator[bytes]]] = {
            "get": lambda: self.cluster.get(resource, namespace, name),
            "list": lambda: self._list(resource, namespace or None, query, is_table=is_table),
            "watch": lambda: self._watch(resource, namespace or None, query, is_table=is_table),
            "create": lambda: self._create(resource, namespace, sent, query),
            "patch": lambda: self._patch(resource, (namespace, name), sent, headers, query),
            "delete": lambda: self.cluster.delete(resource, namespace, name, sent),
        }
        return acts[verb]()

    def _admit(self, verb: str, match: re.Match[str], headers: dict[str, str]) -> None:
        """Count the call; refuse who is not known or has no right."""
        what = f"{match['plural']}/{match['part']}" if match["part"] else match["plural"]
        if what == "pods" and not match["namespace"]:
            what = "all pods"  # a right of its own: by a ClusterRole
        self.calls[f"{verb} {what}"] += 1
        if self.outages or f"{verb} {what}" in self.away:
            self.outages -= bool(self.outages)
            raise Refused(503, "ServiceUnavailable", "apiserver not ready")
        if headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            self.calls["unauthorized"] += 1
            raise Refused(401, "Unauthorized", "Unauthorized")
        if f"{verb} {what}" in self.denied:
            group, namespace = match["group"] or "", match["namespace"]
            where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
            what = match["plural"] if what == "all pods" else what
            text = (
                f'{what}.{group} is forbidden: User "{self.user}" cannot {verb} resource "{what}" '
                f'in API group "{group}" {where}'
            )
            raise Refused(403, "Forbidden", text)

    def _check(self, resource: Resource, body: Json, query: dict[str, str]) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        if query.get("fieldValidation") == "Strict":
            older = self.unknown_fields & (body.get("spec", {}).get("job") or {}).keys()
            found = [f'strict decoding error: unknown field "spec.job.{key}"' for key in sorted(older)]
            found += violations(body)
            if found:
                text = f'{resource.kind} "{body["metadata"].get("name")}" is invalid: [{", ".join(found)}]'
                raise Refused(422, "Invalid", text)

    def _answered(self, made: Json) -> Json:
        if self.drops:
            self.drops -= 1
            raise ConnectionAbortedError
        return made

    def _patch(
        self, resource: Resource, where: tuple[str, str], sent: Json, headers: dict[str, str], query: dict[str, str]
    ) -> Json:
        """A merge patch, or a server-side apply, which is held against the definition as a creation is."""
        if self.meanwhile:
            self.meanwhile.pop(0)()
        if "apply-patch" not in headers.get("content-type", ""):
            return self.cluster.update(resource, *where, sent)
        self._check(resource, sent, query)
        return self._answered(self.cluster.apply(resource, *where, sent))

    def _create(self, resource: Resource, namespace: str, body: Json, query: dict[str, str]) -> Json:
        self._check(resource, body, query)
        return self._answered(self.cluster.create(resource, namespace, body, dry_run=query.get("dryRun") == "All"))

    def _list(self, resource: Resource, namespace: str | None, query: dict[str, str], *, is_table: bool) -> Json:
        with self.cluster.changed:
            items, version, start = self.cluster.select(resource, namespace, query), self.cluster.version, 0
        if query.get("continue"):
            version, start = map(int, query["continue"].split(":"))
            if version < self.cluster.compacted:
                raise Refused(410, "Expired", "The provided continue parameter is too old")
        limit = int(query.get("limit") or len(items) or 1)
        page, left = items[start : start + limit], len(items) - start - limit
        metadata: Json = {"resourceVersion": str(version)}
        if left > 0:
            metadata |= {"continue": f"{version}:{start + limit}", "remainingItemCount": left}
        if is_table:
            return table(resource, page, metadata, has_columns=True, has_object=query.get("includeObject") != "None")
        return {
            "apiVersion": resource.api_version,
            "kind": f"{resource.kind}List",
            "metadata": metadata,
            "items": page,
        }

    def _watch(
        self, resource: Resource, namespace: str | None, query: dict[str, str], *, is_table: bool
    ) -> Iterator[bytes]:
        version = int(query.get("resourceVersion") or self.cluster.version)
        ends = time.monotonic() + float(query.get("timeoutSeconds") or 300)
        wants_bookmarks = query.get("allowWatchBookmarks") in ("true", "True", "1")
        if self.stream_errors:
            error = self.stream_errors.pop(0)
            return iter([line("ERROR", error)])
        self.cluster.check_kept(version)
        return self._stream(resource, namespace, query, (version, ends, wants_bookmarks, is_table))

    def _stream(
        self,
        resource: Resource,
        namespace: str | None,
        query: dict[str, str],
        form: tuple[int, float, bool, bool],
    ) -> Iterator[bytes]:
        version, ends, wants_bookmarks, is_table = form
        is_first, told, generation = True, time.monotonic(), self.generation
        self.watches += 1
        try:
            while time.monotonic() < ends and not self.is_closing and generation == self.generation:
                with self.cluster.changed:
                    changes = [] if self.is_mute else self.cluster.since(resource, version)
                    if not changes:
                        self.cluster.changed.wait(0.05)
                for change in changes:
                    version = change.version
                    if namespace in (None, change.object["metadata"].get("namespace")) and selects(
                        query, change.object
                    ):
                        yield event(resource, change, query, is_table=is_table, is_first=is_first)
                        is_first, told = False, time.monotonic()
                if wants_bookmarks and not self.is_mute and time.monotonic() - told > BOOKMARK_SECONDS:
                    told, version = time.monotonic(), self.cluster.version
                    yield bookmark(resource, version, is_table=is_table)
                yield b""  # lets the handler notice a client that left
        finally:
            self.watches -= 1

    def _log(self, namespace: str, name: str, query: dict[str, str]) -> str:
        self.cluster.get(PODS, namespace, name)
        lines = self.logs.get(f"{name} before" if query.get("previous") == "true" else name, "").splitlines()
        if query.get("timestamps") == "true":  # four lines a second; a fraction has as many digits as it needs
            times = [f"2026-11-20T12:00:{n // 4:02}{('', '.25', '.5', '.75')[n % 4]}Z" for n in range(len(lines))]
            since = query.get("sinceTime", "")[:19]
            lines = [f"{time} {line}" for time, line in zip(times, lines, strict=True) if time[:19] >= since]
        text = "\n".join(lines[-int(query.get("tailLines") or len(lines) or 1) :])
        return text[: int(query.get("limitBytes", len(text)))]


def _verb(method: str, name: str | None, query: dict[str, str]) -> str:
    if method == "GET" and not name:
        return "watch" if query.get("watch") in ("true", "True", "1") else "list"
    return {"GET": "get", "POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}[method]


class _Handler(BaseHTTPRequestHandler):
    """HTTP around the answers of ``fake``."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    fake: ApiServer
    lock = threading.Lock()

    def setup(self) -> None:
        super().setup()
        with self.lock:
            self.fake.connections += 1

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {key.lower(): value for key, value in self.headers.items()}
        try:
            answer = self.fake.answer(self.command, self.path, headers, body)
        except Refused as refused:
            self._send(refused.code, "application/json", json.dumps(status(refused)).encode())
        except ConnectionAbortedError:
            self.close_connection = True
        else:
            if isinstance(answer, str):
                self._send(200, "text/plain", answer.encode())
            elif isinstance(answer, dict):
                self._send(201 if self.command == "POST" else 200, "application/json", json.dumps(answer).encode())
            else:
                self._stream(answer)

    def _send(self, code: int, kind: str, content: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        is_cut = code >= 400 and self.fake.cuts > 0
        self.fake.cuts -= is_cut
        self.send_header("Content-Length", str(len(content) + is_cut))
        self.end_headers()
        self.wfile.write(content)
        self.close_connection |= is_cut

    def _stream(self, lines: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for line in lines:
                if line:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = _serve  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None:
        """Silence."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *_: Any) -> None:
        """A client that left is no news."""


@contextmanager
def serving(server: ApiServer, port: int = 0) -> Iterator[ApiServer]:
    """The API server, at ``server.url`` while the block runs; it may be served again, as after a restart."""
    http = _Server(("127.0.0.1", port), type("Handler", (_Handler,), {"fake": server}))
    server.url, server.is_closing = f"http://127.0.0.1:{http.server_address[1]}", False
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.is_closing = True
        http.shutdown()
        http.server_close()
        thread.join()
