"""Advice: what is measured, what is said, what it would have saved."""

from decimal import Decimal

import pytest

from airflow_doeks.advice import advise
from airflow_doeks.cost import itemize
from airflow_doeks.model.event_log import EventLogSummary, StageFacts
from airflow_doeks.model.quantities import GIB


@pytest.fixture
def ask(card, pod, node):
    """Advice on one hour of two executors of 4 vCPU and 16 GiB on nodes of one kind."""

    def run(kind="m5.xlarge", card=card, pods=None, **summary):
        executors = [pod(uid, 4, 16, role="executor") for uid in ("1", "2")]
        summary = {"slot_ms": 28_800_000} | summary  # 2 executors x 4 slots x 3600 s: all busy
        lines = itemize(pods or executors, {}, card, assumed_node=node(kind=kind))

        def reprice(pod, node):
            return itemize([pod.model_copy(update={"node": node.uid})], {node.uid: node}, card)[0]

        given = advise(EventLogSummary(**summary), lines, reprice, card_name=card.name)
        return {advice.code: advice for advice in given}

    return run


def test_a_busy_job_on_graviton_gets_no_advice(ask):
    """Full slots, no spill, no skew, Graviton, no Spot prices known: nothing to say."""
    assert ask("m7g.xlarge") == {}


def test_memory_is_sized_from_the_measured_peak(ask):
    """A peak of 5 GiB of 16: 6 GiB are enough, which saves 10 of 52 units of each node's price."""
    advice = ask("m7g.xlarge", peak_memory_bytes={"1": 5 * GIB, "2": 3 * GIB})["memory"]
    assert advice.message == "memory: 6Gi is enough; 16Gi was held"
    assert advice.evidence[0] == "highest peak of 2 executors: 5.00 GiB (heap, overhead and Python)"
    assert advice.usd == Decimal("0.062769")  # 2 * 0.1632 * 10 / 52


def test_memory_stays_silent_unless_every_executor_was_measured(ask):
    """One executor without a peak may be the one that needs it all."""
    assert "memory" not in ask(peak_memory_bytes={"1": 5 * GIB})


def test_idle_slots_are_told_from_slot_time(ask):
    """A quarter of slot time used: half the executors would do at half busy, which saves half their compute."""
    advice = ask("m7g.xlarge", slot_ms=7_200_000)["idle_executors"]
    assert "busy 25% of the time" in advice.message
    assert advice.usd == Decimal("0.163200")  # 2 * 0.1632 * (1 - 0.25 / 0.5)


def test_cpu_time_of_python_workers_is_never_read(ask):
    """Busy PySpark slots are busy, whatever the JVM's CPU time was: no idle advice."""
    assert "idle_executors" not in ask(uses_python=True)


def test_skew_costs_what_all_executors_cost_while_one_works(ask):
    """A stage whose longest Spark task takes 600 s at a median of 10 s: both executors wait 590 s."""
    stage = StageFacts(stage_id=7, attempt=0, tasks=200, task_ms_max=600_000, task_ms_median=10_000)
    advice = ask("m7g.xlarge", stages=(stage,))["skew"]
    assert advice.message == "stage 7 waited 590 s for its longest Spark task"
    assert advice.usd == Decimal("0.053493")  # 2 * 0.1632 / 3600 * 590


def test_spill_and_garbage_collection_are_named_with_their_stage_and_share(ask):
    """3 GiB spilled are told with the worst stage and without dollars; 20 % in the collector costs 20 % of compute."""
    stages = (
        StageFacts(stage_id=1, attempt=0, spill_disk_bytes=GIB, gc_ms=2_880_000),
        StageFacts(stage_id=2, attempt=0, spill_disk_bytes=2 * GIB, gc_ms=2_880_000),
    )
    advice = ask("m7g.xlarge", stages=stages)
    assert advice["spill"].evidence == ("most in stage 2: 2.0 GiB",)
    assert advice["spill"].usd is None
    assert advice["garbage_collection"].usd == Decimal("0.065280")  # 0.3264 * 0.2


def test_slow_executors_are_told_from_request_to_start(ask, pod, at):
    """Executors that came 90 s after they were asked for are told, with the slowest."""
    pods = [pod(uid, 4, 16, role="executor", start=wait, requested=at(0)) for uid, wait in (("1", 90), ("2", 150))]
    assert ask("m7g.xlarge", pods=pods)["slow_start"].evidence == ("median of 2 executors; slowest 150 s",)


def test_spot_and_graviton_are_repriced_for_the_same_time(ask, card):
    """On m5.xlarge at 0.192: Graviton m6g.xlarge costs 0.154, Spot (here 40 % of list) 0.0768."""
    card = card.model_copy(update={"spot_share_of_on_demand": Decimal("0.4")})
    advice = ask(card=card)
    assert advice["graviton"].usd == Decimal("0.076000")  # 2 * (0.192 - 0.154)
    assert advice["graviton"].evidence == ("m5.xlarge -> m6g.xlarge for the same time",)
    assert advice["spot"].usd == Decimal("0.230400")  # 2 * 0.192 * 0.6
    assert list(advice) == ["spot", "graviton"]


def test_no_facts_no_advice():
    """An empty log and no pods give no advice and no error; nothing is priced for it."""
    assert advise(EventLogSummary(), (), lambda *_: pytest.fail("nothing to price")) == ()


def test_measures_say_what_to_write_where_executors_did_the_work(ask, card):
    """Dotted paths below the job in YAML; on one pod that is the driver nothing in YAML says its size."""
    card = card.model_copy(update={"spot_share_of_on_demand": Decimal("0.4")})
    advice = ask(card=card, slot_ms=1)
    assert advice["spot"].change == {"executors.capacity": "spot"}
    assert advice["graviton"].change == {"presets": "graviton"}
    assert advice["idle_executors"].change == {"executors.max": "1"}
