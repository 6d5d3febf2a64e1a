"""What doeks.yaml means in one environment, and whether its environments agree."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from typing import Any

from airflow_doeks.language.checks.job import is_release, preset_fault
from airflow_doeks.language.checks.meaning import is_bucket
from airflow_doeks.language.diagnostics import MAX_FAULTS, Diagnostic, more_faults, suggestion
from airflow_doeks.language.layers import texts, variables_in
from airflow_doeks.language.project import Project, Setting

_OLD, _HEAD = timedelta(days=90), 1 << 16  # as `cost.rates` has it; bytes of a card that are searched for its day
_CARD = re.compile(r"[a-z0-9-]+\.(\d{4}-\d\d-\d\d)\.yaml")
_AS_OF = re.compile(r"^as_of:\s*[\"']?(\d{4}-\d\d-\d\d)", re.MULTILINE)
_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(\d{12})?:\S+")


def check_project(setting: Setting) -> list[Diagnostic]:
    """What is wrong with doeks.yaml in one environment; kept for the next pipeline."""
    if "project" not in setting.cache:
        document, faults = (
            setting.project.document,
            [*_project_faults(setting), *_variable_faults(setting), *_money_faults(setting), *_preset_faults(setting)],
        )
        if len(faults) > MAX_FAULTS:
            faults[MAX_FAULTS:] = [more_faults(document.file, document.lines, len(faults) - MAX_FAULTS)]
        setting.cache["project"] = [*setting.diagnostics, *faults]
    found: list[Diagnostic] = setting.cache["project"]
    return found


def _has_card(path: str) -> bool:
    """True of a file, and of a folder with dated cards."""
    return os.path.isfile(path) or bool(_cards_of(path))  # noqa: PTH113 - as everywhere in this room


def _cards_of(folder: str) -> list[str]:
    """The days of a folder's cards, in order."""
    if not os.path.isdir(folder):  # noqa: PTH112 - the same
        return []
    return sorted(match[1] for name in os.listdir(folder) if (match := _CARD.fullmatch(name)))  # noqa: PTH208 - the same


def _old_day(path: str) -> str | None:
    """The day of a card, of a folder's newest, if it is an old one. The card itself is read when a job is priced."""
    days = _cards_of(path)
    if not days:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - the same
            days = _AS_OF.findall(file.read(_HEAD))
    try:
        is_old = bool(days) and datetime.now(timezone.utc).date() - date.fromisoformat(days[-1]) > _OLD
    except ValueError:
        return None
    return days[-1] if is_old else None


def _region_fault(setting: Setting) -> Diagnostic | None:
    """A region of which neither the folder of cards nor the package has prices; a single card is of its own."""
    card = setting.rate_card
    region, folder = card.get("region"), card.get("file")
    if not region or (folder and not _cards_of(folder)):
        return None
    if folder:
        regions = {name.partition(".")[0] for name in os.listdir(folder) if _CARD.fullmatch(name)}  # noqa: PTH208 - the same
        whose = f"{setting.data['rate_card']['file']} has"
    else:
        from airflow_doeks.cost.rates import bundled_regions

        regions, whose = set(bundled_regions()), "bundled are"
    if region in regions:
        return None
    message = f'there is no rate card of "{region}", no job has a price; {whose} {", ".join(sorted(regions))}'
    advice = suggestion(region, regions) or "doeks rates refresh writes a card; name it: rate_card: {file: ...}"
    return setting.project.document.fault("DK231", message, ("rate_card", "region"), help=advice)


def _money_faults(setting: Setting) -> Iterator[Diagnostic]:
    """Prices and shared cost that are not there, or old."""
    document, data = setting.project.document, setting.data
    card = setting.rate_card.get("file")
    if card and not _has_card(card):
        message = f'rate card "{data["rate_card"]["file"]}" does not exist: no job has a price'
        advice = "write its path from where doeks.yaml stands"
        yield document.fault("DK231", message, ("rate_card", "file"), help=advice)
    elif fault := _region_fault(setting):
        yield fault
    elif card and (day := _old_day(card)):
        message = f"the prices of this rate card are of {day}, more than {_OLD.days} days ago"
        advice = "doeks rates refresh writes a new card"
        yield document.fault("DK243", message, ("rate_card", "file"), help=advice)
    for name, entry in setting.known_platforms.items():
        shared = entry.get("shared") or {}
        if shared and shared.get("usd_per_hour") is None and not shared.get("namespaces"):
            message, advice = "shared names no cost", "write usd_per_hour, or namespaces that OpenCost knows"
            yield document.fault("DK244", message, ("platforms", name, "shared"), help=advice)
        elif shared.get("namespaces") and not entry.get("cost_source"):
            message, advice = (
                "nobody tells what these namespaces cost",
                "write cost_source: {opencost: URL} beside shared",
            )
            yield document.fault("DK244", message, ("platforms", name, "shared", "namespaces"), help=advice)


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


def _variable_faults(setting: Setting) -> Iterator[Diagnostic]:
    """Variables that name others, which nobody would fill in."""
    written = _dig(setting.project.document.data, ("environments", setting.environment, "variables"))
    for name, value in (written if isinstance(written, dict) else {}).items():
        named = [one for one in variables_in(value) if one in setting.variables]  # of others a fault tells already
        if named:
            message = f'variable "{name}" names ${{{named[0]}}}, and variables are not filled in themselves'
            path, advice = ("environments", setting.environment, "variables", name), "write its value out"
            yield setting.project.document.fault("DK214", message, path, help=f"{advice}, or $${{ for text")


def _preset_faults(setting: Setting) -> Iterator[Diagnostic]:
    """Presets that a preset lists and that there are not."""
    document, declared = setting.project.document, setting.project.declared("presets")
    for preset, kinds in (setting.data.get("presets") or {}).items():
        for kind, job in kinds.items():
            for index, name in enumerate(job.get("presets") or ()):
                if (fault := preset_fault(name, kind, declared)) is not None:
                    path = ("presets", preset, kind, "presets", index)
                    yield document.fault("DK216", fault[0], path, help=fault[1])


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
