"""Cost per minute: where it stands, and that nothing is lost on the way."""

import itertools
import tracemalloc
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from airflow_doeks.cost import itemize
from airflow_doeks.model.bill import Step
from airflow_doeks.model.minutes import evenly, per_minute, spread

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
