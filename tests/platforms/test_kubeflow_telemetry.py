"""What is known of a job's pods: those that are still there, what was asked for, and the nodes."""

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.fakes.cluster import NODES, PODS
from tests.fakes.ec2 import instance
from tests.platforms.harness_emr_on_eks import world
from tests.platforms.harness_kubeflow_spark import NAMESPACE, harness


@pytest.fixture
def kubeflow(tmp_path):
    """A namespace with the operator."""
    with harness(tmp_path) as made:
        yield made


def submit(kubeflow, **job):
    """A job whose driver runs."""
    platform = kubeflow.platform()
    ref = platform.submit(platform.render(kubeflow.job(**job), kubeflow.identity()))
    kubeflow.until_running(ref)
    return ref


def test_pods_and_nodes_are_facts(kubeflow):
    """A pod tells requests, node, start and end; its node type, capacity and zone."""
    ref = submit(kubeflow)
    kubeflow.succeed(ref)
    telemetry = kubeflow.platform().telemetry(ref)
    (driver,) = telemetry.pods
    assert (driver.role, driver.vcpu, driver.memory_gib, driver.storage_gib) == ("driver", 1, 2, 0)
    assert telemetry.submitted < telemetry.scheduled < telemetry.started < driver.ended < telemetry.ended
    node = kubeflow.platform().nodes(telemetry.pods).nodes[driver.node]
    assert (node.uid, node.instance_type, node.capacity_type) == (driver.node, "m7g.4xlarge", "spot")
    assert (node.zone, node.vcpu, node.memory_gib) == ("us-east-1a", 16, 64)


def with_spec(kubeflow, ref, spec):
    """The driver, as telemetry tells it, of a pod whose spec says more."""
    kubeflow.cluster.update(PODS, NAMESPACE, f"{ref.path[1]}-driver", {"spec": spec})
    (driver,) = kubeflow.platform().telemetry(ref).pods
    return driver


def test_side_cars_and_first_steps_are_in_what_a_pod_requests(kubeflow):
    """As the scheduler adds up: side-cars run beside the containers, steps before them; what is more counts."""
    ref = submit(kubeflow)

    def step(cpu, memory, **more):
        return {"name": "x", "resources": {"requests": {"cpu": cpu, "memory": memory}}, **more}

    mesh, silent = step("500m", "1Gi", restartPolicy="Always"), {"name": "silent", "restartPolicy": "Always"}
    driver = with_spec(kubeflow, ref, {"initContainers": [step("250m", "8Gi"), mesh, silent]})
    assert (driver.vcpu, driver.memory_gib) == (Decimal("1.5"), 8)
    driver = with_spec(kubeflow, ref, {"initContainers": [], "overhead": {"cpu": "250m", "memory": "512Mi"}})
    assert (driver.vcpu, driver.memory_gib) == (Decimal("1.25"), Decimal("2.5"))


def test_a_volume_that_comes_and_goes_with_its_pod_is_a_claim(kubeflow):
    """Kubernetes makes a claim for it: what it costs is not known, as of any claim, and not 0."""
    template = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "500Gi"}}}}
    ref, volume = submit(kubeflow), {"name": "shuffle", "ephemeral": {"volumeClaimTemplate": template}}
    assert with_spec(kubeflow, ref, {"volumes": [{"name": "tmp", "emptyDir": {}}]}).storage_gib == 0
    assert with_spec(kubeflow, ref, {"volumes": [volume]}).storage_gib is None


def test_what_was_asked_for_is_known(kubeflow):
    """Sizes stand in the resource, volumes in its properties; executors count to the most that may come."""
    ref = submit(kubeflow, executors={"min": 0, "max": 3, "cpu": 4, "memory": "16Gi"}, presets=["pvc_reuse"])
    driver, *executors = kubeflow.platform().telemetry(ref).requested
    assert (driver.vcpu, driver.memory_gib, len(executors)) == (1, 2, 3)
    assert {(pod.vcpu, pod.memory_gib, pod.storage_gib) for pod in executors} == {(4, 16, Decimal(100))}


def test_pods_that_may_not_be_listed_hide_no_event_log(kubeflow, caplog):
    """Where the event log is, what was asked for and when it ended is known without a right to pods, which is named."""
    ref = submit(kubeflow)
    kubeflow.succeed(ref)
    kubeflow.server.denied = {"list pods"}
    telemetry = kubeflow.platform().telemetry(ref)
    assert telemetry.event_log == f"{(kubeflow.folder / 'events').as_uri()}/{ref.path[1]}"
    assert (telemetry.pods, telemetry.why) == ((), ("its pods may not be listed",))
    assert 'cannot list resource "pods"' in caplog.text
    assert telemetry.requested
    assert telemetry.submitted < telemetry.ended


def test_nodes_that_may_not_be_read_are_told(kubeflow):
    """Without the right to read nodes, and without AWS, their types are assumed, and the record says so."""
    kubeflow.server.denied = {"get nodes"}
    platform = kubeflow.platform()
    found = platform.nodes(platform.telemetry(submit(kubeflow)).pods)
    assert found == ({}, ("nodes may not be read: they are as priced_as of the platform says",))


def test_a_node_that_is_gone_is_told(kubeflow):
    """Nobody knows any more what a node was that went before anybody looked."""
    kubeflow.cluster.remove(NODES, "", "ip-10-0-0-1")
    platform = kubeflow.platform()
    found = platform.nodes(platform.telemetry(submit(kubeflow)).pods)
    assert found == ({}, ("of 1 pods the nodes of 1 are gone: they are as priced_as of the platform says",))


@pytest.mark.parametrize("is_gone", [False, True])
def test_ec2_is_asked_where_kubernetes_does_not_tell(kubeflow, tmp_path, is_gone):
    """With `aws_connection` EC2 tells what a node is that may not be read, or that Kubernetes forgot."""
    (tmp_path / "s3").mkdir()
    with world(tmp_path / "s3") as aws:
        began = kubeflow.started - timedelta(hours=1)
        aws.aws.ec2.instances.append(instance(1, began, address="10.0.0.1", InstanceLifecycle="spot"))
        kubeflow.aws = lambda service, **_: aws.make(service)
        kubeflow.server.denied = set() if is_gone else {"get nodes"}
        if is_gone:
            kubeflow.cluster.remove(NODES, "", "ip-10-0-0-1")
        platform = kubeflow.platform(aws_connection="aws_default")
        found = platform.nodes(platform.telemetry(submit(kubeflow)).pods)
    node = found.nodes["ip-10-0-0-1"]
    assert (node.uid, node.instance_type, node.capacity_type, found.why) == ("ip-10-0-0-1", "m7g.4xlarge", "spot", ())


def test_a_log_is_read_part_by_part(kubeflow):
    """Each line once, whatever second it was printed in; nothing before the driver runs, nothing of executors."""
    platform = kubeflow.platform()
    ref = platform.submit(platform.render(kubeflow.job(), kubeflow.identity()))
    assert platform.log(ref) == ((), "")
    kubeflow.until_running(ref)
    kubeflow.start_pod(ref, f"{ref.path[1]}-exec-1", "executor")
    lines = [f"line {number}" for number in range(7)]
    driver, parts, upto = f"{ref.path[1]}-driver", [], ""
    for count in (3, 3, 6, 7):
        kubeflow.server.logs[driver] = "\n".join(lines[:count])
        part = platform.log(ref, upto)
        parts, upto = [*parts, list(part.lines)], part.upto
    assert parts == [lines[:3], [], lines[3:6], lines[6:]]


@pytest.mark.parametrize(("size", "missing"), [(250, []), (100, [2, 3, 6, 7])])
def test_a_long_log_is_read_in_parts_of_whole_lines(kubeflow, monkeypatch, size, missing):
    """What does not fit comes with the next part; no line is cut; a second that fits in none is left out and told."""
    monkeypatch.setattr("airflow_doeks.platforms.kubernetes.pod_log.PART_BYTES", size)
    ref = submit(kubeflow)
    lines = [f"{number} {'x' * 20}" for number in range(9)]  # four a second
    kubeflow.server.logs[f"{ref.path[1]}-driver"] = "\n".join(lines)
    platform, read, upto = kubeflow.platform(), [], ""
    for _ in range(8):
        part = platform.log(ref, upto)
        read, upto = [*read, *part.lines], part.upto
    assert [line for line in read if "cut here" not in line] == [
        line for number, line in enumerate(lines) if number not in missing
    ]
    assert sum("cut here" in line for line in read) == len(missing) // 2
