"""Entries kept in memory: what is new is read, what is not is not, and nobody waits longer than asked."""

from __future__ import annotations

import threading
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
import zstandard

from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.ledger import Ledger
from airflow_doeks.ledger.changes import Changes
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobRecord, Times
from airflow_doeks.model.status import JobState
from airflow_doeks.report.shelf import Shelf
from airflow_doeks.report.spending import total_by

TODAY = date(2026, 11, 20)
OLD = TODAY - timedelta(days=9)


class Counted(Changes):
    """Changes that remember which objects were read; may be away, and may wait for a signal."""

    def __init__(self, store):
        super().__init__(store)
        self.read, self.away = [], None
        self.open = threading.Event()
        self.open.set()

    def stamps(self, since, until):
        if self.away:
            raise self.away
        assert self.open.wait(30)
        return super().stamps(since, until)

    def values(self, names):
        self.read += names
        return super().values(names)


class Clock:
    """Seconds that only the test moves."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def ledger(tmp_path):
    """An empty ledger."""
    return Ledger(LocalStore(tmp_path))


@pytest.fixture
def changes(ledger):
    """What of it is new."""
    return Counted(ledger.store)


@pytest.fixture
def clock():
    """The shelf's clock."""
    return Clock()


@pytest.fixture
def shelf(changes, clock):
    """A shelf over it."""
    return Shelf(changes, clock=clock, today=lambda: TODAY)


def record(key, day=TODAY, usd="1", **fields):
    """A settled record submitted at noon of a day; with ``usd`` None of a job that runs."""
    return JobRecord(
        record_id=key,
        attempt=Attempt(dag_id="d", run_id="r", task_id="t", try_number=1),
        settled_by_try=usd and 1,
        job=JobFacts(ref=key, platform="p", type="local", engine="spark", name=key, state=JobState.RUNNING),
        times=Times(submitted=datetime(day.year, day.month, day.day, 12, tzinfo=timezone.utc)),
        cost=Cost(usd_total=usd and Decimal(usd)),
        **fields,
    )


def seen(shelf, *days):
    """Record ids and dollars of some days."""
    return {entry.record_id: entry.usd for entry in shelf.look(days, wait_seconds=30).entries}


def test_a_new_record_is_seen_and_the_old_ones_are_not_read_again(shelf, ledger, changes, clock):
    """A record written after the first look is in the second, which reads that one object only."""
    ledger.write(record("a"))
    assert seen(shelf, TODAY) == {"a": 1}
    ledger.write(record("b"))
    clock.now += 3
    assert seen(shelf, TODAY) == {"a": 1, "b": 1}
    assert [name.rpartition("/")[2] for name in changes.read] == ["a.json", "b.json"]


def test_a_record_that_was_settled_replaces_the_running_one(shelf, ledger, clock):
    """An object written anew is read anew, also of an old day while one of its jobs runs."""
    ledger.write(record("a", OLD, usd=None))
    assert seen(shelf, OLD) == {"a": None}
    ledger.write(record("a", OLD, usd="2"))
    clock.now += 3
    assert seen(shelf, OLD) == {"a": 2}


def test_an_old_day_whose_jobs_are_settled_is_listed_every_few_minutes(shelf, ledger, clock):
    """A late correction of an old record is seen, though not at once."""
    ledger.write(record("a", OLD))
    assert seen(shelf, OLD) == {"a": 1}
    ledger.write(record("a", OLD, usd="2"))
    clock.now += 3
    assert seen(shelf, OLD) == {"a": 1}
    clock.now += 300
    assert seen(shelf, OLD) == {"a": 2}


def test_who_does_not_wait_is_told_how_much_is_missing(shelf, ledger, changes):
    """A reader with no time gets what is there and the number of days that are still being read."""
    ledger.write(record("a"))
    changes.open.clear()
    first = shelf.look([OLD, TODAY], wait_seconds=0)
    assert (list(first.entries), first.missing, first.error) == ([], 2, "")
    changes.open.set()
    assert seen(shelf, OLD, TODAY) == {"a": 1}


def test_a_ledger_that_is_away_is_told_and_what_was_read_is_given(shelf, ledger, changes, clock):
    """An error has words without addresses; once the ledger is back, so are its readers."""
    ledger.write(record("a"))
    assert seen(shelf, TODAY) == {"a": 1}
    changes.away = PermissionError("s3://secret-bucket: access denied with connection 'x'")
    clock.now += 3
    away = shelf.look([TODAY], wait_seconds=30)
    assert (len(away.entries), away.error) == (1, "access to it was denied")
    changes.away = None
    assert shelf.look([TODAY], wait_seconds=30).error == ""


def test_a_half_written_object_hides_no_other(shelf, ledger, caplog):
    """What is no record is named in a warning and skipped."""
    ledger.write(record("a"))
    folder = f"v1/submitted={TODAY}"
    ledger.store.write(f"{folder}/b.json", b'{"v": 1, "record_')
    ledger.store.write(f"{folder}/c.json", b'{"v": 1}')
    ledger.store.write(f"{folder}/d.json", b"[]")
    assert seen(shelf, TODAY) == {"a": 1}
    assert sorted(line.getMessage().split(".json")[0][-1] for line in caplog.records) == ["b", "c", "d"]


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity"])
def test_dollars_that_are_no_number_are_in_no_sum(amount, shelf, ledger, caplog):
    """One such record would make every sum of its days none: it is skipped, as the ledger itself does."""
    ledger.write(record("a"))
    text = record("b").model_dump_json().replace('"usd_total":"1"', f'"usd_total":"{amount}"')
    ledger.store.write(f"v1/submitted={TODAY}/b.json", text.encode())
    entries = shelf.look([TODAY], wait_seconds=30).entries
    assert (total_by(entries, lambda entry: entry.dag_id).whole.usd, len(caplog.records)) == (1, 1)
    assert [one.record_id for one in ledger.records()] == ["a"]


def test_an_object_that_cannot_be_read_for_now_is_read_later(shelf, ledger, changes, clock):
    """A store that fails once for one object hides its records until the next look, not for ever."""
    ledger.write(record("a"))
    ledger.write(record("b"))
    away = iter(["b.json"])

    class Failing(LocalStore):
        def open(self, name):
            if name.endswith("b.json") and next(away, None):
                raise OSError(name)
            return super().open(name)

    changes._ledger = Ledger(Failing(ledger.store.root))
    assert seen(shelf, TODAY) == {"a": 1}
    clock.now += 3
    assert seen(shelf, TODAY) == {"a": 1, "b": 1}


def test_an_old_day_that_is_compacted_while_it_is_read_is_soon_whole(shelf, ledger, changes, clock):
    """What was listed and is gone stands in the day's part: the day does not pass for settled without it."""
    ledger.write(record("a", OLD))
    listed = changes.stamps(OLD, OLD)
    changes.stamps, stamps = lambda *_: listed, changes.stamps
    name = f"v1/submitted={OLD}/"
    with ledger.store.open(f"{name}a.json") as line:
        ledger.store.write(f"{name}part.jsonl.zst", zstandard.compress(line.read()))
    ledger.store.delete(f"{name}a.json")
    assert seen(shelf, OLD) == {}
    changes.stamps = stamps
    clock.now += 3
    assert seen(shelf, OLD) == {"a": 1}


@pytest.mark.parametrize("days", [(TODAY - timedelta(days=1), TODAY), (TODAY, TODAY - timedelta(days=1))])
def test_a_record_on_both_sides_of_midnight_counts_once(shelf, ledger, days):
    """The same record in two days' folders is its newest revision, whichever day holds it."""
    for revision, day in enumerate(days, start=1):
        written = record("a", usd=str(revision), revision=revision)
        ledger.store.write(f"v1/submitted={day}/a.json", written.model_dump_json().encode())
    assert seen(shelf, *sorted(days)) == {"a": 2}
