"""What a running job has cost so far, and what follows for its budgets of dollars."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from airflow_doeks.cost import load_rate_card
from airflow_doeks.lifecycle.budget import Allowance, Judgement, Live, Meter, Pool, judge
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from airflow_doeks.model.telemetry import Node, Pod, Sighting, Telemetry
from tests.fakes.memory_platform import START, MemoryPlatform

REF = JobRef("memory://here/x")
FIVE = Allowance("budget_usd", Decimal(5))
WHOLE_NODE = Decimal("0.1632")  # an m7g.xlarge for an hour, the bundled card of us-east-1


@pytest.mark.parametrize(
    ("least", "most", "told", "spent"),
    [
        (None, None, None, None),
        ("3.99", "3.99", None, None),
        ("1", "4", "budget_usd of 5 USD (4.0000 USD so far)", None),
        ("4.99", "4.99", "budget_usd of 5 USD (4.9900 USD so far)", None),
        ("4.99", "9", "budget_usd of 5 USD (9.0000 USD so far)", None),  # what it may have cost ends nothing
        ("5", "5", "budget_usd of 5 USD (5.0000 USD so far)", "budget_usd of 5 USD (5.0000 USD so far)"),
    ],
)
def test_told_at_80_percent_and_ended_at_100(
    least: str | None, most: str | None, told: str | None, spent: str | None
) -> None:
    """Told once it may be near, ended once it is there for sure; what is not known does neither."""
    live = Live(least and Decimal(least), most and Decimal(most))
    assert judge([FIVE], live) == Judgement({"budget_usd": told} if told else {}, spent)
    assert judge([FIVE], live, told=["budget_usd"]) == Judgement({}, spent)


def test_what_was_spent_before_and_by_others_counts() -> None:
    """Earlier tries for the task, other jobs for its run; each budget by itself."""
    run = Allowance("budget_usd of the run", Decimal(10), Decimal(6), "orders r")
    judged = judge([FIVE, run], Live(Decimal(1), Decimal(1)), others={"orders r": Decimal(3)})
    used_up = "budget_usd of the run of 10 USD (10.0000 USD so far)"
    assert judged == Judgement({"budget_usd of the run": used_up}, used_up)


class Known(MemoryPlatform):
    """A platform with this telemetry."""

    known = Telemetry()
    asked = 0

    def telemetry(self, ref: JobRef) -> Telemetry:
        self.asked += 1
        return self.known


def pod(uid: str, role: str, vcpu: int, **times: datetime | None) -> Pod:
    """A pod of four GiB a vCPU: its share of an m7g.xlarge is a quarter a vCPU."""
    size = {"vcpu": Decimal(vcpu), "memory_gib": Decimal(4 * vcpu), "storage_gib": Decimal(0)}
    return Pod.model_validate({"uid": uid, "role": role, **size, **times})


def meter(executors_min: int | None = None) -> tuple[Meter, Known]:
    """Of a job that asked for a driver of four vCPU and up to two executors of eight, an hour ago."""
    platform = Known()
    asked = [pod("driver", "driver", 4), pod("1", "executor", 8), pod("2", "executor", 8)]
    platform.known = Telemetry(
        requested=tuple(one.model_copy(update={"started": START}) for one in asked),
        assumed_node=Node(uid="n", instance_type="m7g.4xlarge", capacity_type="on_demand"),
    )
    return Meter(platform, REF, load_rate_card, executors_min), platform


def running(started: datetime | None) -> JobStatus:
    """A running job; EMR, for one, does not tell when it started."""
    return JobStatus(REF, JobState.RUNNING, submitted=START, started=started)


def test_what_nobody_sees_lies_between_two_numbers() -> None:
    """For sure: the fewest executors since it was seen to run. At most: all that it asked for, since its submission."""
    own, platform = meter(executors_min=1)
    hour = START + timedelta(hours=1)
    assert own.read(JobStatus(REF, JobState.QUEUED), hour) == Live(None, None)
    assert own.read(running(None), hour) == Live(Decimal(0), 5 * WHOLE_NODE)
    live = own.read(running(None), hour + timedelta(hours=1))
    assert (live.least, live.most) == (3 * WHOLE_NODE, 10 * WHOLE_NODE)
    assert platform.asked == 1


def test_a_start_that_is_told_and_a_fixed_size_leave_no_doubt() -> None:
    """All that it asked for, since it started."""
    own, _ = meter()
    live = own.read(running(START), START + timedelta(hours=1))
    assert (live.least, live.most) == (5 * WHOLE_NODE, 5 * WHOLE_NODE)


def test_pods_that_were_seen_are_what_it_cost() -> None:
    """Whatever it asked for; one that ended costs no more."""
    own, _ = meter(executors_min=0)
    node = Node(uid="a", instance_type="m7g.xlarge", capacity_type="on_demand")
    half = START + timedelta(minutes=30)
    pods = [pod("d", "driver", 4, started=START), pod("e", "executor", 4, started=START, ended=half)]
    seen = [Sighting(ref=REF, seen=half, pod=one.model_copy(update={"node": "a"}), node=node) for one in pods]
    live = own.read(running(START), START + timedelta(hours=1), seen)
    assert live == Live(WHOLE_NODE * Decimal("1.5"), WHOLE_NODE * Decimal("1.5"))


def test_a_node_without_a_price_makes_the_cost_unknown() -> None:
    """And then it is neither told of nor ended."""
    own, platform = meter()
    platform.known = platform.known.model_copy(update={"assumed_node": None})
    assert own.read(running(START), START + timedelta(hours=1)) == Live(None, None)


def test_no_rate_card_is_told_to_who_reads() -> None:
    """Who asks decides what follows."""

    def gone() -> None:
        msg = "no rate card"
        raise SpecError(msg)

    with pytest.raises(SpecError):
        Meter(Known(), REF, gone, None).read(running(START), START)  # type: ignore[arg-type]


def test_jobs_of_one_loop_share_what_they_cost() -> None:
    """Each counts the others; one that was over when another began was counted in what was spent before it."""

    async def story() -> list[Decimal]:
        pool = Pool.of_running_loop("orders r")
        first, second = pool.join("a"), pool.join("b")
        seen = [pool.others("a", Decimal(1), first), pool.others("b", Decimal(2), second)]
        pool.ended.add("a")
        late = Pool.of_running_loop("orders r").join("c")
        return [*seen, pool.others("b", Decimal(3), second), pool.others("c", Decimal(5), late)]

    assert asyncio.run(story()) == [Decimal(0), Decimal(1), Decimal(1), Decimal(3)]
