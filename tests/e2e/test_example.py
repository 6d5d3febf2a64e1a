"""The shipped example, end to end: what the records say is what Spark did and what lies on disk."""

import json
import sqlite3
from contextlib import closing
from decimal import Decimal

import pytest

pytestmark = [pytest.mark.spark, pytest.mark.airflow, pytest.mark.slow]

TASKS = ["clean_flights", "clean_weather", "flights_with_weather", "daily_delays", "carrier_delays"]


def test_run_ends_well(whole_year):
    """`doeks run` exits 0 when every task succeeded."""
    assert (whole_year.code, whole_year.said["state"]) == (0, "success")
    assert whole_year.said["tasks"] == [{"task": task, "state": "success"} for task in TASKS]


def test_everything_is_counted_once(whole_year):
    """Spark applications, event logs, XComs in Airflow's metadata and ledger records are equally many, one a task."""
    home = whole_year.place.home
    applications = {path.name for path in home.glob("doeks/local/*/events/eventlog_v2_*")}
    started = [json.loads(path.read_text("utf-8")) for path in home.glob("doeks/local/*/state.json")]
    with sqlite3.connect(home / "airflow.db") as database:
        xcoms = database.execute("select task_id from xcom where key = 'doeks_record' order by task_id").fetchall()
    ledger = [json.loads(path.read_text("utf-8")) for path in home.glob("doeks/ledger/v1/submitted=*/*.json")]

    assert len(applications) == len(started) == len(TASKS)
    assert [task for (task,) in xcoms] == sorted(TASKS)
    assert sorted(record["attempt"]["task_id"] for record in ledger) == sorted(TASKS)
    assert {record["record_id"] for record in ledger} == {r["record_id"] for r in whole_year.said["records"]}


def test_outputs_equal_the_disk(whole_year, facts_on_disk):
    """Rows, bytes and files of every written folder are those of its record."""
    recorded = {
        output["name"]: {key: output[key] for key in ("rows", "files", "bytes")}
        for record in whole_year.records.values()
        for output in record["lineage"]["outputs"]
    }

    assert recorded == facts_on_disk


def test_real_data_arrives_whole(whole_year):
    """All 336,776 flights of 2013 are cleaned, joined without loss or doubling, and counted by both marts."""
    outputs = {task: record["lineage"]["outputs"][0]["rows"] for task, record in whole_year.records.items()}
    inputs = {task: [i["rows"] for i in record["lineage"]["inputs"]] for task, record in whole_year.records.items()}

    assert outputs["clean_flights"] == outputs["flights_with_weather"] == 336_776
    assert inputs["daily_delays"] == inputs["carrier_delays"] == [336_776]
    assert outputs["daily_delays"] == 365 * 3  # a row per day and airport


def test_total_is_the_sum_of_its_records(whole_year):
    """The run's total is the sum of the records, and a record's that of its components."""
    costs = [record["cost"] for record in whole_year.records.values()]
    components = ("usd_compute", "usd_uplift", "usd_storage", "usd_transfer", "usd_shared", "usd_idle")

    assert whole_year.usd == sum(Decimal(cost["usd_total"]) for cost in costs) > 0
    for cost in costs:
        assert Decimal(cost["usd_total"]) == sum(Decimal(cost[name] or 0) for name in components)
        assert {name for name in components if cost[name] is None} == {f"usd_{name}" for name in cost["unknown"]}


def test_shares_of_a_job_sum_to_one(whole_year):
    """What the datasets of a job cost and what no dataset explains is the whole job; the latter at most a quarter."""
    for record in whole_year.records.values():
        total, loose = Decimal(record["cost"]["usd_total"]), Decimal(record["cost"]["usd_unattributed"])
        shares = [Decimal(output["usd"]) for output in record["lineage"]["outputs"]]

        assert sum(shares) + loose == total
        assert loose <= total / 4, record["attempt"]["task_id"]


def test_a_month_less_is_fewer_rows(whole_year, without_december):
    """Without December the next run reads and writes December's rows less."""
    december = 28_135

    assert without_december.said["run_id"] != whole_year.said["run_id"]
    rows = without_december.records["clean_flights"]["lineage"]["outputs"][0]["rows"]
    assert rows == 336_776 - december
    assert without_december.rows < whole_year.rows - 2 * december


def test_a_month_less_is_fewer_bytes(whole_year, without_december):
    """Without December each job but that of the weather reads and writes fewer bytes, whatever the machine."""
    for task in ("clean_flights", "flights_with_weather"):
        for role in ("inputs", "outputs"):
            less, all_ = (
                sum(one["bytes"] for one in run.records[task]["lineage"][role])
                for run in (without_december, whole_year)
            )
            assert less < all_, (task, role)


def test_second_run_has_records_of_its_own(whole_year, without_december):
    """Running a pipeline twice runs its jobs twice; nothing of the first run is adopted or overwritten."""
    first, second = ({record["record_id"] for record in run.said["records"]} for run in (whole_year, without_december))

    assert len(first | second) == 2 * len(TASKS)


def test_airflows_own_log_of_each_try_tells_the_job_to_its_record(whole_year):
    """The UI's log tab shows what a worker would have written: submission, states, the record; no other task's."""
    for task, record in whole_year.records.items():
        run = whole_year.place.home / "logs" / "dag_id=flights" / f"run_id={whole_year.said['run_id']}"
        text = (run / f"task_id={task}" / "attempt=1.log").read_text(encoding="utf-8")
        job = record["job"]["ref"]
        said = [f"Submitted {job}", f"{job} is RUNNING", f"{job} is SUCCEEDED", f"Record {record['record_id']}"]
        assert [words for words in said if words not in text] == []
        others = {other["job"]["ref"] for name, other in whole_year.records.items() if name != task}
        assert [other for other in others if other in text] == []


def test_no_trigger_of_a_task_that_is_over_is_left(whole_year):
    """A triggerer that is started on the same home has nothing to run."""
    with closing(sqlite3.connect(whole_year.place.home / "airflow.db")) as database:
        assert database.execute("select count(*) from trigger").fetchone() == (0,)
