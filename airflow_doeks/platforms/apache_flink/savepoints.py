"""Savepoints of streams that run on: by a resource of their own, or as operators before 1.10 take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.platforms.apache_flink.stored import OURS, Stored
from airflow_doeks.platforms.flink.operator import reconciled
from airflow_doeks.platforms.kubernetes.server import EVENTS, Kind
from airflow_doeks.platforms.patience import Refusal

Json = Mapping[str, Any]
SNAPSHOTS = Kind("flink.apache.org", "v1beta1", "flinkstatesnapshots", "FlinkStateSnapshot")  # operator 1.10 and newer
POLL_SECONDS = 2.0
_FOLDERS = ("state.savepoints.dir", "execution.checkpointing.savepoint-dir")


class Savepoints:
    """The savepoints of one namespace's streams."""

    def __init__(self, stored: Stored) -> None:
        self._stored, self._calls = stored, stored.calls

    def save(self, name: str, labels: Json, token: str, seconds: float) -> str:
        """Take a savepoint of a stream that runs on, and give its path; the same token takes one.

        Raises PlatformError where it fails, or takes longer than ``seconds``.
        """
        found = self._stored.known(name, labels)
        refuse_without_folder(self._stored, found)
        look = self._snapshot(found, token)
        until = self._calls.patience.clock.monotonic() + seconds
        while True:
            path: str = look()
            if path:
                return path
            if self._calls.patience.clock.monotonic() > until:
                msg = f"{self._stored.ref(found)} took no savepoint within {seconds:.0f} s; it runs on"
                raise PlatformError(msg, retryable=True)
            self._calls.patience.clock.sleep(POLL_SECONDS)

    def _snapshot(self, found: Json, token: str) -> Callable[[], str]:
        """Trigger a savepoint by what this API server knows; gives the function that looks for its path."""
        metadata, kind = found["metadata"], self._stored.kind
        name, namespace = f"{metadata['name'][:40].rstrip('-')}-{token[:12]}", metadata["namespace"]
        keys = {key: value for key, value in metadata["labels"].items() if key in OURS}
        body = {
            "apiVersion": SNAPSHOTS.api_version,
            "kind": SNAPSHOTS.name,
            "metadata": {"name": name, "namespace": namespace, "labels": keys},
            "spec": {
                "jobReference": {"kind": kind.name, "name": metadata["name"]},
                "savepoint": {"disposeOnDelete": False},  # the operator's default deletes it with this resource
                "backoffLimit": 2,
            },
        }
        try:
            self._calls.patiently("POST", SNAPSHOTS.path(namespace), body=body)
        except Refusal as refusal:
            if refusal.kind == "missing":
                return self._by_nonce(found, token)
            if refusal.kind != "conflict":  # conflict: this attempt has triggered it
                raise
        return lambda: self._snapshot_path(namespace, name)

    def _snapshot_path(self, namespace: str, name: str) -> str:
        status = (self._calls.get(SNAPSHOTS, namespace, name) or {}).get("status") or {}
        if status.get("state") in ("FAILED", "ABANDONED"):
            msg = f"savepoint {name} {status['state']}: {status.get('error') or 'the operator tells no reason'}"
            raise PlatformError(msg)
        return str(status.get("path") or "") if status.get("state") == "COMPLETED" else ""

    def _by_nonce(self, found: Json, token: str) -> Callable[[], str]:
        """As operators before 1.10 do it: a number in the spec, and the savepoint of that number in the status."""
        nonce, before = int(token[:12], 16), (found["spec"].get("job") or {}).get("savepointTriggerNonce")
        if before != nonce:
            self._stored.wish(found, {"savepointTriggerNonce": nonce})
        return lambda: self._nonce_path(found["metadata"]["name"], nonce, None if before == nonce else before)

    def _nonce_path(self, name: str, nonce: int, before: int | None) -> str:
        found = self._stored.get(name) or {}
        status = found.get("status") or {}
        info = (status.get("jobStatus") or {}).get("savepointInfo") or {}
        last = info.get("lastSavepoint") or {}
        if last.get("triggerNonce") == nonce:
            return str(last.get("location") or "")
        is_taken = ((reconciled(status).get("job") or {}).get("savepointTriggerNonce")) == nonce
        if (is_taken and not info.get("triggerId")) or self._has_failed(found, nonce):
            if not is_taken:  # operator 1.7 tries again and again, for ever: no later savepoint is anybody's
                self._stored.wish(found, {"savepointTriggerNonce": before})
            msg = f"the savepoint of {name} failed, and the stream runs on"
            raise PlatformError(msg)
        return ""

    def _has_failed(self, found: Json, nonce: int) -> bool:
        """True if the operator told of the savepoint of this number that it failed, though it goes on trying."""
        metadata = found.get("metadata") or {}
        about = f"involvedObject.uid={metadata.get('uid')}"
        events = self._calls.list(EVENTS, self._stored.namespace, fieldSelector=about) if metadata else []
        return any(one.get("reason") == "SavepointError" and str(nonce) in str(one.get("message")) for one in events)


def refuse_without_folder(stored: Stored, found: Json) -> None:
    """Raise PlatformError for a stream whose savepoints would have no place to go."""
    conf = found["spec"].get("flinkConfiguration") or {}
    if not any(key in conf for key in _FOLDERS):
        msg = (
            f"{stored.ref(found)} has no folder of savepoints. Deploy it with `state.savepoints`, or `state` of the "
            "platform, first."
        )
        raise PlatformError(msg)
