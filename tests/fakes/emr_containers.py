"""A fake EMR containers service with the semantics that matter, for the real boto3 client; rung R2.

Requests and answers are checked against botocore's service model, so the fake cannot drift from the API. It knows
token idempotency, scripted transitions on a virtual clock, CANCEL_PENDING, paging, lists with and without tags,
throttling, 5xx, time-outs before and *after* the commit, denials, expired tokens; and it counts calls by action.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import botocore.session

from tests.fakes.shapes import plain, read, route, violations

ACCOUNT = "123456789012"
INVALID, NOT_FOUND = "ValidationException", "ResourceNotFoundException"
DENIED = "AccessDeniedException"
ENDED = {"COMPLETED", "FAILED", "CANCELLED"}
MODEL = botocore.session.get_session().get_service_model("emr-containers")


@dataclass(frozen=True)
class Step:
    """From ``after`` seconds since its creation a job is in this state."""

    after: float
    state: str
    details: str | None = None
    reason: str | None = None
    attempt: int | None = None


GOOD_DAY = (Step(0, "PENDING"), Step(5, "SUBMITTED"), Step(60, "RUNNING"), Step(600, "COMPLETED"))


@dataclass
class Fault:
    """What goes wrong for the next ``times`` calls of an action (``*``: any), at most ``until``; ``hits`` so far.

    ``code`` is an error of the service, ``drop_before`` and ``drop_after`` close the connection without an answer,
    before or after the call took effect.
    """

    action: str
    code: str
    status: int = 400
    times: float = 1
    message: str = "injected"
    until: datetime | None = None
    hits: int = 0


class ServiceError(Exception):
    """An error the service answers with."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


class Dropped(Exception):
    """The connection is closed without an answer."""


@dataclass
class Job:
    """A job run: what was asked for, when, and what becomes of it."""

    id: str
    request: dict[str, Any]
    created: datetime
    steps: tuple[Step, ...]
    cancelled: datetime | None = None
    live: Callable[[], Step] | None = None
    stop: Callable[[], None] | None = None


@dataclass
class FakeEmr:
    """The service's memory and rules. Thread-safe; times are the virtual clock's.

    Attributes:
        script: the steps of a new job, from its request; the default is ten good minutes.
        runner: runs a new job for real and gives its present step and a way to stop it.
        cancel_seconds: how long a job stays CANCEL_PENDING.
        answer_seconds: virtual time that a call takes.
        list_has_tags: whether ListJobRuns answers with tags, details and end times (not established on real AWS).
        dead_tokens: credentials that are answered with ``dead_code``.
        calls: how often each action was called, faults included.
    """

    region: str = "us-east-1"
    now: datetime = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
    script: Callable[[dict[str, Any]], tuple[Step, ...]] = field(default=lambda _: GOOD_DAY)
    runner: Callable[[dict[str, Any]], tuple[Callable[[], Step], Callable[[], None]]] | None = None
    clock: Callable[[], datetime] | None = None
    cancel_seconds: float = 5.0
    answer_seconds: float = 0.0
    list_has_tags: bool = True
    page_size: int = 50
    dead_tokens: set[str] = field(default_factory=set)
    dead_code: str = "ExpiredTokenException"
    denied: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    jobs: dict[str, Job] = field(default_factory=dict)
    clusters: dict[str, dict[str, Any]] = field(default_factory=dict)
    odd_state: str | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def advance(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.now += timedelta(seconds=seconds)

    def today(self) -> datetime:
        """The service's clock."""
        return self.clock() if self.clock else self.now

    def handle(self, method: str, path: str, query: Mapping[str, list[str]], body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and JSON of one HTTP request; raises Dropped."""
        found = route(MODEL, method, path)
        if found is None:
            return 404, {"__type": "UnknownOperationException", "message": f"{method} {path}"}
        action, values = found
        try:
            with self._lock:
                self.calls[action] += 1
                self.advance(self.answer_seconds)
                fault = self._next_fault(action)
                parameters, problems = read(MODEL, action, values, query, body)
                answer = self._carry_out(action, parameters, problems)
                if fault is not None and fault.code == "drop_after":
                    raise Dropped
            # Of a list one entry is checked: all are made by one function, and a page of 50 takes half a second.
            sample = {key: value[:1] if isinstance(value, list) else value for key, value in answer.items()}
            problems = violations(sample, MODEL.operation_model(action).output_shape)
            assert not problems or self.odd_state, f"the fake's own answer to {action} breaks the model: {problems}"
            return 200, plain(answer)
        except ServiceError as error:
            return error.status, {"__type": error.code, "message": str(error)}

    def _carry_out(self, action: str, parameters: dict[str, Any], problems: list[str]) -> dict[str, Any]:
        if problems:
            raise ServiceError(INVALID, "; ".join(problems))
        answer: dict[str, Any] = getattr(self, f"_{_snake(action)}")(parameters)
        return answer

    def _next_fault(self, action: str) -> Fault | None:
        if action in self.denied:
            arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/airflow/worker"
            text = f"User: {arn} is not authorized to perform: emr-containers:{action}"
            raise ServiceError(DENIED, text, 403)
        for fault in self.faults:
            is_over = fault.until is not None and self.today() >= fault.until
            if fault.times > 0 and not is_over and fault.action in ("*", action):
                fault.times -= 1
                fault.hits += 1
                if fault.code == "drop_before":
                    raise Dropped
                if fault.code != "drop_after":
                    raise ServiceError(fault.code, fault.message, fault.status)
                return fault
        return None

    def _start_job_run(self, request: dict[str, Any]) -> dict[str, Any]:
        cluster = request["virtualClusterId"]
        known = [job for job in self.jobs.values() if job.request["clientToken"] == request["clientToken"]]
        job = known[0] if known else self._new_job(request)
        return {"id": job.id, "name": request.get("name", ""), "arn": self._arn(cluster, job.id)} | {
            "virtualClusterId": cluster
        }

    def _new_job(self, request: dict[str, Any]) -> Job:
        driver = request.get("jobDriver") or {}
        if not request.get("jobTemplateId") and not (request.get("releaseLabel") and driver):
            raise ServiceError(INVALID, "releaseLabel and jobDriver are required")
        job = Job(f"{len(self.jobs):019d}", request, self.today(), self.script(request))
        if self.runner is not None:
            job.live, job.stop = self.runner(request | {"id": job.id})
        self.jobs[job.id] = job
        return job

    def step(self, job: Job) -> Step:
        """The state a job is in now, a cancel included."""
        age = (self.today() - job.created).total_seconds()
        step = job.live() if job.live else [step for step in job.steps if step.after <= age][-1]
        if job.cancelled is None or (step.state in ENDED and self._at(job, step) <= job.cancelled):
            return step
        since = (self.today() - job.cancelled).total_seconds()
        after = (job.cancelled - job.created).total_seconds() + self.cancel_seconds
        return Step(after, "CANCELLED") if since >= self.cancel_seconds else Step(after, "CANCEL_PENDING")

    def _at(self, job: Job, step: Step) -> datetime:
        return job.created + timedelta(seconds=step.after)

    def _arn(self, cluster: str, job_id: str) -> str:
        return f"arn:aws:emr-containers:{self.region}:{ACCOUNT}:/virtualclusters/{cluster}/jobruns/{job_id}"

    def describe(self, job: Job, *, is_listed: bool = False) -> dict[str, Any]:
        """A JobRun as the API shows it."""
        step = self.step(job)
        request, short = job.request, is_listed and not self.list_has_tags
        cluster = request["virtualClusterId"]
        run: dict[str, Any] = {key: value for key, value in request.items() if key != "retryPolicyConfiguration"}
        run |= {"id": job.id, "arn": self._arn(cluster, job.id), "state": self.odd_state or step.state}
        run |= {"createdAt": job.created, "createdBy": f"arn:aws:sts::{ACCOUNT}:assumed-role/airflow/worker"}
        if not short:
            run |= {"stateDetails": step.details} if step.details else {}
            run |= {"failureReason": step.reason} if step.reason else {}
            run |= {"finishedAt": self._at(job, step)} if step.state in ENDED else {}
            run |= {"retryPolicyExecution": {"currentAttemptCount": step.attempt}} if step.attempt else {}
        run.pop("jobTemplateParameters", None)
        run.pop("jobTemplateId", None)
        if short:
            run.pop("tags", None)
        return run

    def _describe_job_run(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"jobRun": self.describe(self._job(request))}

    def _job(self, request: dict[str, Any]) -> Job:
        job = self.jobs.get(request.get("id") or request["jobRunId"])
        if job is None or job.request["virtualClusterId"] != request["virtualClusterId"]:
            raise ServiceError(NOT_FOUND, "Job run does not exist")
        return job

    def _list_job_runs(self, request: dict[str, Any]) -> dict[str, Any]:
        found = [
            job
            for job in reversed(list(self.jobs.values()))
            if job.request["virtualClusterId"] == request["virtualClusterId"]
            and request.get("name") in (None, job.request.get("name"))
            and (not request.get("states") or self.step(job).state in request["states"])
            and ("createdAfter" not in request or job.created >= request["createdAfter"])
            and ("createdBefore" not in request or job.created <= request["createdBefore"])
        ]
        return _page(request, [self.describe(job, is_listed=True) for job in found], "jobRuns", self.page_size)

    def _cancel_job_run(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            job = self._job(request)
        except ServiceError as error:  # the model lists no ResourceNotFoundException for this action
            raise ServiceError(INVALID, "Job run does not exist") from error
        if self.step(job).state in ENDED:
            raise ServiceError(INVALID, f"Job run {job.id} is not in a cancellable state")
        if job.cancelled is None:
            job.cancelled = self.today()
            if job.stop:
                job.stop()
        return {"id": job.id, "virtualClusterId": request["virtualClusterId"]}

    def _create_virtual_cluster(self, request: dict[str, Any]) -> dict[str, Any]:
        namespace = request["containerProvider"]["info"]["eksInfo"]["namespace"]
        for known in self.clusters.values():
            if known["clientToken"] == request["clientToken"]:
                return self._cluster_answer(known)
            taken = known["containerProvider"]["info"]["eksInfo"]["namespace"] == namespace
            if taken and known["state"] in ("RUNNING", "TERMINATING"):
                raise ServiceError(INVALID, f"A virtual cluster already exists in namespace {namespace}")
        new = f"vc{len(self.clusters):023d}"
        self.clusters[new] = request | {"id": new, "state": "RUNNING", "createdAt": self.today()}
        return self._cluster_answer(self.clusters[new])

    def _cluster_answer(self, cluster: dict[str, Any]) -> dict[str, Any]:
        return {"id": cluster["id"], "name": cluster["name"], "arn": self._cluster_arn(cluster["id"])}

    def _cluster_arn(self, cluster: str) -> str:
        return f"arn:aws:emr-containers:{self.region}:{ACCOUNT}:/virtualclusters/{cluster}"

    def _show_cluster(self, cluster: dict[str, Any]) -> dict[str, Any]:
        shown = {key: value for key, value in cluster.items() if key != "clientToken"}
        return shown | {"arn": self._cluster_arn(cluster["id"])}

    def _describe_virtual_cluster(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["id"] not in self.clusters:
            raise ServiceError(NOT_FOUND, "Virtual cluster does not exist")
        return {"virtualCluster": self._show_cluster(self.clusters[request["id"]])}

    def _list_virtual_clusters(self, request: dict[str, Any]) -> dict[str, Any]:
        found = [
            self._show_cluster(cluster)
            for cluster in self.clusters.values()
            if request.get("containerProviderId") in (None, cluster["containerProvider"]["id"])
            and (not request.get("states") or cluster["state"] in request["states"])
        ]
        return _page(request, found, "virtualClusters", self.page_size)

    def _delete_virtual_cluster(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["id"] not in self.clusters:
            raise ServiceError(INVALID, "Virtual cluster does not exist")
        self.clusters[request["id"]]["state"] = "TERMINATED"
        return {"id": request["id"]}


def _snake(action: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower()


def _page(request: dict[str, Any], rows: list[Any], key: str, page_size: int) -> dict[str, Any]:
    start = int(request.get("nextToken") or 0)
    end = start + min(page_size, int(request.get("maxResults") or page_size))
    return {key: rows[start:end]} | ({"nextToken": str(end)} if end < len(rows) else {})
