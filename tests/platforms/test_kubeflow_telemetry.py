"""What is known of a job's pods: those that are still there, what was asked for, and the nodes."""

from decimal import Decimal

import pytest

from tests.platforms.harness_kubeflow_spark import harness


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
    (node,) = telemetry.nodes
    assert (node.uid, node.instance_type, node.capacity_type) == (driver.node, "m7g.4xlarge", "spot")
    assert (node.zone, node.vcpu, node.memory_gib) == ("us-east-1a", 16, 64)


def test_what_was_asked_for_is_known(kubeflow):
    """Sizes stand in the resource, volumes in its properties; executors count to the most that may come."""
    ref = submit(kubeflow, executors={"min": 0, "max": 3, "cpu": 4, "memory": "16Gi"}, presets=["pvc_reuse"])
    driver, *executors = kubeflow.platform().telemetry(ref).requested
    assert (driver.vcpu, driver.memory_gib, len(executors)) == (1, 2, 3)
    assert {(pod.vcpu, pod.memory_gib, pod.storage_gib) for pod in executors} == {(4, 16, Decimal(100))}


def test_nodes_that_may_not_be_read_are_told(kubeflow):
    """Without the right to read nodes their types are assumed, and the record says so."""
    kubeflow.server.denied = {"get nodes"}
    telemetry = kubeflow.platform().telemetry(submit(kubeflow))
    assert telemetry.nodes == ()
    assert "nodes may not be read: their types are as priced_as of the platform says" in telemetry.why
