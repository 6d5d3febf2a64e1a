"""Lineage of Flink jobs, from answers that Flink 2.3 gave."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from airflow_doeks.lineage.flink import TABLES, Counted, SeenJob, flink_lineage
from airflow_doeks.lineage.flink_tables import table_names
from airflow_doeks.lineage.names import Name

JOB = "b68c5a9be5643fb90b546c371f09df78"
SOURCE, AGGREGATED, CALCULATED = "cbc357", "310df5", "296385"
TOLD = {
    "options": {
        "c.d.src": {"connector": "filesystem", "format": "csv", "path": "file:///data/in"},
        "c.d.totals": {"connector": "filesystem", "format": "csv", "path": "file:///data/totals"},
        "c.d.names": {"connector": "filesystem", "format": "json", "path": "s3a://acme/names/"},
    },
    "reads": ["c.d.src"],
    "writes": [
        ["c.d.totals", "HashAggregate(isMerge=[true], groupBy=[name], select=[name, Final_SUM(sum$0) AS EXPR$1])"],
        ["c.d.names", "Calc(select=[id, name], where=[(name <> ';')])"],
    ],
}
PLAN = {
    "type": "BATCH",
    "nodes": [
        {
            "id": SOURCE,
            "description": "[1]:TableSourceScan(table=[[c, d, src]], fields=[name, v])<br/>"
            "+- [2]:LocalHashAggregate(groupBy=[name], select=[name, Partial_SUM(v) AS sum$0])<br/>",
        },
        {
            "id": CALCULATED,
            "description": "[6]:TableSourceScan(table=[[c, d, src]], fields=[id, name])<br/>"
            "+- [7]:Calc(select=[id, name], where=[(name &lt;&gt; ';')])<br/>   +- Sink: Filesystem<br/>",
        },
        {
            "id": AGGREGATED,
            "description": "[4]:HashAggregate(isMerge=[true], groupBy=[name], "
            "select=[name, Final_SUM(sum$0) AS EXPR$1])<br/>+- Sink: Filesystem<br/>",
            "inputs": [{"id": SOURCE}],
        },
    ],
}


def counted(vertex, operator, *, into=0, out=0, attempt=0, subtask="0", sent=0):
    """The counters of one subtask of an operator."""
    values = {"numRecordsIn": into, "numRecordsOut": out, "numBytesOut": sent, "numBytesIn": 0}
    return [Counted(JOB, vertex, operator, name, subtask, attempt, value) for name, value in values.items()]


COUNTERS = (
    *counted(SOURCE, "Source: src[1]", into=600, out=600),
    *counted(SOURCE, "Source: src[1]", into=400, out=400, subtask="1"),
    *counted(CALCULATED, "Source: src[6]", into=1000, out=1000),
    *counted(CALCULATED, "Calc[7]", into=1000, out=990),
    *counted(CALCULATED, "Sink: Filesystem", into=990),
    *counted(AGGREGATED, "HashAggregate[4]", into=9, out=7),
    *counted(AGGREGATED, "Sink: Filesystem", into=7),
)


def seen(told=TOLD, plan=PLAN, counters=COUNTERS, kind="BATCH"):
    """A job as its manager told of it."""
    parameters = {TABLES: json.dumps(told)} if told else {}
    job = {"jid": JOB, "name": "insert-into_c.d.totals", "state": "FINISHED", "job-type": kind, "vertices": []}
    return SeenJob(job, {"execution-config": {"user-config": parameters}}, {"plan": plan}, counters)


def rows(datasets):
    """Namespace, name and rows of each."""
    return [(one.namespace, one.name, one.rows) for one in datasets]


def test_tables_are_datasets_with_the_rows_that_flink_counted():
    """What two scans read counts once, and each file sink is known by what feeds it."""
    lineage, why = flink_lineage([seen()])
    assert rows(lineage.inputs) == [("file", "/data/in", 1000)]
    assert rows(lineage.outputs) == [("file", "/data/totals", 7), ("s3://acme", "names", 990)]
    assert (lineage.complete, why) == (True, ())
    assert {(one.bytes, one.why_unknown) for one in lineage.outputs} == {(None, "its connector counts no bytes")}


def test_jobs_of_one_application_add_what_they_write():
    """Two statements that append to one table wrote both, and read the same data."""
    lineage, _ = flink_lineage([seen(), seen()])
    assert rows(lineage.inputs) == [("file", "/data/in", 1000)]
    assert [one.rows for one in lineage.outputs] == [14, 1980]


def test_a_task_that_was_done_again_counts_once_in_a_batch():
    """A bounded job's lost task starts over; only its last attempt is the result."""
    again = (*COUNTERS, *counted(AGGREGATED, "Sink: Filesystem", into=3, attempt=1))
    lineage, _ = flink_lineage([seen(counters=again)])
    assert lineage.outputs[0].rows == 3


def test_counters_that_a_lost_task_manager_took_with_it_are_no_zeros():
    """Where fewer subtasks left counters than ran, their sum is not what was read or written."""
    one = seen()
    one.job["vertices"] += [{"id": SOURCE, "parallelism": 3}, {"id": AGGREGATED, "parallelism": 1}]
    lineage, _ = flink_lineage([one])
    assert [dataset.rows for dataset in (*lineage.inputs, *lineage.outputs)] == [None, 7, 990]
    assert lineage.inputs[0].why_unknown == "counters of 2 of its 3 subtasks were kept: a task manager was lost"


def test_a_batch_that_restarted_knows_its_rows_by_its_own_counters_alone():
    """What its manager adds up is of the attempts it still has; whole counters of the last attempts are the result."""
    one = seen(counters=None)
    metrics = {"read-records": 1000, "read-records-complete": True}
    one.job["vertices"] += [{"id": SOURCE, "name": "Source: src[1] -> LocalHashAggregate[2]", "metrics": metrics}]
    one.job["timestamps"] = {"RESTARTING": 1732900000000}
    assert flink_lineage([one])[0].inputs[0].rows is None
    assert flink_lineage([SeenJob(one.job, one.config, one.plan, COUNTERS)])[0].inputs[0].rows == 1000


def test_a_stream_that_restarted_does_not_know_its_rows():
    """What came after the last checkpoint was counted twice, and nobody knows how much that was."""
    again = (*COUNTERS, *counted(SOURCE, "Source: src[1]", into=3, out=3, attempt=1))
    lineage, _ = flink_lineage([seen(counters=again, kind="STREAMING")])
    assert [one.rows for one in (*lineage.inputs, *lineage.outputs)] == [None, None, None]


def test_a_job_without_our_runner_says_nothing_of_its_data():
    """A jar's tables are unknown, never none: the lineage is not complete and says what to do."""
    lineage, why = flink_lineage([seen(told=None)])
    assert (lineage.inputs, lineage.outputs, lineage.complete) == ((), (), False)
    assert why == (
        "job 'insert-into_c.d.totals' does not say what it reads and writes: declare it under reads and writes",
    )


def test_counts_that_nobody_kept_are_unknown():
    """Datasets are known without counters; a source that begins its vertex was counted by the job manager."""
    one = seen(counters=None)
    metrics = {"read-records": 1000, "read-records-complete": True}
    one.job["vertices"] += [{"id": SOURCE, "name": "Source: src[1] -> LocalHashAggregate[2]", "metrics": metrics}]
    lineage, _ = flink_lineage([one])
    assert [dataset.rows for dataset in (*lineage.inputs, *lineage.outputs)] == [1000, None, None]
    assert lineage.outputs[0].why_unknown == "Flink's counters of it were not seen"


def test_a_stream_whose_manager_saw_a_restart_does_not_know_its_rows():
    """Its rows are those of the last attempt only; a job manager that was killed itself tells only what it restored."""
    one = seen(counters=None, kind="STREAMING")
    metrics = {"read-records": 1000, "read-records-complete": True}
    one.job["vertices"] += [{"id": SOURCE, "name": "Source: src[1] -> LocalHashAggregate[2]", "metrics": metrics}]
    for restarted, restored, rows_seen in ((0, 0, 1000), (1732900000000, 0, None), (0, 1, None)):
        one.job["timestamps"] = {"RESTARTING": restarted}
        assert flink_lineage([replace(one, restored=restored)])[0].inputs[0].rows == rows_seen


def test_a_job_that_failed_does_not_know_what_it_wrote():
    """What it had counted was not committed; what it read it has read."""
    one = seen()
    one.job["state"] = "FAILED"
    lineage, _ = flink_lineage([one])
    assert [dataset.rows for dataset in (*lineage.inputs, *lineage.outputs)] == [1000, None, None]
    assert lineage.outputs[0].why_unknown == "the job failed, and what it had counted may not be there"


def test_slot_time_goes_to_what_it_led_to():
    """A vertex belongs to the sinks behind it: 200 + 100 ms to one table, 700 to the other."""
    one = seen()
    one.job["vertices"] += [
        {"id": SOURCE, "duration": 100, "parallelism": 2},
        {"id": AGGREGATED, "duration": 100, "parallelism": 1},
        {"id": CALCULATED, "duration": 700, "parallelism": 1},
    ]
    assert [output.slot_share for output in flink_lineage([one])[0].outputs] == [0.3, 0.7]
    assert [output.slot_share for output in flink_lineage([seen()])[0].outputs] == [None, None]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (
            {"connector": "kafka", "topic": "a;b", "properties.bootstrap.servers": "k1:9092,k2:9092"},
            [Name("kafka://k1:9092", "a"), Name("kafka://k1:9092", "b")],
        ),
        (
            {"connector": "jdbc", "url": "jdbc:postgresql://db:5432/shop", "table-name": "app.orders"},
            [Name("postgres://db:5432", "shop.app.orders")],
        ),
        *(
            ({"connector": "jdbc", "url": f"jdbc:{url}", "table-name": "t"}, [name])
            for url, name in (
                ("sqlserver://db:1433;databaseName=shop;password=secret", Name("sqlserver://db:1433", "shop.t")),
                ("postgresql://a:5432,b:5432/shop?user=u&password=secret", Name("postgres://a:5432", "shop.t")),
                ("postgresql://u:secret@db/shop", Name("postgres://db", "shop.t")),
                ("db2://db:1/shop:user=u;password=secret;", Name("db2://db:1", "shop.t")),
                ("oracle:thin:scott/secret@//db:1521/shop", Name("flink", "c.d.t")),
                ("mysql:loadbalance://db:1/shop", Name("flink", "c.d.t")),
                ("postgresql://[secret/shop", Name("flink", "c.d.t")),
            )
        ),
        (
            {"connector": "mysql-cdc", "hostname": "db", "port": "3306", "database-name": "s", "table-name": "t"},
            [Name("mysql://db:3306", "s.t")],
        ),
        ({"connector": "paimon", "path": "s3://lake/w/d.db/t"}, [Name("s3://lake", "w/d.db/t")]),
        (
            {"connector": "iceberg", "warehouse": "s3://lake/w", "catalog-database": "d", "catalog-table": "t"},
            [Name("s3://lake", "w/d/t")],
        ),
        ({"connector": "hudi", "path": "hdfs://nn/h/t"}, [Name("hdfs://nn", "/h/t")]),
        ({"connector": "something-new"}, [Name("flink", "c.d.t")]),
    ],
)
def test_connectors_say_where_data_is(options, names):
    """By OpenLineage's names; what a connector does not tell keeps its name in Flink's catalog."""
    assert list(table_names("c.d.t", options)) == names


def test_generated_and_printed_rows_are_no_data():
    """A table of datagen, print or blackhole is nowhere."""
    options = {**TOLD["options"], "c.d.names": {"connector": "print"}, "c.d.src": {"connector": "datagen"}}
    lineage, why = flink_lineage([seen(told={**TOLD, "options": options})])
    assert (rows(lineage.inputs), rows(lineage.outputs), why) == ([], [("file", "/data/totals", 7)], ())
