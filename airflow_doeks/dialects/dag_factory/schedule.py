"""dag-factory's schedules as ours; what ours cannot say starts no run, and a note says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from airflow_doeks.dialects.dag_factory.assets import Condition, NotAssets, condition_of
from airflow_doeks.dialects.dag_factory.notes import Handler, Note, Taken, left_over, lost
from airflow_doeks.dialects.dag_factory.values import type_of
from airflow_doeks.language.times import WITHOUT_CLOCK, cron_of

Covers = Literal["previous_interval", "trigger_time"]
_INTERVALS = Note(
    "schedule: a run's dates mean the interval before it (Airflow 2); Airflow 3 means the moment itself: "
    "{cron: ..., covers: trigger_time}; catchup is false unless it is written, as on Airflow 3"
)
_UNSET = Note("the source has no `schedule`: Airflow 2 ran it daily, Airflow 3 and this file run it by hand")
_BY_HAND = "it runs by hand until you write a cron or assets"
_SYNONYMS = {"@midnight": "@daily", "@annually": "@yearly"}  # croniter's words -> Airflow's


def schedule_of(dag: Mapping[str, Any]) -> Taken:
    """Our schedule of a DAG, from `schedule`, `schedule_interval` of 0.x, or `timetable`."""
    given = {key: dag[key] for key in ("schedule", "schedule_interval", "timetable") if dag.get(key) is not None}
    if not given:
        return Taken({"schedule": None}, notes=() if "schedule" in dag else (_UNSET,))
    key, value = next(iter(given.items()))
    taken = _schedule(key, value)
    others = tuple(lost(other, dag[other], f"`{key}` goes before it") for other in given if other != key)
    ours = taken.ours if "schedule" in taken.ours else {"schedule": None}
    return Taken(ours, notes=(*left_over(key, taken), *others))


def _schedule(key: str, value: Any) -> Taken:
    if isinstance(value, str):
        return _by_text(key, value)
    handler = _TYPES.get(type_of(value))
    if handler is not None:
        return handler(key, value)
    if isinstance(value, Mapping) and value.keys() & {"datasets", "assets"}:
        return _by_datasets(key, value)
    return _by_assets(key, value)


def _by_text(key: str, text: str) -> Taken:
    word = _SYNONYMS.get(text.strip(), text.strip())
    if word.lower() == "none":
        return Taken({"schedule": None})
    if word in WITHOUT_CLOCK:
        return Taken({"schedule": word})
    try:
        cron_of(word)
    except ValueError:
        return _by_assets(key, text)
    return Taken({"schedule": word}, notes=(_INTERVALS,))


def _by_assets(key: str, value: Any) -> Taken:
    try:
        condition, notes = condition_of(value)
    except NotAssets:
        return Taken(notes=(lost(key, value, _BY_HAND),))
    return Taken({"schedule": {"assets": _plain(condition)}}, notes=notes)


def _plain(condition: Condition) -> dict[str, Any]:
    return {condition.word: [part if isinstance(part, str) else _plain(part) for part in condition.parts]}


def _by_datasets(key: str, schedule: Mapping[str, Any]) -> Taken:
    """`{datasets: ...}`, which must stand alone: names of a file, or a clock beside them, are none of ours."""
    (inner, assets), *others = schedule.items()
    return _by_assets(f"{key}.{inner}", assets) if not others else Taken(notes=(lost(key, schedule, _BY_HAND),))


def _cron(covers: Covers) -> Handler:
    """The handler of a timetable that is a cron."""

    def handle(key: str, timetable: Any) -> Taken:
        rest = {name: value for name, value in timetable.items() if name not in ("__type__", "__args__")}
        arguments = list(timetable.get("__args__") or ())
        cron = rest.pop("cron") if "cron" in rest else arguments.pop(0) if arguments else None
        try:
            cron_of(str(cron))
        except ValueError:
            return Taken(notes=(lost(key, timetable, _BY_HAND),))
        ours = {"cron": cron, "covers": covers}
        zone = rest.get("timezone")
        if isinstance(zone, str):
            ours = {"cron": cron, "timezone": rest.pop("timezone"), "covers": covers}
        left = {**rest, **({"__args__": arguments} if arguments else {})}
        return Taken({"schedule": ours}, left={name: value for name, value in left.items() if value is not None})

    return handle


def _null(_key: str, _timetable: Any) -> Taken:
    return Taken({"schedule": None})


_TYPES: Mapping[str, Handler] = {  # class of an object -> its handler; assets and conditions are not here
    "CronDataIntervalTimetable": _cron("previous_interval"),
    "CronTriggerTimetable": _cron("trigger_time"),
    "NullTimetable": _null,
}
