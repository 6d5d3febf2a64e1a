"""A checked plan becomes the same DAG on every Airflow."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_doeks import compat
from airflow_doeks.dag_builder import build_dag
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.plan import Plan, TaskPlan

pytestmark = pytest.mark.airflow

BASH = "airflow.providers.standard.operators.bash.BashOperator"
EMPTY = "airflow.providers.standard.operators.empty.EmptyOperator"
CALLER = Path("/dags/pipelines.py")
LAPTOP = {"name": "laptop", "type": "local"}


def plan_of(*tasks: TaskPlan, **settings: Any) -> Plan:
    """A plan of these tasks in /dags/pipelines/sales/daily.yaml."""
    return Plan("sales.daily", "/dags/pipelines/sales/daily.yaml", "/dags/pipelines/sales", tasks, **settings)


def empty(task_id: str, *needs: str, **settings: Any) -> TaskPlan:
    """A task that does nothing."""
    return TaskPlan(task_id, "uses", operator=EMPTY, needs=needs, **settings)


def spark(task_id: str, *needs: str, **settings: Any) -> TaskPlan:
    """A Spark task on the laptop."""
    return TaskPlan(task_id, "spark", job={"main": "jobs/a.py"}, platform=LAPTOP, needs=needs, **settings)


def serialized(dag: Any) -> dict[str, Any]:
    """What Airflow writes into its metadata database."""
    from airflow.serialization import serialized_objects

    coder = getattr(serialized_objects, "DagSerialization", serialized_objects.SerializedDAG)
    return json.loads(json.dumps(coder.to_dict(dag)))


def scheduler_view(dag: Any) -> Any:
    """The DAG as the scheduler reads it back."""
    from airflow.serialization import serialized_objects

    coder = getattr(serialized_objects, "DagSerialization", serialized_objects.SerializedDAG)
    return coder.from_dict(coder.to_dict(dag))


def first_runs(dag: Any, count: int) -> list[tuple[str, str, str]]:
    """Logical date, start and end of the data interval of the first runs, as the scheduler would make them."""
    from airflow.timetables.base import TimeRestriction

    timetable = scheduler_view(dag).timetable
    restriction = TimeRestriction(earliest=dag.start_date, latest=None, catchup=True)
    found, last = [], None
    for _ in range(count):
        info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        last = info.data_interval
        found.append(tuple(moment.isoformat() for moment in (info.logical_date, last.start, last.end)))
    return found


def edges(dag: Any) -> dict[str, set[str]]:
    """Task -> what it needs."""
    return {task_id: set(dag.get_task(task_id).upstream_task_ids) for task_id in dag.task_ids}


def test_groups_needs_setup_and_teardown_become_the_graph():
    """Groups nest, and the set-up comes before and the teardown after the work, once each."""
    dag = build_dag(
        plan_of(
            empty("make", role="setup"),
            empty("g.inner.work", "make"),
            empty("g.more", "g.inner.work"),
            empty("clean", "make", "g.more", role="teardown"),
            groups={"g": "outer", "g.inner": "inner"},
        ),
        CALLER,
    )
    dag.validate()
    assert edges(dag) == {
        "make": set(),
        "g.inner.work": {"make"},
        "g.more": {"g.inner.work"},
        "clean": {"make", "g.more"},
    }
    assert dag.task_group.get_child_by_label("g").get_child_by_label("inner").tooltip == "inner"
    assert dag.get_task("make").is_setup
    assert dag.get_task("clean").is_teardown


def test_a_spark_task_is_our_operator_with_its_accounts():
    """A Spark task carries job, platform and callbacks, and finds its files relative to the DAG file."""
    task = build_dag(
        plan_of(spark("clean", retries=2, retry_delay_seconds=60.0, execution_timeout_seconds=90.0, budget_usd="5")),
        CALLER,
    ).get_task("clean")
    assert type(task).__name__ == "SparkJobOperator"
    assert (task.job, task.platform, task.folder) == ({"main": "jobs/a.py"}, LAPTOP, "pipelines/sales")
    assert (task.retries, task.retry_delay, task.execution_timeout) == (2, timedelta(minutes=1), timedelta(seconds=90))
    callbacks = [task.on_success_callback, task.on_failure_callback, task.on_retry_callback]
    names = [name.__name__ for found in callbacks for name in (found if isinstance(found, (list, tuple)) else [found])]
    assert names == ["record_cost_and_lineage"] * 3


@pytest.mark.parametrize("expand", [None, [1, 2]])
def test_who_is_told_of_a_budget_is_a_notifier_of_the_operator(expand, aliases_are_known):
    """`on_budget` of the YAML is what a hand-written DAG gives its operator; mapped tasks are serialized with it."""
    notices = {"on_budget": (("airflow_doeks.notifications.WebhookNotifier", {"connection": "chat"}),)}
    dag = build_dag(plan_of(spark("a", budget_usd="5", notices=notices, expand=expand)), CALLER)
    task = dag.get_task("a")
    (told,) = task.partial_kwargs["on_budget"] if expand else task.on_budget
    assert (told.path, told.arguments) == (notices["on_budget"][0][0], {"connection": "chat"})
    assert serialized(dag)


@pytest.mark.parametrize(
    ("task", "pool"),
    [
        (spark("a", pool="mine"), "mine"),
        (TaskPlan("a", "spark", job={}, platform={**LAPTOP, "max_jobs": 4}), "doeks_laptop"),
        (spark("a"), "default_pool"),
    ],
)
def test_a_platform_with_max_jobs_has_a_pool(task, pool):
    """A task waits in its own pool, in its platform's if that limits its jobs, else in Airflow's default."""
    assert build_dag(plan_of(task), CALLER).get_task("a").pool == pool


def test_mapping_over_a_list_and_over_a_task():
    """A Spark task gets each element as `item`, a task of another kind takes each element as its arguments."""
    dag = build_dag(
        plan_of(
            spark("days", expand=[1, {"day": 2}]),
            TaskPlan("say", "uses", operator=BASH, expand=[{"bash_command": "echo 1"}], needs=("days",)),
            spark("each", "days", expand={"task": "say"}),
        ),
        CALLER,
    )
    assert edges(dag) == {"days": set(), "say": {"days"}, "each": {"say", "days"}}
    assert all(type(dag.get_task(task_id)).__name__ == "MappedOperator" for task_id in dag.task_ids)
    assert [dag.get_task(task_id).expand_input.value for task_id in ("days", "say")] == [
        {"item": [1, {"day": 2}]},
        [{"bash_command": "echo 1"}],
    ]


@pytest.mark.parametrize(
    ("covers", "runs"),
    [
        (
            "previous_interval",
            [  # 03:00 in Berlin is 02:00 UTC in winter and 01:00 UTC from the 29th of March
                ("2026-03-27T02:00:00+00:00", "2026-03-27T02:00:00+00:00", "2026-03-28T02:00:00+00:00"),
                ("2026-03-28T02:00:00+00:00", "2026-03-28T02:00:00+00:00", "2026-03-29T01:00:00+00:00"),
                ("2026-03-29T01:00:00+00:00", "2026-03-29T01:00:00+00:00", "2026-03-30T01:00:00+00:00"),
            ],
        ),
        (
            "trigger_time",
            [
                ("2026-03-27T02:00:00+00:00",) * 3,
                ("2026-03-28T02:00:00+00:00",) * 3,
                ("2026-03-29T01:00:00+00:00",) * 3,
            ],
        ),
    ],
)
def test_the_same_dates_on_every_airflow(covers, runs):
    """`covers` alone decides what a run's dates mean; Airflow's own default, which changed in 3.0, does not."""
    schedule = {"cron": "0 3 * * *", "timezone": "Europe/Berlin", "covers": covers}
    dag = build_dag(plan_of(empty("a"), schedule=schedule, start_date="2026-03-27"), CALLER)
    assert first_runs(dag, 3) == runs


@pytest.mark.parametrize("covers", ["previous_interval", "trigger_time"])
@pytest.mark.parametrize(
    ("cron", "end_date", "zone", "last"),
    [
        ("0 3 * * *", "2026-01-03", "UTC", "2026-01-03T03:00:00+00:00"),
        ("0 0 * * *", "2026-01-03", "UTC", "2026-01-03T00:00:00+00:00"),
        ("59 23 * * *", "2026-01-03", "UTC", "2026-01-03T23:59:00+00:00"),
        ("0 3 * * *", "2026-01-03", "America/New_York", "2026-01-03T08:00:00+00:00"),
        ("0 3 * * *", "2026-01-03T02:00", "UTC", "2026-01-02T03:00:00+00:00"),
    ],
)
def test_the_last_day_runs(covers, cron, end_date, zone, last):
    """`end_date` is the last day that runs cover, whatever the hour of the cron; one with a time ends at that time."""
    from airflow.timetables.base import TimeRestriction

    schedule = {"cron": cron, "timezone": None, "covers": covers}
    dates = {"start_date": "2026-01-01", "end_date": end_date, "timezone": zone}
    dag = build_dag(plan_of(empty("a"), schedule=schedule, **dates), CALLER)
    view = scheduler_view(dag)
    restriction = TimeRestriction(earliest=dag.start_date, latest=view.end_date, catchup=True)
    found, interval = [], None
    while info := view.timetable.next_dagrun_info(last_automated_data_interval=interval, restriction=restriction):
        interval = info.data_interval
        found.append(info.logical_date.isoformat())
    assert found[-1] == last


def test_nothing_is_left_to_airflows_changing_defaults():
    """Catch-up is off and the start date stands in the pipeline's timezone, whatever this Airflow's defaults are."""
    dag = build_dag(
        plan_of(
            empty("a"),
            schedule={"cron": "@daily", "timezone": None, "covers": None},
            start_date="2026-01-01",
            timezone="Europe/Berlin",
            tags=("b", "a"),
            params={"day": 1},
            max_active_runs=3,
            dagrun_timeout_seconds=60.0,
        ),
        CALLER,
    )
    assert dag.catchup is False
    assert dag.start_date == datetime(2025, 12, 31, 23, tzinfo=timezone.utc)
    assert (dag.max_active_runs, dag.dagrun_timeout, dag.params["day"]) == (3, timedelta(minutes=1), 1)
    assert first_runs(dag, 1)[0][0] == "2025-12-31T23:00:00+00:00"


@pytest.mark.parametrize("uri", ["s3://raw/orders", "s3a://raw/orders", "gs://raw/a/b", "hdfs://host/a", "data/raw"])
def test_our_assets_are_airflows_assets(uri):
    """An asset made without asking the providers equals the one that Airflow makes of the same URI."""
    task = build_dag(plan_of(empty("a", writes=(f"{uri}/",), reads=(f"{uri}/{{{{ ds }}}}/x", uri))), CALLER).get_task(
        "a"
    )
    assert task.outlets == [compat.Asset(uri)]
    assert task.inlets == [compat.Asset(uri)]


def test_an_asset_ends_where_edges_do():
    """A Jinja statement cuts a URI as an expression does, so that the asset is the dataset the graph knows."""
    templated = "s3://raw/orders/{% if params.full %}all{% else %}{{ ds }}{% endif %}"
    assert build_dag(plan_of(empty("a", writes=(templated,))), CALLER).get_task("a").outlets == [
        compat.Asset("s3://raw/orders")
    ]


def test_a_dataset_that_airflow_refuses_as_an_asset_stays_lineage_only():
    """A URI that is no legal asset (no bucket, a reserved scheme) is left out and fails nothing."""
    assert build_dag(plan_of(empty("a", writes=("airflow://x/y",))), CALLER).get_task("a").outlets == []


def test_partitions_are_airflows_where_it_has_them():
    """Runs by the clock name a partition, and others wait for it, or for the day that it is in."""
    hourly = plan_of(empty("a"), schedule={"cron": "0 * * * *", "covers": "partition"}, timezone="Europe/Berlin")
    daily = plan_of(empty("a"), schedule={"assets": {"any": ["s3://raw/orders"]}, "partitions": "day"})
    if compat.CronPartitionTimetable is None:
        for plan in (hourly, daily):
            with pytest.raises(SpecError, match=r":\d+:\d+: partitions need Airflow 3\.2 or later"):
                build_dag(plan, CALLER)
        return
    made, waits = (build_dag(plan, CALLER).timetable for plan in (hourly, daily))
    assert (type(made).__name__, made.expression, str(made.timezone)) == (
        "CronPartitionTimetable",
        "0 * * * *",
        "Europe/Berlin",
    )
    assert isinstance(waits, compat.PartitionedAssetTimetable)
    assert isinstance(waits.default_partition_mapper, compat.StartOfDayMapper)


def test_an_asset_schedule_waits_for_all_or_any():
    """`assets: {all: ...}` and `{any: ...}` become Airflow's conditions."""
    for quantor, condition in {"all": compat.AssetAll, "any": compat.AssetAny}.items():
        schedule = {"assets": {quantor: ["s3://raw/a", "s3://raw/b"]}}
        dag = build_dag(plan_of(empty("a"), schedule=schedule), CALLER)
        found = getattr(dag.timetable, "asset_condition", None) or dag.timetable.dataset_condition
        assert isinstance(found, condition)
        assert [asset.uri for asset in found.objects] == ["s3://raw/a", "s3://raw/b"]


def test_conditions_nest_and_the_clock_may_start_a_run_too(aliases_are_known):
    """Any and all in each other, aliases, and assets or time, are Airflow's own objects."""
    condition = {"any": ["s3://raw/a", {"all": ["s3://raw/b", {"alias": "doeks/c"}]}]}
    dag = build_dag(plan_of(empty("a"), schedule={"assets": condition, "cron": "0 3 * * *"}), CALLER)
    assert isinstance(dag.timetable, compat.AssetOrTimeSchedule)
    found = getattr(dag.timetable, "asset_condition", None) or dag.timetable.dataset_condition
    first, every = found.objects
    assert (type(found), first.uri, type(every)) == (compat.AssetAny, "s3://raw/a", compat.AssetAll)
    assert every.objects[0].uri == "s3://raw/b"
    assert every.objects[1].name == "doeks/c"
    assert serialized(dag)


@pytest.mark.parametrize("preset", ["@once", "@continuous"])
def test_presets_without_a_clock_are_airflows(preset):
    """Once is once, and what runs on and on runs one at a time."""
    dag = build_dag(plan_of(empty("a"), schedule={"preset": preset}, max_active_runs=1), CALLER)
    dag.validate()
    assert preset.strip("@") in type(dag.timetable).__name__.lower()


def test_the_dags_documentation_is_the_file():
    """The DAG's page shows the file's own text with its comments, as code, even where that text looks like a path."""
    text = "# why\ndoc: |\n  ```\n  see notes.md"
    assert build_dag(plan_of(empty("a"), text=text), CALLER).doc_md == f"````yaml\n{text}\n````"


def test_a_task_that_its_operator_refuses_is_named_with_its_line():
    """An argument that the operator does not know is an error of that task's place in the YAML."""
    bad = TaskPlan("a", "uses", operator=BASH, arguments={"bash_command": "x", "evn": 1}, source={"": "daily.yaml:7:3"})
    with pytest.raises(SpecError, match=r"(?s)^daily.yaml:7:3: task 'a' cannot be built: .*evn"):
        build_dag(plan_of(bad), CALLER)


def test_an_operator_that_is_not_installed_is_named_with_its_line():
    """A class whose package is missing is an error of that task, not of every pipeline."""
    bad = TaskPlan("a", "uses", operator="no_such_package.Operator", source={"": "daily.yaml:7:3"})
    with pytest.raises(SpecError, match=r"^daily.yaml:7:3: task 'a' cannot be built: ModuleNotFoundError: .*no_such"):
        build_dag(plan_of(bad), CALLER)


def test_a_dag_that_airflow_refuses_is_named_with_its_file():
    """A rule of Airflow's own, such as what may follow a set-up, is an error of that pipeline alone."""
    plan = plan_of(empty("make", role="setup"), empty("work", "make", trigger_rule="all_done"))
    with pytest.raises(SpecError, match=r"^/dags/pipelines/sales/daily.yaml:1:1: the DAG cannot be built: .*: Setup"):
        build_dag(plan, CALLER)


def test_building_a_job_task_imports_nothing_of_what_runs_it():
    """Every DAG file pays for its imports: submission, platforms and accounting wait until a task runs."""
    script = "import sys, airflow_doeks.operators.job; print(*sorted(m for m in sys.modules if 'doeks.' in m))"
    names = subprocess.check_output([sys.executable, "-c", script], text=True).split()
    late = ("lifecycle", "platforms", "cost", "lineage", "event_log", "ledger", "triggers", "hooks", "language")
    assert not [name for name in names if name.split(".")[1] in late]
