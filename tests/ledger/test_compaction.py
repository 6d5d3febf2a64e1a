"""Compaction: what a day holds is the same before and after, whoever is killed, whatever comes late."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import zstandard

from airflow_doeks.cli.report_answers import ask_report
from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.ledger import Ledger, compaction
from airflow_doeks.ledger.compaction import Compacted, compact
from airflow_doeks.ledger.view import open_view
from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobRecord, Times
from airflow_doeks.model.status import JobState
from airflow_doeks.report import GROUPINGS
from airflow_doeks.report.comparison import Days

pytest.importorskip("duckdb", reason="the extra `report` is not installed")

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
DAY, NEXT, TODAY = date(2026, 11, 20), date(2026, 11, 21), date(2026, 11, 25)
PART = "v1/submitted=2026-11-20/part.jsonl.zst"


def record(key: str, usd: str | None = "1.25", *, hours: float = 0, revision: int = 1, **fields: Any) -> JobRecord:
    """A settled record of a job that wrote one dataset, submitted so many hours after noon."""
    part = None if usd is None else Decimal(usd)
    return JobRecord(
        record_id=key,
        revision=revision,
        attempt=Attempt(dag_id="sales", run_id="r", task_id=f"task-{key}", try_number=1),
        settled_by_try=1,
        job=JobFacts(
            ref=f"local://h/{key}", platform="lake", type="local", engine="spark", name=key, state=JobState.SUCCEEDED
        ),
        times=Times(submitted=NOON + timedelta(hours=hours), ended=NOON + timedelta(hours=hours + 1)),
        cost=Cost(usd_total=part, usd_compute=part),
        lineage=Lineage(outputs=(Dataset(namespace="s3://lake", name=f"out/{key}", rows=3, usd=part),), complete=True),
        cost_tags={"team": "a"},
        detail=f"{key}.detail.json.zst",
        **fields,
    )


def detail(usd: str) -> dict[str, Any]:
    """The detail of a job whose dollars lie in one minute."""
    return {"minutes": [{"since": NOON.isoformat(), "minutes": 1, "usd_per_minute": usd}]}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Three records on two days that are over, and one of yesterday."""
    ledger = Ledger(LocalStore(tmp_path / "ledger"))
    for key, usd, hours in (("a", "1.25", 0), ("b", "0.0000000001", 1), ("c", None, 24), ("d", "8", 96)):
        ledger.write(record(key, usd, hours=hours), detail(usd or "0"))
    return ledger


def seen(ledger: Ledger) -> dict[str, tuple[int, Decimal | None, dict[str, str] | None]]:
    """What a reader of the ledger gets of each record."""
    return {one.record_id: (one.revision, one.cost.usd_total, one.actual) for one in ledger.records()}


def asked(ledger: Ledger, *queries: str) -> list[list[tuple[Any, ...]]]:
    """What the view answers to each query."""
    with open_view(ledger, DAY, TODAY) as database:
        return [database.execute(query).fetchall() for query in queries]


FOREIGN = (  # Hadoop's and Finder's marks, a copy by hand, a folder in a day
    "v2/records_$folder$",
    "v2/records/day=2026-11-20_$folder$",
    "v2/.DS_Store",
    "v1/submitted=2026-11-20.bak/a.json",
    "v1/submitted=2026-11-20/old/a.json",
    "v1/submitted=tomorrow/a.json",
)


def test_what_is_no_day_of_the_ledger_stops_and_counts_nothing(ledger: Ledger) -> None:
    """Other objects below the ledger's root: readers and compaction see the days beside them as without them."""
    copy = record("a", "99", revision=7).model_dump_json().encode()
    expected = seen(ledger)
    for name in FOREIGN:
        ledger.store.write(name, copy)
    assert (seen(ledger), [one.day for one in compact(ledger, TODAY)]) == (expected, [DAY, NEXT])
    assert seen(ledger) == expected
    assert {key: usd for key, _, usd, _ in asked(ledger, ALL)[0]} == {key: usd for key, (_, usd, _) in expected.items()}
    assert set(FOREIGN) <= set(ledger.store.list())


ALL = "SELECT record_id, revision, usd_total, actual_usd FROM records ORDER BY record_id"
DATA = "SELECT record_id, direction, dataset, row_count, usd FROM datasets ORDER BY ALL"
MINUTES = "SELECT record_id, since, minute_count, usd_per_minute FROM minutes ORDER BY ALL"


def loose(ledger: Ledger) -> list[str]:
    """Records and bills that stand by themselves."""
    return [name.rpartition("/")[2] for name in ledger.store.list("v1/") if name.endswith(".json")]


def test_a_finished_day_is_one_object_and_reads_the_same(ledger: Ledger) -> None:
    """Days that ended three days ago are compacted, younger ones are not; reader and view see no difference."""
    before, answers = seen(ledger), asked(ledger, ALL, DATA, MINUTES)
    assert list(compact(ledger, TODAY)) == [Compacted(DAY, 2, 2), Compacted(NEXT, 1, 1)]
    assert loose(ledger) == ["d.json"]
    assert seen(ledger) == before
    assert asked(ledger, ALL, DATA, MINUTES) == answers
    assert answers[0] == [
        ("a", 1, Decimal("1.2500000000"), None),
        ("b", 1, Decimal("1E-10"), None),
        ("c", 1, None, None),
        ("d", 1, Decimal("8.0000000000"), None),
    ]
    assert list(compact(ledger, TODAY)) == []


def test_a_record_and_a_bill_that_come_late_are_taken_in_by_the_next_run(ledger: Ledger) -> None:
    """They stand beside the part, readers take them at once; a restated bill replaces the first, also if it is less."""
    list(compact(ledger, TODAY))
    late = ledger.write(record("a", "2.5"), detail("2.5"))
    assert late.revision == 2
    bill = "v1/submitted=2026-11-20/b.actual.json"
    for usd in ("9.5", "3"):
        ledger.store.write(bill, b'{"usd_total": "%s"}' % usd.encode())
        for _ in range(2):
            assert seen(ledger)["a"][:2] == (2, Decimal("2.5"))
            assert seen(ledger)["b"] == (1, Decimal("1E-10"), {"usd_total": usd})
            records, data = asked(ledger, ALL, DATA)
            assert records[:2] == [("a", 2, Decimal("2.5"), None), ("b", 1, Decimal("1E-10"), Decimal(usd))]
            assert [row[-1] for row in data] == [Decimal("2.5"), Decimal("1E-10"), None, Decimal(8)]
            list(compact(ledger, TODAY))
        assert loose(ledger) == ["d.json"]
    assert ledger.read_bill(ledger.find("b", NOON)) == {"usd_total": "3"}
    assert ledger.write(record("b", "7"), detail("7")).actual == {"usd_total": "3"}  # a late revision keeps its bill


class Killed(BaseException):
    """The process ends here."""


class Mortal(LocalStore):
    """A folder whose process is killed before its n-th change."""

    lives = 10**9
    changed: Callable[[str], None] | None = None
    deleted: Callable[[str], None] | None = None

    def write(self, name: str, content: bytes) -> None:
        self._die()
        super().write(name, content)
        if self.changed:
            self.changed(name)

    def delete(self, name: str) -> None:
        self._die()
        super().delete(name)
        if self.deleted:
            self.deleted(name)

    def _die(self) -> None:
        self.lives -= 1
        if self.lives < 0:
            raise Killed


@pytest.mark.parametrize("lives", range(13))
def test_a_kill_at_any_moment_loses_and_doubles_nothing(ledger: Ledger, lives: int) -> None:
    """Before each of its writes and deletes: reader and view see what was there, and the next run ends the work."""
    ledger.store.write("v1/submitted=2026-11-20/a.actual.json", b'{"usd_total": "4"}')
    before, answers = seen(ledger), asked(ledger, ALL, DATA, MINUTES)
    mortal = Mortal(ledger.store.root)
    mortal.lives = lives
    changes = 12  # a part, three tables, three and one loose objects: for two days
    if lives < changes:
        with pytest.raises(Killed):
            list(compact(Ledger(mortal), TODAY))
    else:
        list(compact(Ledger(mortal), TODAY))
    assert seen(ledger) == before
    assert asked(ledger, ALL, DATA, MINUTES) == answers
    list(compact(ledger, TODAY))
    assert loose(ledger) == ["d.json"]
    assert seen(ledger) == before
    assert asked(ledger, ALL, DATA, MINUTES) == answers


def test_what_is_written_meanwhile_stays_loose(ledger: Ledger) -> None:
    """A revision that comes between reading and deleting is not deleted with the one that was read."""
    ledger.store.write("v1/submitted=2026-11-20/a.actual.json", b'{"usd_total": "4"}')
    store = Mortal(ledger.store.root)
    store.changed = lambda name: name == PART and ledger.write(record("a", "2.5"), detail("2.5")) and None
    list(compact(Ledger(store), TODAY))
    assert loose(ledger) == ["a.json", "d.json"]
    assert seen(ledger)["a"] == (2, Decimal("2.5"), {"usd_total": "4"})
    assert asked(ledger, ALL)[0][0] == ("a", 2, Decimal("2.5"), Decimal(4))


@pytest.mark.parametrize("read", [seen, lambda ledger: asked(ledger, ALL, DATA, MINUTES)])
def test_a_day_that_is_compacted_after_it_was_listed_is_read_whole(
    ledger: Ledger, read: Callable[[Ledger], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who listed loose records that are gone when they are read finds them in the part that nobody listed."""
    before, lines = read(ledger), Ledger.lines
    others = iter([ledger.store])

    def late(self: Ledger, name: str) -> list[bytes]:
        for store in others:  # at the first look another run does all the work
            list(compact(Ledger(store), TODAY))
        return lines(self, name)

    monkeypatch.setattr(Ledger, "lines", late)
    assert read(ledger) == before


def test_what_is_written_while_others_are_deleted_stays_loose(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that comes while a large day's loose objects go, one after the other, is not among them."""
    monkeypatch.setattr(compaction, "_LISTED_SECONDS", 0.0)
    store = Mortal(ledger.store.root)
    written = []

    def write(name: str) -> None:
        written.append(name)
        ledger.write(record("b", "2.5"), detail("2.5"))

    store.deleted = lambda name: None if written else write(name)
    list(compact(Ledger(store), TODAY))
    assert written == ["v1/submitted=2026-11-20/a.json"]
    assert loose(ledger) == ["b.json", "d.json"]
    assert seen(ledger)["b"][:2] == (2, Decimal("2.5"))


def test_two_at_a_time_lose_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds that another run was there first leaves the day as it is."""
    before, read = seen(ledger), Ledger.lines
    other = iter([ledger])

    def lines(self: Ledger, name: str) -> list[bytes]:
        for one in other:  # at the first look another run does all the work
            list(compact(Ledger(one.store), TODAY))
        return read(self, name)

    monkeypatch.setattr(Ledger, "lines", lines)
    first, *_ = compact(Ledger(ledger.store), TODAY)
    assert "cannot be read" in first.why
    assert seen(ledger) == before


def test_what_is_no_record_stays_where_it_is(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    """It is named in a warning, hides no other, and the day is not written again for its sake."""
    ledger.store.write("v1/submitted=2026-11-20/broken.json", b'{"v": 1}')
    list(compact(ledger, TODAY))
    assert loose(ledger) == ["broken.json", "d.json"]
    assert "broken.json is left as it is" in caplog.text
    assert list(seen(ledger)) == ["a", "b", "c", "d"]
    (again,) = compact(ledger, TODAY)
    assert again.why == "what is loose there is no record"


@pytest.mark.parametrize("unreadable", ["a.json", "a.detail.json.zst"])
def test_a_store_that_fails_for_now_loses_nothing(ledger: Ledger, unreadable: str) -> None:
    """An object that was listed and cannot be read leaves its day loose: a part without it would hide it for good."""
    before = asked(ledger, MINUTES)

    class Failing(LocalStore):
        def open(self, name: str) -> io.BufferedReader:
            if name.endswith(f"/{unreadable}"):
                raise PermissionError(name)
            return super().open(name)

    first, second = compact(Ledger(Failing(ledger.store.root)), TODAY)
    assert f"{unreadable} cannot be read" in first.why
    assert second.records == 1
    assert loose(ledger) == ["a.json", "b.json", "d.json"]
    list(compact(ledger, TODAY))
    assert asked(ledger, MINUTES) == before


def test_keys_of_a_newer_version_are_kept(ledger: Ledger) -> None:
    """A part holds what a record says, also what this version does not know."""
    newer = record("n").model_dump(mode="json") | {"mood": "good"}
    ledger.store.write("v1/submitted=2026-11-20/n.json", JobRecord.model_validate(newer).model_dump_json().encode())
    list(compact(ledger, TODAY))
    found = next(one for one in ledger.records() if one.record_id == "n")
    assert found.model_extra == {"mood": "good"}


def test_a_part_that_has_no_tables_yet_gets_them(ledger: Ledger) -> None:
    """Also when nothing is loose: an older version wrote the part, or somebody deleted the tables."""
    list(compact(ledger, TODAY))
    answer = asked(ledger, ALL)
    for name in list(ledger.store.list("v2/")):
        ledger.store.delete(name)
    assert asked(ledger, ALL) == answer
    assert [one.records for one in compact(ledger, TODAY)] == [2, 1]
    assert asked(ledger, ALL) == answer


RUN = {"since": NOON.isoformat(), "minutes": 1, "usd_per_minute": "1.25"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.actual.json", [1]),
        ("a.actual.json", {"usd_total": "much"}),
        ("a.actual.json", {"usd_total": "NaN"}),
        ("a.actual.json", {"usd_total": {"a": 1}}),
        ("a.detail.json.zst", {"minutes": 5}),
        ("a.detail.json.zst", {"minutes": [5]}),
        ("a.detail.json.zst", {"minutes": [{}]}),
        ("a.detail.json.zst", {"minutes": [{**RUN, "since": "noon"}]}),
        ("a.detail.json.zst", {"minutes": [{**RUN, "usd_per_minute": "NaN"}]}),
        ("a.detail.json.zst", {"minutes": [{**RUN, "minutes": -1, "usd_per_minute": "-1.25"}]}),
        ("a.detail.json.zst", {"minutes": [{**RUN, "minutes": 10**30}]}),
        ("a.detail.json.zst", {"minutes": [{**RUN, "since": "9999-12-31T23:59:00Z", "minutes": 9}]}),
        ("a.detail.json.zst", {"lineage": 5}),
        ("a.detail.json.zst", {"lineage": {"outputs": 5}}),
    ],
)
def test_an_object_of_another_shape_stops_no_report_and_no_compaction(ledger: Ledger, name: str, content: Any) -> None:
    """Its record is counted with what it says itself, loose and compacted, and every other day is compacted."""
    (one,) = (found for found in ledger.records() if found.record_id == "a")
    ledger.write(one.model_copy(update={"lineage": one.lineage.model_copy(update={"truncated": True})}))
    plain = json.dumps(content).encode()
    packed = zstandard.compress(plain) if name.endswith(".zst") else plain
    ledger.store.write(f"v1/submitted=2026-11-20/{name}", packed)
    for is_first in (True, False):
        for by in GROUPINGS:
            found = ask_report(ledger, by, Days(since=DAY, until=TODAY))
            sums = [line.usd for line in found.lines if line.usd is not None]
            assert (found.total.usd, sum(sums)) == (Decimal("9.2500000001"), Decimal("9.2500000001")), by
        days = [(day.day, day.why) for day in compact(ledger, TODAY)]
        assert not is_first or days == [(DAY, ""), (NEXT, "")]
