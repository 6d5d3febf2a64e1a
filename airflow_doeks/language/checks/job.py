"""DK2xx of one merged job: its platform, its code, its quantities, its properties and its presets."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from airflow_doeks.language.diagnostics import Finding, suggestion
from airflow_doeks.language.merging import Facts, PipelineFacts
from airflow_doeks.language.rules import engines_of, schema
from airflow_doeks.model.code_path import is_url, located, refusal
from airflow_doeks.model.engine import ENGINES, Engine, load
from airflow_doeks.model.job_rules import JobFault, count_faults, size_faults, work_faults
from airflow_doeks.model.quantities import is_template

_BUCKET_URL = re.compile(r"s3[an]?://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.+")
_RELEASE = re.compile(r"emr-\d+\.\d+\.\d+(-[a-z0-9-]+)?(-latest|-\d{8})?")


def platform(facts: Facts) -> list[Finding]:
    """No platform, one that there is not, or one that does not run the job's engine."""
    setting, kind, found = facts.pipeline.setting, facts.entry.kind, facts.platform
    known, name = setting.known_platforms, setting.forced_platform or facts.values.get("platform")
    if name is None and found is None:
        message = f"no platform is chosen; doeks.yaml has {', '.join(known) or 'none'}"
        advice = (
            "write platform: NAME here or under defaults" if known else "write platforms: {laptop: {type: local}} there"
        )
        return [] if setting.lacks_platforms else [Finding("DK208", message, (), advice)]
    if found is None and _is_of_project(facts):
        return []  # told where doeks.yaml names it
    if found is None:
        fault = setting.unknown_platform(str(name))
        return [Finding("DK208", fault, ("platform",), suggestion(str(name), known))] if fault else []
    engines = engines_of(found)
    if name is None or kind in engines:
        return []
    message = f'platform "{name}" ({found["type"]}) runs {", ".join(engines)}, not {kind}'
    able = [one for one, value in known.items() if kind in engines_of(value)]
    advice = f"use {', '.join(able)}" if able else f"no platform of this doeks.yaml runs {kind}"
    return [Finding("DK209", message, (kind,), advice, at_key=True)]


def _is_of_project(facts: Facts) -> bool:
    """True if the platform's name stands in doeks.yaml, not in the pipeline."""
    pipeline = facts.pipeline
    own = "platform" in facts.entry.spec or "platform" in (pipeline.data.get("defaults") or {})
    return bool(pipeline.setting.forced_platform) or not own


def hidden_platform(facts: Facts) -> list[Finding]:
    """A platform that the environment overrules and that there is not; another environment will miss it."""
    fault = overruled(facts.pipeline, facts.entry.spec.get("platform"))
    if fault is None:
        return []
    return [fault._replace(path=(*facts.entry.path, "platform"))]


def overruled(pipeline: PipelineFacts, name: str | None) -> Finding | None:
    """What to say of a platform that is written where the environment takes another; None for one that there is."""
    setting = pipeline.setting
    fault = setting.unknown_platform(name) if name and setting.forced_platform else None
    if fault is None:
        return None
    message = f"{fault}; only because the environment takes {setting.forced_platform} nothing fails yet"
    advice = suggestion(str(name), setting.known_platforms) or "correct it, or add the platform to doeks.yaml"
    return Finding("DK208", message, ("defaults", "platform"), advice)


def work(facts: Facts) -> list[Finding]:
    """Not exactly one thing to run."""
    return [] if _was_cut(facts) else _placed(facts, work_faults)


def _was_cut(facts: Facts) -> bool:
    """True if the file says more of the job than the schema accepts, which is reported already."""
    written: Any = facts.pipeline.document.data
    for step in (*facts.entry.path, facts.entry.kind):
        written = written[step]
    return set(written) != set(facts.entry.spec[facts.entry.kind])


def _placed(facts: Facts, rule: Callable[[Engine, Mapping[str, Any]], list[JobFault]]) -> list[Finding]:
    return [
        Finding(one.code, one.message, (facts.entry.kind, *one.path), one.help, at_key=one.at_key)
        for one in rule(facts.engine, facts.job or {})
    ]


def code(facts: Facts) -> list[Finding]:
    """Files that are not there or not the project's, and URLs of S3 that are none."""
    job, kind = facts.job or {}, facts.entry.kind
    named: list[tuple[tuple[Any, ...], Any]] = [((kind, key), job[key]) for key in facts.engine.files if key in job]
    template = facts.engine.template_file
    if template and isinstance(job.get(template), str):
        named.append(((kind, template), job[template]))
    for key in facts.engine.file_lists:
        named += [((kind, key, index), value) for index, value in enumerate(job.get(key) or ())]
    return [one for path, value in named if (one := file_fault(facts, path, value)) is not None]


def kind_of_code(facts: Facts) -> list[Finding]:
    """SQL under the key of programs, a program under that of SQL, and what the engine cannot run."""
    job, engine, found = facts.job or {}, facts.engine, []
    for key in engine.suffixes if _runs_one(facts) else ():
        value = job.get(key)
        if not isinstance(value, str) or is_template(value):
            continue
        suffix = os.path.splitext(value.partition("#")[0])[1].lower()  # noqa: PTH122 - cheap, as above
        other = next((one for one, known in engine.suffixes.items() if suffix in known and one != key), None)
        if suffix in engine.suffixes[key] or (other is None and (key == engine.sql or not suffix[1:].isalpha())):
            continue
        expected = " or ".join(engine.suffixes[key])
        message = f'{key} runs a file that ends in {expected}, not "{value}"'
        found.append(Finding("DK211", message, (facts.entry.kind, key), f"write {other}: {value}" if other else ""))
    return found


def _runs_one(facts: Facts) -> bool:
    return sum((facts.job or {}).get(key) is not None for key in facts.engine.work) == 1


def file_fault(facts: Facts, path: tuple[Any, ...], value: Any) -> Finding | None:
    """Why a job or a task may not bring the file that a value names; None if it may."""
    if not isinstance(value, str) or is_template(value):
        return None
    folder = os.path.abspath(facts.pipeline.folder)  # noqa: PTH100 - here and below: cheap, a project has many files
    root = os.path.abspath(facts.pipeline.setting.project.folder or folder)  # noqa: PTH100
    why = refusal(value, folder, root, _real_file)
    if why is not None:
        advice = "move the file there, or give a URL such as s3://bucket/job.py"
        if facts.pipeline.setting.project.folder is None:
            advice = "no doeks.yaml stands here or above, so the project is this folder; doeks init DIR writes one"
        return Finding("DK212", why, path, advice)
    if is_url(value):
        is_odd = value.startswith(("s3:", "s3a:", "s3n:")) and not _BUCKET_URL.fullmatch(value)
        return Finding("DK220", f'"{value}" is not an S3 URL', path, "write s3://bucket/path") if is_odd else None
    file = located(value, facts.pipeline.folder)
    if os.path.isfile(file):  # noqa: PTH113
        return None
    what = "is a folder; zip it" if os.path.isdir(file) else "does not exist"  # noqa: PTH112 - of any length
    advice = _near_file(file) or f"looked at {file}; paths start where the YAML stands"
    return Finding("DK212", f'"{value}" {what}', path, advice)


def _real_file(file: str) -> str:
    folder, name = os.path.split(file)
    real = os.path.join(_real(folder), name)  # noqa: PTH118
    return os.path.realpath(real) if os.path.islink(real) else real  # noqa: PTH114


@functools.lru_cache(maxsize=1024)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def _near_file(file: str) -> str:
    folder = Path(file).parent
    return suggestion(Path(file).name, [one.name for one in folder.iterdir()]) if os.path.isdir(folder) else ""  # noqa: PTH112


def quantities(facts: Facts) -> list[Finding]:
    """Pods of no size or no number."""
    return [*_placed(facts, size_faults), *_placed(facts, count_faults)]


def endings(facts: Facts) -> list[Finding]:
    """What a task says itself that only a job without an end can mean; defaults may say it for others."""
    engine, kind = facts.engine, facts.entry.kind
    if engine.endless is None or engine.may_outlive(facts.job or {}):
        return []
    key, value = engine.endless
    advice, own = f"write {key}: {value}, or remove it", facts.entry.spec[kind]
    return [
        Finding(
            "DK232", f"{name} is for {key}: {value}, and this job ends by itself", (kind, name), advice, at_key=True
        )
        for name, ignored in engine.endless_only.items()
        if own.get(name) not in (None, ignored)
    ]


def acts(facts: Facts) -> list[Finding]:
    """Something done to a stream of a task that has none."""
    engine, kind, found = facts.engine, facts.entry.kind, []
    for key in engine.acts:
        other = facts.pipeline.tasks.get(facts.entry.names.get(key, ""))
        if other is not None and (other.entry.kind != kind or not engine.may_outlive(other.job or {})):
            message = f'"{other.entry.id}" is no {engine.title} job with {": ".join(engine.endless or ())}'
            found.append(Finding("DK233", message, (kind, key), "name the task that deploys it"))
    return found


def presets(facts: Facts) -> list[Finding]:
    """Presets that there are not."""
    declared = facts.pipeline.setting.project.declared("presets")
    return [
        Finding("DK216", fault[0], (facts.entry.kind, "presets", index), fault[1])
        for index, name in enumerate(facts.listed_presets)
        if (fault := preset_fault(name, facts.entry.kind, declared)) is not None
    ]


def preset_fault(name: str, engine: str, declared: Mapping[str, Any]) -> tuple[str, str] | None:
    """Message and help where there is no such preset of the engine, ours or ``declared`` in doeks.yaml."""
    ours = schema("pipeline")["x-presets"]
    known = [*ours[engine], *declared]
    if name in known:
        return None
    others = [ENGINES[other].title for other in ENGINES if name in ours.get(other, ())]
    if others:
        message = f'"{name}" is a preset of {" and ".join(others)}, not of {ENGINES[engine].title}'
    else:
        message = f'there is no preset "{name}"'
    return message, suggestion(name, known) or f"presets are {', '.join(known) or 'those of doeks.yaml: it has none'}"


def release(facts: Facts) -> list[Finding]:
    """An EMR release label that is none."""
    label = (facts.job or {}).get("release")
    if label is None or is_template(label) or is_release(label):
        return []
    advice = "write for example emr-7.9.0-latest"
    return [Finding("DK228", f'"{label}" is not an EMR release label', (facts.entry.kind, "release"), advice)]


def is_release(label: str) -> bool:
    """True for a text of the form of EMR's release labels."""
    return _RELEASE.fullmatch(label) is not None


def properties(facts: Facts) -> list[Finding]:
    """Properties that the engine would ignore without a word."""
    ask, found = facts.engine.property_fault, []
    known = facts.pipeline.setting.data.get("known_conf") or ()
    for key in ((facts.job or {}).get("conf") or ()) if ask else ():
        fault = None if any(fnmatchcase(key, pattern) for pattern in known) else load(ask)(key)
        if fault is not None:
            code, message, advice = fault
            found.append(Finding(code, message, (facts.entry.kind, "conf", key), advice, at_key=True))
    return found


def pod_templates(facts: Facts) -> list[Finding]:
    """Pod templates that no pod finds: the engine reads them where it submits, not in the project."""
    found = []
    for key, value in ((facts.job or {}).get("conf") or {}).items():
        if not facts.engine.names_template(key) or not isinstance(value, str) or is_template(value):
            continue
        if not is_url(value) and not value.startswith("/"):
            message = f'"{value}" is a relative path, which nothing finds where the job is submitted'
            advice = "upload it and write its URL, such as s3://bucket/driver.yaml; what presets give needs no template"
            found.append(Finding("DK212", message, (facts.entry.kind, "conf", key), advice))
    return found
