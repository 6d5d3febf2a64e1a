"""How long a call is repeated where somebody has only so much time."""

from __future__ import annotations

import pytest

from airflow_doeks.platforms.patience import Pace, Patience, Refusal, Time, no_longer_than, seconds_left
from airflow_doeks.platforms.reading import read_within


class Away:
    """A service that does not answer, and a clock that stands still but for sleeping."""

    def __init__(self) -> None:
        self.now, self.asked = 0.0, 0
        self.time = Time(monotonic=lambda: self.now, sleep=self.sleep)
        self.patience = Patience(Pace(1000, self.time), self.time)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def ask(self) -> None:
        self.asked += 1
        kind = "unavailable"
        raise Refusal(kind, "nobody is there")


def test_a_call_is_repeated_for_what_is_left() -> None:
    """A minute by itself; within a limit for the limit, and after it not again."""
    free, limited, late = Away(), Away(), Away()
    for away, seconds in ((free, 1000.0), (limited, 10.0), (late, 0.0)):
        with no_longer_than(seconds), pytest.raises(Refusal):
            away.patience.call(away.ask)
    assert (limited.now <= 10, late.now, late.asked) == (True, 0, 1)
    assert 10 < free.now <= 60


def test_a_limit_inside_another_never_gives_more() -> None:
    """Whoever has less time decides; outside both there is no limit again."""
    with no_longer_than(5):
        with no_longer_than(100):
            assert seconds_left(60) <= 5
        with no_longer_than(1):
            assert seconds_left(60) <= 1
    assert seconds_left(60) == 60


def test_an_explanation_takes_no_longer_than_its_reader_has() -> None:
    """Its reads run in a thread of their own, under the same limit."""
    left: list[float] = []
    with no_longer_than(5):
        read_within(20, {"the job": lambda: left.append(seconds_left(60))}, [])
    assert 0 < left[0] <= 5
