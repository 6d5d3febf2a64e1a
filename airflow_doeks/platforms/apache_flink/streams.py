"""Streams: one resource a task, deployed, changed and stopped in place; never deleted by us, never two.

Whoever deploys, and however often, sends the whole of what a stream should be (server-side apply) to the one resource
of its task; the operator replaces what runs by the upgrade that the spec names. Equal work sends nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.identity import PREFIX
from airflow_doeks.model.status import JobRef
from airflow_doeks.platforms.apache_flink.savepoints import POLL_SECONDS, refuse_without_folder
from airflow_doeks.platforms.apache_flink.stored import Stored
from airflow_doeks.platforms.flink.operator import GIVEN_UP, SAVED, WHY, last_savepoint
from airflow_doeks.platforms.kubernetes.resources import Resources
from airflow_doeks.platforms.patience import Refusal, seconds_left

log = logging.getLogger(__name__)

Json = Mapping[str, Any]
FROM = f"{PREFIX}from"  # annotation: the savepoint that a stream was last told to start from
SPEC = f"{PREFIX}spec"
GONE_SECONDS, SUSPEND_SECONDS = 120.0, 30.0
_STOPPED = "SUSPENDED"


class Streams:
    """The streams of one namespace."""

    def __init__(self, resources: Resources) -> None:
        self._resources, self._calls = resources, resources.calls
        self.stored = Stored(resources)

    def deploy(self, resource: Json) -> JobRef:
        """What the resource says is what runs, sooner or later; nothing is sent where it is so already."""
        found = self.stored.get(resource["metadata"]["name"])
        if found is None:
            return self.stored.ref(self.stored.apply(resource, {}))
        self.stored.refuse_others(found, resource["metadata"]["labels"])
        if _is_equal(found, resource) and not self._has_died(found):
            log.info("%s is as this task wants it: nothing is sent", self.stored.ref(found))
            return self.stored.ref(found)
        before, job = found["metadata"].get("annotations") or {}, resource["spec"]["job"]
        start, saved = resource["metadata"]["annotations"].get(FROM), before.get(SAVED)
        if start and start != before.get(FROM):
            return self._start_from(found, resource)
        if saved and _is_suspended(found) and job["upgradeMode"] != "stateless":
            job = {**job, "initialSavepointPath": saved}  # also where `from` says where it once began
            return self._start_from(found, {**resource, "spec": {**resource["spec"], "job": job}})
        nonce = {"restartNonce": _nonce()} if self._has_died(found) else {}
        return self.stored.ref(self.stored.apply(resource, nonce, of=found))

    def stop(self, name: str, labels: Json) -> JobRef:
        """Suspend a stream with a savepoint, whose path its status tells; one that is suspended already is fine."""
        found = self.stored.known(name, labels)
        if (found["spec"].get("job") or {}).get("state") != "suspended":
            refuse_without_folder(self.stored, found)
            self.stored.wish(found, {"state": "suspended", "upgradeMode": "savepoint"})
        return self.stored.ref(found)

    def give_up(self, found: Json, cause: str) -> None:
        """Suspend a stream that does not come up, by what costs no savepoint: its last state and ``cause`` are kept.

        A stream that was suspended without state starts empty, whatever its next spec says: where no metadata of high
        availability leads to its state, the next deployment starts from the savepoint of the version before.
        """
        spec, why = found["spec"], "it did not come up and was suspended"
        keeps = any(key.startswith("high-availability") for key in spec.get("flinkConfiguration") or {})
        is_empty = (spec.get("job") or {}).get("upgradeMode") == "stateless"
        saved = "" if keeps or is_empty else last_savepoint(found.get("status") or {})
        self.stored.patch(
            found,
            {"state": "suspended", "upgradeMode": "last-state" if keeps else "stateless"},
            {GIVEN_UP: why, WHY: cause} | ({SAVED: saved} if saved else {}),
        )

    def let_go(self, found: Json, has_no_job: Callable[[], bool]) -> None:
        """End a stream that was given up and that the operator cannot suspend, since its new version has no state.

        Its pods go, and the next deployment starts from the savepoint of the version before. Nothing is done where
        anything runs, or where no savepoint is known.
        """
        name, clock = found["metadata"]["name"], self._calls.patience.clock
        if not last_savepoint(found["status"]):
            return
        until = clock.monotonic() + seconds_left(SUSPEND_SECONDS)
        while clock.monotonic() < until:
            clock.sleep(POLL_SECONDS)
            found = self.stored.get(name) or {}
            if not found or found["status"].get("lifecycleState") == _STOPPED:
                return
        saved = last_savepoint(found["status"])
        if saved and has_no_job():
            log.info("%s has no job to suspend: it is ended, its state is in %s", self.stored.ref(found), saved)
            self.stored.patch(found, {"state": "suspended", "upgradeMode": "stateless"}, {SAVED: saved})

    def _start_from(self, found: Json, resource: Json) -> JobRef:
        """A stream that is there, from another savepoint: newer operators redeploy it, older ones need it stopped."""
        try:
            job = {"savepointRedeployNonce": _nonce()}
            return self.stored.ref(self.stored.apply(resource, {}, job=job, of=found))
        except Refusal as refusal:
            if "savepointRedeployNonce" not in str(refusal):
                raise
        if (found.get("status") or {}).get("lifecycleState") != _STOPPED:
            msg = (
                f"{self.stored.ref(found)} runs, and operators before 1.8 start only what was stopped from a "
                "savepoint. Stop the stream with a task `flink: {stop: ...}` first; its savepoint is kept."
            )
            raise PlatformError(msg)
        self._delete(found)
        return self.stored.ref(self.stored.apply(resource, {}))

    def _delete(self, found: Json) -> None:
        """Remove the resource of a stream that was stopped, and wait until it is gone; savepoints stay."""
        kind, metadata, clock = self._resources.operator.kind, found["metadata"], self._calls.patience.clock
        log.info("%s was stopped with %s; it is made anew", self.stored.ref(found), last_savepoint(found["status"]))
        options = {"propagationPolicy": "Foreground", "preconditions": {"uid": metadata["uid"]}}
        self._calls.patiently("DELETE", kind.path(metadata["namespace"], metadata["name"]), body=options)
        until = clock.monotonic() + GONE_SECONDS
        while self.stored.get(metadata["name"]) is not None:
            if clock.monotonic() > until:
                msg = f"{metadata['name']} is not gone after {GONE_SECONDS:.0f} s; the task is tried again"
                raise PlatformError(msg, retryable=True)
            clock.sleep(POLL_SECONDS)

    def _has_died(self, found: Json) -> bool:
        """True for a stream whose job came to an end that nobody asked for."""
        return self._resources.operator.status("", found).state.is_terminal and not _is_suspended(found)


def _is_equal(found: Json, resource: Json) -> bool:
    same = (found["metadata"].get("labels") or {}).get(SPEC) == resource["metadata"]["labels"][SPEC]
    return same and (found["spec"].get("job") or {}).get("state") != "suspended"


def _is_suspended(found: Json) -> bool:
    return bool((found["spec"].get("job") or {}).get("state") == "suspended")


def _nonce() -> int:
    """A number that no earlier call gave."""
    return time.time_ns() // 1_000_000
