"""Virtual clusters of EMR on EKS: a namespace of an EKS cluster that EMR may run jobs in. One per namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.platforms.aws_calls import AwsCalls
from airflow_doeks.platforms.patience import Refusal

POLL_SECONDS = 5.0
STATES = {
    "RUNNING": "jobs can be submitted",
    "TERMINATING": "it is being deleted",
    "TERMINATED": "it is gone; its id stays known",
    "ARRESTED": "EMR lost its access to the EKS cluster or namespace and runs no job; restore the access or delete it",
}


def create(
    calls: AwsCalls,
    *,
    name: str,
    eks_cluster: str,
    namespace: str,
    token: str,
    tags: Mapping[str, str] | None = None,
    scheduler: Mapping[str, int] | None = None,
) -> str:
    """The id of the namespace's virtual cluster, made unless it is there; may be called any number of times.

    ``scheduler``: ``maxConcurrentJobRuns`` and ``maxInQueueJobRuns``, 1 to 1000. An ARRESTED one is a PlatformError:
    no second one could run jobs either.
    """
    found = find(calls, eks_cluster, namespace)
    if found is not None:
        if found["state"] == "ARRESTED":
            msg = f"virtual cluster {found['id']} of {eks_cluster}/{namespace} is ARRESTED: {STATES['ARRESTED']}"
            raise PlatformError(msg)
        return str(found["id"])
    provider = {"id": eks_cluster, "type": "EKS", "info": {"eksInfo": {"namespace": namespace}}}
    optional: dict[str, Any] = {"schedulerConfiguration": dict(scheduler)} if scheduler else {}
    answer = calls.patiently(
        "create_virtual_cluster",
        name=name,
        containerProvider=provider,
        clientToken=token,
        tags=dict(tags or {}),
        **optional,
    )
    return str(answer["id"])


def find(calls: AwsCalls, eks_cluster: str, namespace: str) -> dict[str, Any] | None:
    """The namespace's virtual cluster that is RUNNING or ARRESTED; None if there is none."""
    of_eks = {"containerProviderId": eks_cluster, "containerProviderType": "EKS", "states": ["RUNNING", "ARRESTED"]}
    for cluster in calls.pages("list_virtual_clusters", "virtualClusters", **of_eks):
        if cluster["containerProvider"].get("info", {}).get("eksInfo", {}).get("namespace") == namespace:
            return dict(cluster)
    return None


def describe(calls: AwsCalls, virtual_cluster: str) -> dict[str, Any]:
    """What EMR knows of it, times as ISO text, limits and present counts of its scheduler included."""
    shown = dict(calls.patiently("describe_virtual_cluster", id=virtual_cluster)["virtualCluster"])
    if "createdAt" in shown:
        shown["createdAt"] = shown["createdAt"].isoformat()
    return shown | {"meaning": STATES.get(shown.get("state", ""), "a state that this version does not know")}


def delete(calls: AwsCalls, virtual_cluster: str, *, wait_seconds: float = 0.0) -> None:
    """Ask for its end and wait for it; one that is gone or unknown is fine, and so is one that is being deleted."""
    try:
        calls.patiently("delete_virtual_cluster", id=virtual_cluster)
    except Refusal as refusal:
        if refusal.kind == "gone" or is_gone(calls, virtual_cluster):
            return
        if describe(calls, virtual_cluster)["state"] != "TERMINATING":
            raise
    until = calls.clock.monotonic() + wait_seconds
    while wait_seconds and not is_gone(calls, virtual_cluster):
        if calls.clock.monotonic() > until:
            msg = f"virtual cluster {virtual_cluster} is still there {wait_seconds:.0f} s after it was to be deleted"
            raise PlatformError(msg, retryable=True)
        calls.clock.sleep(POLL_SECONDS)


def is_gone(calls: AwsCalls, virtual_cluster: str) -> bool:
    """True if it is TERMINATED or unknown."""
    try:
        return bool(describe(calls, virtual_cluster)["state"] == "TERMINATED")
    except Refusal as refusal:
        if refusal.kind != "gone":
            raise
        return True
