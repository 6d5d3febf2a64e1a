"""What a pipeline and its tasks say in one environment: values merged from all their places, nothing judged.

Presets of doeks.yaml < its defaults < the environment's < the pipeline's < the task's own. The checks, the policies
and the plan read what is merged here, so none of them can overlook where a value came from.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_doeks.language.diagnostics import Finding, Place
from airflow_doeks.language.graph import Entry
from airflow_doeks.language.layers import Layer, as_written, merge, origin, without_nulls
from airflow_doeks.language.operators import arguments_of, operator_of
from airflow_doeks.language.project import Setting
from airflow_doeks.language.text import Document
from airflow_doeks.model.engine import ENGINES, Engine
from airflow_doeks.model.plan import OWN_TASKS

_TEXTUAL = ("args", "conf", "configuration")  # keys of a job that take numbers and hand on text


@dataclass(frozen=True, eq=False)
class PipelineFacts:
    """One pipeline in one environment.

    Attributes:
        data: the file's values, variables filled in, without what its schema refuses.
        base: ``defaults`` of doeks.yaml, of the environment and of the pipeline, merged; ``layers`` is where they
            were written, lowest first.
        tasks: the merged tasks by id, in the file's order; filled by who merges them.
    """

    document: Document
    setting: Setting
    dag_id: str
    data: Mapping[str, Any]
    base: dict[str, Any]
    layers: tuple[Layer, ...]
    folder: str
    has_templates: bool
    tasks: dict[str, Facts] = field(default_factory=dict)

    @property
    def own_layer(self) -> Layer:
        """The file itself."""
        return Layer(self.document, (), self.setting.variable_layers)

    def layers_of(self, entry: Entry, key: str) -> tuple[Layer, ...]:
        """Where a key of a task can come from, lowest first."""
        setting = self.setting
        own = Layer(self.document, entry.path, setting.variable_layers)
        if key == "platform" and setting.forced_platform:
            return (setting.layer("environments", setting.environment),)
        if key == "cost_tags":
            return (*setting.tag_layers, *setting.layers, self.own_layer, self.layers[-1], own)
        if key == entry.kind and key in ENGINES:
            names, _ = presets_of(self, entry)
            return (*(setting.layer("presets", name) for name in names), *self.layers, own)
        return (*self.layers, own)

    def place(self, entry: Entry | None, finding: Finding) -> tuple[Place, Document]:
        """Where what a finding is about was written, as near as that can be told."""
        path = finding.path
        layers: tuple[Layer, ...] = (self.own_layer,)
        if entry is not None and (not path or path[: len(entry.path)] != entry.path):
            layers = self.layers_of(entry, path[0] if path else "")
        place = None
        for length in range(len(path), -1, -1):
            place = origin(layers, path[:length], at_key=finding.at_key or length < len(path))
            if place is not None and (length or entry is None):
                break
        if place is None or (entry is not None and not path):
            place = self.document.place(entry.path if entry else (), at_key=True)
        return place, next((one.document for one in layers if one.document.file == place.file), self.document)


@dataclass(frozen=True, eq=False)
class Facts:
    """One task: its merged values; `PipelineFacts.place` tells where each was written.

    Attributes:
        values: keys that tasks share, defaults below the task's own.
        job: what the engine is asked to do, presets and defaults merged; None for ``uses``.
        platform: the entry of doeks.yaml; None for ``uses``, and where there is none of its name.
        operator: import path of the class behind ``uses``; None where its name is no alias and no path.
        arguments: of that operator, durations as timedelta.
        listed_presets: as the job or its defaults list them.
    """

    pipeline: PipelineFacts
    entry: Entry
    values: Mapping[str, Any]
    cost_tags: Mapping[str, str]
    job: Mapping[str, Any] | None = None
    platform: Mapping[str, Any] | None = None
    operator: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    listed_presets: tuple[str, ...] = ()

    @property
    def engine(self) -> Engine:
        """The row of the job's engine."""
        return ENGINES[self.entry.kind]

    @property
    def policies(self) -> Mapping[str, Any]:
        """What the platform team demands."""
        found: Mapping[str, Any] = self.pipeline.setting.data.get("policies") or {}
        return found


def merge_pipeline(document: Document, setting: Setting, dag_id: str, data: Mapping[str, Any]) -> PipelineFacts:
    """The facts that all tasks of a pipeline share."""
    return PipelineFacts(
        document=document,
        setting=setting,
        dag_id=dag_id,
        data=data,
        base=merge(setting.base, data["defaults"]) if data.get("defaults") else setting.base,
        layers=(*setting.layers, Layer(document, ("defaults",), setting.variable_layers)),
        folder=os.path.dirname(document.file),  # noqa: PTH120 - cheap, and keeps the path as it was given
        has_templates=has_templates(document.text) or has_templates(setting.project.document.text),
    )


def has_templates(text: str) -> bool:
    """True if Jinja may find something in a text."""
    return "{{" in text or "{%" in text or "{#" in text


def merge_task(pipeline: PipelineFacts, entry: Entry) -> Facts:
    """The facts of one task."""
    values = {**pipeline.base, **entry.spec}
    tags = _cost_tags(pipeline, entry)
    if entry.kind in ENGINES:
        return Facts(
            pipeline,
            entry,
            values,
            tags,
            job=_job(pipeline, entry),
            platform=_platform(pipeline.setting, values.get("platform")),
            listed_presets=tuple(_listed_presets(pipeline, entry)),
        )
    if entry.kind in OWN_TASKS:
        from airflow_doeks.language.own_tasks import operator_and_arguments

        named, given = operator_and_arguments(entry.kind, entry.spec[entry.kind])
        return Facts(pipeline, entry, values, tags, operator=named, arguments=given)
    operator, arguments = operator_of(entry.spec["uses"]), arguments_of(entry.spec)
    if isinstance(arguments.get("platform"), str) and str(operator).startswith("airflow_doeks."):
        arguments["platform"] = pipeline.setting.known_platforms.get(arguments["platform"])
    return Facts(pipeline, entry, values, tags, operator=operator, arguments=arguments)


def _platform(setting: Setting, wanted: str | None) -> Mapping[str, Any] | None:
    """The environment's platform, else the wanted one, else the only one there is."""
    known, name = setting.known_platforms, setting.forced_platform or wanted
    if name is None:
        return next(iter(known.values())) if len(known) == 1 else None
    return known.get(name)


def _cost_tags(pipeline: PipelineFacts, entry: Entry) -> dict[str, str]:
    """The task's cost tags from all places, sorted by key."""
    tags = dict(pipeline.setting.cost_tags)
    for place in (pipeline.setting.base, pipeline.data, pipeline.data.get("defaults"), entry.spec):
        if place and place.get("cost_tags"):
            tags |= place["cost_tags"]
    return dict(sorted(tags.items()))


def _listed_presets(pipeline: PipelineFacts, entry: Entry) -> list[str]:
    """The presets that a job lists, or its defaults do."""
    own = (entry.spec.get(entry.kind) or {}).get("presets")
    return list((own if own is not None else (pipeline.base.get(entry.kind) or {}).get("presets")) or ())


def presets_of(pipeline: PipelineFacts, entry: Entry) -> tuple[list[str], list[str]]:
    """Presets of doeks.yaml and others that a job gets; what a preset lists itself comes before it."""
    mine = pipeline.setting.data.get("presets") or {}
    waiting, seen = _listed_presets(pipeline, entry)[::-1], set()
    found: dict[str, bool] = {}  # name -> whether it is one of doeks.yaml
    while waiting:
        name = waiting[-1]
        if name in seen:  # all that it lists is found, or it is listed by one of them
            found[waiting.pop()] = name in mine
            continue
        seen.add(name)
        listed = ((mine.get(name) or {}).get(entry.kind) or {}).get("presets") or ()
        waiting += [one for one in reversed(listed) if one not in seen]
    return [name for name, is_mine in found.items() if is_mine], [name for name in found if not found[name]]


def _job(pipeline: PipelineFacts, entry: Entry) -> dict[str, Any]:
    """The job of a task: presets of doeks.yaml, defaults and the task's own, merged."""
    own = entry.spec[entry.kind]
    job = pipeline.base.get(entry.kind) or {}
    names, others = presets_of(pipeline, entry)
    if names:
        presets: dict[str, Any] = {}
        for name in names:
            presets = merge(presets, pipeline.setting.data["presets"][name].get(entry.kind) or {})
        job = merge(presets, job)
    if job:
        replaced = {gone for key in own for gone in ENGINES[entry.kind].replaced_by(key)}
        job = merge({key: value for key, value in job.items() if key not in replaced}, own)
    else:
        job = own
    if names:
        job = {**job, "presets": others}
    return _spelled(pipeline, entry, without_nulls(job))


def _spelled(pipeline: PipelineFacts, entry: Entry, job: dict[str, Any]) -> dict[str, Any]:
    """The job, numbers that reach it as text spelled as they were written."""
    if not (pipeline.document.respells or pipeline.setting.project.document.respells):
        return job
    layers = pipeline.layers_of(entry, entry.kind)
    spelled = {key: as_written(job[key], layers, (entry.kind, key)) for key in _TEXTUAL if key in job}
    return {**job, **spelled}
