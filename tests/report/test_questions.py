"""Reports by SQL give what adding record by record gives, over loose and compacted days."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from random import Random

import pytest

from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.ledger import Ledger
from airflow_doeks.ledger.compaction import compact
from airflow_doeks.ledger.view import open_view
from airflow_doeks.model.bill import PLACES
from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.minutes import Run
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobFailure, JobRecord, Times, Usage, UsageAmounts
from airflow_doeks.model.status import JobState
from airflow_doeks.report import GROUPINGS, Report, report
from airflow_doeks.report.entry import entry_of
from airflow_doeks.report.flows import asked_flows, flows_of
from airflow_doeks.report.questions import KEYS, report_of, tables_of
from airflow_doeks.report.sla import asked_waits, waits_by
from airflow_doeks.report.totals import key_of
from airflow_doeks.report.upstream import Lines, Upstream, every_upstream

pytest.importorskip("duckdb", reason="the extra `report` is not installed")

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 12)
NAMESPACES = ("file", "s3://lake", "kafka://broker:9092", "hive")


def made(number: int, dice: Random) -> JobRecord:
    """A record of any kind: failed, unpriced, free, without a team, with waste, with no, one or several outputs.

    Times and what is known of capacity types are of any kind, too; three at a time may run together.
    """
    at = datetime(2026, 11, 1, tzinfo=timezone.utc) + timedelta(hours=21 * (number // 3), minutes=7 * (number % 3))
    later = [at + timedelta(microseconds=dice.choice([0, 10**6 * 60, dice.randrange(1, 10**10)])) for _ in range(3)]
    kinds = dice.sample(["fargate", "on_demand", "spot"], dice.choice([0, 1, 2, 2, 3]))
    usd = dice.choice([None, Decimal(0), *[Decimal(dice.randrange(1, 10**12)).scaleb(-10)] * 6])
    outputs = dice.choice([0, 1, 1, 3])
    parts = [None if not usd or dice.random() < 0.1 else (usd / (outputs + 1)).quantize(Decimal("1e-10"))] * outputs
    state = dice.choice([JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.RUNNING])
    seconds = dice.choice([None, Decimal(dice.randrange(1, 10**6))])
    return JobRecord(
        record_id=f"{number:032x}",
        attempt=Attempt(dag_id=f"dag{number % 3}", run_id="r", task_id=f"t{number % 2}", try_number=1),
        settled_by_try=1,
        job=JobFacts(
            ref=f"x://{number}", platform=f"p{number % 2}", type="local", engine="spark", name="n", state=state
        ),
        times=Times(
            submitted=at,
            scheduled=dice.choice([None, later[0]]),
            started=dice.choice([None, later[1]]),
            ended=dice.choice([None, at, later[2], later[2]]),
        ),
        usage=Usage(
            vcpu_seconds=seconds,
            memory_gib_seconds=seconds and 4 * seconds,
            by_capacity_type={
                kind: UsageAmounts(
                    vcpu_seconds=dice.randrange(9),
                    memory_gib_seconds=8,
                    usd_compute=dice.choice([None, *[Decimal(dice.randrange(1, 10**9)).scaleb(-10)] * 9]),
                )
                for kind in kinds
            },
        ),
        cost=Cost(usd_total=usd, usd_waste=dice.choice([None, usd and usd / 4]), estimate_usd=dice.choice([None, 3])),
        lineage=Lineage(
            inputs=tuple(
                Dataset(
                    namespace=dice.choice(NAMESPACES), name=f"/data/{place}", bytes=dice.choice([None, 0, 10, 1000])
                )
                for place in dice.sample(range(6), dice.choice([0, 1, 2]))
            ),
            outputs=tuple(
                Dataset(namespace=dice.choice(NAMESPACES), name=f"/data/{place}", usd=part)
                for place, part in enumerate(parts)
            ),
            complete=dice.random() < 0.7,
        ),
        cost_tags={"team": dice.choice(["a", "b"])} if number % 4 else {},
        failure=JobFailure(category=dice.choice(["timeout", "unknown"])) if state.has_failed else None,
    )


def minutes_of(record: JobRecord) -> list[Run]:
    """What the detail of every second priced record says: half before and half after the next hour begins."""
    usd, at = record.cost.usd_total, record.times.submitted
    if not usd or not at or int(record.record_id, 16) % 2:
        return []
    half = (usd / 2).quantize(PLACES, ROUND_DOWN)
    first, second = at + timedelta(minutes=58), at + timedelta(minutes=60)
    return [
        Run(since=first, minutes=1, usd_per_minute=usd - half),
        Run(since=second, minutes=1, usd_per_minute=half),
    ]


def minutes_in(ledger: Ledger, record: JobRecord) -> list[Run]:
    """What the ledger holds of them."""
    return [Run.model_validate(run) for run in ledger.read_detail(record).get("minutes", ())]


def rounded(found: Report, by: str) -> tuple[object, ...]:
    """A report with quotients to as many places as anybody reads; dollars are compared as they are.

    By capacity type dollars are quotients, too.
    """
    return tuple(
        (
            line.key,
            line.jobs,
            line.failed,
            line.unpriced,
            round(line.usd, 7) if by == "capacity" and line.usd is not None else line.usd,
            *(None if amount is None else round(amount, 6) for amount in (line.vcpu_hours, line.memory_gib_hours)),
            None if line.usd_waste is None else round(line.usd_waste, 6),
            line.share and round(line.share, 9),
            line.estimate_usd,
            line.usd_of_estimated,
        )
        for line in (*sorted(found.lines, key=lambda line: (-(line.usd or 0), line.key)), found.total)
    )


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """Forty records of twelve days, the first eight of them compacted, two of which were settled again since."""
    ledger, dice = Ledger(LocalStore(Path(tmp_path_factory.mktemp("ledger")))), Random(7)  # noqa: S311 - the same records every time
    records = [made(number, dice) for number in range(40)]
    for record in records:
        runs = minutes_of(record)
        detail = {"minutes": [run.model_dump(mode="json") for run in runs]}
        ledger.write(record.model_copy(update={"detail": "there"} if runs else {}), detail if runs else None)
    assert len(list(compact(ledger, LAST))) == 8
    for record in records[3:5]:
        ledger.write(record.model_copy(update={"cost": Cost(usd_total=Decimal("77.7"))}))
    return ledger


@pytest.mark.parametrize("by", GROUPINGS)
def test_sql_gives_what_adding_up_gives(ledger: Ledger, by: str) -> None:
    """Every line and the total, dollars to the last digit."""
    with open_view(ledger, FIRST, LAST, tables=tables_of(by)) as database:
        found = report_of(database, by)
    added = report(ledger.records(FIRST, LAST), by, minutes=lambda record: minutes_in(ledger, record))
    assert rounded(found, by) == rounded(added, by)
    assert sum(line.usd or 0 for line in found.lines) == found.total.usd


@pytest.mark.parametrize("by", KEYS)
def test_sql_gives_the_same_waits(ledger: Ledger, by: str) -> None:
    """Seconds of which half and 95 of 100 jobs needed no more, by whatever a record goes by."""
    with open_view(ledger, FIRST, LAST, tables=()) as database:
        found = asked_waits(database, by)
    records = {record.record_id: record for record in ledger.records(FIRST, LAST)}
    entries = [entry_of(record) for record in records.values()]
    assert found == waits_by(entries, lambda entry: key_of(records[entry.record_id], by))


def test_sql_gives_the_same_cost_upstream(ledger: Ledger) -> None:
    """Every dataset's dollars with all that it was made from, what is unknown of them, and who shares in them."""
    with open_view(ledger, FIRST, LAST, tables=("datasets",)) as database:
        asked = every_upstream(Lines(asked_flows(database)))
    added = every_upstream(Lines(flows_of(entry_of(record) for record in ledger.records(FIRST, LAST))))
    assert len(asked) > 8
    assert [told(one) for one in asked] == [told(one) for one in added]


def told(one: Upstream) -> tuple[object, ...]:
    """What is told of a dataset, shares as they are read."""
    sources = {
        source.dataset: (source.usd, round(source.share, 9), source.usd_share and round(source.usd_share, 8))
        for source in one.sources
    }
    return one.dataset, one.usd_own, one.usd and round(one.usd, 6), sources, one.unknown


def test_no_record_is_a_total_of_nothing(tmp_path: Path) -> None:
    """An empty ledger has no line, and 0 dollars of no job."""
    with open_view(Ledger(LocalStore(tmp_path)), FIRST, LAST) as database:
        assert [report_of(database, by) for by in GROUPINGS] == [report([], by) for by in GROUPINGS]
        assert asked_waits(database, "team") == ()
