"""What the ledger promises to those who write and read records."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import pytest
import zstandard

from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.ledger import Ledger
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobRecord, Times
from airflow_doeks.model.status import JobState

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
TODAY = datetime.now(timezone.utc).replace(hour=12)  # no day that may be compacted


def record(key: str, submitted: datetime = NOON, *, usd: str | None = None, **fields) -> JobRecord:
    """A record of a running job, or with ``usd`` of a settled one."""
    return JobRecord(
        record_id=key,
        attempt=Attempt(dag_id="d", run_id="r", task_id="t", try_number=1),
        settled_by_try=None if usd is None else 1,
        job=JobFacts(
            ref=f"local://h/{key}", platform="laptop", type="local", engine="spark", name=key, state=JobState.RUNNING
        ),
        times=Times(submitted=submitted),
        cost=Cost() if usd is None else Cost(usd_total=Decimal(usd)),
        **fields,
    )


class Counted(LocalStore):
    """A folder that remembers which prefixes were listed, and counts what was read and written."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.listed: list[str] = []
        self.reads = self.writes = 0

    def list(self, prefix: str = "") -> Iterator[str]:
        self.listed.append(prefix)
        self.reads += 1
        return super().list(prefix)

    def open(self, name: str) -> BinaryIO:
        self.reads += 1
        return super().open(name)

    def write(self, name: str, content: bytes) -> None:
        self.writes += 1
        super().write(name, content)


@pytest.fixture
def store(tmp_path):
    """An empty folder."""
    return Counted(tmp_path)


@pytest.fixture
def ledger(store):
    """Its ledger."""
    return Ledger(store)


def test_one_object_a_record_by_day_of_submission(ledger, store):
    """A record stands under the UTC day of its submission; settling it a day later raises its revision there."""
    east = timezone(timedelta(hours=9))
    ledger.write(record("a", datetime(2026, 11, 21, 3, tzinfo=east)))
    settled = ledger.write(record("a", datetime(2026, 11, 21, 3, tzinfo=east), usd="0.5"))
    assert list(store.list()) == ["v1/submitted=2026-11-20/a.json"]
    assert settled.revision == 2
    assert list(ledger.records()) == [settled]


def test_writing_again_changes_nothing(ledger):
    """A callback that fires twice leaves one revision, and a late "running" never hides what was settled."""
    settled = ledger.write(record("a", usd="0.5"))
    assert ledger.write(record("a", usd="0.5")) == settled
    assert ledger.write(record("a")) == settled
    assert [(found.revision, found.cost.usd_total) for found in ledger.records()] == [(1, Decimal("0.5"))]
    assert ledger.write(record("a", usd="0.7")).revision == 2


@pytest.mark.parametrize(
    ("submitted", "reads"),
    [
        (TODAY, 1),
        (TODAY.replace(hour=0, minute=1), 2),  # the record may stand under the day before
        (NOON - timedelta(days=30), 2),  # or in the part of a compacted day
    ],
)
@pytest.mark.parametrize("is_running", [True, False])
def test_a_settle_costs_two_reads_and_two_writes_at_most(submitted, reads, is_running, ledger, store):
    """The record and its detail, with or without the record of the running job; a second time writes nothing."""
    if is_running:
        ledger.write(record("a", submitted))
    store.reads = store.writes = 0
    settled = ledger.write(record("a", submitted, usd="0.5"), {"minutes": []})
    assert (store.reads, store.writes) == (1 if is_running else reads, 2)
    assert ledger.write(record("a", submitted, usd="0.5"), {"minutes": []}) == settled
    assert store.writes == 2


def test_what_a_newer_version_wrote_is_kept(ledger, store):
    """An older worker settles the job of a newer one: keys that it does not know are there afterwards, inside too."""
    plain = json.loads(record("a").model_dump_json())
    plain |= {"mood": "good", "attempt": plain["attempt"] | {"queue": "q1"}}
    store.write("v1/submitted=2026-11-20/a.json", json.dumps(plain).encode())
    ledger.write(record("a", usd="0.5"))
    (text,) = (store.root / "v1" / "submitted=2026-11-20").glob("a.json")
    kept = json.loads(text.read_text())
    assert (kept["mood"], kept["attempt"]["queue"], kept["revision"]) == ("good", "q1", 2)
    assert kept["cost"]["usd_total"] == "0.5"


@pytest.mark.parametrize(
    "newer",
    [
        {"failure": {"category": "budget", "message": "it used up its dollars"}},
        {"job": {"state": "PAUSED"}},
        {"cost": {"basis": "trino", "confidence": "exact"}},
        {"lineage": {"inputs": [{"namespace": "s3://raw", "name": "orders", "source": "inferred"}]}},
    ],
)
def test_a_word_of_a_newer_version_hides_no_record(ledger, store, newer):
    """A state, a category or a basis that this version does not know is read as it is and written as it is."""
    plain = json.loads(record("a").model_dump_json())
    plain |= {key: (plain[key] or {}) | value for key, value in newer.items()} | {"revision": 7}
    store.write("v1/submitted=2026-11-20/a.json", json.dumps(plain).encode())
    (read,) = ledger.records()
    said = json.loads(read.model_dump_json())
    assert all(said[key] == said[key] | value for key, value in newer.items() if key != "lineage")
    assert [one.source for one in read.lineage.inputs] == ["inferred"] * ("lineage" in newer)
    assert ledger.write(record("a", usd="1")).revision == 8


def test_midnight_does_not_double(ledger, store):
    """Airflow's and the platform's clock may put one submission on two days: the record stays where it was."""
    ledger.write(record("a", datetime(2026, 11, 21, 0, 0, 1, tzinfo=timezone.utc)))
    settled = ledger.write(record("a", datetime(2026, 11, 20, 23, 59, 59, tzinfo=timezone.utc), usd="1"))
    assert list(store.list()) == ["v1/submitted=2026-11-21/a.json"]
    assert ledger.find("a", datetime(2026, 11, 20, 23, 59, 59, tzinfo=timezone.utc)) == settled
    assert list(ledger.records()) == [settled]


def test_midnight_does_not_double_the_other_way_round(ledger, store):
    """The settled record is the one whose clock says the later day."""
    ledger.write(record("a", datetime(2026, 11, 20, 23, 59, 59, tzinfo=timezone.utc)))
    settled = ledger.write(record("a", datetime(2026, 11, 21, 0, 0, 1, tzinfo=timezone.utc), usd="1"))
    assert list(store.list()) == ["v1/submitted=2026-11-20/a.json"]
    assert ledger.find("a", datetime(2026, 11, 21, 0, 0, 1, tzinfo=timezone.utc)) == settled
    assert list(ledger.records()) == [settled]


def test_of_equal_revisions_the_settled_one_is_given(ledger, store):
    """Two writers that raced leave one revision twice: what is settled holds, wherever it stands."""
    lines = [record("a", usd="1").model_dump_json(), record("b").model_dump_json()]
    store.write("v1/submitted=2026-11-20/part.jsonl.zst", zstandard.compress("\n".join(lines).encode()))
    for other in (record("a"), record("b", usd="2")):
        store.write(f"v1/submitted=2026-11-20/{other.record_id}.json", other.model_dump_json().encode())
    assert {found.record_id: found.cost.usd_total for found in ledger.records()} == {"a": Decimal(1), "b": Decimal(2)}


def test_readers_take_the_highest_revision(ledger, store):
    """Of all places of a record (two days, a compacted part) the highest revision is given, once."""
    for day, revision in ((date(2026, 11, 20), 3), (date(2026, 11, 21), 2)):
        text = record("a", usd=str(revision), revision=revision).model_dump_json()
        store.write(f"v1/submitted={day}/a.json", text.encode())
    lines = "".join(record(key, revision=1).model_dump_json() + "\n" for key in ("a", "b"))
    store.write("v1/submitted=2026-11-20/part.jsonl.zst", zstandard.compress(lines.encode()))
    assert {found.record_id: found.revision for found in ledger.records()} == {"a": 3, "b": 1}
    assert ledger.find("b", NOON).record_id == "b"


@pytest.mark.parametrize("revisions", [(1, 2), (2, 1)])
@pytest.mark.parametrize("usds", [("1", "2"), ("1", None), (None, "1")])
@pytest.mark.parametrize("place", ["v1/submitted=2026-11-20/part.jsonl.zst", "v1/submitted=2026-11-21/a.json"])
def test_a_higher_revision_wins_wherever_it_stands_settled_or_not(revisions, usds, place, ledger, store):
    """Of two places the later writing is given, whichever is read first; that it is settled decides only a tie."""
    one, other = (record("a", usd=usd, revision=number) for usd, number in zip(usds, revisions, strict=True))
    store.write("v1/submitted=2026-11-20/a.json", one.model_dump_json().encode())
    text = other.model_dump_json().encode()
    store.write(place, zstandard.compress(text) if place.endswith(".zst") else text)
    assert [found.revision for found in ledger.records()] == [2]


def test_range_lists_only_its_days(ledger, store):
    """A report over two days lists two prefixes, however long the ledger is."""
    for day in range(18, 23):
        ledger.write(record(f"r{day}", NOON.replace(day=day)))
    store.listed.clear()
    found = [found.record_id for found in ledger.records(date(2026, 11, 19), date(2026, 11, 20))]
    assert found == ["r19", "r20"]
    assert store.listed == ["v1/submitted=2026-11-19/", "v1/submitted=2026-11-20/"]
    assert [found.record_id for found in ledger.records(until=date(2026, 11, 19))] == ["r18", "r19"]


def test_years_back_are_listed_by_years_and_months(ledger, store):
    """A long range asks for whole years and months at once, and still gives its days only, in their order."""
    days = [date(2023, 11, 14), date(2023, 11, 15), date(2023, 12, 3), date(2024, 2, 29), date(2026, 1, 1)]
    days += [date(2026, 2, 2), date(2026, 2, 3)]
    for day in days:
        ledger.write(record(day.isoformat(), NOON.replace(year=day.year, month=day.month, day=day.day)))
    store.listed.clear()

    found = [found.record_id for found in ledger.records(date(2023, 11, 15), date(2026, 2, 2))]

    assert found == [day.isoformat() for day in days[1:-1]]
    single = [f"v1/submitted=2023-11-{day}/" for day in range(15, 31)]
    whole = [f"v1/submitted={part}-" for part in ("2023-12", "2024", "2025", "2026-01")]
    assert store.listed == [*single, *whole, "v1/submitted=2026-02-01/", "v1/submitted=2026-02-02/"]


def test_broken_objects_are_named_and_skipped(ledger, store, caplog):
    """A broken file, line or archive gives a warning with its name; every other record is still read."""
    ledger.write(record("good"))
    store.write("v1/submitted=2026-11-20/cut.json", b'{"v": 1, "record')
    store.write("v1/submitted=2026-11-20/empty.json", b"")
    store.write("v1/submitted=2026-11-20/other.json", b'{"v": 2}')
    lines = record("packed").model_dump_json() + '\n{"v": 1,\n' + record("packed too").model_dump_json()
    store.write("v1/submitted=2026-11-20/part.jsonl.zst", zstandard.compress(lines.encode()))
    store.write("v1/submitted=2026-11-21/part.jsonl.zst", b"no archive")
    with caplog.at_level(logging.WARNING):
        assert sorted(found.record_id for found in ledger.records()) == ["good", "packed", "packed too"]
    for name in ("cut.json", "empty.json", "other.json", "part.jsonl.zst, line 2", "2026-11-21/part.jsonl.zst"):
        assert name in caplog.text
    assert "good.json" not in caplog.text


def test_detail_and_bill(ledger, store):
    """The detail stands beside its record and is read back; the bill of a day later becomes the record's `actual`."""
    settled = ledger.write(record("a", usd="0.5"))
    assert ledger.read_detail(settled) == {}
    settled = ledger.write(record("a", usd="0.6"), {"columns": {"é": [1]}})
    store.write("v1/submitted=2026-11-20/a.actual.json", b'{"usd": "0.61"}')
    assert ledger.read_detail(settled) == {"columns": {"é": [1]}}
    assert [found.actual for found in ledger.records()] == [{"usd": "0.61"}]
    assert ledger.write(record("a", usd="0.6")) == settled


@pytest.mark.parametrize("submitted", [NOON, NOON.replace(hour=23, minute=59)])
def test_a_detail_is_opened_without_listing(submitted, ledger, store):
    """However many records a day holds, a detail costs no listing, also of a record that came across midnight."""
    settled = ledger.write(record("a", submitted, usd="0.5"))
    late = settled.model_copy(update={"times": Times(submitted=submitted + timedelta(minutes=2))})
    ledger.write(late, {"minutes": []})
    store.listed.clear()
    assert ledger.read_detail(settled) == ledger.read_detail(late) == {"minutes": []}
    assert store.listed == []


@pytest.mark.parametrize("content", [b"no frame", zstandard.compress(b'{"minutes": ['), zstandard.compress(b"[1]")])
def test_a_broken_detail_is_an_empty_one(content, ledger, store):
    """A detail that is cut, no zstd or no object raises nothing."""
    settled = ledger.write(record("a", usd="0.5"))
    store.write("v1/submitted=2026-11-20/a.detail.json.zst", content)
    assert ledger.read_detail(settled) == {}


def test_object_that_vanishes_while_reading(store):
    """A day that is compacted while it is read loses no record and raises nothing."""

    class Compacting(Counted):
        def open(self, name: str) -> BinaryIO:
            if name.endswith("/a.json"):
                raise FileNotFoundError(name)
            return super().open(name)

    folder = Compacting(store.root)
    ledger = Ledger(folder)
    folder.write("v1/submitted=2026-11-20/a.json", b"{}")
    part = zstandard.compress(record("a").model_dump_json().encode())
    folder.write("v1/submitted=2026-11-20/part.jsonl.zst", part)
    assert [found.record_id for found in ledger.records()] == ["a"]


@pytest.mark.parametrize("name", ["a.json", "part.jsonl.zst"])
def test_nothing_is_written_over_what_cannot_be_read_for_now(name, ledger, store):
    """While the store is busy, no running record replaces a settled one, and no late one is hidden behind a part."""
    ledger.write(record("a"))
    settled = ledger.write(record("a", usd="0.5"))
    if name != "a.json":
        store.write(f"v1/submitted=2026-11-20/{name}", zstandard.compress(settled.model_dump_json().encode()))
        store.delete("v1/submitted=2026-11-20/a.json")

    class Busy(LocalStore):
        def open(self, place: str) -> BinaryIO:
            if place.endswith(name):
                raise TimeoutError(place)
            return super().open(place)

    with pytest.raises(TimeoutError):
        Ledger(Busy(store.root)).write(record("a"))
    assert ledger.find("a", NOON) == settled


def test_unknown_record(ledger):
    """A record that nobody wrote is None."""
    assert ledger.find("a", NOON) is None
    assert list(ledger.records()) == []


@pytest.mark.parametrize("content", [b"", b'{"usd_total": ', b"[]", b"[1]", b"null", b'{"usd_total": {"a": "1"}}'])
def test_a_broken_bill_hides_neither_its_record_nor_the_bill_before(content, ledger, store):
    """Of a compacted day the record holds what the bill said; who finds no bill beside it keeps that."""
    ledger.write(record("a", usd="0.5").model_copy(update={"actual": {"usd_total": "0.6"}}))
    store.write("v1/submitted=2026-11-20/a.actual.json", content)
    (found,) = ledger.records()
    assert found.actual == ledger.read_bill(found) == {"usd_total": "0.6"}
