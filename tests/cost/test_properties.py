"""What must hold of every cost, whatever the pods."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from airflow_doeks.advice import advise
from airflow_doeks.cost import itemize, load_rate_card, share
from airflow_doeks.model.event_log import EventLogSummary, StageFacts
from airflow_doeks.model.telemetry import Node, Pod
from tests.cost.pricing import price

CARD = load_rate_card()
NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
NODES = {
    "known": Node(uid="known", instance_type="m7g.xlarge", zone="a", allocated_vcpu=4, allocated_memory_gib=12),
    "crowded": Node(uid="crowded", instance_type="m5.xlarge", zone="b", allocated_vcpu=7, allocated_memory_gib=40),
    "strange": Node(uid="strange"),
}
TIMES = st.none() | st.integers(-5_000_000, 5_000_000).map(lambda ms: NOON + timedelta(milliseconds=ms))
AMOUNTS = st.none() | st.decimals(min_value=0, max_value=64, places=3)
PODS = st.builds(
    Pod,
    uid=st.sampled_from("abc"),
    role=st.sampled_from(["driver", "executor"]),
    vcpu=AMOUNTS,
    memory_gib=AMOUNTS,
    storage_gib=AMOUNTS,
    requested=TIMES,
    started=TIMES,
    ended=TIMES,
    node=st.none() | st.sampled_from(sorted(NODES)),
    capacity_type=st.none() | st.sampled_from(["on_demand", "spot", "fargate", "reserved"]),
    is_emr_image=st.booleans(),
)


@given(st.lists(PODS, max_size=6), st.none() | st.integers(0, 10**12), st.booleans())
def test_a_total_is_the_sum_of_its_known_parts_and_nothing_is_negative(pods, remote_bytes, has_assumed):
    """For any facts, however broken: a result, no exception, no negative, unknown parts listed and left out."""
    assumed = Node(uid="x", instance_type="m7g.xlarge") if has_assumed else None
    _, cost = price(pods, NODES, CARD, basis="pods", assumed_node=assumed, now=NOON, remote_bytes=remote_bytes)
    parts = {
        name: getattr(cost, f"usd_{name}") for name in ("compute", "uplift", "storage", "transfer", "shared", "idle")
    }
    assert all(usd is None or usd >= 0 for usd in parts.values())
    assert set(cost.unknown) == {name for name, usd in parts.items() if usd is None}
    assert bool(cost.unknown) == (cost.why_unknown is not None) or not cost.unknown
    if parts["compute"] is None:
        assert cost.usd_total is None
    else:
        assert cost.usd_total == sum((usd for usd in parts.values() if usd is not None), Decimal(0))


NUMBERS = st.integers(0, 10**12)
STAGES = st.builds(
    StageFacts,
    stage_id=st.integers(0, 9),
    attempt=st.just(0),
    tasks=NUMBERS,
    task_ms_max=NUMBERS,
    task_ms_median=st.none() | NUMBERS,
    spill_disk_bytes=NUMBERS,
    gc_ms=NUMBERS,
)
SUMMARIES = st.builds(
    EventLogSummary,
    ended=TIMES,
    slot_ms=st.none() | NUMBERS,
    slot_ms_wasted=st.none() | NUMBERS,
    stages=st.lists(STAGES, max_size=3).map(tuple),
    peak_memory_bytes=st.dictionaries(st.sampled_from("abc"), NUMBERS),
    conf=st.dictionaries(st.sampled_from(["spark.executor.cores", "spark.task.cpus"]), st.text(max_size=3)),
)


@given(st.lists(PODS, max_size=6), SUMMARIES, st.booleans())
def test_advice_and_waste_never_exceed_what_was_spent(pods, summary, has_assumed):
    """For any log: no exception, no measure saves more than all compute, no waste beyond the total."""
    assumed = Node(uid="x", instance_type="m5.xlarge") if has_assumed else None
    card = CARD.model_copy(update={"spot_share_of_on_demand": Decimal("0.4")})
    lines = itemize(pods, NODES, card, assumed_node=assumed, ended=summary.ended)
    compute = sum((step.usd for line in lines for step in line.steps or ()), Decimal(0))

    def reprice(pod, node):
        return itemize([pod.model_copy(update={"node": node.uid})], {node.uid: node}, card, ended=summary.ended)[0]

    for measure in advise(summary, lines, reprice):
        assert measure.evidence
        assert measure.usd is None or 0 <= measure.usd <= compute + Decimal("1e-6")
    _, cost = price(pods, NODES, card, basis="event_log", assumed_node=assumed, now=NOON)
    shared, _ = share(cost, summary)
    assert shared.usd_waste is None or 0 <= shared.usd_waste <= cost.usd_total


def whole(uid, seconds, **more):
    """A driver on an m7g.xlarge with an EMR image."""
    ended = NOON + timedelta(milliseconds=seconds)
    more = {"started": NOON, "ended": ended, "storage_gib": 10, "is_emr_image": True} | more
    return Pod(uid=uid, role="driver", vcpu=2, memory_gib=6, node="known", **more)


@given(st.integers(1, 10**8), st.floats(0, 1))
def test_splitting_a_pods_time_in_two_does_not_change_its_cost(milliseconds, part):
    """One pod seen in two stretches costs what it costs in one, minimum and rounding up included."""
    cut = NOON + timedelta(milliseconds=int(milliseconds * part))
    _, one = price([whole("p", milliseconds)], NODES, CARD, basis="pods", now=NOON)
    halves = [whole("p", milliseconds, ended=cut), whole("p", milliseconds, started=cut)]
    _, two = price(halves, NODES, CARD, basis="pods", now=NOON)
    assert two == one


@given(st.integers(0, 10**8), st.integers(0, 10**6))
def test_more_seconds_never_cost_less(milliseconds, extra):
    """A pod that holds its requests longer never gets cheaper, in any component."""
    _, short = price([whole("p", milliseconds)], NODES, CARD, basis="pods", now=NOON)
    _, longer = price([whole("p", milliseconds + extra)], NODES, CARD, basis="pods", now=NOON)
    for name in ("total", "compute", "uplift", "storage", "idle"):
        assert getattr(longer, f"usd_{name}") >= getattr(short, f"usd_{name}")
