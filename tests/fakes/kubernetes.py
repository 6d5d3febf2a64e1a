"""A small Kubernetes API over HTTP for the real client: pods and events of one namespace, listed with selectors.

As in Kubernetes: pods are gone once their job ended, events about them stay; who may not list is told so with a Status.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class FakeKubernetes:
    """What the API server knows of a namespace; served by ``tests.fakes.aws_http.serving``.

    Attributes:
        denied: verbs and resources that are refused, e.g. ``list events``.
        calls: how often each was asked, refusals included.
    """

    namespace: str = "sales"
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    open_now: int = 0
    open_most: int = 0
    url: str = ""

    def kube_config(self) -> dict[str, Any]:
        """A kubeconfig of this cluster."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "doeks", "user": {"token": "a-canary-token"}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "doeks"}}],
            "current-context": "fake",
        }

    def start_pod(self, name: str, job_run: str, role: str | None = None, **status: Any) -> None:
        """A pod of an EMR job run; the submitter has no role."""
        labels = {"emr-containers.amazonaws.com/job.id": job_run} | ({"spark-role": role} if role else {})
        self.pods[name] = {"metadata": {"name": name, "labels": labels}, "status": {"phase": "Running"} | status}

    def tell(self, name: str, reason: str, message: str = "", *, kind: str = "Pod") -> None:
        """An event about an object, a second after the one before."""
        number = len(self.events)
        event = {"metadata": {"name": f"{name}.{number:x}"}, "reason": reason, "message": message}
        event |= {"involvedObject": {"kind": kind, "name": name, "namespace": self.namespace}}
        event |= {"lastTimestamp": f"2026-11-20T12:{number // 60:02}:{number % 60:02}Z"}
        self.events.append(event)

    def end_job(self, job_run: str) -> None:
        """Its pods are deleted, their events stay."""
        self.pods = {name: pod for name, pod in self.pods.items() if job_run not in pod["metadata"]["labels"].values()}

    def answer(self, handler: BaseHTTPRequestHandler, _: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request."""
        parts = urlsplit(handler.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        place, _, resource = parts.path.rpartition("/")
        action = f"list {resource}"
        self.calls[action] += 1
        if handler.headers.get("Authorization") != "Bearer a-canary-token":
            return _status(401, "Unauthorized", "who are you?")
        if action in self.denied:
            return _status(403, "Forbidden", f'User "doeks" cannot {action} in namespace "{self.namespace}"')
        if handler.command != "GET" or place != f"/api/v1/namespaces/{self.namespace}":
            return _status(404, "NotFound", parts.path)
        rows = list(self.pods.values()) if resource == "pods" else self.events
        key, _, value = query.get("labelSelector", "").partition("=")
        rows = [row for row in rows if not key or row["metadata"].get("labels", {}).get(key) == value]
        limit = int(query.get("limit", len(rows)))
        metadata = {"resourceVersion": "1"} | ({"continue": "more"} if len(rows) > limit else {})
        kind = {"pods": "PodList", "events": "EventList"}[resource]
        return _json(200, {"apiVersion": "v1", "kind": kind, "metadata": metadata, "items": rows[:limit]})


def _status(code: int, reason: str, message: str) -> tuple[int, dict[str, str], bytes]:
    status = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code}
    return _json(code, status | {"reason": reason, "message": message})


def _json(code: int, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    return code, {"Content-Type": "application/json"}, json.dumps(body).encode()
