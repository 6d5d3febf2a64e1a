"""Jobs that are custom resources: made once under a name from their token, followed by one watch, removed whole.

Shared by all platform types of operators; what differs between operators stands in their `Operator` and `render`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timezone
from typing import Any, NoReturn

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.identity import MODE, PREFIX, TASK_KEY, JobIdentity, label_value
from airflow_doeks.model.redaction import redacted
from airflow_doeks.model.status import BEFORE, JobRef, JobState, JobStatus, Request, Scope
from airflow_doeks.model.telemetry import Sighting
from airflow_doeks.platforms.kubernetes.calls import KubeCalls
from airflow_doeks.platforms.kubernetes.feed import Feed
from airflow_doeks.platforms.kubernetes.operator import Operator, moment
from airflow_doeks.platforms.kubernetes.server import EVENTS, PODS
from airflow_doeks.platforms.patience import Refusal

log = logging.getLogger(__name__)

CANCELLED_EVENT = "CancelledByAirflow"  # our event about a resource that we remove; it outlives it by an hour
COMPONENT = "airflow-doeks"
_CAUSE_MAX = 900  # characters; Kubernetes takes 1,024 of an event's message
NOTE_SECONDS = 5.0  # for that event: what it is about is still to be deleted, by who may have seconds left
SWEEP_SECONDS = 3600.0
_swept: dict[tuple[str, str, str], float] = {}  # server, namespace and instance -> when they were swept last
_OURS = ("instance", "task-key", "try")  # what the resource of one attempt is known by


class Resources:
    """The custom resources of one operator in one namespace."""

    def __init__(self, operator: Operator, calls: KubeCalls, namespace: str, *, no_progress_seconds: float) -> None:
        self.operator, self.calls, self.namespace = operator, calls, namespace
        self._no_progress_seconds = no_progress_seconds

    def submit(self, request: Request) -> JobRef:
        """Create the resource; one of that name with our labels is the same job, with others it is refused.

        The API server holds it against the definition first and tells every error at once.
        """
        resource = request.body["resource"]
        path, query = self.operator.kind.path(self.namespace), {"fieldValidation": "Strict"}
        made: Mapping[str, Any]
        try:
            made = self.calls.patiently("POST", path, query=query, body=resource)
        except Refusal as refusal:
            if refusal.kind != "conflict":
                raise
            made = self._taken(resource)
        return self.operator.ref(self.calls.server.host, made)

    def _taken(self, resource: Mapping[str, Any]) -> Mapping[str, Any]:
        """The resource whose name is taken, if it is of this attempt."""
        name = resource["metadata"]["name"]
        found = self.calls.get(self.operator.kind, self.namespace, name)
        where = f"{self.operator.kind.resource} {self.namespace}/{name}"
        if found is None:
            msg = f"{where} was taken and is gone now; the task is tried again"
            raise PlatformError(msg, retryable=True)
        mine, theirs = resource["metadata"]["labels"], found["metadata"].get("labels") or {}
        keys = [f"{PREFIX}{key}" for key in _OURS]
        if any(mine[key] != theirs.get(key) for key in keys):
            self.refuse(found)
        return found

    def refuse(self, found: Mapping[str, Any]) -> NoReturn:
        """Raises PlatformError for a resource that is somebody else's, and names them."""
        metadata = found["metadata"]
        where = f"{self.operator.kind.resource} {self.namespace}/{metadata['name']}"
        theirs = metadata.get("labels") or {}
        owner = ", ".join(f"{key}={theirs[key]}" for key in sorted(theirs)) or "no labels"
        by = {entry.get("manager", "") for entry in metadata.get("managedFields") or ()} - {""}
        made_by = f", made by {', '.join(sorted(by))}" if by else ""
        msg = f"{where} is not of this task ({owner}{made_by}). It is left alone; remove or rename it."
        raise PlatformError(msg)

    def find(self, identity: JobIdentity) -> list[JobStatus]:
        """This task's jobs, living and ended, newest first."""
        keys = f"{identity.task_key[:16]},{identity.lasting_key[:16]}"
        found = [*self._listed(f"{PREFIX}instance={identity.instance},{TASK_KEY} in ({keys})")]
        return sorted(found, key=_age, reverse=True)

    def living(self, instance: str) -> Iterator[JobStatus]:
        """Every job of this Airflow that has not ended."""
        for status in self._listed(f"{PREFIX}instance={label_value(instance)}"):
            if not status.state.is_terminal:
                yield status

    def sweep(self, instance: str, before: datetime) -> None:
        """Delete resources of this Airflow's bounded jobs that ended earlier; at most once an hour and process.

        For operators that know no time-to-live of a resource.
        """
        clock, place = self.calls.patience.clock, (self.calls.server.host, self.namespace, instance)
        if clock.monotonic() - _swept.get(place, -SWEEP_SECONDS) < SWEEP_SECONDS:
            return
        _swept[place] = clock.monotonic()
        for status in self._listed(f"{PREFIX}instance={instance},!{MODE}"):
            if status.state.is_terminal and (status.ended or status.submitted or before) < before:
                namespace, name, uid = status.ref.path
                options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
                self.calls.patiently("DELETE", self.operator.kind.path(namespace, name), body=options)
                log.info("%s ended long ago; its resource is removed", status.ref)

    def _listed(self, selector: str) -> Iterator[JobStatus]:
        host = self.calls.server.host
        for resource in self.calls.list(self.operator.kind, self.namespace, labelSelector=selector):
            yield self.operator.status(host, resource)

    def observe(self, ref: JobRef) -> JobStatus:
        """One read of the resource; of one that is gone, of its events."""
        return self.look(ref)[0]

    def look(self, ref: JobRef) -> tuple[JobStatus, dict[str, Any] | None]:
        """The same, and the resource."""
        resource = self.resource(ref)
        if resource is None:
            return self._gone(ref), None
        return self.operator.status(self.calls.server.host, resource), resource

    def resource(self, ref: JobRef, seconds: float = 60.0) -> dict[str, Any] | None:
        """The job's resource; None if it is gone or another has its name."""
        namespace, name, uid = ref.path
        found = self.calls.get(self.operator.kind, namespace, name, seconds)
        return found if found and found["metadata"]["uid"] == uid else None

    def _gone(self, ref: JobRef) -> JobStatus:
        """How a job ended whose resource is gone: as its events tell, which outlive it by an hour."""
        namespace, _, uid = ref.path
        try:
            events = self.calls.list(EVENTS, namespace, fieldSelector=f"involvedObject.uid={uid}")
        except Refusal as refusal:
            if refusal.retryable:
                raise
            return JobStatus(
                ref, JobState.LOST, reason=f"its resource is gone, and its events are not shown: {refusal}"
            )
        told = sorted(events, key=_moment_of)
        cancelled = [event for event in told if event.get("reason") == CANCELLED_EVENT]
        ended = [event for event in told if event.get("reason") in self.operator.end_events]
        if not cancelled and not ended:
            return JobStatus(ref, JobState.LOST, reason="its resource is gone: somebody else deleted it")
        last = (cancelled or ended)[-1]  # a driver that is cancelled fails, too
        state = JobState.CANCELLED if cancelled else self.operator.end_events[last["reason"]]
        said = redacted(str(last.get("message") or ""))
        return JobStatus(ref, state, last["reason"], said, ended=moment(_moment_of(last)))

    def cancel(self, ref: JobRef, why: Callable[[], str]) -> None:
        """Delete the resource in the foreground: it goes when its pods are gone. Ended and unknown jobs are fine.

        ``why`` is asked of a job that waits, once: what kept it from coming up, or nothing. Its event keeps that, for
        nobody could find it out afterwards.
        """
        resource = self.resource(ref)
        state = None if resource is None else self.operator.status("", resource).state
        if resource is None or state is None or state.is_terminal:
            return
        namespace, name, uid = ref.path
        if "deletionTimestamp" not in resource["metadata"]:
            cause = why() if state in (JobState.QUEUED, JobState.STARTING) else ""
            self._note_cancel(resource, f"; {BEFORE}{cause}"[:_CAUSE_MAX] if cause else "")
        options = {"propagationPolicy": "Foreground", "preconditions": {"uid": uid}}
        try:
            self.calls.patiently("DELETE", self.operator.kind.path(namespace, name), body=options)
        except Refusal as refusal:
            if refusal.kind not in ("gone", "conflict"):  # conflict: another has its name by now
                raise

    def _note_cancel(self, resource: Mapping[str, Any], cause: str) -> None:
        """An event, so that who looks later knows a cancelled job from a lost one; without the right for it, none."""
        metadata, kind = resource["metadata"], self.operator.kind
        namespace, moment_now = metadata["namespace"], self.calls.patience.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        about = {"apiVersion": kind.api_version, "kind": kind.name}
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.cancelled-{metadata['uid'][:8]}", "namespace": namespace},
            "involvedObject": about | {key: metadata[key] for key in ("name", "namespace", "uid")},
            "reason": CANCELLED_EVENT,
            "message": f"cancelled by its Airflow task{cause}",
            "type": "Normal",
            "source": {"component": COMPONENT},
            "firstTimestamp": moment_now,
            "lastTimestamp": moment_now,
            "count": 1,
        }
        try:
            self.calls.patiently("POST", EVENTS.path(namespace), body=event, seconds=NOTE_SECONDS)
        except Refusal as refusal:
            if refusal.kind != "conflict":  # told already
                log.info("The cancel of %s leaves no event: %s", metadata["name"], refusal)

    def scope(self, ref: JobRef, credentials: str) -> Scope:
        """The feed of a job: its API server as seen through one connection, its namespace and kind."""
        return Scope(self.operator.type, ref.authority, credentials, ref.path[0], self.operator.kind.resource)

    def feed(self, scope: Scope, wanted: AbstractSet[JobRef]) -> AsyncIterator[JobStatus | Sighting]:
        """All jobs of the namespace by one watch, and their pods by another."""
        feed = Feed(self.calls, self.operator, scope.namespace, wanted, self.observe, self._no_progress_seconds)
        return feed.statuses()

    def pods(self, ref: JobRef, seconds: float = 60.0) -> list[dict[str, Any]]:
        """The pods of a job that are still there."""
        namespace, name, _ = ref.path
        return self.calls.list(PODS, namespace, seconds, labelSelector=f"{self.operator.job_label}={name}")


def _age(status: JobStatus) -> tuple[datetime, int]:
    number = status.tags.get(f"{PREFIX}try", "")
    return status.submitted or datetime.min.replace(tzinfo=timezone.utc), int(number) if number.isdigit() else 0


def _moment_of(event: Mapping[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
