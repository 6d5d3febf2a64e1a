"""What all platform types share whose Spark jobs are custom resources of an operator: everything but the `spec`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.priced_as import assumed
from airflow_doeks.model.record import JobFailure
from airflow_doeks.model.status import JobRef, Request
from airflow_doeks.model.telemetry import Telemetry
from airflow_doeks.platforms.kubernetes.failure import SECONDS as EXPLAIN_SECONDS
from airflow_doeks.platforms.kubernetes.failure import explain
from airflow_doeks.platforms.kubernetes.labels import label_forms
from airflow_doeks.platforms.kubernetes.platform import KubernetesPlatform
from airflow_doeks.platforms.root_cause import root_cause
from airflow_doeks.platforms.spark.conf import spec_hash
from airflow_doeks.platforms.spark.pods import Requested, requested_pods
from airflow_doeks.platforms.spark.resource.config import SparkConfig
from airflow_doeks.platforms.spark.resource.work import SparkWork, event_log_of, spark_work

if TYPE_CHECKING:
    from airflow_doeks.model.job import SparkJob


class SparkPlatform(KubernetesPlatform[SparkConfig]):
    """A namespace that a Spark operator watches.

    A platform type gives ``operator``, what its operator calls things, and ``spec``.
    """

    @staticmethod
    @abstractmethod
    def spec(config: SparkConfig, job: SparkJob, work: SparkWork, tags: Mapping[str, str]) -> dict[str, Any]:
        """The ``spec`` of a job's resource; without tags, the work alone, whoever asks for it."""

    def render(self, job: SparkJob, identity: JobIdentity) -> Request:
        """The resource of an attempt: the body is ``{"resource": object, "event_log": URL or None}``.

        Raises SpecError for a job that the operator cannot run.
        """
        config, inject = self.config, self.clients.inject
        work_hash = spec_hash(self.spec(config, job, spark_work(config, job, inject, None, {}), {}))
        tags = identity.tags(work_hash)
        spec = self.spec(config, job, spark_work(config, job, inject, identity, label_forms(tags)), tags)
        resource = self.resource(identity.name, identity.token, tags, spec)
        event_log = event_log_of(config, identity.name) if inject.event_log else None
        body = {"resource": resource, "event_log": event_log}
        return Request(self.name, self.operator.type, identity.name, identity.token, work_hash, body)

    def submit(self, request: Request) -> JobRef:
        """Make the folder of the event log, then the resource; the token makes any number of calls one job."""
        if request.body["event_log"]:
            self._make_folder(request.body["event_log"])
        return self.resources.submit(request)

    def explain(self, ref: JobRef, seconds: float = EXPLAIN_SECONDS) -> JobFailure:
        """From the resource, its pods and events, and the driver's log."""
        return explain(ref, self.resources, self.links(ref), root_cause=root_cause, seconds=seconds)

    def links(self, ref: JobRef) -> dict[str, str]:
        """Where to look while it runs and after; no call is made."""
        places = {
            "Spark UI": self.config.spark_ui,
            "Spark History Server": self.config.history_server,
            "Resource": self.config.kubernetes_ui,
        }
        return self._links(ref, places)

    def telemetry(self, ref: JobRef) -> Telemetry:
        """The pods that are still there, and where the event log is."""
        (status, resource), (lives, unseen) = self.resources.look(ref), self._lives_of(ref)
        asked = Requested((), ())
        if resource is not None:
            conf, since, until = self.operator.conf(resource), status.submitted, status.ended
            asked = requested_pods(conf, since=since, until=until, node_labels=self.config.node_labels)
        driver = next((life for life in lives if life.pod.role == "driver"), None)
        return Telemetry(
            pods=tuple(life.pod for life in lives),
            requested=asked.pods,
            **assumed(self.config.priced_as),
            event_log=event_log_of(self.config, ref.path[1]),
            submitted=status.submitted,
            scheduled=driver.scheduled if driver else None,
            started=driver.started if driver else None,
            ended=status.ended or (driver.ended if driver else None),
            why=unseen if self.config.event_logs else (*unseen, "no event log: set event_logs of the platform"),
        )

    def asks(self, request: Request) -> Telemetry:
        """The pods of its Spark properties and of what the resource itself says."""
        conf, labels = self.operator.conf(request.body["resource"]), self.config.node_labels
        asked = requested_pods(conf, since=None, until=None, node_labels=labels)
        return Telemetry(requested=asked.pods, **assumed(self.config.priced_as), why=asked.why)

    def _make_folder(self, url: str) -> None:
        """Spark wants the folder of its event log to exist; S3 has none but an object whose name ends in a slash."""
        try:
            if url.startswith("file:"):
                folder = Path(unquote(urlsplit(url).path))
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o777)  # pods write it, as whatever user their image has
                return
            parent, _, name = url.rpartition("/")
            store: Any = self.clients.store(parent, self.config.aws_connection)
            store.write(f"{name}/", b"")
        except OSError as error:
            msg = f"{url}, the folder of its event log, could not be made: {error}"
            raise PlatformError(msg, retryable=not isinstance(error, PermissionError)) from error
