"""DK2xx and DK4xx: what a pipeline means, checked on the merged result."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_doeks.language import jobs, times
from airflow_doeks.language.diagnostics import MAX_FAULTS, Diagnostic, more_faults, suggestion
from airflow_doeks.language.graph import Entry
from airflow_doeks.language.layers import leaves
from airflow_doeks.model.plan import Plan, TaskPlan
from airflow_doeks.platforms.registry import EMBEDDED

if TYPE_CHECKING:
    from airflow_doeks.language.compilation import Compilation
    from airflow_doeks.language.project import Project, Setting

_LOCAL = {EMBEDDED: {"type": EMBEDDED, "name": EMBEDDED}}  # what there is without a doeks.yaml
_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(\d{12})?:\S+")
_BUCKET = re.compile(r"s3[an]?://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?")
_JINJA = re.compile(r"\{\{|\}\}|\{%|%\}")
_RAW = re.compile(r"\{%[-+]?\s*raw\b")  # what follows is text to Jinja
_DATED = re.compile(r"\{\{[^}]*\b(ds|ds_nodash|ts|ts_nodash|logical_date|data_interval_start|data_interval_end)\b")


def declared_ids(tasks: Any, above: str = "") -> frozenset[str]:
    """Ids of all tasks and groups that a file names, however broken they are."""
    found: set[str] = set()
    for name, spec in tasks.items() if isinstance(tasks, dict) else ():
        found.add(f"{above}{name}")
        if isinstance(spec, dict) and "tasks" in spec:
            found |= declared_ids(spec["tasks"], f"{above}{name}.")
    return frozenset(found)


def schedule_of(compilation: Compilation) -> dict[str, Any] | None:
    """The schedule in the plan's form, its cron checked."""
    written = compilation.data.get("schedule")
    schedule = times.schedule_of(written)
    if schedule is not None and "cron" in schedule:
        path = ("schedule", "cron") if isinstance(written, dict) else ("schedule",)
        try:
            schedule["cron"] = times.cron_of(schedule["cron"])
        except ValueError as error:
            near = suggestion(str(schedule["cron"]), times.PRESETS) if str(schedule["cron"]).startswith("@") else ""
            compilation.note("DK202", str(error), None, path, help=near or "five fields, or a preset such as @daily")
        if compilation.data.get("start_date") is None:
            message = "a schedule without start_date never runs"
            compilation.note("DK205", message, None, ("schedule",), at_key=True, help="add start_date: 2026-01-01")
    return schedule


def check_pipeline(compilation: Compilation, plan: Plan) -> None:
    """Dates and zones of the pipeline."""
    dates = {}
    for key, text in (("start_date", plan.start_date), ("end_date", plan.end_date)):
        if text is not None:
            try:
                dates[key] = times.date_of(text)
            except ValueError as error:
                compilation.note("DK203", str(error), None, (key,))
    if len(dates) == 2 and dates["end_date"].date() < dates["start_date"].date():  # noqa: PLR2004 - both of them
        compilation.note("DK203", "end_date is before start_date", None, ("end_date",))
    zones: list[tuple[tuple[str, ...], str]] = [(("timezone",), plan.timezone)]
    if plan.schedule and plan.schedule.get("timezone"):
        zones.append((("schedule", "timezone"), plan.schedule["timezone"]))
    for path, zone in zones:
        if not times.is_zone(zone):
            compilation.note("DK204", f'"{zone}" is not a time zone', None, path, help=times.near_zones(zone))


def platform_of(compilation: Compilation, entry: Entry, wanted: str | None) -> Mapping[str, Any] | None:
    """The platform of a task: the environment's, else the wanted one, else the only one there is."""
    setting = compilation.setting
    known = setting.platforms if setting.project.folder else _LOCAL
    name = setting.forced_platform or wanted
    if name is None:
        if len(known) == 1:
            return next(iter(known.values()))
        listed = ", ".join(known) or "none"
        message = f"no platform is chosen; doeks.yaml has {listed}"
        compilation.note("DK208", message, entry, (), help="write platform: NAME here or under defaults")
        return None
    platform = named_platform(compilation, entry, name, ("platform",))
    if platform is None:
        return None
    engines = jobs.engines_of(platform)
    if entry.kind not in engines:
        message = f'platform "{name}" ({platform["type"]}) runs {", ".join(engines)}, not {entry.kind}'
        able = [one for one, value in known.items() if entry.kind in jobs.engines_of(value)]
        advice = f"use {', '.join(able)}" if able else f"no platform of this doeks.yaml runs {entry.kind}"
        compilation.note("DK209", message, entry, (entry.kind,), at_key=True, help=advice)
    return platform


def named_platform(
    compilation: Compilation, entry: Entry, name: str, path: tuple[str, ...]
) -> Mapping[str, Any] | None:
    """The platform of a name; noted if there is none."""
    setting = compilation.setting
    known = setting.platforms if setting.project.folder else _LOCAL
    declared = setting.project.declared("platforms")
    if name not in known and name not in declared:  # one that is declared is broken, which doeks.yaml's faults say
        where = "doeks.yaml" if setting.project.folder else "this folder has no doeks.yaml, which"
        message = f'there is no platform "{name}"; {where} has {", ".join(known) or "none"}'
        compilation.note("DK208", message, entry, path, help=suggestion(name, known))
    return known.get(name)


def check_task(compilation: Compilation, entry: Entry, plan: TaskPlan) -> None:
    """One task: datasets, set-up and teardown, mapping, and its job."""
    for key in ("reads", "writes", "inlets", "outlets"):
        for index, uri in enumerate(getattr(plan, key)):
            if uri.startswith("s3") and "{" not in uri.split("/", 3)[2] and not _BUCKET.fullmatch(uri):
                message = f'"{uri}" is not an S3 URL'
                compilation.note(
                    "DK220",
                    message,
                    entry,
                    (key, index),
                    help="write s3://bucket/path; a bucket is 3 to 63 of a-z 0-9 . -",
                )
    if plan.role and plan.expand is not None:
        compilation.note(
            "DK226",
            f"a {plan.role} task cannot be mapped",
            entry,
            ("expand",),
            at_key=True,
            help="remove expand or role",
        )
    if plan.role == "teardown" and entry.spec.get("trigger_rule") not in (None, "all_done"):
        message = "a teardown always runs after what it tears down; its trigger_rule cannot be chosen"
        compilation.note("DK226", message, entry, ("trigger_rule",), at_key=True, help="remove trigger_rule")
    if plan.expand is None and compilation.has_templates and _uses_item(plan):
        path = next(iter(_uses_item(plan)))
        compilation.note(
            "DK227", "{{ task.item }} stands here, but the task is not mapped", entry, path, help="add expand"
        )
    if plan.expand == []:
        compilation.note("DK227", "expand over an empty list makes no task instance", entry, ("expand",))
    run, whole = plan.budgets.get("run_timeout"), plan.execution_timeout_seconds
    if run is not None and whole is not None and run > whole:
        message = f"run_timeout ({run:g} s) is longer than execution_timeout ({whole:g} s), so it never counts"
        compilation.note("DK229", message, entry, ("run_timeout",), help="make execution_timeout the longer one")
    if plan.job is not None:
        jobs.check_job(compilation, entry, plan)


def _uses_item(plan: TaskPlan) -> list[tuple[Any, ...]]:
    return [(plan.kind, *path) for path, text in _texts(plan.job or {}) if "task.item" in text and "{{" in text]


def _texts(values: Any) -> Iterator[tuple[tuple[Any, ...], str]]:
    for path in leaves(values):
        value = values
        for step in path:
            value = value[step]
        if isinstance(value, str):
            yield path, value


def check_templates(compilation: Compilation, every: list[Entry]) -> None:
    """Jinja that cannot be rendered, and dates where a run may have none."""
    if not compilation.has_templates:
        return
    undated = "assets" in (times.schedule_of(compilation.data.get("schedule")) or {})
    for entry in every:
        if entry.kind == "tasks":
            continue
        for path, text in _texts(entry.spec):
            if "{{" not in text and "{%" not in text:
                continue
            if (fault := unbalanced(text)) is not None:
                compilation.note("DK218", fault, entry, path, help="each {{ needs its }}, each {% its %}")
            elif undated and (word := _DATED.search(text)) is not None:
                message = f"{word[1]} has no value in runs started by assets"
                compilation.note(
                    "DK219", message, entry, path, help="use {{ run_id }}, or dates from triggering_asset_events"
                )


def unbalanced(text: str) -> str | None:
    """What is wrong with the brackets of a Jinja template; None if nothing is."""
    if _RAW.search(text):
        return None
    opened = None
    for match in _JINJA.finditer(text):
        mark = match[0]
        if mark in ("{{", "{%"):
            if opened is not None:
                return f"{opened} is not closed before the next {mark}"
            opened = mark
        elif opened is not None and (opened, mark) in (("{{", "}}"), ("{%", "%}")):
            opened = None
    return None if opened is None else f"{opened} is never closed"


def check_project(setting: Setting) -> list[Diagnostic]:
    """What is wrong with doeks.yaml in one environment; kept for the next pipeline."""
    if "project" not in setting.cache:
        document, faults = setting.project.document, [*_project_faults(setting), *_preset_faults(setting)]
        if len(faults) > MAX_FAULTS:
            faults[MAX_FAULTS:] = [more_faults(document.file, document.lines, len(faults) - MAX_FAULTS)]
        setting.cache["project"] = [*setting.diagnostics, *faults]
    found: list[Diagnostic] = setting.cache["project"]
    return found


def _project_faults(setting: Setting) -> Iterator[Diagnostic]:
    document, data = setting.project.document, setting.data
    names = setting.project.declared("platforms")
    wanted = [(("environments", setting.environment, "platform"), setting.forced_platform, False)]
    wanted += [
        (("policies", "platforms", name), name, True) for name in (data.get("policies") or {}).get("platforms") or ()
    ]
    wanted += [
        ((*layer.prefix, "platform"), (_dig(data, layer.prefix) or {}).get("platform"), False)
        for layer in setting.layers
    ]
    for path, name, at_key in wanted:
        if name is not None and name not in names:
            message = f'there is no platform "{name}"; platforms are {", ".join(names) or "none"}'
            yield document.fault("DK208", message, path, at_key=at_key, help=suggestion(name, names))
    card = setting.rate_card.get("file")
    if card and not os.path.isfile(card):  # noqa: PTH113 - as everywhere in this room
        message = f'rate card "{data["rate_card"]["file"]}" does not exist: no job has a price'
        advice = "write its path from where doeks.yaml stands"
        yield document.fault("DK231", message, ("rate_card", "file"), help=advice)
    for path, text in _texts(data.get("platforms") or {}):
        if text.startswith("arn:") and not _ARN.fullmatch(text):
            message = f'"{text}" is not an ARN'
            yield document.fault(
                "DK225", message, ("platforms", *path), help="write arn:aws:iam::123456789012:role/name"
            )
        elif path[-1] == "release" and not jobs.RELEASE.fullmatch(text):
            message = f'"{text}" is not an EMR release label'
            yield document.fault("DK228", message, ("platforms", *path), help="write for example emr-7.9.0-latest")
        elif text.startswith("s3") and "://" in text and not _BUCKET.fullmatch(text):
            message = f'"{text}" is not an S3 URL'
            yield document.fault("DK220", message, ("platforms", *path), help="write s3://bucket/path")


def _preset_faults(setting: Setting) -> Iterator[Diagnostic]:
    """Presets that a preset lists and that there are not."""
    document, declared = setting.project.document, setting.project.declared("presets")
    for preset, kinds in (setting.data.get("presets") or {}).items():
        for kind, job in kinds.items():
            for index, name in enumerate(job.get("presets") or ()):
                if (advice := jobs.unknown_preset(name, kind, declared)) is not None:
                    path = ("presets", preset, kind, "presets", index)
                    yield document.fault("DK216", f'there is no preset "{name}"', path, help=advice)


def _dig(data: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data


def check_variables(project: Project) -> list[Diagnostic]:
    """Variables that have another type, or no value, in some environment."""
    values: dict[str, dict[str, Any]] = {}
    for environment, entry in project.declared("environments").items():
        given = entry.get("variables") if isinstance(entry, dict) else None
        for name, value in (given if isinstance(given, dict) else {}).items():
            values.setdefault(name, {})[environment] = value
    found = []
    for name, by_environment in values.items():
        (first, model), *others = by_environment.items()
        for environment, value in others:
            if type(value) is not type(model):
                message = f'variable "{name}" is {_word(value)} here and {_word(model)} in {first}'
                path = ("environments", environment, "variables", name)
                found.append(project.document.fault("DK214", message, path, help="give it one type everywhere"))
    return found


def _word(value: Any) -> str:
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text"}.get(
        type(value), "something else"
    )
