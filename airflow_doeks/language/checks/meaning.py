"""DK2xx of every pipeline and of every task, whatever it runs."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from airflow_doeks.language import times
from airflow_doeks.language.diagnostics import Finding, suggestion
from airflow_doeks.language.layers import texts
from airflow_doeks.language.merging import Facts, PipelineFacts
from airflow_doeks.model.plan import BUDGETS, DURATIONS, FUNCTIONS

_DURATIONS = (*DURATIONS, *BUDGETS)
_DURATION_KEYS = frozenset(_DURATIONS)
_TAG_MAX = 100  # TAG_MAX_LEN of airflow.models.dag, Airflow 2.10 to 3.3
_BUCKET = re.compile(r"s3[an]?://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?")


def is_bucket(url: str) -> bool:
    """True for an S3 URL whose bucket can exist."""
    return _BUCKET.fullmatch(url) is not None


def schedule(facts: PipelineFacts) -> list[Finding]:
    """A cron that is none, a schedule that never runs."""
    written = facts.data.get("schedule")
    meant = times.schedule_of(written)
    if meant and meant.keys() >= {"cron", "partitions"}:
        message = "or_cron and partitions exclude each other"
        return [Finding("DK109", message, ("schedule", "or_cron"), "a run by the clock has no partition", at_key=True)]
    if meant is None or not meant.keys() & {"cron", "preset"}:
        return []
    found = []
    if meant.get("preset") == "@continuous" and facts.data.get("max_active_runs") not in (None, 1):
        message = "@continuous runs one at a time"
        found.append(Finding("DK202", message, ("max_active_runs",), "remove max_active_runs", at_key=True))
    try:
        times.cron_of(meant.get("cron", "@daily"))
    except ValueError as error:
        is_word = str(meant["cron"]).lstrip("@").isalpha()
        near = suggestion(str(meant["cron"]), (*times.PRESETS, *times.WITHOUT_CLOCK)) if is_word else ""
        key = "or_cron" if "assets" in meant else "cron"
        path = ("schedule", key) if isinstance(written, dict) else ("schedule",)
        found.append(Finding("DK202", str(error), path, near or "five fields, or a preset such as @daily"))
    if facts.data.get("start_date") is None and not _is_misspelt("start_date", facts):
        message = "a schedule without start_date never runs"
        found.append(Finding("DK205", message, ("schedule",), "add start_date: 2026-01-01", at_key=True))
    return found


def _is_misspelt(key: str, facts: PipelineFacts) -> bool:
    """True if the file says something under a key, or one that is nearly it, which was refused and told."""
    refused = set(facts.document.data) - set(facts.data)
    return key in refused or any(suggestion(one, (key,)) for one in refused)


def dates(facts: PipelineFacts) -> list[Finding]:
    """Dates that do not exist or stand in the wrong order, and a run's time-out that nobody can reckon with."""
    found: list[Finding] = _unreckonable(facts.data, ("dagrun_timeout",))
    read: dict[str, datetime] = {}
    for key in ("start_date", "end_date"):
        if facts.data.get(key) is not None:
            try:
                read[key] = times.date_of(facts.data[key])
            except ValueError as error:
                found.append(Finding("DK203", str(error), (key,)))
    if len(read) == 2 and read["end_date"].date() < read["start_date"].date():  # noqa: PLR2004 - both of them
        found.append(Finding("DK203", "end_date is before start_date", ("end_date",)))
    return found


def zones(facts: PipelineFacts) -> list[Finding]:
    """Time zones that nobody knows."""
    schedule = facts.data.get("schedule")
    written: dict[tuple[str, ...], Any] = {("timezone",): facts.data.get("timezone")}
    if isinstance(schedule, dict) and "cron" in schedule:
        written["schedule", "timezone"] = schedule.get("timezone")
    return [
        Finding("DK204", f'"{zone}" is not a time zone', path, times.near_zones(zone))
        for path, zone in written.items()
        if zone and not times.is_zone(zone)
    ]


def tags(facts: PipelineFacts) -> list[Finding]:
    """Tags that Airflow has no room for."""
    return [
        Finding("DK110", f"a tag of {len(tag)} characters; Airflow keeps {_TAG_MAX}", ("tags", index))
        for index, tag in enumerate(facts.data.get("tags") or ())
        if len(tag) > _TAG_MAX
    ]


def hidden_platform(facts: PipelineFacts) -> list[Finding]:
    """A platform of the pipeline's defaults that the environment overrules and that there is not."""
    name = (facts.data.get("defaults") or {}).get("platform")
    if not name or not facts.setting.forced_platform:
        return []
    from airflow_doeks.language.checks.job import overruled

    fault = overruled(facts, name)
    return [] if fault is None else [fault]


def durations(facts: Facts) -> list[Finding]:
    """Durations that Airflow could not reckon with, and a time-out that never counts."""
    if _DURATION_KEYS.isdisjoint(facts.values):
        return []
    found = _unreckonable(facts.values, _DURATIONS)
    run, whole = (_seconds(facts.values.get(key)) for key in ("run_timeout", "execution_timeout"))
    if run is not None and whole is not None and run > whole:
        message = f"run_timeout ({run:g} s) is longer than execution_timeout ({whole:g} s), so it never counts"
        found.append(Finding("DK229", message, ("run_timeout",), "make execution_timeout the longer one"))
    return found


def _unreckonable(values: Any, keys: tuple[str, ...]) -> list[Finding]:
    found = []
    for key in keys:
        if values.get(key) is not None:
            try:
                times.seconds(values[key])
            except ValueError as error:
                found.append(Finding("DK110", f"{key}: {error}", (key,)))
    return found


def _seconds(value: Any) -> float | None:
    try:
        return None if value is None else times.seconds(value)
    except ValueError:
        return None


def datasets(facts: Facts) -> list[Finding]:
    """URIs of S3 whose bucket cannot exist."""
    advice = "write s3://bucket/path; a bucket is 3 to 63 of a-z 0-9 . -"
    return [
        Finding("DK220", f'"{uri}" is not an S3 URL', (key, index), advice)
        for key in ("reads", "writes", "inlets", "outlets")
        for index, uri in enumerate(facts.entry.spec.get(key) or ())
        if uri.startswith("s3") and "{" not in uri.split("/", 3)[2] and not is_bucket(uri)
    ]


def role(facts: Facts) -> list[Finding]:
    """Set-up and teardown that Airflow would refuse or run otherwise."""
    spec, found = facts.entry.spec, []
    if spec.get("role") and spec.get("expand") is not None:
        message = f"a {spec['role']} task cannot be mapped"
        found.append(Finding("DK226", message, ("expand",), "remove expand or role", at_key=True))
    if spec.get("role") == "teardown" and spec.get("trigger_rule") not in (None, "all_done"):
        message = "a teardown always runs after what it tears down; its trigger_rule cannot be chosen"
        found.append(Finding("DK226", message, ("trigger_rule",), "remove trigger_rule", at_key=True))
    elif spec.get("role") != "teardown" and spec.get("trigger_rule") not in (None, "all_success"):
        message = 'what "{}" sets up runs when all succeeded; its trigger_rule cannot be chosen'
        tasks = facts.pipeline.tasks
        setups = [one for one in facts.entry.edges if one in tasks and tasks[one].entry.spec.get("role") == "setup"]
        advice = "remove trigger_rule, or need the set-up through a task between"
        found += [Finding("DK226", message.format(one), ("trigger_rule",), advice, at_key=True) for one in setups[:1]]
    return found


def _own_of(facts: Facts) -> Any:
    """What a job or a function is given."""
    return facts.job or (facts.entry.spec[facts.entry.kind] if facts.entry.kind in FUNCTIONS else {})


def expand(facts: Facts) -> list[Finding]:
    """A mapped value without a mapping, and a mapping over nothing."""
    over = facts.entry.spec.get("expand")
    if over == []:
        return [Finding("DK227", "expand over an empty list makes no task instance", ("expand",))]
    if over is None and facts.entry.spec.get("map_name"):
        message = "map_name names instances, but the task is not mapped"
        return [Finding("DK227", message, ("map_name",), "add expand", at_key=True)]
    if over is not None or not facts.pipeline.has_templates:
        return []
    used = [path for path, text in texts(_own_of(facts)) if "task.item" in text and "{{" in text]
    message = "{{ task.item }} stands here, but the task is not mapped"
    return [Finding("DK227", message, (facts.entry.kind, *used[0]), "add expand")] if used else []
