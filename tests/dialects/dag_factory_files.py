"""Hypothesis strategies for dag-factory files in which every leaf can be told from every other."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.dialects.dag_factory_jobs import emr_arguments, submit_arguments
from tests.dialects.dag_factory_values import (
    an_object,
    anything,
    argument,
    duration,
    number,
    numbered,
    some,
    text,
    timedelta,
)

STANDARD = "airflow.providers.standard.operators"
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
