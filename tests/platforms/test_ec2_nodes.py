"""Nodes without any right in Kubernetes: EC2 is asked for the names and addresses that an event log tells."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from airflow_doeks.model.telemetry import Pod
from tests.fakes.ec2 import instance
from tests.platforms.harness_emr_on_eks import world


@pytest.fixture
def aws(tmp_path):
    """An AWS whose machines run for an hour already."""
    with world(tmp_path) as made:
        yield made


def machine(aws, number, **changes):
    """An instance that was launched before any pod of these tests began."""
    made = instance(number, aws.started - timedelta(hours=1), **{"address": f"10.0.0.{number}", **changes})
    aws.aws.ec2.instances.append(made)
    return made


def pod(aws, **where):
    """A pod that ran from the beginning."""
    return Pod(uid=str(where), role="executor", vcpu=Decimal(1), memory_gib=Decimal(2), started=aws.started, **where)


def test_one_call_finds_all_nodes_of_a_job(aws):
    """Executors tell their nodes' names, the driver its address: one question, read page by page, asked once."""
    for number in range(1, 6):
        machine(aws, number, InstanceLifecycle="spot", InstanceType="r7g.2xlarge")
    machine(aws, 9, pods=("10.0.9.77",))
    names = [f"ip-10-0-0-{number}.ec2.internal" for number in range(1, 6)]
    pods = [pod(aws, ip="10.0.9.77"), *(pod(aws, node=name) for name in names)]
    platform = aws.platform()
    found = platform.nodes(pods)
    assert found.why == ()
    assert {found.nodes[name].capacity_type for name in names} == {"spot"}
    assert found.nodes[names[0]].instance_type == "r7g.2xlarge"
    assert found.nodes[names[0]].zone == "us-east-1a"
    driver = found.nodes["10.0.9.77"]
    assert (driver.uid, driver.instance_type, driver.capacity_type) == (
        "ip-10-0-0-9.ec2.internal",
        "m7g.4xlarge",
        "on_demand",
    )
    assert len(aws.aws.ec2.asked) == 3  # six machines in pages of two
    assert {len(asked["network-interface.addresses.private-ip-address"]) for asked in aws.aws.ec2.asked} == {6}
    assert platform.nodes(pods) == found
    assert len(aws.aws.ec2.asked) == 3


def test_a_node_may_be_named_by_its_instance(aws):
    """EKS Auto Mode names nodes by instance id; a driver on such a node is of the node that executors name."""
    made = machine(aws, 1, pods=("10.0.9.77",))
    name = made["InstanceId"]
    found = aws.platform().nodes([pod(aws, node=name), pod(aws, ip="10.0.9.77")])
    assert (found.nodes[name].uid, found.nodes["10.0.9.77"].uid) == (name, name)


def test_an_address_within_a_prefix_is_found(aws):
    """Where the CNI gives pods addresses of a prefix, no filter finds one: it is found on the nodes that are known."""
    machine(
        aws,
        1,
        NetworkInterfaces=[
            {"PrivateIpAddresses": [{"PrivateIpAddress": "10.0.0.1"}], "Ipv4Prefixes": [{"Ipv4Prefix": "10.0.9.64/28"}]}
        ],
    )
    found = aws.platform().nodes([pod(aws, node="ip-10-0-0-1.ec2.internal"), pod(aws, ip="10.0.9.77")])
    assert found.nodes["10.0.9.77"].uid == "ip-10-0-0-1.ec2.internal"


def test_a_machine_that_came_later_is_not_the_node(aws):
    """An address is given again: who was launched after the pod began is another machine, and the node is unknown."""
    machine(aws, 1, LaunchTime=aws.started + timedelta(seconds=1))
    found = aws.platform().nodes([pod(aws, node="ip-10-0-0-1.ec2.internal"), pod(aws)])
    assert found.nodes == {}
    told = "of 2 pods 1 tell no node and 1 were on nodes that EC2 does not show"
    assert found.why == (f"{told}: these are priced as priced_as of the platform says",)


def test_two_networks_with_the_same_addresses_are_told_apart_or_not_at_all(aws):
    """Of two VPCs the one that has more of the job's addresses is meant; where both have as many, nobody guesses."""
    names = [f"ip-10-0-0-{number}.ec2.internal" for number in (1, 2)]
    for number in (1, 2):
        machine(aws, number)
    machine(aws, 3, address="10.0.0.1", VpcId="vpc-2", InstanceType="p5.48xlarge")
    pods = [pod(aws, node=name) for name in names]
    assert {node.instance_type for node in aws.platform().nodes(pods).nodes.values()} == {"m7g.4xlarge"}
    machine(aws, 4, address="10.0.0.2", VpcId="vpc-2")
    assert aws.platform().nodes(pods).nodes == {}


def test_fargate_and_strangers_are_not_asked_for(aws):
    """A Fargate node's name says all; a name that is neither address nor instance cannot be asked for."""
    fargate = "fargate-ip-10-0-0-1.us-east-1.compute.internal"
    found = aws.platform().nodes([pod(aws, node=fargate), pod(aws, node="mi-0123456789abcdef0")])
    assert found.nodes[fargate].capacity_type == "fargate"
    assert "1 were on nodes that EC2 does not show" in found.why[0]
    assert not aws.aws.ec2.calls


def test_without_the_right_the_action_is_named_and_asked_for_once(aws):
    """Where EC2 may not be asked, nodes are those that the platform declares, and the reason names the action."""
    aws.aws.ec2.denies = True
    platform = aws.platform()
    for _ in range(2):
        found = platform.nodes([pod(aws, node="ip-10-0-0-1.ec2.internal")])
        assert found.nodes == {}
        assert found.why[0].startswith("nodes are as priced_as of the platform says: DescribeInstances failed")
    assert aws.aws.ec2.calls == {"ec2:DescribeInstances": 1}
