"""What the whole suite left behind, counted at the API server: the last file by its name, after all others have run."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.kube.conftest import OPERATORS, SESSION, kubectl

pytestmark = [pytest.mark.slow]
GRACE_SECONDS = 60  # of a pod whose resource was just deleted
INSTANCE = "airflow-doeks/instance"
KINDS = (*OPERATORS.values(), "flinkdeployments.flink.apache.org", "flinksessionjobs.flink.apache.org")
ENDED = {"COMPLETED", "FAILED", "SUBMISSION_FAILED", "SUSPENDED", "FINISHED", "CANCELED"}
ENDED |= {"ResourceReleased", "TerminatedWithoutReleaseResources"}


def of_this_session(kind: str) -> list[dict[str, Any]]:
    """What is labelled as an Airflow of these tests, in every namespace."""
    items = json.loads(kubectl("get", kind, "-A", "-o", "json", "-l", INSTANCE))["items"]
    return [item for item in items if SESSION in item["metadata"]["labels"][INSTANCE]]


def states(item: dict[str, Any]) -> set[str]:
    """The operator's words for how far a resource is."""
    status = item.get("status") or {}
    words = [
        (status.get("applicationState") or {}).get("state"),
        (status.get("currentState") or {}).get("currentStateSummary"),
        (status.get("jobStatus") or {}).get("state"),
        status.get("lifecycleState"),
    ]
    return {word for word in words if word}


def running() -> list[tuple[str, str, str]]:
    """Namespace, name and phase of the pods that have not ended."""
    places = [(pod["metadata"], pod["status"]["phase"]) for pod in of_this_session("pods")]
    return [
        (metadata["namespace"], metadata["name"], phase)
        for metadata, phase in places
        if phase not in ("Succeeded", "Failed")
    ]


def test_nothing_of_the_suite_lives_on() -> None:
    """Every resource that is still there has ended, as time-to-live keeps it; no pod, driver or executor, runs."""
    served = kubectl("get", "crd", "-o", "name")
    kept = [item for kind in KINDS if kind in served for item in of_this_session(kind)]
    alive = [(item["kind"], item["metadata"]["name"], states(item)) for item in kept if not states(item) & ENDED]
    until = time.monotonic() + GRACE_SECONDS
    while (pods := running()) and time.monotonic() < until:
        time.sleep(2)
    assert (alive, pods) == ([], [])
