"""Records added up: every grouping sums to the same total."""

import json
from decimal import Decimal

import pytest

from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobRecord, Times, Usage
from airflow_doeks.model.status import JobState
from airflow_doeks.report import GROUPINGS, dataset_label, report


@pytest.fixture
def record(at):
    """A record of a succeeded job of one hour that wrote one dataset."""

    def make(number, usd, *, dag="sales", team="a", state=JobState.SUCCEEDED, outputs=None, **cost):
        outputs = {f"/{dag}": usd} if outputs is None else outputs
        datasets = tuple(Dataset(namespace="file", name=name, usd=part) for name, part in outputs.items())
        return JobRecord(
            record_id=f"r{number}",
            attempt=Attempt(dag_id=dag, run_id="run", task_id=f"t{number}", try_number=1),
            job=JobFacts(
                ref=f"local://h/{number}", platform="lake", type="local", engine="spark", name="n", state=state
            ),
            times=Times(submitted=at(number * 86400), started=at(number * 86400), ended=at(number * 86400 + 3600)),
            usage=Usage(vcpu_seconds=7200, memory_gib_seconds=28800),
            cost=Cost(usd_total=usd, **cost),
            lineage=Lineage(outputs=datasets),
            cost_tags={"team": team} if team else {},
        )

    return make


@pytest.fixture
def month(record):
    """Four records: two teams, a failed job, a job with an unattributed half and one whose cost is unknown."""
    return [
        record(0, Decimal(6), usd_waste=Decimal(1)),
        record(1, Decimal(3), dag="growth", team="b", outputs={"/growth": Decimal(1), "/extra": Decimal("0.5")}),
        record(2, Decimal(1), state=JobState.FAILED, team=None, outputs={}),
        record(3, None, outputs={"/sales": None}),
    ]


@pytest.mark.parametrize(
    ("by", "keys"), [("day", ["2026-03-28"]), ("hour", ["2026-03-28T23:00Z", "2026-03-29T00:00Z"])]
)
def test_days_and_hours_are_utc_whatever_zone_a_record_tells(record, by, keys):
    """A job of an hour over UTC's midnight, told in Berlin's time, in the night in which clocks go forward there."""
    plain = json.loads(record(0, Decimal(2)).model_dump_json())
    plain["times"] = {"submitted": "2026-03-29T00:30:00+01:00", "ended": "2026-03-29T01:30:00+01:00"}
    told = JobRecord.model_validate_json(json.dumps(plain))
    assert [line.key for line in report([told], by).lines] == keys
    assert told.model_dump(mode="json")["times"]["submitted"] == "2026-03-28T23:30:00+00:00"


@pytest.mark.parametrize("by", GROUPINGS)
def test_every_grouping_sums_to_the_same_total(month, by):
    """Dollars, vCPU-hours and waste of the lines add up to the total, whichever way they are grouped."""
    result = report(month, by)
    assert result.total.usd == sum(line.usd or 0 for line in result.lines) == 10
    assert result.total.vcpu_hours == 8
    assert sum(line.vcpu_hours for line in result.lines).quantize(Decimal("1e-12")) == 8
    assert (
        sum(line.usd_waste or Decimal(0) for line in result.lines).quantize(Decimal("1e-12"))
        == result.total.usd_waste
        == 2
    )
    assert (result.total.jobs, result.total.failed, result.total.unpriced) == (4, 1, 1)
    assert sum(line.share or 0 for line in result.lines) == pytest.approx(1)


def test_what_no_job_knows_is_no_zero(month):
    """Usage and waste are the sum of what is known; where no job of a line knows them they are null."""
    blind = [record.model_copy(update={"usage": Usage()}) for record in month]
    lines = {line.key: line for line in report([*blind[:3], month[3]], "pipeline").lines}
    assert {key: (line.vcpu_hours, line.usd_waste) for key, line in lines.items()} == {
        "sales": (2, 2),  # of one job of three
        "growth": (None, None),
    }
    assert report(blind, "minute").total.vcpu_hours is None
    assert json.loads(lines["growth"].model_dump_json())["memory_gib_hours"] is None


@pytest.mark.parametrize("by", [by for by in GROUPINGS if by not in {"hour", "minute"}])
def test_a_line_without_a_known_cost_has_none(month, by):
    """Dollars and share are null where no job's cost is known, alone or beside priced lines; no job at all cost 0."""
    alone = report([month[3]], by)
    plain = json.loads(alone.model_dump_json())
    assert [(line["usd"], line["share"], line["unpriced"]) for line in (*plain["lines"], plain["total"])] == [
        (None, None, 1),
        (None, None, 1),
    ]
    assert report([], by).total.usd == 0


def test_a_line_of_which_a_part_is_known_keeps_its_sum(month):
    """Two of three jobs have a known cost: their sum, and one unpriced."""
    lines = {line.key: line for line in report(month, "pipeline").lines}
    assert (lines["sales"].usd, lines["sales"].share, lines["sales"].unpriced) == (7, 0.7, 1)


@pytest.mark.parametrize(
    ("by", "lines"),
    [
        ("team", {"a": 6, "b": 3, "(no team)": 1}),
        ("pipeline", {"sales": 7, "growth": 3}),
        ("platform", {"lake": 10}),
        (
            "dataset",
            {"/sales": 6, "(unattributed)": Decimal("2.5"), "/growth": 1, "/extra": Decimal("0.5")},
        ),
        ("day", {"2026-11-20": 6, "2026-11-21": 3, "2026-11-22": 1, "2026-11-23": None}),
    ],
)
def test_lines_stand_by_falling_cost_or_by_time(month, by, lines):
    """Each grouping's keys and dollars, in the order of the report."""
    assert {line.key: line.usd for line in report(month, by).lines} == lines
    assert [line.key for line in report(month, by).lines] == list(lines)


def test_minutes_stand_where_the_job_ran(month):
    """A job of an hour for 6 dollars costs 10 cents a minute; one without a known cost stands apart."""
    lines = {line.key: line.usd for line in report(month, "minute").lines}
    assert lines["2026-11-20T12:00Z"] == lines["2026-11-20T12:59Z"] == Decimal("0.1")
    assert lines["(time unknown)"] is None
    assert len(lines) == 3 * 60 + 1


@pytest.mark.parametrize(
    ("namespace", "name", "label"),
    [
        ("s3://clean", "orders/2026", "s3://clean/orders/2026"),
        ("file", "/data/raw", "/data/raw"),
        ("kafka://b1:9092", "clicks", "kafka://b1:9092/clicks"),
        ("arn:aws:glue:eu-west-1:1", "table/mart/clicks", "arn:aws:glue:eu-west-1:1:table/mart/clicks"),
    ],
)
def test_datasets_are_shown_as_people_write_them(namespace, name, label):
    """Buckets and brokers as URLs, local files as paths, the rest as namespace and name."""
    assert dataset_label(Dataset(namespace=namespace, name=name)) == label


def test_an_empty_ledger_has_an_empty_report():
    """No records: no lines, a total of zero and no share."""
    result = report([], "team")
    assert (result.lines, result.total.usd, result.total.jobs) == ((), 0, 0)
