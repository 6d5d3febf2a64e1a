"""Single calls to a Kubernetes API, their refusals in one line each with what to do. Blocks; feeds use `watch`."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_doeks.platforms.kubernetes.server import Kind, Server, target
from airflow_doeks.platforms.patience import NO_CREDENTIALS, Paging, Patience, Refusal, pages

if TYPE_CHECKING:
    import urllib3

CONNECT_SECONDS, READ_SECONDS = 5.0, 30.0
ANEW_SECONDS = 30.0  # between two connections for refused credentials: each may ask EKS and STS, which may throttle
PAGE_ITEMS = 250
_PAGING = Paging("items", ("metadata", "continue"), "continue")
# APPLY is the PATCH by which a server merges what one manager wants (server-side apply).
BODIES = {"PATCH": "application/merge-patch+json", "APPLY": "application/apply-patch+yaml"}
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, EXPIRED, THROTTLED, BROKEN = 401, 403, 404, 409, 410, 429, 500
# What the API server answers -> kind of Refusal and the next step; the first match of status and text holds.
# Words of Kubernetes 1.34, read November 2026; those of quota and webhooks were seen on one.
ANSWERS: tuple[tuple[int, str, str, str], ...] = (
    # Also of credentials that are good while EKS cannot ask STS about them (kubernetes-sigs/aws-iam-authenticator#366).
    (
        UNAUTHORIZED,
        "",
        NO_CREDENTIALS,
        "The credentials are not known or expired; look at the platform's `connection`.",
    ),
    (FORBIDDEN, r"exceeded quota|resource quota", "quota", "Wait for other jobs to end, or ask for a larger quota."),
    (FORBIDDEN, r"denied the request", "refused", "The webhook's text says what to change in the job."),
    (FORBIDDEN, r"is being terminated", "refused", "The namespace is being deleted; choose another."),
    (FORBIDDEN, "", "denied", "Allow the verb on the resource (docs/platforms.md has the Role), then clear the task."),
    (
        NOT_FOUND,
        r"could not find the requested resource|page not found",
        "missing",
        "The operator is not installed here.",
    ),
    (NOT_FOUND, r"namespaces .* not found", "missing", "The namespace does not exist; look at the platform's entry."),
    (NOT_FOUND, "", "gone", ""),
    # Nothing was made: another object was counted at the same moment (kubernetes/kubernetes#67761).
    (CONFLICT, r"cannot be fulfilled on resourcequotas", "unavailable", ""),
    (CONFLICT, "", "conflict", ""),
    (EXPIRED, "", "expired", ""),
    (THROTTLED, "", "throttled", ""),
    # A webhook that cannot be reached refuses with 500, for a while or, with failurePolicy Fail, until it is mended.
    (BROKEN, r"failed calling webhook", "unavailable", "A webhook of the cluster does not answer; ask who runs it."),
    (BROKEN, "", "unavailable", ""),
)


class KubeCalls:
    """One API server; connected when first needed, and anew when its credentials are refused.

    Args:
        connect: gives the server; may block.
        in_thread: runs a function of a feed in a thread from which ``connect`` may be called.
    """

    def __init__(
        self, connect: Callable[[], Server], patience: Patience, in_thread: Callable[..., Awaitable[Any]]
    ) -> None:
        self._connect, self.patience, self.in_thread = connect, patience, in_thread
        self._server: Server | None = None
        self._pool: urllib3.PoolManager | None = None
        self._keeps_until = float("-inf")
        self._lock = threading.Lock()

    @property
    def server(self) -> Server:
        """The server; reads a kubeconfig the first time."""
        with self._lock:
            if self._server is None:
                self._server, self._pool = self._connect(), None
            return self._server

    def forget(self, refused: Server) -> None:
        """Connect anew the next time: these credentials were refused. Not so soon after another time."""
        now = self.patience.clock.monotonic()
        with self._lock:
            if self._server is refused and now >= self._keeps_until:
                self._server, self._keeps_until = None, now + ANEW_SECONDS

    def get(self, kind: Kind, namespace: str, name: str, seconds: float = 60.0) -> dict[str, Any] | None:
        """One object; None if there is none."""
        try:
            return self.patiently("GET", kind.path(namespace, name), seconds=seconds)
        except Refusal as refusal:
            if refusal.kind != "gone":
                raise
            return None

    def list(self, kind: Kind, namespace: str, seconds: float = 60.0, **selectors: str) -> list[dict[str, Any]]:
        """All objects that are selected, page by page; begun anew, once, if the server forgets where it was."""

        def ask(**page: str) -> dict[str, Any]:
            query = {**selectors, "limit": PAGE_ITEMS, **page}
            return self.patiently("GET", kind.path(namespace), query=query, seconds=seconds)

        try:
            return [*pages(ask, _PAGING)]
        except Refusal as refusal:
            if refusal.kind != "expired":
                raise
        return [*pages(ask, _PAGING)]

    def patiently(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
        seconds: float = 60.0,
    ) -> dict[str, Any]:
        """One call, repeated while the server is away or throttles, for about ``seconds``."""

        def ask() -> dict[str, Any]:
            return object_of(self.once(method, target(path, query), body), f"{method} {path}", self.server)

        return self.patience.call(ask, seconds)

    def text(self, path: str, query: Mapping[str, object], seconds: float) -> str:
        """The same for what is not JSON, such as a log."""
        return self.patience.call(lambda: self.once("GET", target(path, query), None).decode(errors="replace"), seconds)

    def once(self, method: str, where: str, body: Mapping[str, Any] | None = None) -> bytes:
        """The answer of one request; raises Refusal. Credentials that are refused are read anew once."""
        for is_last in (False, True):
            server = self.server
            status, content = self._send(server, method, where, body)
            if status < 400:  # noqa: PLR2004 - HTTP's number
                return content
            if status == UNAUTHORIZED and not is_last:
                self.forget(server)
                continue
            raise refusal_of(status, content, f"{method} {where.partition('?')[0]}", server)
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def _send(self, server: Server, method: str, where: str, body: Mapping[str, Any] | None) -> tuple[int, bytes]:
        import urllib3

        headers = {"Accept": "application/json, */*", "User-Agent": "airflow-doeks", **server.headers()}
        if body is not None:
            headers["Content-Type"] = BODIES.get(method, "application/json")
        try:
            answer = self._pool_of(server).request(
                "PATCH" if method in BODIES else method,
                server.url + where,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                retries=False,
            )
        except urllib3.exceptions.HTTPError as error:
            msg = f"{server.url} does not answer: {error}"
            raise Refusal(kind="unavailable", message=msg) from error
        return answer.status, answer.data

    def _pool_of(self, server: Server) -> urllib3.PoolManager:
        import urllib3

        with self._lock:
            if self._pool is None:
                settings: dict[str, Any] = {"maxsize": 4} | ({"ssl_context": server.tls} if server.tls else {})
                proxy = server.proxy
                self._pool = urllib3.ProxyManager(proxy, **settings) if proxy else urllib3.PoolManager(**settings)
            return self._pool


def refusal_of(status: int, content: bytes, what: str, server: Server) -> Refusal:
    """A refusal in one line: what was asked, what the server said, what to do."""
    said = message_of(content)
    row = next((row for row in ANSWERS if _is_about(row, status, said)), (status, "", "refused", ""))
    who = f" (as {server.who})" if server.who and row[2] in ("denied", NO_CREDENTIALS) else ""
    text = f"{what} at {server.host} was refused with {status}{who}: {said}"
    return Refusal(row[2], f"{text} {row[3]}".strip())


def object_of(content: bytes, what: str, server: Server) -> dict[str, Any]:
    """The JSON object of an answer; Refusal for anything else, such as the login page of a proxy."""
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    start = content[:80].decode(errors="replace")
    msg = f"{server.host} answered {what} with no object but {start!r}; look at the address of the connection."
    raise Refusal(kind="unavailable", message=msg)


def message_of(content: bytes) -> str:
    """The message of a Status, or the start of whatever was sent instead."""
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    said = answer.get("message") or answer.get("reason") if isinstance(answer, dict) else None
    return str(said or content[:300].decode(errors="replace")).strip()


def _is_about(row: tuple[int, str, str, str], status: int, said: str) -> bool:
    of_status = status == row[0] or (row[0] == BROKEN and status > BROKEN)
    return of_status and bool(re.search(row[1], said))
