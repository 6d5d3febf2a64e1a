"""A node that is deleted under a job: scheduler, pod collector and operator are real, its kubelet is played.

A cluster for tests has one node, whose end nothing would survive. So the job is put on a Node object that the test
makes, and the test writes what its kubelet would; all others take it for a machine.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import aclosing
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_doeks.model.status import JobState
from airflow_doeks.model.telemetry import Sighting
from tests.kube.conftest import NAMESPACE, SESSION, kubectl, listed
from tests.kube.test_api_server import RESOURCE, platform, request
from tests.kube.test_bad_days import comes, left, living

LABEL = "doeks-test"
CAPACITY = {"cpu": "16", "memory": "64Gi", "pods": "20"}


@pytest.fixture
def node() -> Iterator[str]:
    """A Spot node of Karpenter's that only pods of this test may go to."""
    name = f"doeks-test-{SESSION}"
    labels = {LABEL: SESSION, "node.kubernetes.io/instance-type": "m7g.4xlarge", "karpenter.sh/capacity-type": "spot"}
    labels |= {"topology.kubernetes.io/zone": "us-east-1a"}
    item = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
    kubectl("apply", "-f", "-", text=json.dumps(item | {"spec": {"taints": [taint()]}}))
    over = threading.Event()
    beating = threading.Thread(target=beat, args=(name, over))
    beating.start()
    try:
        yield name
    finally:
        over.set()
        beating.join()
        kubectl("delete", "node", name, "--ignore-not-found")


def beat(name: str, over: threading.Event) -> None:
    """Say every few seconds that the node is ready, as its kubelet would, until it is deleted."""
    while not over.is_set():
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": _now()}
        try:
            write("node", name, {"capacity": CAPACITY, "allocatable": CAPACITY, "conditions": [ready]})
        except subprocess.CalledProcessError:  # it is gone
            return
        over.wait(8)


def taint() -> dict[str, str]:
    """What keeps the pods of others away."""
    return {"key": LABEL, "value": SESSION, "effect": "NoSchedule"}


def write(kind: str, name: str, status: dict[str, Any]) -> None:
    """Write a status, as a kubelet does."""
    scope = ("-n", NAMESPACE) if kind == "pod" else ()
    kubectl(*scope, "patch", kind, name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))


def neighbour(node: str) -> None:
    """Somebody else's pod on the node, of 4 GiB."""
    container = {"name": "web", "image": "acme/web:1", "resources": {"requests": {"cpu": "50m", "memory": "4Gi"}}}
    spec = {"nodeName": node, "containers": [container], "tolerations": [{"operator": "Exists"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{node}-web"}, "spec": spec}
    kubectl("-n", NAMESPACE, "create", "-f", "-", text=json.dumps(pod))


def run_pod(pod: dict[str, Any]) -> None:
    """The pod's container runs, as its kubelet would say."""
    (container,) = pod["spec"]["containers"]
    state = {"running": {"startedAt": _now()}}
    seen = {"name": container["name"], "image": container["image"], "imageID": "a", "ready": True, "restartCount": 0}
    write("pod", pod["metadata"]["name"], {"phase": "Running", "containerStatuses": [seen | {"state": state}]})


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_a_node_that_is_deleted_takes_its_driver_with_it(node: str) -> None:
    """The job failed for the loss of its node, nothing is submitted anew, and its driver costs what it cost.

    What all pods held of the node is known: admins may list them.
    """
    tolerated = {"key": LABEL, "operator": "Equal", "value": SESSION, "effect": "NoSchedule"}
    made, told, seen = platform(), [], {}
    neighbour(node)
    sent, _ = request(made, f"node-{SESSION}", node_selector={LABEL: SESSION}, tolerations=[tolerated])
    ref = made.submit(sent)

    async def follow() -> None:
        async with aclosing(made.feed(made.scope(ref), {ref})) as feed:
            async for news in feed:
                if isinstance(news, Sighting):
                    seen[news.pod.uid] = news
                elif told[-1:] != [news.state]:
                    told.append(news.state)

    following = asyncio.create_task(follow())
    try:
        await comes(lambda: [pod for pod in living("node") if pod["spec"].get("nodeName") == node])
        (driver,) = living("node")
        run_pod(driver)
        await comes(lambda: JobState.RUNNING in told)
        kubectl("delete", "node", node, "--wait=false")
        await comes(lambda: JobState.FAILED in told)
        failure = await asyncio.to_thread(made.explain, ref)
        await comes(lambda: seen[driver["metadata"]["uid"]].pod.ended)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert failure.category == "spot_loss", failure
    lost = seen[driver["metadata"]["uid"]]
    assert (lost.node.instance_type, lost.node.capacity_type, lost.node.zone) == ("m7g.4xlarge", "spot", "us-east-1a")
    assert lost.pod.started < lost.pod.ended
    assert lost.node.allocated_memory_gib == pytest.approx(lost.pod.memory_gib + 4)
    (resource,) = left(RESOURCE, "node")
    assert (resource["status"]["applicationState"]["state"], living("node")) == ("FAILED", [])
    assert listed("pods", f"spark-app-name={ref.path[1]}") == []
