"""Cost per minute: where it stands, and that nothing is lost on the way."""

import itertools
import tracemalloc
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from airflow_doeks.cost import account
from airflow_doeks.cost.lines import Step, itemize
from airflow_doeks.cost.series import evenly, per_minute, spread
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.telemetry import Telemetry

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
MOMENTS = st.integers(0, 20_000_000).map(lambda ms: NOON + timedelta(milliseconds=ms))


@given(
    st.lists(st.tuples(MOMENTS, MOMENTS, st.decimals(min_value=0, max_value=100, places=4)), max_size=6),
    st.decimals(min_value=0, max_value=1000, places=10),
)
def test_the_minutes_sum_to_the_total(spans, total):
    """However pods overlap, the runs add up to the total to the last digit, in order and without overlap."""
    steps = [Step(min(a, b), max(a, b), rate) for a, b, rate in spans]
    runs = spread(steps, total)
    if steps:
        assert sum((run.usd for run in runs), Decimal(0)) == total
        assert all(run.usd_per_minute >= 0 for run in runs)
    for run, following in itertools.pairwise(runs):
        assert run.since + timedelta(minutes=run.minutes) <= following.since


def test_cost_stands_in_the_minutes_in_which_pods_ran(card, pod, node):
    """A driver from 12:00:30 for five minutes and an executor in the third: half a minute, whole ones, a dear one."""
    pods = [pod("d", 4, 16, start=30, seconds=300), pod("e", 4, 16, role="executor", start=120, seconds=60)]
    lines = itemize(pods, {}, card, assumed_node=node())
    runs = per_minute(lines, Decimal("0.36"))  # 6 pod-minutes, 0.06 each
    assert [(run.since.strftime("%H:%M"), run.minutes, run.usd_per_minute) for run in runs] == [
        ("12:00", 1, Decimal("0.03")),
        ("12:01", 1, Decimal("0.06")),
        ("12:02", 1, Decimal("0.12")),
        ("12:03", 2, Decimal("0.06")),
        ("12:05", 1, Decimal("0.03")),
    ]


def test_an_hour_of_equal_minutes_is_one_run(at):
    """Run-length: a day of one pod is one line, not 1,440."""
    (run,) = evenly(at(0), at(86400), Decimal(1440))
    assert (run.minutes, run.usd_per_minute) == (1440, 1)


def test_what_is_unknown_has_no_minutes(at):
    """No total, no pods, no times or a clock that ran backwards: no series, rather than a wrong one."""
    assert spread([Step(at(0), at(60), Decimal(1))], None) == ()
    assert spread([], Decimal(1)) == ()
    assert evenly(None, at(60), Decimal(1)) == ()
    assert evenly(at(60), at(0), Decimal(1)) == ()


def test_a_billed_minimum_of_a_pod_that_ran_for_no_time_has_its_minute(at):
    """A total with pods of zero length stands in the minute they started in."""
    (run,) = spread([Step(at(90), at(90), Decimal(1))], Decimal("0.01"))
    assert (run.since, run.usd) == (at(60), Decimal("0.01"))


def test_an_account_has_minutes_and_advice(card, pod, node):
    """Dollars per minute sum to the total; a log that shows idle slots gives advice, without a log there is none."""
    facts = Telemetry(pods=(pod(vcpu=4, gib=16),), assumed_node=node())
    (run,) = account(facts, EventLogSummary(), card).minutes
    assert (run.minutes, run.usd_per_minute) == (60, Decimal("0.0032"))
    assert account(facts, EventLogSummary(), card).advice == ()
    idle = account(facts, EventLogSummary(app_id="app-1", slot_ms=1_440_000), card)
    assert [advice.code for advice in idle.advice] == ["idle_executors", "graviton"]


def test_the_driver_holds_its_pod_as_long_as_the_platform_says(card, pod, node, at):
    """A log begins after the JVM and ends before it; volumes are known to the platform alone."""
    logged = pod(role="driver", vcpu=4, gib=16, start=600, seconds=600)
    asked = logged.model_copy(update={"storage_gib": Decimal(0)})
    facts = Telemetry(requested=(asked,), assumed_node=node(), started=at(0), ended=at(3600))
    result = account(facts, EventLogSummary(pods=(logged,)), card)
    assert (result.cost.basis, result.usage.vcpu_seconds, result.cost.usd_storage) == ("event_log", 4 * 3600, 0)


def test_bytes_between_zones_count_all_that_the_log_holds(card, pod, node):
    """The log's sum is priced; where a part of the log is missing the bytes, and so the transfer, are unknown."""
    pods = (pod(node="a"), pod("1", role="executor", node="b"))
    nodes = (node("a", zone="us-east-1a"), node("b", zone="us-east-1b"))
    summary = EventLogSummary(shuffle_remote_bytes=10 * 1024**3)
    facts = Telemetry(pods=pods, nodes=nodes)
    assert account(facts, summary, card).cost.usd_transfer == Decimal("0.1")  # 10 GiB x (1 - 1/2) x 0.02
    assert account(facts, summary.model_copy(update={"gaps": ("part 1",)}), card).cost.usd_transfer is None


def test_a_life_of_centuries_is_not_believed(card, pod, node):
    """One garbled timestamp: what the pod cost is unknown, with the reason, and there is no series of its minutes."""
    centuries = 900 * 365 * 86400
    pods = (pod(vcpu=4, gib=16), pod("1", vcpu=4, gib=16, seconds=centuries, role="executor"))
    result = account(Telemetry(pods=pods, assumed_node=node()), EventLogSummary(), card)
    assert (result.cost.usd_total, result.minutes) == (None, ())
    why = "1 executor pods whose times lie more than 400 days apart, so that one is broken"
    assert why in result.cost.why_unknown
    assert result.usage.vcpu_seconds == 4 * 3600
    assert evenly(NOON, NOON + timedelta(seconds=centuries), Decimal(1)) == ()


def test_a_series_takes_memory_by_steps_not_by_minutes(at):
    """A year of a pod, half a million minutes, is three pieces; a hundred such years are a few hundred."""
    days = 86400
    steps = [Step(at(n * 500 * days + 30), at((n * 500 + 365) * days + 30), Decimal(1)) for n in range(100)]
    tracemalloc.start()
    runs = spread(steps, Decimal(1_000_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(runs) <= 3 * len(steps) + 1
    assert sum((run.usd for run in runs), Decimal(0)) == 1_000_000
    assert peak < 5_000_000


BILLED = {  # second of an executor's request -> seconds billed, of one that registers at 60 and lives to 3600
    60: 3540,
    50: 3550,  # from the request
    46: 3554,
    0: 3554,  # 14 s before registration: the rest was a wait for a node
    -3600: 3554,
    None: 3540,  # no dynamic allocation, no Request Time
}


def test_an_executor_that_waits_for_a_node_costs_nothing_yet(card, pod, node, at):
    """It is billed from its request, but at most the 14 s that an executor takes to start before it registers."""
    for requested, billed in BILLED.items():
        asked = pod("1", vcpu=4, gib=16, start=60, seconds=3540, role="executor")
        asked = asked.model_copy(update={"requested": None if requested is None else at(requested)})
        result = account(Telemetry(assumed_node=node()), EventLogSummary(pods=(asked,)), card)
        assert result.usage.vcpu_seconds == 4 * billed, requested
