"""The stored resources of streams: looked at, and changed only as they were looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.identity import PREFIX, TASK_KEY
from airflow_doeks.model.status import JobRef
from airflow_doeks.platforms.kubernetes.resources import COMPONENT, Resources
from airflow_doeks.platforms.patience import Refusal

Json = Mapping[str, Any]
OURS = (f"{PREFIX}instance", TASK_KEY)  # labels that only the tasks of one stream have
PATCH_SECONDS = 30.0
_SAME = ("uid", "generation")  # of a resource whose spec nobody changed


class Stored:
    """What the API server of one namespace has."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self.calls, self.kind, self.namespace = resources.calls, resources.operator.kind, resources.namespace

    def apply(self, resource: Json, spec: Json, *, job: Json | None = None, of: Json | None = None) -> dict[str, Any]:
        """Server-side apply of the whole; ``of``: only to the resource that was looked at."""
        metadata, kind = dict(resource["metadata"]), self.kind
        if of is not None:
            metadata["uid"] = of["metadata"]["uid"]
        body = {**resource, "metadata": metadata, "spec": {**resource["spec"], **spec}}
        body["spec"]["job"] = {**resource["spec"]["job"], **(job or {})}
        query = {"fieldManager": COMPONENT, "fieldValidation": "Strict", "force": of is not None}
        return self.calls.patiently("APPLY", kind.path(metadata["namespace"], metadata["name"]), query=query, body=body)

    def wish(self, found: Json, job: Json) -> None:
        """Change a few words of a stream, if nobody changed its spec since it was looked at.

        Its operator writes the status at any time, which makes a stored resource another one as well: it is looked at
        again then.
        """
        clock, looked = self.calls.patience.clock, found
        until = clock.monotonic() + PATCH_SECONDS
        while not self._is_patched(looked, job, {}):
            looked = self.get(found["metadata"]["name"]) or {"metadata": {}}
            is_other = any(looked["metadata"].get(key) != found["metadata"][key] for key in _SAME)
            if is_other or clock.monotonic() > until:
                raise self._changed(found)

    def patch(self, found: Json, job: Json, annotations: Json) -> None:
        """Change a few words of a stream, if neither its spec nor its status changed since it was looked at."""
        if not self._is_patched(found, job, annotations):
            raise self._changed(found)

    def _is_patched(self, looked: Json, job: Json, annotations: Json) -> bool:
        """False if the stored resource is another one than was looked at."""
        metadata = looked["metadata"]
        noted = {"resourceVersion": metadata["resourceVersion"], "annotations": dict(annotations)}
        body = {"metadata": noted, "spec": {"job": dict(job)}}
        path = self.kind.path(metadata["namespace"], metadata["name"])
        try:
            self.calls.patiently("PATCH", path, query={"fieldManager": COMPONENT}, body=body)
        except Refusal as refusal:
            if refusal.kind != "conflict":
                raise
            return False
        return True

    def _changed(self, found: Json) -> PlatformError:
        msg = f"{self.ref(found)} was changed by somebody else just now; the task is tried again"
        return PlatformError(msg, retryable=True)

    def get(self, name: str) -> dict[str, Any] | None:
        """The resource of a stream, or None."""
        return self.calls.get(self.kind, self.namespace, name)

    def known(self, name: str, labels: Json) -> dict[str, Any]:
        """The resource of a stream that was deployed; raises PlatformError if it was not, or not by this task."""
        found = self.get(name)
        if found is None:
            msg = f"there is no stream {self.namespace}/{name}: the task that deploys it has not run here"
            raise PlatformError(msg)
        self.refuse_others(found, labels)
        return found

    def refuse_others(self, found: Json, labels: Json) -> None:
        """Raise PlatformError where the resource is another task's, or is on its way out."""
        if "deletionTimestamp" in found["metadata"]:
            msg = f"{self.ref(found)} is being deleted; the task is tried again"
            raise PlatformError(msg, retryable=True)
        theirs = found["metadata"].get("labels") or {}
        if any(labels[key] != theirs.get(key) for key in OURS):
            self._resources.refuse(found)

    def ref(self, resource: Json) -> JobRef:
        """How a stream is named everywhere else."""
        return self._resources.operator.ref(self.calls.server.host, resource)
