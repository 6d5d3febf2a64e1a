"""Examples that others published, reproduced: each names its source, and prints agree to the last printed digit."""

from decimal import Decimal

import pytest

from airflow_doeks.cost.lines import unit_rates
from airflow_doeks.cost.rates import PodRates
from airflow_doeks.model.telemetry import Node
from tests.cost.pricing import price

CENT = Decimal("0.01")


def hour_on(machine, card, pod, held):
    """Split, unused and total cost in cents of one pod that ran for the whole hour on a shared machine."""
    vcpu, gib, gpu = (*held, 0)[:3]
    _, cost = price([pod(vcpu=vcpu, gib=gib, gpu=gpu, node="n1")], {"n1": machine}, card, basis="pods")
    return tuple(str(usd.quantize(CENT)) for usd in (cost.usd_compute, cost.usd_idle, cost.usd_compute + cost.usd_idle))


@pytest.mark.parametrize(
    ("held", "printed"),
    [
        (("1", "4"), ("0.22", "0.01", "0.23")),  # Pod1: 1/4.9 * 4 * 9/52 + 4/52;   unused memory 4/14 * 2 GB * 1/52
        (("1.9", "6"), ("0.38", "0.02", "0.40")),  # Pod2: 1.9/4.9 * 4 * 9/52 + 6/52; unused memory 6/14 * 2 * 1/52
        (("1", "2"), ("0.18", "0.01", "0.19")),  # Pod3 and Pod4
    ],
)
def test_aws_split_cost_allocation_example(card, pod, held, printed):
    """AWS Data Exports guide, "Example of split cost allocation data": m5.xlarge at $1 per hour, vCPU oversubscribed.

    4.9 of 4 vCPU and 14 of 16 GB are allocated (the larger of reserved and used); the pods are Pod1 to Pod4.
    """
    machine = Node(uid="n1", vcpu=4, memory_gib=16, usd_per_hour=1, allocated_vcpu="4.9", allocated_memory_gib=14)
    assert hour_on(machine, card, pod, held) == printed


def test_aws_split_costs_of_all_pods_are_the_instance(card, pod):
    """The same example's bottom line: split cost 0.96 and unused 0.04 sum to the $1 that the instance costs."""
    machine = Node(uid="n1", vcpu=4, memory_gib=16, usd_per_hour=1, allocated_vcpu="4.9", allocated_memory_gib=14)
    pods = [
        pod(str(i), vcpu, gib, node="n1") for i, (vcpu, gib) in enumerate([("1", 4), ("1.9", 6), ("1", 2), ("1", 2)])
    ]
    _, cost = price(pods, {"n1": machine}, card, basis="pods")
    assert cost.usd_idle.quantize(CENT) == Decimal("0.04")
    assert (cost.usd_compute + cost.usd_idle).quantize(Decimal("1e-9")) == 1


@pytest.mark.parametrize(
    ("held", "printed"),
    [
        (("16", "100", 1), ("1.85", "0.06", "1.91")),  # Pod 1; u = 10/178.4: 9u + 16/66 * 64 * 0.9u + 100 * 0.1u
        (("18", "140", 3), ("3.18", "0.09", "3.26")),  # Pod 2
        (("16", "100", 2), ("2.35", "0.06", "2.41")),  # Pod 3 and Pod 4
    ],
)
def test_aws_split_cost_allocation_example_for_accelerated_instances(card, pod, held, printed):
    """AWS Data Exports guide, "Example ... for accelerated instances": p3.16xlarge at $10, GPU 9 : (vCPU 0.9 : GB 0.1).

    66 of 64 vCPU, 440 of 488 GB and 8 of 8 GPUs are allocated.
    """
    machine = Node(uid="n1", vcpu=64, memory_gib=488, gpu=8, usd_per_hour=10)
    machine = machine.model_copy(update={"allocated_vcpu": 66, "allocated_memory_gib": 440, "allocated_gpu": 8})
    assert hour_on(machine, card, pod, held) == printed


def test_opencost_scales_base_prices_to_the_price_of_the_node(card, monkeypatch):
    """OpenCost specification v0.1, appendix A: base prices 30, 30 and 10 on a node of $35 become 15, 15 and 5."""
    base = (Decimal(30), Decimal(10), Decimal(30))  # per CPU, per GB, per GPU
    monkeypatch.setattr("airflow_doeks.cost.rates.WEIGHTS", {"opencost": (base, base)})
    card = card.model_copy(update={"split": "opencost"})
    rates = unit_rates(Node(uid="n1", vcpu=1, memory_gib=1, gpu=1), card, Decimal(35))
    assert rates == (15, 5, 15)


def test_opencost_split_weighs_memory_more_than_aws_does(card, pod, node):
    """With OpenCost's AWS base prices (0.031611 per CPU, 0.004237 per GiB) the ratio is 7.46, not 9."""
    card = card.model_copy(update={"split": "opencost"})
    _, cost = price([pod(vcpu=0, gib=16)], {}, card, basis="pods", assumed_node=node())
    # 16 * 0.004237 = 0.067792 of 4 * 0.031611 + 0.067792 = 0.194236; times 0.192
    assert cost.usd_compute == (Decimal("0.192") * Decimal("0.067792") / Decimal("0.194236")).quantize(Decimal("1e-10"))


def test_emr_on_eks_uplift_is_a_quarter_of_fargate(card):
    """AWS EMR pricing, EMR on EKS in US East: $0.01012 per vCPU-hour and $0.00111125 per GB-hour, 25 % of Fargate's."""
    assert card.emr_on_eks == PodRates(usd_per_vcpu_hour="0.01012", usd_per_gib_hour="0.00111125")
    assert card.emr_on_eks.usd_per_vcpu_hour * 4 == card.fargate.usd_per_vcpu_hour
    assert card.emr_on_eks.usd_per_gib_hour * 4 == card.fargate.usd_per_gib_hour


def test_emr_on_eks_uplift_counts_requests_of_every_pod(card, pod, node):
    """EMR pricing's method: requested vCPU and memory x rate x time, driver and executors alike.

    25 pods of 4 vCPU and 12 GB for half an hour: 100 * 0.01012 * 0.5 = 0.506 and 300 * 0.00111125 * 0.5 = 0.1666875.
    """
    pods = [pod(str(i), 4, 12, seconds=1800, is_emr_image=True) for i in range(25)]
    _, cost = price(pods, {}, card, basis="pods", assumed_node=node())
    assert cost.usd_uplift == Decimal("0.6726875")


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        # namespace1: 28 + 5 * 3/6 + 15 * 13/16; its other costs (GPU, volumes, network, load balancer): 4 x 3
        ([("cluster1", "3", "13")], (12, "42.69")),
        # namespace2: 36 + 5 * 3/6 + 15 * 3/16 + 5 * 3/6 + 5 * 3/6; others 4 x 6
        ([("cluster1", "3", "3"), ("cluster2", "3", "3")], (24, "46.31")),
        # namespace3: 18 + 5 * 3/6 + 5 * 3/6; others 4 x 3
        ([("cluster2", "3", "3")], (12, "23.00")),
    ],
)
def test_opencost_aggregation_with_shared_idle(card, pod, monkeypatch, pods, expected):
    """OpenCost's own test TestAllocationSet_AggregateBy, case 3a: idle shared by weight, per namespace.

    Cluster 1 has 11 CPU (6 used) and 31 GB (16 used), cluster 2 11 (6) and 11 (6); each unit costs $1.
    """
    even = (Decimal(1), Decimal(1), Decimal(0))
    monkeypatch.setattr("airflow_doeks.cost.rates.WEIGHTS", {"opencost": (even, even)})
    card = card.model_copy(update={"split": "opencost"})
    used = {"allocated_vcpu": 6}
    nodes = {
        "cluster1": Node(uid="c1", vcpu=11, memory_gib=31, usd_per_hour=42, allocated_memory_gib=16, **used),
        "cluster2": Node(uid="c2", vcpu=11, memory_gib=11, usd_per_hour=22, allocated_memory_gib=6, **used),
    }
    _, cost = price([pod(name, cpu, gb, node=name) for name, cpu, gb in pods], nodes, card, basis="pods")
    assert str((cost.usd_compute + cost.usd_idle + expected[0]).quantize(CENT)) == expected[1]
