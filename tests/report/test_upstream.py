"""What a dataset cost with everything upstream of it: shared by bytes, nothing twice, what is unknown told."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_doeks.report.entry import Entry, entry_from_json
from airflow_doeks.report.flows import flows_of
from airflow_doeks.report.upstream import Lines, Upstream, every_upstream

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


def job(
    reads: dict[str, int | None], writes: dict[str, Any], *, state: str = "SUCCEEDED", complete: bool = True
) -> Entry:
    """The entry of a job by the bytes that it read of each dataset, and the dollars of each that it wrote."""
    usd = [Decimal(part) for part in writes.values() if part is not None]

    def dataset(name: str, **more: object) -> dict[str, object]:
        return {"namespace": "file", "name": name, **more}

    plain = {
        "record_id": "r",
        "attempt": {"dag_id": "d", "run_id": "r", "task_id": "t", "try_number": 1},
        "job": {"state": state, "platform": "lake"},
        "times": {"submitted": NOON.isoformat()},
        "cost": {"usd_total": str(sum(usd))},
        "lineage": {
            "inputs": [dataset(name, bytes=size) for name, size in reads.items()],
            "outputs": [dataset(name, usd=None if part is None else str(part)) for name, part in writes.items()],
            "complete": complete,
        },
    }
    return entry_from_json(plain, "2026-11-20")


def upstream(jobs: list[Entry], label: str) -> Upstream:
    """What a dataset cost."""
    return Lines(flows_of(jobs)).upstream(label)


def shares(found: Upstream) -> dict[str, tuple[Decimal | None, Decimal | None]]:
    """Dataset -> its dollars, and those of them that went into what was asked for."""
    return {source.dataset: (source.usd, source.usd_share) for source in found.sources}


def test_readers_share_what_they_read_by_bytes() -> None:
    """Raw cost 10; of 100 bytes that were read, the mart read 30 twice: it pays 6 of it."""
    jobs = [
        job({}, {"raw": 10}),
        job({"raw": 30}, {"mart": 1}),
        job({"raw": 30}, {"mart": 1}),
        job({"raw": 40}, {"other": 3}),
    ]
    found = upstream(jobs, "mart")
    assert shares(found) == {"mart": (2, 2), "raw": (10, 6)}
    assert (found.usd_own, found.usd, found.unknown) == (2, 8, ())
    assert upstream(jobs, "other").usd == 3 + 4


def test_a_diamond_is_counted_once() -> None:
    """Both halves of raw come together in the mart: all of it, once."""
    jobs = [
        job({}, {"raw": 10}),
        job({"raw": 50}, {"left": 1}),
        job({"raw": 50}, {"right": 2}),
        job({"left": 1, "right": 1}, {"mart": 4}),
    ]
    assert shares(upstream(jobs, "mart")) == {"mart": (4, 4), "raw": (10, 10), "left": (1, 1), "right": (2, 2)}


def test_a_job_that_writes_two_reads_for_both_by_their_dollars() -> None:
    """One job wrote a for 3 dollars and b for 1: three quarters of what it read went into a."""
    jobs = [job({}, {"raw": 8}), job({"raw": 10}, {"a": 3, "b": 1})]
    assert (upstream(jobs, "a").usd, upstream(jobs, "b").usd) == (3 + 6, 1 + 2)


def test_a_circle_costs_what_all_of_it_cost_and_is_told() -> None:
    """Two tables that are made from each other: each cost both; who reads of them pays once; a job may read its own."""
    jobs = [job({"b": 5}, {"a": 2}), job({"a": 5}, {"b": 3}), job({"a": 7}, {"mart": 1}), job({"mart": 9}, {"mart": 1})]
    assert (upstream(jobs, "a").usd, upstream(jobs, "b").usd) == (5, 5)
    found = upstream(jobs, "mart")
    assert found.usd == 2 + 5
    assert found.unknown == (
        "Circle: mart is made from itself; counted once.",
        "Circle: a, b are made from each other; counted once.",
    )


def test_what_is_not_known_is_told() -> None:
    """Data that no job wrote, jobs without a price, lineage with holes, reads without a size: a sentence each."""
    jobs = [
        job({"landing": 1}, {"raw": 10}, complete=False),
        job({}, {"raw": None}),
        job({"raw": 10}, {"mart": 1}),
        job({"raw": None}, {"other": 1}),
    ]
    found = upstream(jobs, "mart")
    assert found.usd == 1 + 5
    assert found.unknown == (
        "raw: 1 of 2 writes have no known cost and are not in the sum.",
        "raw: 1 jobs that wrote it may have read more than is known.",
        "raw: the bytes of 1 of 2 reads are not known; they count as the mean of the others.",
        "landing: no job of this time wrote it; what it cost is not in the sum.",
    )
    assert shares(found)["landing"] == (None, None)


def test_reads_without_any_size_count_the_same() -> None:
    """Nobody knows how much was read: both readers pay half, and it is said."""
    jobs = [job({}, {"raw": 10}), job({"raw": None}, {"a": 0}), job({"raw": None}, {"b": 0})]
    found = upstream(jobs, "a")
    assert found.usd == 5
    assert found.unknown == ("raw: the bytes of 2 of 2 reads are not known; each read counts the same.",)


def test_a_failed_try_is_no_reader_but_who_wrote_nowhere_known_is() -> None:
    """What a failed try read falls on the try that succeeded; a job that wrote to an unknown place pays its share."""
    jobs = [job({}, {"raw": 10}), job({"raw": 10}, {}, state="FAILED"), job({"raw": 10}, {"mart": 0})]
    assert upstream(jobs, "mart").usd == 10
    assert upstream([*jobs, job({"raw": 30}, {})], "mart").usd == Decimal("2.5")


def test_a_name_that_nobody_knows_has_no_cost() -> None:
    """Not 0 dollars: none, and why."""
    found = upstream([], "typo")
    assert (found.usd, found.sources, found.unknown) == (None, (), ("No job here wrote or read it.",))


NAMES = st.sampled_from("abcdefgh")
JOBS = st.lists(
    st.builds(
        job,
        st.dictionaries(NAMES, st.one_of(st.none(), st.integers(0, 10**12)), max_size=3),
        st.dictionaries(NAMES, st.integers(0, 1000), min_size=1, max_size=3),
    ),
    max_size=12,
)


@given(JOBS)
def test_nothing_is_paid_twice_and_nothing_is_lost(jobs: list[Entry]) -> None:
    """What datasets without a reader outside their circle cost, with everything upstream, is what all of them cost."""
    found = every_upstream(Lines(flows_of(jobs)))
    reaches = {one.dataset: {source.dataset for source in one.sources} for one in found}
    read_by = {name: {other for other, sources in reaches.items() if name in sources} for name in reaches}
    ends: dict[frozenset[str], Upstream] = {}
    for one in found:
        circle = frozenset(name for name in read_by[one.dataset] if name in reaches[one.dataset])
        if read_by[one.dataset] <= circle:
            ends[circle] = one
    whole = sum((one.usd_own or Decimal(0) for one in found), Decimal(0))
    assert sum((one.usd or Decimal(0) for one in ends.values()), Decimal(0)) == pytest.approx(
        whole, abs=Decimal("1e-6")
    )
    assert all(source.share <= 1 + 1e-9 for one in found for source in one.sources)
