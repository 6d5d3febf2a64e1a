"""What a job costs by the hour and by the record."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

from airflow_doeks.lifecycle.windows import IN_WINDOWS, NO_USAGE
from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobRecord, Times, Usage
from airflow_doeks.model.status import JobState
from airflow_doeks.report.rates import UNTOLD, Rates, rates_of

START = datetime(2026, 11, 20, tzinfo=timezone.utc)


def record(rows=(3_000_000, 1_000_000), *, hours=2, **fields):
    """A job of six dollars that ran for some hours and read and wrote a dataset each."""
    read, written = (tuple(Dataset(namespace="s", name=str(n), rows=n) for n in side) for side in (rows[:1], rows[1:]))
    values = {
        "record_id": "a",
        "attempt": Attempt(dag_id="d", run_id="r", task_id="t", try_number=1),
        "job": JobFacts(ref="x://y/z", platform="p", type="t", engine="flink", name="n", state=JobState.SUCCEEDED),
        "times": Times(started=START, ended=START + timedelta(hours=hours)),
        "usage": Usage(vcpu_seconds=Decimal(1)),
        "cost": Cost(usd_total=Decimal(6)),
        "lineage": Lineage(inputs=read, outputs=written),
    }
    return JobRecord(**values | fields)


def test_dollars_over_hours_and_rows():
    """Six dollars in two hours for three million rows in and one out."""
    assert rates_of(record(), {}) == Rates(Decimal(3), Decimal(2), Decimal(6))


def test_what_is_not_known_is_not_divided_by():
    """Unknown rows, no rows, no time and no cost give no number, each for itself."""
    assert rates_of(record((None, 0), hours=0), {}) == UNTOLD
    assert rates_of(record(cost=Cost()), {}) == UNTOLD


def test_a_closing_record_whose_days_have_the_cost_is_not_free():
    """Its zero dollars are those of no hour and no record."""
    assert rates_of(record(cost=IN_WINDOWS, usage=NO_USAGE), {}) == UNTOLD


def test_a_day_is_divided_by_the_mean_rate_of_its_job():
    """Four hours since the last restart with two million records: half a million an hour, which cost three dollars."""
    day = record((None, None), window=date(2026, 11, 20))
    job = {"records_in": 2_000_000, "records_out": None, "duration_ms": 4 * 3_600_000}
    assert rates_of(day, {"jobs": [job]}) == Rates(Decimal(3), Decimal(6), None)
    assert rates_of(day, {"jobs": [{**job, "duration_ms": None}]}) == Rates(Decimal(3))
    assert rates_of(day, {}) == Rates(Decimal(3))
