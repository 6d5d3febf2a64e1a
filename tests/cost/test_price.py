"""Worked examples of a job's price: the arithmetic stands beside each number."""

import ast
import itertools
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from pydantic import ValidationError

from airflow_doeks import cost as cost_room
from airflow_doeks.cost.fargate import fargate_size
from airflow_doeks.cost.rates import RateCard, SpotPrice
from airflow_doeks.model import bill, minutes
from airflow_doeks.model.telemetry import Node, Pod
from tests.cost.pricing import price


def test_a_local_job_is_priced_as_the_instance_its_platform_names(card, pod, node):
    """One driver of 2 vCPU and 4 GiB for 90 s on an assumed m7g.xlarge costs its share of that machine, and says so."""
    usage, cost = price(
        [pod(vcpu=2, gib=4, seconds=90)], {}, card, basis="event_log", assumed_node=node("x", "m7g.xlarge")
    )
    # 0.1632 USD/h over 9 x 4 vCPU + 1 x 16 GiB = 52 units; the pod holds 9 x 2 + 4 = 22 of them for 90 / 3600 h
    assert cost.usd_compute == Decimal("0.0017261538")  # 0.1632 / 52 * 22 * 0.025
    assert (usage.vcpu_seconds, usage.memory_gib_seconds) == (180, 360)
    assert (cost.priced_as, cost.basis, cost.confidence) == ("m7g.xlarge", "event_log", "low")
    assert (cost.usd_uplift, cost.usd_transfer) == (0, 0)
    assert cost.unknown == ("storage", "shared", "idle")
    assert cost.usd_total == cost.usd_compute


def test_all_components_add_up_to_the_total(card, pod, node, total):
    """Two EMR pods in two zones with volumes, shared rate and known neighbours: six components, one exact sum."""
    card = card.model_copy(update={"shared_usd_per_vcpu_hour": Decimal("0.001")})
    nodes = {
        "a": node("a", zone="us-east-1a", allocated_vcpu=2, allocated_memory_gib=8),
        "b": node("b", zone="us-east-1b", allocated_vcpu=4, allocated_memory_gib=16),
    }
    pods = [
        pod("d", 1, 4, node="a", is_emr_image=True, storage_gib=0),
        pod("e", 2, 8, role="executor", node="b", is_emr_image=True, storage_gib=100),
    ]
    usage, cost = price(pods, nodes, card, basis="pods", remote_bytes=10 * 1024**3)
    assert cost.usd_compute == Decimal("0.1440000000")  # 0.192/52 * (13 + 26) units
    assert cost.usd_uplift == Decimal("0.0436950000")  # 3 vCPU * 0.01012 + 12 GiB * 0.00111125
    assert cost.usd_storage == Decimal("0.0111111111")  # 100 GiB * 0.08 * 3600 / (30 * 86400)
    assert cost.usd_transfer == Decimal("0.1000000000")  # 10 GiB * (1 - 1/2) * 0.02
    assert cost.usd_shared == Decimal("0.0030000000")  # 3 vCPU-h * 0.001
    assert cost.usd_idle == Decimal(
        "0.0480000000"
    )  # node a: 2 vCPU and 8 GiB free, the driver has half of what is used
    assert cost.usd_total == total(cost) == Decimal("0.3498061111")
    assert (cost.unknown, cost.why_unknown, cost.confidence) == ((), None, "high")
    assert usage.by_capacity_type["on_demand"].vcpu_seconds == 3 * 3600


def test_spot_follows_the_price_of_its_zone(card, pod, node, at):
    """A pod over a Spot price change pays the old price before and the new one after; another zone has its own."""
    steps = {
        "us-east-1a": (SpotPrice(since=at(-60), usd_per_hour="0.06"), SpotPrice(since=at(1800), usd_per_hour="0.08")),
        "us-east-1b": (SpotPrice(since=at(0), usd_per_hour="0.05"),),
    }
    card = card.model_copy(update={"spot": {"m5.xlarge": steps}})
    spot = {"capacity_type": "spot", "allocated_vcpu": 4, "allocated_memory_gib": 16}
    nodes = {zone: node(zone, zone=zone, **spot) for zone in steps}
    pods = [pod(zone, 4, 16, node=zone) for zone in steps]
    usage, cost = price(pods, nodes, card, basis="pods")
    assert cost.usd_compute == Decimal("0.12")  # a: 0.06 * 0.5 + 0.08 * 0.5; b: 0.05
    assert cost.usd_idle == 0
    assert usage.by_capacity_type["spot"].vcpu_seconds == 8 * 3600


def test_spot_in_an_unknown_zone_is_priced_in_the_dearest(card, pod, node, at):
    """An event log does not tell zones: the zone that is dearest now stands in, and confidence is low."""
    zones = {zone: (SpotPrice(since=at(0), usd_per_hour=usd),) for zone, usd in (("a", "0.05"), ("b", "0.07"))}
    card = card.model_copy(update={"spot": {"m5.xlarge": zones}})
    held = pod(vcpu=4, gib=16, capacity_type="spot")
    _, cost = price([held], {}, card, basis="event_log", assumed_node=node())
    assert (cost.usd_compute, cost.confidence) == (Decimal("0.07"), "low")


def test_an_unknown_spot_price_leaves_the_total_unknown(card, pod, node):
    """Without a Spot price there is no compute cost and no total, but a reason; a declared share fills the gap."""
    nodes = {"n1": node(zone="us-east-1a", capacity_type="spot")}
    _, cost = price([pod(node="n1")], nodes, card, basis="pods")
    assert (cost.usd_compute, cost.usd_total) == (None, None)
    assert "compute" in cost.unknown
    assert "1 pods on Spot m5.xlarge, no Spot price known in us-east-1a" in cost.why_unknown
    card = card.model_copy(update={"spot_share_of_on_demand": Decimal("0.35")})
    _, cost = price([pod(node="n1", vcpu=4, gib=16)], nodes, card, basis="pods")
    assert cost.usd_compute == Decimal("0.0672")  # 0.192 * 0.35


@pytest.mark.parametrize(
    ("requested", "billed"),
    [
        (("1", "8"), ("2", "9")),  # the page's own example: 8 GB + 256 MB do not fit 1 vCPU
        (("0.25", "0.25"), ("0.25", "0.5")),
        (("0.25", "2"), ("0.5", "3")),
        (("3", "10"), ("4", "11")),
        (("16", "119"), ("16", "120")),
        (("16", "120"), None),
        (("17", "1"), None),
    ],
)
def test_fargate_bills_the_next_size_up(requested, billed):
    """Source: Amazon EKS user guide, "Understand Fargate Pod configuration details" (256 MB are added first)."""
    size = fargate_size(*map(Decimal, requested))
    assert size == (None if billed is None else tuple(map(Decimal, billed)))


def test_fargate_has_a_one_minute_minimum(card, pod):
    """A 10 s pod of 1 vCPU and 8 GB is billed as 2 vCPU and 9 GB for 60 s; Fargate has no idle share."""
    short = pod(vcpu=1, gib=8, seconds=10, capacity_type="fargate")
    usage, cost = price([short], {}, card, basis="pods")
    assert cost.usd_compute == Decimal("0.0020160833")  # (2 * 0.04048 + 9 * 0.004445) / 60
    assert cost.usd_idle == 0
    assert usage.vcpu_seconds == 10


def test_uplift_rounds_up_to_the_second_with_a_minimum_that_is_a_setting(card, pod, node):
    """90.2 s are billed as 91; 10 s as 60; a pod that is not of EMR's image pays nothing."""
    rates = card.emr_on_eks
    per_second = (rates.usd_per_vcpu_hour + 4 * rates.usd_per_gib_hour) / 3600

    def uplift(seconds, card=card, **more):
        one = pod(seconds=seconds, **{"is_emr_image": True} | more)
        return price([one], {}, card, basis="pods", assumed_node=node())[1].usd_uplift

    assert uplift(90.2) == (91 * per_second).quantize(Decimal("1e-10"))
    assert uplift(10) == (60 * per_second).quantize(Decimal("1e-10"))
    assert uplift(90, is_emr_image=False) == 0
    free = card.model_copy(update={"emr_on_eks": rates.model_copy(update={"minimum_seconds": 0})})
    assert uplift(10, free) == (10 * per_second).quantize(Decimal("1e-10"))


def test_what_still_runs_is_priced_up_to_now(card, pod, node, at):
    """A pod without an end is closed by the job's end, else by now; without either its cost is unknown."""
    running = pod(seconds=None, vcpu=4, gib=16)

    def compute(**more):
        return price([running], {}, card, basis="pods", assumed_node=node(), **more)[1]

    assert compute(now=at(1800)).usd_compute == Decimal("0.096")
    assert compute(now=at(1800), ended=at(900)).usd_compute == Decimal("0.048")
    unknown = compute()
    assert unknown.usd_total is None
    assert "1 driver pods whose end is not known" in unknown.why_unknown


def test_an_executor_that_never_started_is_left_out_and_said_so(card, pod, node):
    """One executor lost before it started does not hide the cost of the others; confidence falls, the reason stands."""
    lost = pod("e1", role="executor", seconds=10, started=None)
    ghost = pod("e2", role="executor", seconds=-5)
    _, cost = price([pod(vcpu=4, gib=16), lost, ghost], {"n1": node()}, card, basis="pods", assumed_node=node())
    assert cost.usd_compute == Decimal("0.192")
    assert cost.confidence == "low"
    assert "1 executor pods that never started; their time is not counted" in cost.why_unknown
    assert "1 executor pods that ended before they started; their time is not counted" in cost.why_unknown


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"vcpu": None}, "driver pods whose requests are not known"),
        ({"node": "gone"}, "pods whose node nobody saw, and no node type is declared"),
        ({"node": "odd"}, "pods on x9.huge, which rate card us-east-1 2026-01-19 does not list"),
        ({"node": "dear"}, "pods on x9.huge, whose capacity is not known"),
        ({"node": "kept"}, "pods on reserved m5.xlarge; its price stands in the bill, not in a rate card"),
        ({"capacity_type": "fargate", "vcpu": 99}, "pods larger than any Fargate size"),
    ],
)
def test_whatever_is_missing_makes_the_total_unknown_with_a_reason(card, pod, node, change, why):
    """Missing requests, nodes, prices or capacity: null and a why, never zero and never an exception."""
    nodes = {
        "odd": node("odd", "x9.huge"),
        "dear": node("dear", "x9.huge", usd_per_hour=5),
        "kept": node("kept", capacity_type="reserved"),
    }
    _, cost = price([pod(**change)], nodes, card, basis="pods")
    assert (cost.usd_compute, cost.usd_total) == (None, None)
    assert f"1 {why}" in cost.why_unknown


def test_no_pods_means_no_numbers(card):
    """A job of which nobody saw a pod has no usage and no cost, and says why."""
    usage, cost = price([], {}, card, basis="pods")
    assert usage.vcpu_seconds is None
    assert cost.usd_total is None
    assert cost.unknown == ("compute", "uplift", "storage", "transfer", "shared", "idle")
    assert "no pod of this job was seen" in cost.why_unknown


def test_a_price_given_on_the_node_goes_before_the_card(card, pod):
    """An effective price from the bill or from Karpenter wins over the list price of the type."""
    nodes = {"n1": Node(uid="n1", vcpu=4, memory_gib=16, usd_per_hour="0.1")}
    _, cost = price([pod(node="n1", vcpu=4, gib=16)], nodes, card, basis="pods")
    assert cost.usd_compute == Decimal("0.1")


def test_one_zone_or_one_pod_pays_no_transfer(card, pod, node):
    """Bytes between zones cost only when pods stand in several; where zones are unknown the cost is unknown."""
    nodes = {name: node(name, zone=zone) for name, zone in (("a", "z1"), ("b", "z1"), ("c", None))}

    def transfer(*names):
        pods = [pod(name, node=name) for name in names]
        return price(pods, nodes, card, basis="pods", remote_bytes=2**30)[1].usd_transfer

    assert transfer("a") == 0
    assert transfer("a", "b") == 0
    assert transfer("a", "c") is None


def test_a_day_of_gp3_costs_a_thirtieth_of_a_month(card, pod, node):
    """Storage is billed per second of a 30-day month."""
    held = pod(seconds=timedelta(days=1).total_seconds(), storage_gib=300)
    _, cost = price([held], {}, card, basis="pods", assumed_node=node())
    assert cost.usd_storage == Decimal("0.8")  # 300 * 0.08 / 30


def test_a_pod_that_is_told_twice_costs_once(card, pod, node, at):
    """Telemetry may repeat a pod, or tell it in stretches that overlap: its time is counted once."""
    whole = pod(vcpu=4, gib=16, is_emr_image=True)
    early, late = pod(vcpu=4, gib=16, seconds=2400, is_emr_image=True), whole.model_copy(update={"started": at(1200)})

    def told(*pods):
        usage, cost = price(pods, {}, card, basis="pods", assumed_node=node(), now=at(9999))
        return usage.vcpu_seconds, cost.usd_compute, cost.usd_uplift

    assert told(whole, whole) == told(early, late) == told(late, whole, early) == told(whole)
    assert told(whole)[:2] == (4 * 3600, Decimal("0.192"))


def test_a_node_price_of_zero_is_no_price(card, pod):
    """Karpenter publishes 0 for what it cannot price: the card's price holds, or the cost is unknown."""
    nodes = {
        name: Node(uid=name, instance_type=kind, usd_per_hour=0) for name, kind in (("a", "m5.xlarge"), ("b", "x"))
    }
    assert price([pod(node="a", vcpu=4, gib=16)], nodes, card, basis="pods")[1].usd_compute == Decimal("0.192")
    assert price([pod(node="b")], nodes, card, basis="pods")[1].usd_total is None


@pytest.mark.parametrize("field", ["vcpu", "memory_gib", "storage_gib", "gpu"])
def test_telemetry_cannot_hold_less_than_nothing(pod, field):
    """A negative request is refused where it is read, so that no cost is ever negative."""
    with pytest.raises(ValidationError, match=field):
        Pod.model_validate({**pod().model_dump(), field: -1})


def test_a_price_is_exact_to_the_last_of_its_places(card, pod, node):
    """Decimal from end to end: a large job's parts are what a hand with enough paper gets, where binary is off.

    1,234,567.891 s of 3 vCPU, 7 GiB on an m7g.xlarge (0.1632 USD/h; 52 units; 34 held) with a 0.1 GiB volume.
    """
    held = pod(vcpu=3, gib=7, seconds=1_234_567, is_emr_image=True, storage_gib="0.1")
    held = held.model_copy(update={"ended": held.ended + timedelta(milliseconds=891)})
    _, cost = price([held] * 1, {}, card, basis="pods", assumed_node=node(kind="m7g.xlarge"))
    seconds = Fraction(1_234_567_891, 1000)

    def exact(usd):
        return Decimal(round(usd * 10**10)).scaleb(-10)

    assert cost.usd_compute == exact(Fraction("0.1632") / 52 * 34 * seconds / 3600)
    assert cost.usd_uplift == exact((3 * Fraction("0.01012") + 7 * Fraction("0.00111125")) * 1_234_568 / 3600)
    assert cost.usd_storage == exact(Fraction("0.1") * seconds * Fraction("0.08") / (30 * 86400))


@pytest.mark.parametrize("scale", [1, 10**6, 10**9])
def test_many_small_pods_add_up_exactly(card, pod, node, scale):
    """A thousand equal pods cost a thousand times one, to the last place, cheap or dear."""
    machine = node("n", "m5.xlarge", usd_per_hour=Decimal("0.1") * scale)
    one = [pod(str(i), "0.1", "0.3", seconds=360, node="n") for i in range(1000)]
    _, cost = price(one, {"n": machine}, card, basis="pods")
    # (0.1 x 9 + 0.3) / 52 units of the node's price, 0.1 h, 1000 pods
    expected = Fraction(12, 10) / 52 * Fraction(scale, 10) / 10 * 1000
    assert cost.usd_compute == Decimal(round(expected * 10**10)).scaleb(-10)


def test_every_component_is_exact_however_dear(card, pod, node):
    """At prices a thousand million times as high each component is exact to its tenth place."""
    dear = 10**9
    card = card.model_copy(
        update={
            "emr_on_eks": card.emr_on_eks.model_copy(
                update={
                    "usd_per_vcpu_hour": Decimal("0.01012") * dear,
                    "usd_per_gib_hour": Decimal("0.00111125") * dear,
                }
            ),
            "ebs_gp3_usd_per_gib_month": Decimal("0.08") * dear,
            "cross_zone_usd_per_gb": Decimal("0.02") * dear,
            "shared_usd_per_vcpu_hour": Decimal("0.0013") * dear,
        }
    )
    share = {"usd_per_hour": Decimal("0.1632") * dear, "allocated_vcpu": "3.3", "allocated_memory_gib": 11}
    nodes = {zone: node(zone, "m7g.xlarge", zone=zone, **share) for zone in "abc"}
    pods = [pod(zone, "1.1", "2.3", 77, node=zone, is_emr_image=True, storage_gib="0.7") for zone in nodes]
    _, cost = price(pods, nodes, card, basis="pods", remote_bytes=123_456_789_123)
    hours, times = Fraction(77, 3600), 3 * dear
    vcpu, gib, usd = Fraction("1.1"), Fraction("2.3"), Fraction("0.1632") / 52  # of a unit: 9 x 4 vCPU + 16 GiB
    free = usd * (9 * (4 - Fraction("3.3")) * vcpu / Fraction("3.3") + (16 - 11) * gib / 11)
    expected = {
        "compute": times * usd * (9 * vcpu + gib) * hours,
        "uplift": times * (vcpu * Fraction("0.01012") + gib * Fraction("0.00111125")) * hours,
        "storage": times * Fraction("0.7") * 77 * Fraction("0.08") / (30 * 86400),
        "transfer": dear * Fraction(123_456_789_123, 2**30) * Fraction(2, 3) * Fraction("0.02"),
        "shared": times * vcpu * Fraction("0.0013") * hours,
        "idle": times * free * hours,
    }
    for name, exact in expected.items():
        assert getattr(cost, f"usd_{name}") == Decimal(round(exact * 10**10)).scaleb(-10), name


@pytest.mark.parametrize(
    "path", sorted([*Path(cost_room.__file__).parent.glob("*.py"), Path(bill.__file__), Path(minutes.__file__)])
)
def test_money_is_never_a_float(path):
    """No line of the code that counts money makes a binary float: no ``float()``, no ``total_seconds()``, no 0.1."""
    for found in ast.walk(ast.parse(path.read_text())):
        assert not (isinstance(found, ast.Constant) and isinstance(found.value, float)), (path.name, found.lineno)
        if isinstance(found, ast.Call):
            called = getattr(found.func, "id", getattr(found.func, "attr", ""))
            assert called not in {"float", "total_seconds"}, (path.name, found.lineno)


def test_a_gpu_on_a_type_without_one_is_unknown_not_free(card, pod, node):
    """GPUs that the node, or the type that stands in for it, does not have make compute unknown, with the reason."""
    asking = pod("e1", vcpu=4, gib=16, gpu=1, role="executor", node="n1")
    usage, cost = price([asking], {"n1": node(kind="m7g.xlarge")}, card, basis="pods")
    assert (cost.usd_compute, cost.usd_total, usage.gpu_seconds) == (None, None, 3600)
    assert "1 pods with 1 GPU on m7g.xlarge, which has none" in cost.why_unknown
    _, seen = price([asking], {"n1": node(kind="g5.xlarge")}, card, basis="pods")
    assert seen.usd_compute == Decimal("1.006")  # the whole of a g5.xlarge: 4 vCPU, 16 GiB, 1 GPU
    _, many = price([asking.model_copy(update={"gpu": 2})], {"n1": node(kind="g5.xlarge")}, card, basis="pods")
    assert "1 pods with 2 GPU on g5.xlarge, which has 1" in many.why_unknown
    _, fargate = price([asking.model_copy(update={"capacity_type": "fargate"})], {}, card, basis="pods")
    assert "1 pods with 1 GPU on Fargate, which has none" in fargate.why_unknown


def test_each_role_may_have_a_type_that_stands_in(card, pod, node):
    """A driver without GPU on an m7g.xlarge and GPU executors on a g5.xlarge: both are priced, and both are named."""
    pods = [pod("d", 4, 16), pod("e", 4, 16, gpu=1, role="executor")]
    by_role = {"driver": node("x", "m7g.xlarge"), "executor": node("y", "g5.xlarge")}
    _, cost = price(pods, {}, card, basis="event_log", assumed_by_role=by_role)
    assert cost.usd_compute == Decimal("0.1632") + Decimal("1.006")
    assert cost.priced_as == "m7g.xlarge, g5.xlarge"


@pytest.mark.parametrize("order", [1, -1])
def test_spot_prices_of_a_card_may_stand_in_any_order(card, pod, node, at, order):
    """A card written by hand with the newest price on top says the same as one that begins with the oldest."""
    steps = [{"since": at(-120), "usd_per_hour": "0.08"}, {"since": at(-60), "usd_per_hour": "0.12"}][::order]
    card = RateCard.model_validate({**card.model_dump(), "spot": {"m5.xlarge": {"us-east-1a": steps}}})
    nodes = {"n1": node(zone="us-east-1a", capacity_type="spot")}
    _, cost = price([pod(vcpu=4, gib=16, node="n1", capacity_type="spot")], nodes, card, basis="pods")
    assert cost.usd_compute == Decimal("0.1200000000")


def test_the_dearest_zone_is_that_of_the_pods_own_time(card, pod, node, at):
    """A zone that became dear later, or whose prices begin later, does not stand for the one that was dear then."""
    zones = {
        "us-east-1a": (SpotPrice(since=at(-60), usd_per_hour=Decimal("0.12")),),
        "us-east-1b": (
            SpotPrice(since=at(-60), usd_per_hour=Decimal("0.08")),
            SpotPrice(since=at(7200), usd_per_hour=Decimal("0.20")),
        ),
        "us-east-1c": (SpotPrice(since=at(7200), usd_per_hour=Decimal("0.30")),),
    }
    card = card.model_copy(update={"spot": {"m5.xlarge": zones}})
    held = pod(vcpu=4, gib=16, capacity_type="spot")
    _, cost = price([held], {}, card, basis="event_log", assumed_node=node("x"))
    assert cost.usd_compute == Decimal("0.1200000000")


def test_fargate_rounds_a_pod_up_and_not_each_of_its_stretches(card, pod, at):
    """A pod told in stretches costs what it does told at once: one minimum, one rounding."""
    whole = pod(vcpu=2, gib=4, capacity_type="fargate").model_copy(update={"ended": at(90.6)})
    marks = [at(0), at(12), at(15.5), at(66.2), at(90.6)]
    parts = [whole.model_copy(update={"started": start, "ended": end}) for start, end in itertools.pairwise(marks)]
    _, once = price([whole], {}, card, basis="pods")
    _, told = price(parts, {}, card, basis="pods")
    assert told.usd_compute == once.usd_compute
