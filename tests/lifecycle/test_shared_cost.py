"""What a cluster costs beside the jobs, hour by hour on the records of those that ran."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from airflow_doeks.hooks.opencost import shared_by_hour
from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.ledger import Ledger
from airflow_doeks.lifecycle.records import Settled
from airflow_doeks.lifecycle.shared_cost import SharedDay, share_days, with_shared, write_settled
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobRecord, Times
from airflow_doeks.model.status import JobState
from tests.fakes.opencost import Allocation, opencost

MIDNIGHT = datetime(2026, 11, 20, tzinfo=timezone.utc)
DAY, TODAY = date(2026, 11, 20), date(2026, 11, 21)


def job(key: str, usd: str | None, start: float, hours: float, platform: str = "lake") -> JobRecord:
    """A settled record of a job that wrote one dataset, from so many hours after midnight on."""
    begun, total = MIDNIGHT + timedelta(hours=start), None if usd is None else Decimal(usd)
    return JobRecord(
        record_id=key,
        attempt=Attempt(dag_id="sales", run_id="r", task_id=key, try_number=1),
        settled_by_try=1,
        job=JobFacts(
            ref=f"x://h/{key}", platform=platform, type="x", engine="spark", name=key, state=JobState.SUCCEEDED
        ),
        times=Times(submitted=begun, started=begun, ended=begun + timedelta(hours=hours)),
        cost=Cost(
            usd_total=total,
            usd_compute=total,
            usd_waste=total and total / 4,
            usd_unattributed=total and total / 2,
            unknown=("shared", "idle"),
            why_unknown="shared: the rate card names no shared rate; idle: other pods on the nodes are not known",
        ),
        lineage=Lineage(outputs=(Dataset(namespace="s3://lake", name=key, usd=total and total / 2),), complete=True),
        detail=f"{key}.detail.json.zst",
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Two jobs that share the hour of 10, one of them alone at 11; a job elsewhere, and one without a known cost."""
    ledger = Ledger(LocalStore(tmp_path / "ledger"))
    for one in (job("a", "1", 10, 1), job("b", "6", 10, 2), job("c", "5", 10, 1, "pond"), job("d", None, 10, 1)):
        minutes = (
            [{"since": one.times.started.isoformat(), "minutes": 60, "usd_per_minute": "0.01"}]
            if one.times.started
            else []
        )
        ledger.write(one, {"minutes": minutes})
    return ledger


def share(ledger: Ledger, usd: str = "0.40", split: Any = "weighted", **more: Any) -> SharedDay:
    """What sharing a price an hour did on the 20th."""
    days = share_days(ledger, "lake", split, lambda _: [Decimal(usd)] * 24, TODAY, **more)
    return next(one for one in days if one.day == DAY)


def shares(ledger: Ledger) -> dict[str, Decimal | None]:
    """Record id -> its shared cost."""
    return {record.record_id: record.cost.usd_shared for record in ledger.records()}


def test_each_hour_is_shared_by_who_ran_in_it(ledger: Ledger) -> None:
    """By what each cost in that hour (1 and 3 of 4); the other hours are nobody's, and told: together the whole day."""
    result = share(ledger)
    assert (result.usd, result.usd_nobody, result.jobs, result.changed) == (Decimal("0.8"), Decimal("8.8"), 2, 2)
    assert shares(ledger) == {"a": Decimal("0.1"), "b": Decimal("0.7"), "c": None, "d": None}


def test_evenly_each_job_of_an_hour_takes_the_same(ledger: Ledger) -> None:
    """Whatever it cost itself."""
    share(ledger, split="even")
    assert shares(ledger) == {"a": Decimal("0.2"), "b": Decimal("0.6"), "c": None, "d": None}


def test_the_record_adds_up_afterwards(ledger: Ledger) -> None:
    """Total, datasets and minutes hold the new sum; it is known now, and what else is not known stays said."""
    share(ledger)
    record = next(record for record in ledger.records() if record.record_id == "b")
    cost = record.cost
    assert (cost.usd_total, cost.usd_compute, cost.usd_waste) == (Decimal("6.7"), Decimal(6), Decimal("1.675"))
    assert (record.lineage.outputs[0].usd, cost.usd_unattributed) == (Decimal("3.35"), Decimal("3.35"))
    assert (cost.unknown, cost.why_unknown) == (("idle",), "idle: other pods on the nodes are not known")
    minutes = ledger.read_detail(record)["minutes"]
    assert sum(run["minutes"] * Decimal(run["usd_per_minute"]) for run in minutes) == Decimal("6.7")


def test_a_second_run_changes_nothing_and_a_late_job_shares_anew(ledger: Ledger) -> None:
    """Weights are what jobs cost without shared cost, so repeating finds the same; who settles late takes his part."""
    share(ledger)
    before = dict(ledger.store.stamped())
    assert share(ledger).changed == 0
    assert dict(ledger.store.stamped()) == before
    ledger.write(job("late", "4", 10, 1), {})
    assert share(ledger).changed == 3
    assert shares(ledger) | {"c": None, "d": None} == {
        "a": Decimal("0.05"),
        "b": Decimal("0.55"),
        "late": Decimal("0.2"),
        "c": None,
        "d": None,
    }


def test_a_job_over_midnight_adds_up_its_days(ledger: Ledger) -> None:
    """Each day brings its own hours; none replaces another's."""
    ledger.write(job("night", "2", -1, 2), {})
    list(share_days(ledger, "lake", "even", lambda _: [Decimal("0.40")] * 24, TODAY))
    assert shares(ledger)["night"] == Decimal("0.8")


def test_a_streams_day_keeps_its_shared_cost_when_it_is_written_again(ledger: Ledger) -> None:
    """As each pass of `doeks reconcile` does for days of a week; shared are the last two only."""
    one = job("a", "1", 10, 1).model_copy(update={"window": DAY})
    one = one.model_copy(update={"lineage": Lineage(), "record_id": "stream", "detail": "stream.detail.json.zst"})
    run = {"since": one.times.started.isoformat(), "minutes": 60, "usd_per_minute": "0.02"}
    again = Settled(one, {"minutes": [run]})
    write_settled(ledger, again)
    share(ledger)
    before, stands = dict(ledger.store.stamped()), shares(ledger)
    assert stands["stream"]
    write_settled(ledger, again)
    assert (dict(ledger.store.stamped()), shares(ledger)) == (before, stands)
    dearer = one.model_copy(
        update={"cost": one.cost.model_copy(update={"usd_total": Decimal(2), "usd_compute": Decimal(2)})}
    )
    found = write_settled(ledger, Settled(dearer, again.detail)).cost
    assert (found.usd_total, found.usd_shared) == (2 + stands["stream"], stands["stream"])


def test_a_dry_run_writes_nothing(ledger: Ledger) -> None:
    """It says what would change."""
    before = dict(ledger.store.stamped())
    assert share(ledger, is_dry=True).changed == 2
    assert dict(ledger.store.stamped()) == before


class Deaf(LocalStore):
    """A store of which details cannot be read for now."""

    def open(self, name: str) -> BinaryIO:
        """As S3 in an outage."""
        if name.endswith(".detail.json.zst"):
            msg = f"{name}: slow down"
            raise OSError(msg)
        return super().open(name)


def test_a_detail_that_cannot_be_read_now_is_not_written_over(ledger: Ledger) -> None:
    """It holds the minutes, the pods and the shares of other days: the next pass shares the day."""
    before = dict(ledger.store.stamped())
    with pytest.raises(OSError, match="slow down"):
        share(Ledger(Deaf(ledger.store.root)))
    assert dict(ledger.store.stamped()) == before


def test_datasets_in_the_detail_hold_the_new_total_too(ledger: Ledger) -> None:
    """A record with more datasets than it has room for is read there; killed before the record, it is the same."""
    one = job("a", "1", 10, 1).model_copy(update={"cost_tags": {"team": "sales"}})
    ledger.write(one, {"lineage": one.lineage.model_dump(mode="json")})
    loose = ledger.store.root / "v1" / "submitted=2026-11-20" / "a.json"
    unshared = loose.read_bytes()
    for _ in range(2):
        share(ledger)
        (found,) = (record for record in ledger.records() if record.record_id == "a")
        assert found.lineage.outputs[0].usd == Decimal("0.55")
        assert Decimal(ledger.read_detail(found)["lineage"]["outputs"][0]["usd"]) == Decimal("0.55")
        loose.write_bytes(unshared)


def test_an_hour_of_which_opencost_saw_nothing_is_not_free(ledger: Ledger) -> None:
    """A gap in its samples: nothing is shared, and it is said."""
    hour = Allocation("dns", MIDNIGHT, MIDNIGHT + timedelta(hours=23), {"cpuCost": 0.01}, namespace="kube-system")
    with opencost(hour) as fake:
        entry = {"shared": {"namespaces": ["kube-system"]}, "cost_source": {"opencost": fake.url}}
        with pytest.raises(PlatformError, match="OpenCost saw nothing in 1 of 24 hours"):
            shared_by_hour(entry, DAY)


def test_a_failed_job_stays_waste_as_a_whole() -> None:
    """Its shared cost was wasted, too."""
    one = job("x", "2", 0, 1)
    failed = one.model_copy(update={"cost": one.cost.model_copy(update={"usd_waste": Decimal(2)})})
    assert with_shared(failed, Decimal(1)).cost.usd_waste == 3


def test_namespaces_cost_what_opencost_says_hour_by_hour() -> None:
    """System pods and idle nodes of 24 hours; other namespaces are none of it."""
    day = MIDNIGHT + timedelta(days=1)
    pods = [
        Allocation("dns", MIDNIGHT, day, {"cpuCost": 0.01}, namespace="kube-system"),
        Allocation("idle", MIDNIGHT, MIDNIGHT + timedelta(hours=6), {"cpuCost": 0.5}, namespace="__idle__"),
        Allocation("job", MIDNIGHT, day, {"cpuCost": 3.0}, namespace="spark"),
    ]
    entry = {"shared": {"namespaces": ["kube-system", "__idle__"], "usd_per_hour": 0.1}}
    with opencost(*pods) as fake:
        found = shared_by_hour({**entry, "cost_source": {"opencost": fake.url}}, DAY)
        assert found == [Decimal("0.61")] * 6 + [Decimal("0.11")] * 18
        fake.broken = (200, b'{"code": 200, "data": [{"a": {"totalCost": 1}}]}')
        with pytest.raises(PlatformError, match="has 1 of the 24 hours of 2026-11-20"):
            shared_by_hour({**entry, "cost_source": {"opencost": fake.url}}, DAY)
    with pytest.raises(PlatformError, match=r"shared\.namespaces needs cost_source"):
        shared_by_hour(entry, DAY)
    assert shared_by_hour({"shared": {"usd_per_hour": 0.1}}, DAY) == [Decimal("0.1")] * 24


@pytest.mark.parametrize(("state", "waste"), [(JobState.SUCCEEDED, None), (JobState.FAILED, 1)])
def test_a_job_that_cost_nothing_itself_wastes_only_if_it_failed(state: JobState, waste: int | None) -> None:
    """A job of no time takes its shared cost; which part of that a success wasted is not known."""
    one = job("x", "0", 0, 0)
    free = one.model_copy(update={"job": one.job.model_copy(update={"state": state})})
    free = free.model_copy(update={"cost": free.cost.model_copy(update={"usd_waste": Decimal(0)})})
    cost = with_shared(free, Decimal(1)).cost
    assert (cost.usd_total, cost.usd_waste) == (1, waste)
