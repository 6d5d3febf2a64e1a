"""A schedule by assets keeps its meaning: any stays any, all stays all, and what ours cannot say is told."""

from __future__ import annotations

import pytest
import yaml

from airflow_doeks.dialects.dag_factory.document import convert

A, B, C = "s3://lake-one/a", "s3://lake-one/b", "s3://lake-one/c"
ASSET_A, ASSET_B = f"{{__type__: airflow.sdk.Asset, uri: '{A}'}}", f"{{__type__: airflow.datasets.Dataset, uri: '{B}'}}"
ANY, ALL = {"assets": {"any": [A, B]}}, {"assets": {"all": [A, B]}}


def converted(schedule: str, key: str = "schedule"):
    """The pipeline of a DAG with this schedule."""
    text = f"d: {{{key}: {schedule}, tasks: {{t: {{operator: airflow.operators.empty.EmptyOperator}}}}}}"
    (found,) = convert(text)
    return found


@pytest.mark.parametrize(
    ("schedule", "ours"),
    [
        (f"{{datasets: {{__or__: ['{A}', '{B}']}}}}", ANY),
        (f"{{assets: {{__and__: ['{A}', '{B}']}}}}", ALL),
        (f"{{datasets: ['{A}', '{B}']}}", ALL),
        (f"{{datasets: '({A} | {B})'}}", ANY),
        (f"{{datasets: '{A} & {B}'}}", ALL),
        (f"{{__type__: airflow.sdk.AssetAny, __args__: [{ASSET_A}, {ASSET_B}]}}", ANY),
        (f"{{__type__: airflow.datasets.DatasetAll, __args__: [{ASSET_A}, {ASSET_B}]}}", ALL),
        (f"{{__type__: builtins.list, items: [{ASSET_A}, {ASSET_B}]}}", ALL),
        (f"[{ASSET_A}, {ASSET_B}]", ALL),
        (f"[{{__or__: [{ASSET_A}, {ASSET_B}]}}]", ANY),
        (f"{{__or__: ['{A}', {{__or__: ['{B}', '{A}']}}]}}", ANY),
        (f"{{__and__: [{{__and__: ['{A}', '{B}']}}, '{A}']}}", ALL),
        (f"{{__or__: [{{__and__: ['{A}']}}, '{B}']}}", ANY),
        (ASSET_A, {"assets": {"all": [A]}}),
        (f"{{__type__: airflow.sdk.Asset, __args__: ['{A}']}}", {"assets": {"all": [A]}}),
    ],
)
def test_a_condition_of_one_kind_is_any_or_all(schedule, ours):
    """In objects, keys, lists and text, also under levels that change nothing."""
    found = converted(schedule)
    assert (yaml.safe_load(found.text)["schedule"], found.notes) == (ours, ())


AB = {"all": [A, B]}


@pytest.mark.parametrize(
    ("schedule", "condition"),
    [
        (f"{{datasets: {{__or__: [{{__and__: ['{A}', '{B}']}}, '{C}']}}}}", {"any": [AB, C]}),
        (f"{{__and__: [{{__or__: [{ASSET_A}, {ASSET_B}]}}, '{C}']}}", {"all": [{"any": [A, B]}, C]}),
        (f"{{datasets: '{A} & {B} | {C}'}}", {"any": [AB, C]}),
        (
            f"[{{__type__: airflow.sdk.AssetAny, __args__: [{ASSET_A}, {ASSET_B}]}}, '{C}']",
            {"all": [{"any": [A, B]}, C]},
        ),
    ],
)
def test_a_nested_condition_stays_nested(schedule, condition):
    """Any in all and all in any keep their levels."""
    found = converted(schedule)
    assert (yaml.safe_load(found.text)["schedule"], found.notes) == ({"assets": condition}, ())


@pytest.mark.parametrize("preset", ["@once", "@continuous"])
def test_presets_without_a_clock_carry_over(preset):
    """They are schedules of ours, too."""
    found = converted(f"'{preset}'")
    assert (yaml.safe_load(found.text)["schedule"], found.notes) == (preset, ())


@pytest.mark.parametrize(
    "schedule",
    [
        "{datasets: '(dataset_1 & dataset_2)'}",
        "{file: /conf/datasets.yml, datasets: [dataset_1]}",
        f"{{datasets: ['{A}'], timetable: {{__type__: x.CronTriggerTimetable, cron: 0 1 * * 5}}}}",
        f"{{datasets: '{A} and {B}'}}",
        f"{{datasets: '({A} | {B}'}}",
        "{__type__: airflow.sdk.AssetAlias, name: orders}",
        f"{{__type__: airflow.timetables.assets.AssetOrTimeSchedule, assets: ['{A}']}}",
        f"{{__type__: airflow.sdk.AssetAny, __args__: ['{A}'], more: 1}}",
        "{__type__: datetime.timedelta, hours: 6}",
        "{__type__: dateutil.relativedelta.relativedelta, hour: 18}",
        "0 0 0 1 1 1 1",
        "!tag x",
    ],
)
def test_a_schedule_that_ours_cannot_say_is_told(schedule):
    """No part of it is taken for the whole: the pipeline runs by hand until a person decides."""
    found = converted(schedule)
    assert yaml.safe_load(found.text)["schedule"] is None
    assert "did not carry over" in found.notes[0]
    assert "it runs by hand until you write a cron or assets" in found.notes[0]


def test_what_an_asset_says_besides_its_uri_is_told():
    """Name, extra and watchers have no place in ours."""
    asset = f"{{__type__: airflow.sdk.Asset, uri: '{A}', name: orders, extra: {{hi: bye}}, group: g}}"
    found = converted(f"[{asset}]")
    assert found.notes == (
        f"`name: orders` did not carry over: the asset is known by its URI {A}",
        f"`extra: {{hi: bye}}` did not carry over: of the asset {A}",
        f"`group: g` did not carry over: of the asset {A}",
    )


def test_outlets_without_a_uri_are_told_one_by_one():
    """Those that have one stay."""
    task = f"{{operator: x.Y, outlets: ['{A}', {{__type__: airflow.sdk.AssetAlias, name: later}}, plain]}}"
    (found,) = convert(f"d: {{schedule: null, tasks: {{t: {task}}}}}")
    assert yaml.safe_load(found.text)["tasks"]["t"]["outlets"] == [A]
    assert [note for note in found.notes if "outlets" in note] == [
        "t: `outlets: {__type__: airflow.sdk.AssetAlias, name: later}` did not carry over: write URIs",
        "t: `outlets: plain` did not carry over: write URIs",
    ]


@pytest.mark.parametrize(
    ("key", "value", "ours", "told"),
    [
        (
            "timetable",
            "{__type__: x.CronTriggerTimetable, __args__: [0 1 * * 3], timezone: UTC}",
            {"cron": "0 1 * * 3", "timezone": "UTC", "covers": "trigger_time"},
            "",
        ),
        (
            "schedule",
            "{__type__: x.CronTriggerTimetable, cron: 0 1 * * 3, interval: {__type__: datetime.timedelta, days: 1}}",
            {"cron": "0 1 * * 3", "covers": "trigger_time"},
            "`schedule: {interval: {__type__: datetime.timedelta, days: 1}}` did not carry over",
        ),
        ("schedule", "{__type__: airflow.timetables.simple.NullTimetable}", None, ""),
        ("schedule_interval", "'@midnight'", "@daily", "a run's dates mean the interval before it"),
    ],
)
def test_a_clock_in_any_notation_carries_over(key, value, ours, told):
    """Timetables that are a cron, under either key, and the synonyms of presets; what else they say is told."""
    found = converted(value, key)
    assert yaml.safe_load(found.text)["schedule"] == ours
    assert told in " ".join(found.notes)
