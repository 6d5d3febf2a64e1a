"""What doeks.yaml means in one environment, and whether its environments agree."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from airflow_doeks.language.checks.job import is_release, unknown_preset
from airflow_doeks.language.checks.meaning import is_bucket
from airflow_doeks.language.diagnostics import MAX_FAULTS, Diagnostic, more_faults, suggestion
from airflow_doeks.language.layers import texts
from airflow_doeks.language.project import Project, Setting

_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(\d{12})?:\S+")


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
    for path, text in texts(data.get("platforms") or {}):
        if text.startswith("arn:") and not _ARN.fullmatch(text):
            message = f'"{text}" is not an ARN'
            yield document.fault(
                "DK225", message, ("platforms", *path), help="write arn:aws:iam::123456789012:role/name"
            )
        elif path[-1] == "release" and not is_release(text):
            message = f'"{text}" is not an EMR release label'
            yield document.fault("DK228", message, ("platforms", *path), help="write for example emr-7.9.0-latest")
        elif text.startswith("s3") and "://" in text and not is_bucket(text):
            message = f'"{text}" is not an S3 URL'
            yield document.fault("DK220", message, ("platforms", *path), help="write s3://bucket/path")


def _preset_faults(setting: Setting) -> Iterator[Diagnostic]:
    """Presets that a preset lists and that there are not."""
    document, declared = setting.project.document, setting.project.declared("presets")
    for preset, kinds in (setting.data.get("presets") or {}).items():
        for kind, job in kinds.items():
            for index, name in enumerate(job.get("presets") or ()):
                if (advice := unknown_preset(name, kind, declared)) is not None:
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
