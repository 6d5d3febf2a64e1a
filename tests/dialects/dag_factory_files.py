"""Hypothesis strategies for dag-factory files in which every leaf can be told from every other.

A strategy writes `<n>` where a number stands that no other leaf has, and `<date>` for such a date; `numbered` fills
them in. The numbers survive what a conversion does to a value: 100007 minutes are written `100007m`, `100007g` of
memory `100007Gi`.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from typing import Any

from hypothesis import strategies as st

STANDARD = "airflow.providers.standard.operators"
_FIRST, _STEP = 100_007, 120  # no number is a multiple of 24 or 60, so that no time is written in a larger unit
NUMBER = -1  # stands for a number, where text is none


def numbered(value: Any) -> Any:
    """The value with its marks filled in, no two alike."""
    numbers = itertools.count(_FIRST, _STEP)
    dates = (dt.date(1970, 1, 1) + dt.timedelta(days=days) for days in itertools.count())

    def fill(item: Any) -> Any:
        if isinstance(item, dict):
            return {fill(key): fill(below) for key, below in item.items()}
        if isinstance(item, list):
            return [fill(below) for below in item]
        if isinstance(item, str):
            item = re.sub("<n>", lambda _: str(next(numbers)), item)
            return re.sub("<date>", lambda _: next(dates).isoformat(), item)
        return next(numbers) if item == NUMBER and not isinstance(item, bool) else item

    return fill(value)


def some(needed: dict[str, Any], optional: dict[str, Any]) -> Any:
    """A mapping with the needed keys and any of the others."""
    return st.fixed_dictionaries(needed, optional=optional)


def text(prefix: str = "w") -> Any:
    """Text that no other leaf has."""
    return st.just(f"{prefix}<n>")


number = st.just(NUMBER)
anything = st.recursive(
    st.one_of(text(), number, st.booleans()),
    lambda inner: st.one_of(st.lists(inner, min_size=1, max_size=2), st.dictionaries(text("k"), inner, min_size=1)),
    max_leaves=4,
)
timedelta = st.sampled_from(("seconds", "minutes", "hours")).map(
    lambda unit: {"__type__": "datetime.timedelta", unit: NUMBER}
)
duration = st.one_of(number, timedelta)
an_object = some({"__type__": text("pkg.C")}, {"__args__": st.lists(text(), min_size=1, max_size=1), "x": anything})
argument = st.one_of(
    anything,
    an_object,
    st.lists(st.one_of(text(), an_object), min_size=1, max_size=2),
    timedelta,
    st.just({"__join__": ["a<n>", "b<n>"]}),
    st.just("echo ${V<n>} $W<n>"),
)
uri = text("s3://bucket/")
asset = st.one_of(
    some(
        {"__type__": st.sampled_from(["airflow.sdk.Asset", "airflow.datasets.Dataset"]), "uri": uri},
        {
            "name": text(),
            "extra": st.dictionaries(text("k"), text(), min_size=1, max_size=1),
            "watchers": st.just(["<n>"]),
        },
    ),
    st.just({"__type__": "airflow.sdk.AssetAlias", "name": "<n>"}),
    uri,
)
condition = st.recursive(
    asset,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"__or__": parts}),
        st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"__and__": parts}),
        st.lists(inner, min_size=1, max_size=2).map(
            lambda parts: {"__type__": "airflow.sdk.AssetAny", "__args__": parts}
        ),
    ),
    max_leaves=4,
)
timetable = some(
    {"__type__": st.sampled_from(["x.CronTriggerTimetable", "x.CronDataIntervalTimetable", "x.Custom<n>"])},
    {
        "cron": st.just("5 4 * * *"),
        "timezone": text("Zone/"),
        "interval": timedelta,
        "__args__": st.just(["1 2 3 * *"]),
    },
)
schedule = st.one_of(
    st.none(),
    st.sampled_from(["@daily", "0 3 * * *", "@once", "@continuous", "none", "no cron <n>"]),
    st.lists(asset, min_size=1, max_size=3),
    condition,
    condition.map(lambda found: {"datasets": found}),
    st.just({"datasets": "(s3://b/<n> & s3://b/<n>) | s3://b/<n>"}),
    st.just({"datasets": "s3://b/<n> | s3://b/<n>"}),
    st.just({"file": "/x/<n>.yml", "datasets": ["d<n>"]}),
    st.tuples(condition, timetable).map(lambda pair: {"datasets": pair[0], "timetable": pair[1]}),
    timetable,
    timedelta,
)
callbacks = {
    "on_failure_callback": st.one_of(text("m.f"), some({"callback": text("m.f")}, {"channel": text()})),
    "on_success_callback_name": text(),
    "on_success_callback_file": text("/"),
}
of_every_task = {
    "retries": number,
    "retry_delay": duration,
    "execution_timeout": timedelta,
    "pool": text(),
    "priority_weight": number,
}
of_a_task = {
    **of_every_task,
    **callbacks,
    "trigger_rule": st.sampled_from(["all_done", "none_failed", "odd<n>"]),
    "inlets": st.lists(asset, max_size=2),
    "outlets": st.one_of(st.lists(asset, max_size=2), st.just({"file": "<n>", "datasets": ["<n>"]})),
    "doc_md": text(),
    "executor_config": st.one_of(anything, an_object),
    "queue": text(),
    "do_xcom_push": st.booleans(),
    "variables_as_arguments": st.just([{"variable": "<n>", "attribute": "<n>"}]),
    "odd<n>": argument,
}
parameters = st.lists(
    st.sampled_from(
        [
            "--verbose",
            "--supervise",
            "--conf spark.a<n>=<n>",
            "--conf=spark.b<n>=<n>",
            "-c spark.c<n>='<n> x'",
            "-cspark.d<n>",
            "--conf spark.executor.memory=<n>g",
            "--conf spark.executor.memory=<n>m",
            "--conf spark.dynamicAllocation.minExecutors=<n>",
            "--num-executors <n>",
            "--executor-cores=<n>",
            "--driver-cores <n>",
            "--driver-memory <n>g",
            "--class com.C<n>",
            "--jars s3://b/<n>.jar,s3://b/<n>.jar",
            "--archives s3://b/<n>#env",
            "--properties-file s3://b/<n>",
            "--repositories https://r/<n>",
            "--hivevar day=<n>",
            "-hivevar day=<n>",
            "--master <n>",
            "--odd<n> <n>",
            "--name {{ <n> }}",
            "<n>",
        ]
    ),
    max_size=6,
).map(" ".join)
emr_arguments = some(
    {
        "operator": st.just("airflow.providers.amazon.aws.operators.emr.EmrContainerOperator"),
        "job_driver": st.one_of(
            some(
                {"entryPoint": text("s3://b/"), "sparkSubmitParameters": parameters},
                {"entryPointArguments": st.lists(text(), max_size=2), "odd<n>": anything},
            ).map(lambda part: {"sparkSubmitJobDriver": part}),
            parameters.map(
                lambda words: {"sparkSqlJobDriver": {"entryPoint": "s3://b/<n>", "sparkSqlParameters": words}}
            ),
            text("{{ x"),
        ),
    },
    {
        "name": text(),
        "virtual_cluster_id": st.one_of(text("abc"), text("{{ ")),
        "execution_role_arn": text("arn:aws:iam::123456789012:role/r"),
        "release_label": text("emr-"),
        "aws_conn_id": text(),
        "region_name": text("eu-west-"),
        "tags": st.dictionaries(text("tag"), text(), max_size=2),
        "wait_for_completion": st.booleans(),
        "deferrable": st.booleans(),
        "job_retry_max_attempts": number,
        "poll_interval": number,
        "configuration_overrides": some(
            {},
            {
                "applicationConfiguration": st.lists(
                    some(
                        {
                            "classification": st.sampled_from(["spark-defaults", "spark-log4j", "odd<n>"]),
                            "properties": st.dictionaries(text("spark.p"), text(), min_size=1, max_size=2),
                        },
                        {"configurations": st.just([{"classification": "export", "properties": {"K<n>": "<n>"}}])},
                    ),
                    max_size=2,
                ),
                "monitoringConfiguration": some(
                    {},
                    {
                        "persistentAppUI": st.sampled_from(["ENABLED", "odd<n>"]),
                        "s3MonitoringConfiguration": st.just({"logUri": "s3://logs/<n>"}),
                        "cloudWatchMonitoringConfiguration": some(
                            {"logGroupName": text("/g")}, {"logStreamNamePrefix": text(), "odd<n>": text()}
                        ),
                        "managedLogs": st.just({"allowAWSToRetainLogs": "<n>"}),
                    },
                ),
            },
        ),
    },
)
submit_arguments = some(
    {
        "operator": st.just("airflow.providers.apache.spark.operators.spark_submit.SparkSubmitOperator"),
        "application": text("s3://b/"),
    },
    {
        "application_args": st.lists(text(), max_size=2),
        "conf": st.dictionaries(text("spark.q"), st.one_of(text(), number), max_size=2),
        "conn_id": text(),
        "py_files": text(),
        "num_executors": number,
        "executor_memory": st.just("<n>g"),
        "env_vars": st.dictionaries(text("E"), text(), max_size=2),
        "verbose": st.just(True),  # noqa: FBT003 - false is what there is without it
        "yarn_queue": text(),
        "expand": st.just({"application_args": [["<n>"], ["<n>"]]}),
    },
)
python_arguments = some(
    {"operator": st.sampled_from([f"{STANDARD}.python.PythonOperator", "x.ShortCircuitOperator", "my.Own<n>"])},
    {"python_callable": text("m.f"), "op_kwargs": anything, "expand": st.just({"op_args": ["<n>", "<n>"]})},
).filter(lambda task: "python_callable" in task)
other_arguments = st.one_of(
    some(
        {"operator": st.just(f"{STANDARD}.bash.BashOperator"), "bash_command": argument},
        {"env": st.dictionaries(text("E"), text(), max_size=2), "cwd": text()},
    ),
    some(
        {"operator": st.just("airflow.operators.bash_operator.BashOperator")},
        {
            "expand": st.just({"bash_command": ["<n>", "<n>"], "cwd": ["<n>"]}),
            "partial": st.just({"env": {"E": "<n>"}}),
        },
    ),
    some({"operator": text("acme.Op")}, {"a": argument, "b": argument, "partial": st.just({"c": "<n>"})}),
    st.just({"operator": "airflow.operators.empty.EmptyOperator"}),
    st.just({"operator": "airflow.sensors.external_task.ExternalTaskSensor", "external_dag_id": "<n>"}),
    some({"decorator": st.just("airflow.sdk.task")}, {"python_callable": text("m.f"), "number": text("+")}),
    st.just({"bash_command": "<n>"}),
)


@st.composite
def tasks(draw: Any, groups: list[str]) -> dict[str, Any]:
    """Tasks by name, in groups or out of them, needing earlier ones or what is not there."""
    found: dict[str, Any] = {}
    for number_ in range(draw(st.integers(0, 4))):
        body = draw(st.one_of(emr_arguments, submit_arguments, python_arguments, other_arguments))
        body = {**body, **draw(some({}, {key: value for key, value in of_a_task.items() if key not in body}))}
        if found and draw(st.booleans()):
            body["dependencies"] = [draw(st.sampled_from([*found, *groups, "nobody<n>"]))]
        if groups and draw(st.booleans()):
            body["task_group_name"] = draw(st.sampled_from([*groups, "nogroup<n>"]))
        found[draw(st.sampled_from([f"t{number_}", f"t.{number_}", f"t {number_}:"]))] = body
    return found


@st.composite
def dags(draw: Any) -> dict[str, Any]:
    """One DAG."""
    groups = ["g0", "g1"][: draw(st.integers(0, 2))]
    dag = draw(
        some(
            {
                "default_args": some(
                    {}, {**of_every_task, **callbacks, "owner": text(), "email": st.just(["<n>"]), "z<n>": argument}
                )
            },
            {
                "description": text(),
                "schedule": schedule,
                "start_date": st.sampled_from(["<date>", "<n> days"]),
                "end_date": st.just("<date>"),
                "timezone": text("Zone/"),
                "catchup": st.booleans(),
                "max_active_runs": number,
                "dagrun_timeout": timedelta,
                "tags": st.lists(text(), max_size=2),
                "params": st.dictionaries(
                    text("p"),
                    st.one_of(anything, an_object, st.just({"__type__": "x.Param", "default": "<n>", "type": "<n>"})),
                    max_size=2,
                ),
                "concurrency": number,
                "doc_md": text(),
                "default_view": text(),
                "user_defined_macros": anything,
                "on_failure_callback": text("m.f"),
                "odd<n>": argument,
            },
        )
    )
    if groups:
        dag["task_groups"] = {
            name: draw(
                some(
                    {},
                    {
                        "tooltip": text(),
                        "prefix_group_id": st.booleans(),
                        "default_args": some({}, {"pool": text(), "email": text(), **callbacks}),
                        **({"parent_group_name": st.just("g0")} if name == "g1" else {}),
                        "odd<n>": argument,
                    },
                )
            )
            for name in groups
        }
    dag["tasks"] = draw(tasks(groups))
    return dag


files = st.dictionaries(st.sampled_from(["one", "two.three"]), dags(), min_size=1).map(numbered)
