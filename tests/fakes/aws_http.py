"""The fake AWS endpoint: EMR containers, EC2, EKS, S3, CloudWatch Logs and STS on one port, for real boto3 clients.

boto3 signs, serialises, retries and parses as it does against AWS; only the host differs.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs, urlsplit

from tests.fakes.ec2 import FakeEc2
from tests.fakes.eks import FakeEks
from tests.fakes.emr_containers import ACCOUNT, Dropped, FakeEmr
from tests.fakes.s3 import FakeS3

ARN = f"arn:aws:sts::{ACCOUNT}:assumed-role/airflow/worker"


@dataclass
class FakeAws:
    """What the endpoint serves.

    Attributes:
        log_streams: CloudWatch: stream name -> lines.
        connections: TCP connections accepted so far; ``open_now`` of them are open.
    """

    emr: FakeEmr
    s3: FakeS3 | None = None
    ec2: FakeEc2 = field(default_factory=FakeEc2)
    eks: FakeEks = field(default_factory=FakeEks)
    log_streams: dict[str, list[str]] = field(default_factory=dict)
    connections: int = 0
    open_now: int = 0
    open_most: int = 0
    url: str = ""

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request."""
        parts = urlsplit(handler.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        headers = {key.lower(): value for key, value in handler.headers.items()}
        if headers.get("x-amz-target", "").startswith("Logs_"):
            return self._logs(headers["x-amz-target"].rpartition(".")[2], json.loads(body))
        if parts.path == "/" and b"GetCallerIdentity" in body:
            xml = f"<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{ARN}</Arn></GetCallerIdentityResult>"
            return 200, {"Content-Type": "text/xml"}, f"{xml}</GetCallerIdentityResponse>".encode()
        for service, handle in (("ec2", self.ec2.handle), ("eks", self.eks.handle), ("sts", self.eks.handle)):
            if f"/{service}/" in headers.get("authorization", "") and b"GetCallerIdentity" not in body:
                return handle(parts.path, body)
        if "/emr-containers/" in headers.get("authorization", ""):
            return self._emr(handler.command, parts.path, query, headers, body)
        assert self.s3 is not None, f"no S3 here for {handler.path}"
        return self.s3.handle(handler.command, parts.path, query, headers, body)

    def _emr(self, method: str, path: str, query: Any, headers: Any, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if headers.get("x-amz-security-token") in self.emr.dead_tokens:
            self.emr.calls["expired"] += 1
            status, answer = 403, {"__type": self.emr.dead_code, "message": "The security token is not valid"}
        else:
            status, answer = self.emr.handle(method, path, query, body)
        extra = {"x-amzn-ErrorType": str(answer["__type"])} if status >= 400 else {}
        return status, {"Content-Type": "application/json", **extra}, json.dumps(answer).encode()

    def _logs(self, action: str, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        self.emr.calls[f"logs:{action}"] += 1
        if action == "DescribeLogStreams":
            names = sorted(name for name in self.log_streams if name.startswith(request["logStreamNamePrefix"]))
            answer: dict[str, Any] = {"logStreams": [{"logStreamName": name} for name in names[:50]]}
            answer |= {"nextToken": "more"} if len(names) > 50 else {}
        elif request["logStreamName"] not in self.log_streams:
            problem = {"__type": "ResourceNotFoundException", "message": "The specified log stream does not exist."}
            return 400, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(problem).encode()
        else:
            lines = self.log_streams[request["logStreamName"]][-request["limit"] :]
            answer = {"events": [{"timestamp": 0, "message": line} for line in lines]}
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()


class Endpoint(Protocol):
    """What can be served."""

    connections: int
    open_now: int
    open_most: int
    url: str

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request."""


Served = TypeVar("Served", bound=Endpoint)


def _handler(aws: Endpoint) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or every answer waits 40 ms for a delayed ACK

        def setup(self) -> None:
            super().setup()
            with lock:
                aws.connections += 1
                aws.open_now += 1
                aws.open_most = max(aws.open_most, aws.open_now)

        def finish(self) -> None:
            with lock:
                aws.open_now -= 1
            super().finish()

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                status, headers, content = aws.answer(self, body)
            except Dropped:
                self.close_connection = True
                return
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = _serve  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            """Silence."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


@contextmanager
def serving(aws: Served, port: int = 0) -> Iterator[Served]:
    """The endpoint, at ``aws.url`` while the block runs."""
    server = _Server(("127.0.0.1", port), _handler(aws))
    aws.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield aws
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
