"""What all pods request on the nodes of our jobs: averages over a job's time there, and silence where nobody looked."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace

import pytest

from airflow_doeks.model.telemetry import Node, Pod
from airflow_doeks.platforms.kubernetes.neighbours import Neighbours, Requests, Stay, requests_of
from airflow_doeks.platforms.kubernetes.sightings import PodLife
from airflow_doeks.platforms.patience import Time
from tests.fakes.cluster import NODES, PODS
from tests.platforms.harness_kubeflow_spark import harness
from tests.platforms.test_kubeflow_feed import following, submit
from tests.platforms.test_kubernetes_watch import until

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
SHARED = "ip-10-0-0-1"
TWO = {"resources": {"requests": {"cpu": "2"}}}


def at(seconds):
    """A moment of the test's day."""
    return NOON + timedelta(seconds=seconds)


def pod(*containers, **spec):
    """A pod whose containers request these vCPUs and GiB."""
    made = [{"resources": {"requests": {"cpu": cpu, "memory": memory}}} for cpu, memory in containers]
    return {"spec": {"containers": made} | spec}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (pod(("500m", "1Gi"), ("1", "2Gi")), (1.5, 3, 0)),
        (pod(("1", "1Gi"), initContainers=[{"resources": {"requests": {"cpu": "2"}}}]), (2, 1, 0)),
        (
            pod(("1", "1Gi"), initContainers=[{"restartPolicy": "Always", "resources": {"requests": {"cpu": "2"}}}]),
            (3, 1, 0),
        ),
        (pod(("1", "1Gi"), overhead={"cpu": "250m", "memory": "512Mi"}), (1.25, 1.5, 0)),
        ({"spec": {"containers": [{"resources": {"limits": {"nvidia.com/gpu": "2"}}}, {}]}}, (0, 0, 2)),
        (pod(("much", "1Gi")), (0, 0, 0)),
        ({}, (0, 0, 0)),
    ],
)
def test_a_pod_reserves_what_the_scheduler_counts(item, expected):
    """All containers and side-cars, the largest first step if that is more, and overhead; what is not said is 0."""
    assert requests_of(item) == tuple(map(Decimal, map(str, expected)))


@pytest.mark.parametrize(("cpu", "memory"), [("250000000n", "1073741824000m"), ("25e-2", "1073.741824e6")])
def test_what_others_request_counts_in_every_form_that_an_api_server_keeps(cpu, memory):
    """Of neighbours nobody here chose the form; as 0 they would make the job's part of the node too large."""
    item = {"spec": {"containers": [{"resources": {"requests": {"cpu": cpu, "memory": memory}}}]}}
    assert requests_of(item) == (Decimal("0.25"), Decimal(1), Decimal(0))


def test_an_average_weighs_what_was_seen_by_time():
    """The first look holds for the time before it, the last for the time since: (4 x 60 + 1 x 40) / 100."""
    stay = Stay(at(0), at(0))
    assert stay.mean(at(0)) is None
    stay.note(Requests(Decimal(4)), at(20))
    stay.note(Requests(Decimal(1), Decimal(8)), at(60))
    assert stay.mean(at(100)) == (Decimal("2.8"), Decimal("3.2"), 0)


def test_a_clock_that_is_ahead_makes_no_average_wrong():
    """A pod that was placed in our future is seen at once: what was seen is the average."""
    stay = Stay(at(30), at(30))
    stay.note(Requests(Decimal(4)), at(0))
    assert stay.mean(at(0)) == stay.mean(at(20)) == (4, 0, 0)


@pytest.mark.parametrize("looks", [[200], [10, 200], [10]])
def test_what_nobody_looked_at_for_minutes_has_no_average(looks):
    """A triggerer that came late, a server that was away, a look that is long ago: unknown, not guessed."""
    stay = Stay(at(0), at(0))
    for seconds in looks:
        stay.note(Requests(Decimal(1)), at(seconds))
    assert stay.mean(at(250)) is None


def test_averages_never_hold_more_than_the_node_has():
    """Others went between two looks and ours came: a pod would be priced as a part of more than there is."""
    calls = SimpleNamespace(patience=SimpleNamespace(clock=SimpleNamespace(now=lambda: at(100))))
    neighbours = Neighbours(calls, "job")
    mine = Pod(uid="p", role="executor", node="n", vcpu=Decimal(4), memory_gib=Decimal(2))
    lives = [PodLife(mine, at(100), at(0), at(0), at(100))]
    stay = Stay(at(0), at(0))
    stay.note(Requests(Decimal(3), Decimal(1)), at(50))
    neighbours.stays["n"] = {"mine": stay}
    node = neighbours.with_allocated(Node(uid="n", vcpu=Decimal(4), memory_gib=Decimal(16)), "mine", lives)
    assert (node.allocated_vcpu, node.allocated_memory_gib) == (4, 3)


@pytest.fixture
def kubeflow(tmp_path):
    """A namespace with the operator, and somebody else's pods on its node, in another namespace."""
    with harness(tmp_path) as made:
        made.cluster.now -= timedelta(seconds=60)  # its clock runs ahead with every look
        for name, phase in (("web", "Running"), ("done", "Succeeded")):
            spec = pod(("3", "8Gi"))["spec"] | {"nodeName": SHARED}
            made.cluster.create(PODS, "shop", {"metadata": {"name": name}, "spec": spec, "status": {"phase": phase}})
        yield made


async def test_a_sighting_tells_what_all_pods_held_of_the_node(kubeflow):
    """Others' living pods in all namespaces, and the job's own, on average; asked once when it comes to the node."""
    ref = submit(kubeflow)
    kubeflow.until_running(ref)
    async with following(kubeflow, {ref}) as told:
        await until(lambda: any(_node(sighting).allocated_vcpu for sighting in told["sightings"]))
    node = _node(told["sightings"][-1])
    assert (node.vcpu, node.memory_gib, node.allocated_gpu) == (16, 64, 0)
    assert (node.allocated_vcpu, node.allocated_memory_gib) == (4, 10)  # 3 and 8 of others, 1 and 2 of the driver
    assert kubeflow.server.calls["list all pods"] == 1


async def test_a_node_is_looked_at_again_every_minute(kubeflow):
    """While pods of a followed job are there; whatever others came meanwhile counts from then on."""
    moment = [0.0]
    kubeflow.clock = Time(monotonic=lambda: moment[0])
    ref = submit(kubeflow)
    kubeflow.until_running(ref)
    async with following(kubeflow, {ref}) as told:
        await until(lambda: any(_node(sighting).allocated_vcpu for sighting in told["sightings"]))
        spec = pod(("8", "8Gi"))["spec"] | {"nodeName": SHARED}
        kubeflow.cluster.create(PODS, "shop", {"metadata": {"name": "more"}, "spec": spec, "status": {}})
        moment[0] += 61
        await until(lambda: _node(told["sightings"][-1]).allocated_memory_gib > 10)
        kubeflow.end_driver(ref, 0, "Completed")
        await until(lambda: told["sightings"][-1].pod.ended)
        asked = kubeflow.server.calls["list all pods"]
        moment[0] += 61
        kubeflow.move(ref, "COMPLETED")
        await until(lambda: told[ref][-1].state.is_terminal)
    assert kubeflow.server.calls["list all pods"] == asked


@pytest.mark.parametrize("missing", ["list all pods", "get nodes"])
async def test_without_the_right_nothing_is_known_and_said_once(kubeflow, caplog, missing):
    """Who may not list pods of all namespaces is followed all the same; the log names the right, once."""
    caplog.set_level("INFO")
    kubeflow.server.denied = {missing}
    refs = {submit(kubeflow, map_index=number) for number in range(3)}
    for ref in refs:
        kubeflow.until_running(ref)
    async with following(kubeflow, refs) as told:
        await until(lambda: f'cannot {missing.split()[0]} resource "{missing.split()[-1]}"' in caplog.text)
        for ref in refs:
            kubeflow.end_driver(ref, 0, "Completed")
        await until(lambda: sum(bool(sighting.pod.ended) for sighting in told["sightings"]) >= len(refs))
    assert not any(sighting.node and sighting.node.allocated_vcpu for sighting in told["sightings"])
    assert kubeflow.server.calls["list all pods"] == (missing == "list all pods")


async def test_a_fargate_node_is_its_one_pods(kubeflow):
    """It has no room that others could use: nobody asks what is on it."""
    labels = {"eks.amazonaws.com/compute-type": "fargate"}
    kubeflow.cluster.update(NODES, "", SHARED, {"metadata": {"labels": {"karpenter.sh/capacity-type": None, **labels}}})
    ref = submit(kubeflow)
    kubeflow.until_running(ref)
    async with following(kubeflow, {ref}) as told:
        await until(lambda: any(sighting.node for sighting in told["sightings"]))
        kubeflow.end_driver(ref, 0, "Completed")
        await until(lambda: told["sightings"][-1].pod.ended)
    assert kubeflow.server.calls["list all pods"] == 0


def _node(sighting):
    return sighting.node or Node(uid="not known yet")
