"""Flink jobs as FlinkDeployments, or as FlinkSessionJobs of a session cluster, of the Flink Kubernetes Operator."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.identity import PREFIX, TASK_KEY, JobIdentity, digest
from airflow_doeks.model.priced_as import assumed
from airflow_doeks.model.record import JobFailure
from airflow_doeks.model.status import JobRef, JobState, Request
from airflow_doeks.model.telemetry import Telemetry
from airflow_doeks.platforms.apache_flink.config import Config
from airflow_doeks.platforms.apache_flink.request import MOST_SLOTS, archive_of, resource_name, spec
from airflow_doeks.platforms.apache_flink.savepoints import Savepoints
from airflow_doeks.platforms.apache_flink.streams import FROM, Streams
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.flink import job_manager
from airflow_doeks.platforms.flink.operator import (
    ENDED,
    GIVEN_UP,
    SAVED,
    WHY,
    is_stale,
    is_stream,
    last_savepoint,
    operator,
)
from airflow_doeks.platforms.flink.root_cause import root_cause
from airflow_doeks.platforms.kubernetes.failure import SECONDS as EXPLAIN_SECONDS
from airflow_doeks.platforms.kubernetes.failure import explain
from airflow_doeks.platforms.kubernetes.operator import CHANGED, moment
from airflow_doeks.platforms.kubernetes.platform import KubernetesPlatform
from airflow_doeks.platforms.kubernetes.server import EVENTS, SERVICES

if TYPE_CHECKING:
    from airflow_doeks.model.flink import FlinkJob

__all__ = ["Config", "Platform"]

log = logging.getLogger(__name__)

REST_PORT = 8081  # Flink's own
ACTS = ("stop", "savepoint")
CALL_SECONDS = 6.0
_NO_STATE = "HA data is not available"  # in an event of operator 1.7 that finds nothing to suspend a job with
_CAUSE_MAX = 1000  # characters of an annotation
KEEP = timedelta(days=1)  # an ended resource; longer than a triggerer may be away


class Platform(KubernetesPlatform[Config]):
    """A namespace that the Flink Kubernetes Operator watches."""

    def __init__(self, config: Config, name: str, clients: Clients) -> None:
        self.operator = operator(config.type, is_session=config.session is not None, is_emr=config.emr is not None)
        super().__init__(config, name, clients)
        self.streams = Streams(self.resources)
        self.savepoints = Savepoints(self.streams.stored)

    def render(self, job: FlinkJob, identity: JobIdentity) -> Request:
        """The resource, as ``{"resource": object}``; of what is done to a stream ``{act: {"name", "labels"}}``.

        Raises SpecError for a job that cannot run so.
        """
        kind = self.operator.type
        for act in ACTS:
            target = getattr(job, act)
            if target is not None:
                stream = identity.of_task(target)
                labels = {f"{PREFIX}instance": stream.instance, TASK_KEY: stream.lasting_key[:16]}
                body = {act: {"name": resource_name(self.config, stream.lasting_name), "labels": labels}}
                name, is_lasting = identity.name, True
                return Request(self.name, kind, name, identity.token, digest(act, target), body, is_lasting)
        work_hash, title = digest(spec(self.config, job, "", {}, "")), f"{identity.dag_id}.{identity.task_id}"
        is_lasting = job.is_stream
        name = resource_name(self.config, identity.lasting_name if is_lasting else identity.name)
        tags = identity.lasting_tags(work_hash) if is_lasting else identity.tags(work_hash)
        resource = self.resource(name, identity.token, tags, spec(self.config, job, name, tags, title))
        if is_lasting and job.from_:
            resource["metadata"]["annotations"][FROM] = job.from_
        return Request(self.name, kind, name, identity.token, work_hash, {"resource": resource}, is_lasting)

    def submit(self, request: Request) -> JobRef:
        """Make the resource of a bounded job; make, change or stop that of a stream."""
        stop = request.body.get("stop")
        if stop is not None:
            return self.streams.stop(stop["name"], stop["labels"])
        resource = request.body["resource"]
        if not request.is_lasting:
            return self.resources.submit(request)
        metadata = resource["metadata"]
        annotations = metadata["annotations"] | {
            CHANGED: self.clients.time.now().isoformat(),
            GIVEN_UP: "",
            SAVED: "",
            WHY: "",
        }
        return self.streams.deploy({**resource, "metadata": {**metadata, "annotations": annotations}})

    def save(self, request: Request, seconds: float) -> str:
        """Take the savepoint that a request asks for; gives its path."""
        asked = request.body["savepoint"]
        try:
            return self.savepoints.save(asked["name"], asked["labels"], request.token, seconds)
        except PlatformError as error:
            why = "" if error.retryable else self._why_not_saved(asked["name"])
            if not why:
                raise
            msg = f"{error}: {why}"
            raise PlatformError(msg) from error

    def _why_not_saved(self, name: str) -> str:
        """What the job manager says of its last checkpoint or savepoint that failed."""
        try:
            found = self.calls.get(self.operator.kind, self.config.namespace, name, CALL_SECONDS)
            if found is None:
                return ""
            ref = self.operator.ref(self.calls.server.host, found)
            job_id = self._job_id(ref, CALL_SECONDS)
            return job_manager.unsaved(partial(self._ask, ref, seconds=CALL_SECONDS), job_id) if job_id else ""
        except PlatformError:
            return ""

    def cancel(self, ref: JobRef) -> None:
        """Delete the resource. A stream is never deleted: one that runs is left, one that does not is suspended."""
        resource = self.resources.resource(ref)
        if resource is None or not is_stream(resource):
            super().cancel(ref)
            return
        if self._is_left(resource):
            log.warning("%s is a stream and is left as it is; a task `flink: {stop: ...}` stops it", ref)
            return
        failure = self.explain(ref)  # its pods are still there
        cause = failure.model_dump(mode="json", include={"category", "message"})
        asked, resource = self.clients.time.now(), self.resources.resource(ref)  # again: that took its time
        if resource is None or self._is_left(resource):
            log.warning("%s has come up or has ended meanwhile, and is left as it is", ref)
            return
        status = self.operator.status("", resource)
        self.streams.give_up(resource, json.dumps(cause | {"message": failure.message[:_CAUSE_MAX]}))
        if status.state is JobState.STARTING:
            try:
                self.streams.let_go(resource, lambda: self._has_no_state(ref, asked))
            except PlatformError as error:
                log.warning("%s was given up and may run on: %s", ref, error)

    def _is_left(self, resource: Mapping[str, Any]) -> bool:
        """True for a stream that runs, or that came to its end: only a task of its pipeline stops it."""
        status = self.operator.status("", resource)
        runs = status.state is JobState.RUNNING
        return status.state.is_terminal or (runs and (status.is_well or is_stale(resource)))  # stale: as before it does

    def _has_no_state(self, ref: JobRef, since: datetime) -> bool:
        """True for a version that never ran: its operator finds no state of it, or its job manager has no job."""
        namespace, _, uid = ref.path
        for event in self.calls.list(EVENTS, namespace, CALL_SECONDS, fieldSelector=f"involvedObject.uid={uid}"):
            seen = moment(event.get("lastTimestamp") or event.get("eventTime"))
            if _NO_STATE in str(event.get("message")) and seen and seen >= since.replace(microsecond=0):
                return True
        return job_manager.has_no_job(partial(self._ask, ref, seconds=CALL_SECONDS))

    def release(self, ref: JobRef) -> None:
        """Have the pods of an ended bounded job removed, its end noted; the resource stays a day."""
        resource = self.resources.resource(ref)
        if resource is None or is_stream(resource) or not self.operator.status("", resource).state.is_terminal:
            return
        metadata = resource["metadata"]
        if ENDED not in (metadata.get("annotations") or {}):
            status, now = self.operator.status("", resource), self.clients.time.now()
            noted = f"{status.state.value} {(status.ended or now).isoformat()}"
            body = {"metadata": {"annotations": {ENDED: noted}}, "spec": {"job": {"state": "suspended"}}}
            self.calls.patiently("PATCH", self.operator.kind.path(metadata["namespace"], metadata["name"]), body=body)
        self.resources.sweep(metadata["labels"][f"{PREFIX}instance"], self.clients.time.now() - KEEP)

    def explain(self, ref: JobRef, seconds: float = EXPLAIN_SECONDS) -> JobFailure:
        """From the resource, its job manager's exceptions, its pods and events, and its log."""
        ask = partial(self._failures, ref)
        failure = explain(ref, self.resources, self.links(ref), root_cause=root_cause, ask_engine=ask, seconds=seconds)
        try:
            resource = self.resources.resource(ref, CALL_SECONDS)
        except PlatformError:
            resource = None
        if resource is None:
            return failure
        cause = _cause(resource)
        told = (f"before it was suspended: {cause['message']}",) if cause else ()
        more = (*told, *_slots(resource, failure), *_saved(resource))
        return failure.model_copy(update={**cause, "evidence": (*failure.evidence, *more)})

    def links(self, ref: JobRef) -> dict[str, str]:
        """Where to look while it runs; no call is made."""
        state = self.config.state and f"{self.config.state.rstrip('/')}/savepoints/{{name}}"
        places = {"Flink UI": self.config.flink_ui, "Savepoints": state, "Resource": self.config.kubernetes_ui}
        return self._links(ref, places)

    def telemetry(self, ref: JobRef) -> Telemetry:
        """The pods that are still there; a stream's must be seen, since none would mean that they ended."""
        status, resource = self.resources.look(ref)
        must_see = resource is not None and is_stream(resource)
        lives, unseen = (self._lives(self.resources.pods(ref)), ()) if must_see else self._lives_of(ref)
        manager = next((life for life in lives if life.pod.role == self.operator.pods.lead), None)
        shared = f"it ran on pods of session cluster {self.config.session}, which its jobs share"
        return Telemetry(
            pods=tuple(life.pod for life in lives),
            **assumed(self.config.priced_as),
            event_log=archive_of(self.config, ref.path[1]) if self.config.session is None else None,
            submitted=status.submitted,
            scheduled=manager.scheduled if manager else None,
            started=status.started or (manager.started if manager else None),
            ended=status.ended,
            why=(*unseen, shared) if self.config.session is not None else unseen,
        )

    def checkpoints(self, ref: JobRef) -> int:
        """How many checkpoints the job completed since it was started last; 0 while it has no job manager."""
        job_id = self._job_id(ref, CALL_SECONDS)
        return job_manager.checkpoints(partial(self._ask, ref, seconds=CALL_SECONDS), job_id) if job_id else 0

    def inner_jobs(self, ref: JobRef) -> tuple[Mapping[str, Any], ...]:
        """The job as its manager tells it; nothing while it has none."""
        job_id = self._job_id(ref, CALL_SECONDS)
        return (job_manager.living(partial(self._ask, ref, seconds=CALL_SECONDS), job_id),) if job_id else ()

    def _failures(self, ref: JobRef, seconds: float) -> str:
        """The exceptions that the job manager keeps, while it is there."""
        job_id = self._job_id(ref, seconds)
        return job_manager.failures(partial(self._ask, ref, seconds=seconds), job_id) if job_id else ""

    def _job_id(self, ref: JobRef, seconds: float) -> str:
        """Flink's own id of the job; empty before it has one."""
        resource = self.resources.resource(ref, seconds) or {}
        return str(((resource.get("status") or {}).get("jobStatus") or {}).get("jobId") or "")

    def _ask(self, ref: JobRef, path: str, *, seconds: float) -> Any:
        """The REST API of the job's manager, through the API server: a GET of ``services/proxy``."""
        namespace, name, _ = ref.path
        path, _, query = path.partition("?")
        where = SERVICES.path(namespace, f"{self.config.session or name}-rest:{REST_PORT}", f"proxy/{path}")
        text = self.calls.text(where, dict(parse_qsl(query)), seconds)
        try:
            return json.loads(text)
        except ValueError as error:
            msg = f"the job manager of {ref} answered {path} with no JSON: {text[:80]!r}"
            raise PlatformError(msg, retryable=True) from error


def _cause(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Category and message of a stream that was given up, as they were told then; empty for any other."""
    noted = (resource["metadata"].get("annotations") or {}).get(WHY)
    try:
        cause = JobFailure.model_validate_json(noted) if noted else None
    except ValueError:
        cause = None
    return {"category": cause.category, "message": cause.message} if cause else {}


def _saved(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """Where the state of a stream is that does not run, and how to go on from there."""
    if not is_stream(resource):
        return ()
    savepoint = last_savepoint(resource.get("status") or {})
    if not savepoint:
        return ("no savepoint of the stream is known; its checkpoints are in its folder of checkpoints",)
    return (
        f"the stream's state was saved last in {savepoint}",
        f"to go back, deploy what ran before with from: {savepoint}",
    )


def _slots(resource: Mapping[str, Any], failure: JobFailure) -> tuple[str, ...]:
    """What a job may have that asked for more than its YAML says."""
    most = ((resource.get("spec") or {}).get("flinkConfiguration") or {}).get(MOST_SLOTS)
    if failure.category != "unschedulable" or not most:
        return ()
    return (f"it may have {most} slots, which its parallelism asks for; `parallelism` or conf {MOST_SLOTS} gives more",)
