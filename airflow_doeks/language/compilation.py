"""One pipeline in one environment: values merged from all their places, checked, and made into a plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from airflow_doeks.language import checks, policies, times
from airflow_doeks.language.diagnostics import MAX_FAULTS, WARNINGS, Diagnostic, Place, more_faults
from airflow_doeks.language.graph import Entry, connect, entries
from airflow_doeks.language.ids import is_dag_id
from airflow_doeks.language.layers import Layer, Sources, merge, origin, without_nulls
from airflow_doeks.language.operators import resolve_uses
from airflow_doeks.language.project import Setting
from airflow_doeks.language.structure import check_structure
from airflow_doeks.language.text import Document
from airflow_doeks.model.engine import ENGINES
from airflow_doeks.model.plan import BUDGETS, Plan, TaskPlan

_RETRY_DELAY_SECONDS = 300.0  # Airflow's default


class Compilation:
    """One pipeline in one environment, while it is compiled; ``diagnostics`` grows."""

    def __init__(self, document: Document, setting: Setting, dag_id: str) -> None:
        self.document = document
        self.setting = setting
        self.dag_id = dag_id
        self.folder = os.path.dirname(document.file)  # noqa: PTH120 - cheap, and keeps the path as it was given
        self.diagnostics: list[Diagnostic] = list(document.diagnostics)
        self.errors = self.hidden = 0  # errors that were noted, and of them those beyond MAX_FAULTS
        self.faulty: dict[str, set[tuple[Any, ...]]] = {}  # task id -> paths below its job that have a diagnostic
        self.data: dict[str, Any] = {}
        self.base: dict[str, Any] = {}
        self.has_templates = "{{" in document.text or "{%" in document.text
        self.layers: tuple[Layer, ...] = ()

    def run(self) -> Plan | None:
        """The plan as far as it can be made; None if nothing of it can."""
        plan = self._run()
        if self.hidden:
            self.diagnostics.append(more_faults(self.document.file, self.document.lines, self.hidden))
        return plan

    def _run(self) -> Plan | None:
        setting, document = self.setting, self.document
        if not is_dag_id(self.dag_id, document.file):
            message = f'"{self.dag_id}" is no DAG id: file and folder names hold letters, digits, "_" and "-", no "."'
            self.diagnostics.append(Diagnostic("DK224", message, Place(document.file, 1, 1), help="rename the file"))
        found, data = check_structure(document, "pipeline", setting.variables, setting.variable_layers)
        self.diagnostics += found
        self.data = data
        if not data.get("tasks") or len(found) > MAX_FAULTS:
            return None
        self.base = merge(setting.base, data["defaults"]) if data.get("defaults") else setting.base
        self.layers = (*setting.layers, Layer(document, ("defaults",), setting.variable_layers))
        every = list(entries(data["tasks"]))
        connect(
            every, lambda: checks.declared_ids(document.data.get("tasks")), data.get("infer") is not False, self.note
        )
        plan = self._pipeline(tuple(self._task(entry) for entry in every if entry.kind != "tasks"), every)
        checks.check_pipeline(self, plan)
        checks.check_templates(self, every)
        return plan

    def note(
        self, code: str, message: str, entry: Entry | None = None, path: tuple[Any, ...] = (), **more: Any
    ) -> None:
        """Add a diagnostic where the value at a path of a task, or of the pipeline, was written."""
        at_key = more.pop("at_key", False)
        if entry is not None and path[:1] == (entry.kind,):
            self.faulty.setdefault(entry.id, set()).add(path[1:])
        if code not in WARNINGS:
            self.errors += 1
            if self.errors > MAX_FAULTS:
                self.hidden += 1
                return
        if entry is None:
            layers: tuple[Layer, ...] = (Layer(self.document, (), self.setting.variable_layers),)
        elif path[: len(entry.path)] == entry.path and path:
            layers = (Layer(self.document, (), self.setting.variable_layers),)
        else:
            layers = self.layers_of(entry, path[0] if path else "")
        place = None
        for length in range(len(path), -1, -1):
            place = origin(layers, path[:length], at_key=at_key or length < len(path))
            if place is not None and (length or entry is None):
                break
        if place is None or (entry is not None and not path):
            place = self.document.place(entry.path if entry else (), at_key=True)
        document = next((one.document for one in layers if one.document.file == place.file), self.document)
        task_id = entry.id if entry else None
        self.diagnostics.append(Diagnostic(code, message, place, task_id=task_id, lines=document.lines, **more))

    def layers_of(self, entry: Entry, key: str) -> tuple[Layer, ...]:
        """Where a key of a task can come from, lowest first."""
        own = Layer(self.document, entry.path, self.setting.variable_layers)
        if key == "platform" and self.setting.forced_platform:
            return (self.setting.layer("environments", self.setting.environment),)
        if key == "cost_tags":
            whole = Layer(self.document, (), self.setting.variable_layers)
            return (*self.setting.tag_layers, *self.setting.layers, whole, self.layers[-1], own)
        if key == entry.kind and key != "uses":
            names, _ = self._presets(entry)
            return (*(self.setting.layer("presets", name) for name in names), *self.layers, own)
        return (*self.layers, own)

    def cost_tags(self, entry: Entry) -> dict[str, str]:
        """The task's cost tags from all places, sorted by key."""
        places = (self.setting.cost_tags, self.setting.base, self.data, self.data.get("defaults"), entry.spec)
        tags: dict[str, str] = dict(places[0] or {})
        for place in places[1:]:
            if place and place.get("cost_tags"):
                tags |= place["cost_tags"]
        return dict(sorted(tags.items()))

    def listed_presets(self, entry: Entry) -> list[str]:
        """The presets that a job lists, or its defaults do."""
        own = (entry.spec.get(entry.kind) or {}).get("presets")
        return list((own if own is not None else (self.base.get(entry.kind) or {}).get("presets")) or ())

    def _presets(self, entry: Entry) -> tuple[list[str], list[str]]:
        """Presets of doeks.yaml and others that a job gets; what a preset lists itself comes before it."""
        mine = self.setting.data.get("presets") or {}
        waiting, seen = self.listed_presets(entry)[::-1], set()
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

    def _job(self, entry: Entry) -> dict[str, Any]:
        """The job of a task: presets of doeks.yaml, defaults and the task's own, merged."""
        own = entry.spec[entry.kind]
        job = self.base.get(entry.kind) or {}
        names, others = self._presets(entry)
        if names:
            presets: dict[str, Any] = {}
            for name in names:
                presets = merge(presets, self.setting.data["presets"][name].get(entry.kind) or {})
            job = merge(presets, job)
        if job:
            replaced = {gone for key in own for gone in ENGINES[entry.kind].replaced_by(key)}
            job = merge({key: value for key, value in job.items() if key not in replaced}, own)
        else:
            job = own
        if names:
            job = {**job, "presets": others}
        return without_nulls(job)

    def _task(self, entry: Entry) -> TaskPlan:
        spec = entry.spec
        common = {**self.base, **spec}
        job = platform = operator = None
        arguments: dict[str, Any] = {}
        if entry.kind == "uses":
            operator, arguments = resolve_uses(entry, self.note)
            if isinstance(arguments.get("platform"), str) and str(operator).startswith("airflow_doeks."):
                arguments["platform"] = checks.named_platform(self, entry, arguments["platform"], ("with", "platform"))
        else:
            job = self._job(entry)
            platform = checks.platform_of(self, entry, common.get("platform"))
        retry_on, delay = common.get("retry_on"), self._seconds(entry, common, "retry_delay")
        budget = common.get("budget_usd")
        tags = self.cost_tags(entry)
        expand = spec.get("expand")
        if isinstance(expand, dict):
            expand = {
                "task": next((need for need, path in entry.edges.items() if path == ("expand", "task")), expand["task"])
            }
        plan = TaskPlan(
            task_id=entry.id,
            kind=entry.kind,
            job=job,
            platform=platform,
            operator=operator,
            arguments=arguments,
            needs=tuple(entry.edges),
            cost_tags=tags,
            reads=tuple(spec.get("reads") or ()),
            writes=tuple(spec.get("writes") or ()),
            inlets=tuple(spec.get("inlets") or ()),
            outlets=tuple(spec.get("outlets") or ()),
            trigger_rule=spec.get("trigger_rule")
            or ("all_done_setup_success" if spec.get("role") == "teardown" else "all_success"),
            retries=int(common.get("retries") or 0),
            retry_delay_seconds=_RETRY_DELAY_SECONDS if delay is None else delay,
            retry_on=None if retry_on is None else tuple(retry_on),
            execution_timeout_seconds=self._seconds(entry, common, "execution_timeout"),
            budgets={name: found for name in BUDGETS if (found := self._seconds(entry, common, name)) is not None},
            budget_usd=None if budget is None else str(budget),
            pool=common.get("pool"),
            priority_weight=int(common.get("priority_weight") or 1),
            expand=expand,
            role=spec.get("role"),
            doc=spec.get("doc"),
            source=self._sources(entry, job, tags),
        )
        checks.check_task(self, entry, plan)
        policies.check_task(self, entry, plan)
        return plan

    def _seconds(self, entry: Entry | None, values: Mapping[str, Any], key: str) -> float | None:
        """Seconds of a duration, None without one; one that Airflow could not reckon with is noted."""
        if values.get(key) is None:
            return None
        try:
            return times.seconds(values[key])
        except ValueError as error:
            self.note("DK110", f"{key}: {error}", entry, (key,))
            return None

    def _sources(self, entry: Entry, job: dict[str, Any] | None, tags: dict[str, str]) -> Sources:
        shared = {key: value for key, value in self.base.items() if key not in ENGINES}
        own: dict[str, Any] = {"cost_tags": tags}
        if job is not None:
            own[entry.kind] = job
            if self.setting.forced_platform:
                own["platform"] = self.setting.forced_platform
        return Sources(_Lazy(lambda key: self.layers_of(entry, key)), {**shared, **entry.spec, **own})

    def _pipeline(self, tasks: tuple[TaskPlan, ...], every: list[Entry]) -> Plan:
        data = self.data
        active = data.get("max_active_runs")
        schedule = checks.schedule_of(self)
        return Plan(
            dag_id=self.dag_id,
            file=self.document.file,
            folder=self.folder,
            tasks=tasks,
            description=data.get("description"),
            schedule=schedule,
            start_date=data.get("start_date"),
            end_date=data.get("end_date"),
            timezone=data.get("timezone") or "UTC",
            catchup=bool(data.get("catchup")),
            max_active_runs=None if active is None else int(active),
            owner=data.get("owner") or "airflow",
            tags=tuple(data.get("tags") or ()),
            params=data.get("params") or {},
            groups={entry.id: entry.spec.get("description") or "" for entry in every if entry.kind == "tasks"},
            dagrun_timeout_seconds=self._seconds(None, data, "dagrun_timeout"),
            environment=self.setting.environment,
            rate_card=self.setting.rate_card,
            text=self.document.text,
            source=Sources(_Lazy(lambda _: (Layer(self.document, (), self.setting.variable_layers),)), data),
        )


class _Lazy(dict[str, tuple[Layer, ...]]):
    """Layers by first key, made when asked: most plans are never asked."""

    def __init__(self, make: Callable[[str], tuple[Layer, ...]]) -> None:
        super().__init__()
        self.make = make

    def __missing__(self, key: str) -> tuple[Layer, ...]:
        self[key] = self.make(key)
        return self[key]
