"""Pipeline files to plans: read, check against the schema, merge, check the meaning, build the plan."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from airflow_doeks.model.plan import Plan, TaskPlan
from airflow_doeks.spec import checks, policies, times
from airflow_doeks.spec.diagnostics import Diagnostic, across, in_order
from airflow_doeks.spec.graph import Entry, connect, entries
from airflow_doeks.spec.ids import dag_id_of, is_dag_id, pipeline_files, root_of
from airflow_doeks.spec.layers import Layer, Sources, merge, origin, without_nulls
from airflow_doeks.spec.operators import resolve_uses
from airflow_doeks.spec.project import Setting, choose_environment, find_project, load_project
from airflow_doeks.spec.structure import check_structure
from airflow_doeks.spec.text import Document, Refused, read

BUDGETS = ("queue_timeout", "startup_timeout", "run_timeout")
_WORK = {"main": ("sql",), "sql": ("main", "class"), "jar": ("sql",)}  # what a task runs replaces what it inherits


@dataclass(frozen=True)
class Compiled:
    """A file in one environment: its plan if nothing is wrong, and what is."""

    plan: Plan | None
    diagnostics: tuple[Diagnostic, ...]
    file: str
    dag_id: str


def compile_file(
    path: str | Path, *, environment: str | None = None, default: str | None = None, root: str | Path | None = None
) -> Compiled:
    """The plan of one pipeline in one environment. Reads the file and its doeks.yaml, runs nothing.

    The environment is ``environment``, else DOEKS_ENV, else ``default``, else the only one there is. DAG ids count
    from ``root``, else from the nearest folder named pipelines.
    """
    project = load_project(find_project(Path(path).parent))
    chosen, refusal = choose_environment(project, environment, default)
    if refusal is not None:
        return Compiled(None, (refusal,), str(path), dag_id_of(path, root))
    return _compile(path, project.setting(chosen), root)


def compile_folder(folder: str | Path, environment: str | None = None, *, default: str | None = None) -> list[Compiled]:
    """Every pipeline below a folder, sorted by path; two files of one DAG id are both refused."""
    return refuse_doubles(
        [compile_file(file, environment=environment, default=default, root=folder) for file in pipeline_files(folder)]
    )


def check_file(path: str | Path, root: str | Path | None = None) -> list[Diagnostic]:
    """Everything wrong with one pipeline in any environment; what doeks.yaml says is in `check_project`."""
    project = load_project(find_project(Path(path).parent))
    found: dict[str | None, list[Diagnostic]] = {}
    for environment in project.environments or (None,):
        found[environment] = list(_compile(path, project.setting(environment), root, own=True).diagnostics)
    return across(found)


def check_project(path: Path) -> list[Diagnostic]:
    """Everything wrong with a doeks.yaml in any environment."""
    project = load_project(path)
    found = {
        environment: checks.check_project(project.setting(environment))
        for environment in project.environments or (None,)
    }
    return in_order([*project.diagnostics, *across(found), *checks.check_variables(project)])


def refuse_doubles(compiled: list[Compiled]) -> list[Compiled]:
    """The same, where files that ask for one DAG id have no plan and a diagnostic instead."""
    first: dict[str, Compiled] = {}
    doubles: dict[str, list[str]] = {}
    for one in compiled:
        if first.setdefault(one.dag_id, one) is not one:
            doubles.setdefault(one.dag_id, [first[one.dag_id].file]).append(one.file)
    return [_doubled(one, doubles[one.dag_id]) if one.dag_id in doubles else one for one in compiled]


def _doubled(one: Compiled, files: list[str]) -> Compiled:
    others = ", ".join(file for file in files if file != one.file)
    message = f'DAG id "{one.dag_id}" is also that of {others}'
    fault = _fault_of_file(one.file, "DK223", message, help="rename one of the files")
    return replace(one, plan=None, diagnostics=(*one.diagnostics, fault))


def _fault_of_file(file: str, code: str, message: str, **more: Any) -> Diagnostic:
    from airflow_doeks.spec.diagnostics import Place

    return Diagnostic(code, message, Place(file, 1, 1, 1), **more)


def _compile(path: str | Path, setting: Setting, root: str | Path | None, *, own: bool = False) -> Compiled:
    """``own``: leave out what is wrong with doeks.yaml itself."""
    file = str(path)
    dag_id = dag_id_of(path, root)
    try:
        document = read(path, file)
    except Refused as refused:
        return Compiled(None, (replace(refused.diagnostic, dag_id=dag_id),), file, dag_id)
    compilation = Compilation(document, setting, dag_id, str(root if root is not None else root_of(path)))
    plan = compilation.run()
    diagnostics = compilation.diagnostics
    if not own:
        diagnostics = [*setting.project.diagnostics, *checks.check_project(setting), *diagnostics]
    if not diagnostics:
        return Compiled(plan, (), file, dag_id)
    ordered = tuple(replace(one, dag_id=dag_id) if one.place.file == file else one for one in in_order(diagnostics))
    return Compiled(None if any(one.is_error for one in ordered) else plan, ordered, file, dag_id)


class Compilation:
    """One pipeline in one environment, while it is compiled; ``diagnostics`` grows."""

    def __init__(self, document: Document, setting: Setting, dag_id: str, root: str) -> None:
        self.document = document
        self.setting = setting
        self.dag_id = dag_id
        self.root = root
        self.folder = os.path.dirname(document.file)  # noqa: PTH120 - cheap, and keeps the path as it was given
        self.diagnostics: list[Diagnostic] = list(document.diagnostics)
        self.data: dict[str, Any] = {}
        self.base: dict[str, Any] = {}
        self.has_templates = "{{" in document.text or "{%" in document.text
        self.layers: tuple[Layer, ...] = ()

    def run(self) -> Plan | None:
        """The plan as far as it can be made; None if nothing of it can."""
        setting, document = self.setting, self.document
        if not is_dag_id(self.dag_id, document.file):
            message = f'"{self.dag_id}" is no DAG id: file and folder names hold letters, digits, "_" and "-", no "."'
            self.diagnostics.append(_fault_of_file(document.file, "DK224", message, help="rename the file"))
        found, data = check_structure(document, "pipeline", setting.variables, setting.variable_layers)
        self.diagnostics += found
        self.data = data
        if not data.get("tasks"):
            return None
        self.base = merge(setting.base, data["defaults"]) if data.get("defaults") else setting.base
        self.layers = (*setting.layers, Layer(document, ("defaults",), setting.variable_layers))
        every = list(entries(data["tasks"]))
        connect(every, checks.declared_ids(document.data.get("tasks")), data.get("infer", True) is not False, self.note)
        plan = self._pipeline(tuple(self._task(entry) for entry in every if entry.kind != "tasks"), every)
        checks.check_pipeline(self, plan)
        checks.check_templates(self, every)
        return plan

    def note(
        self, code: str, message: str, entry: Entry | None = None, path: tuple[Any, ...] = (), **more: Any
    ) -> None:
        """Add a diagnostic where the value at a path of a task, or of the pipeline, was written."""
        at_key = more.pop("at_key", False)
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
        self.diagnostics.append(Diagnostic(code, message, place, task_id=task_id, lines=tuple(document.lines), **more))

    def layers_of(self, entry: Entry, key: str) -> tuple[Layer, ...]:
        """Where a key of a task can come from, lowest first."""
        own = Layer(self.document, entry.path, self.setting.variable_layers)
        if key == "platform" and self.setting.forced_platform:
            return (self.setting.layer("environments", self.setting.environment),)
        if key == "cost_tags":
            whole = Layer(self.document, (), self.setting.variable_layers)
            return (
                self.setting.layer(),
                *self.layers[:1],
                self.setting.tag_layers[1],
                *self.layers[1:2],
                whole,
                self.layers[-1],
                own,
            )
        if key == entry.kind and key != "uses":
            names = self._preset_names(entry)
            return (*(self.setting.layer("presets", name) for name in names), *self.layers, own)
        return (*self.layers, own)

    def value(self, entry: Entry, key: str, default: Any = None) -> Any:
        """What a task says, else what the defaults say, else ``default``."""
        found = entry.spec.get(key)
        if found is None and key not in entry.spec:
            found = self.base.get(key)
        return default if found is None else found

    def cost_tags(self, entry: Entry) -> dict[str, str]:
        """The task's cost tags from all places, sorted by key."""
        places = (self.setting.cost_tags, self.setting.base, self.data, self.data.get("defaults"), entry.spec)
        tags: dict[str, str] = dict(places[0] or {})
        for place in places[1:]:
            if place and place.get("cost_tags"):
                tags |= place["cost_tags"]
        return dict(sorted(tags.items()))

    def _preset_names(self, entry: Entry) -> list[str]:
        own = (entry.spec.get(entry.kind) or {}).get("presets")
        names = own if own is not None else (self.base.get(entry.kind) or {}).get("presets")
        mine = self.setting.data.get("presets") or {}
        return [name for name in names or () if name in mine]

    def _job(self, entry: Entry) -> dict[str, Any]:
        """The job of a task: presets of doeks.yaml, defaults and the task's own, merged."""
        own = entry.spec[entry.kind]
        job = self.base.get(entry.kind) or {}
        names = self._preset_names(entry)
        if names:
            presets: dict[str, Any] = {}
            for name in names:
                presets = merge(presets, self.setting.data["presets"][name].get(entry.kind) or {})
            job = merge(presets, job)
        if job:
            replaced = {gone for key in own if key in _WORK for gone in _WORK[key]}
            job = merge({key: value for key, value in job.items() if key not in replaced}, own)
        else:
            job = own
        if names:
            job = {**job, "presets": [name for name in job["presets"] if name not in names]}
        return without_nulls(job)

    def _task(self, entry: Entry) -> TaskPlan:
        spec, value = entry.spec, self.value
        job = platform = operator = None
        arguments: dict[str, Any] = {}
        if entry.kind == "uses":
            operator, arguments = resolve_uses(entry, self.note)
        else:
            job = self._job(entry)
            platform = checks.platform_of(self, entry)
        timeout = value(entry, "execution_timeout")
        retry_on = value(entry, "retry_on")
        budget = value(entry, "budget_usd")
        expand = spec.get("expand")
        if isinstance(expand, dict):
            expand = {
                "task": next((need for need, path in entry.edges.items() if path == ("expand", "task")), expand["task"])
            }
        plan = TaskPlan(
            task_id=entry.id,
            kind=entry.kind,  # type: ignore[arg-type]
            job=job,
            platform=platform,
            operator=operator,
            arguments=arguments,
            needs=tuple(entry.edges),
            cost_tags=self.cost_tags(entry),
            reads=tuple(spec.get("reads") or ()),
            writes=tuple(spec.get("writes") or ()),
            inlets=tuple(spec.get("inlets") or ()),
            outlets=tuple(spec.get("outlets") or ()),
            trigger_rule=spec.get("trigger_rule")
            or ("all_done_setup_success" if spec.get("role") == "teardown" else "all_success"),
            retries=int(value(entry, "retries", 0)),
            retry_delay_seconds=times.seconds(value(entry, "retry_delay", 300)),
            retry_on=None if retry_on is None else tuple(retry_on),
            execution_timeout_seconds=None if timeout is None else times.seconds(timeout),
            budgets=self._budgets(entry),
            budget_usd=None if budget is None else str(budget),
            pool=value(entry, "pool"),
            priority_weight=int(value(entry, "priority_weight", 1)),
            expand=expand,
            role=spec.get("role"),
            doc=spec.get("doc"),
            source=self._sources(entry, job),
        )
        checks.check_task(self, entry, plan)
        policies.check_task(self, entry, plan)
        return plan

    def _budgets(self, entry: Entry) -> dict[str, float]:
        found = {}
        for name in BUDGETS:
            text = self.value(entry, name)
            if text is not None:
                found[name] = times.seconds(text)
        return found

    def _sources(self, entry: Entry, job: dict[str, Any] | None) -> Sources:
        shared = {key: value for key, value in self.base.items() if key not in ("spark", "flink")}
        own = {} if job is None else {entry.kind: job}
        return Sources(_Lazy(lambda key: self.layers_of(entry, key)), {**shared, **entry.spec, **own})

    def _pipeline(self, tasks: tuple[TaskPlan, ...], every: list[Entry]) -> Plan:
        data = self.data
        timeout = data.get("dagrun_timeout")
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
            dagrun_timeout_seconds=None if timeout is None else times.seconds(timeout),
            environment=self.setting.environment,
            rate_card=self.setting.data.get("rate_card") or {},
            text=self.document.text,
        )


class _Lazy(dict[str, tuple[Layer, ...]]):
    """Layers by first key, made when asked: most plans are never asked."""

    def __init__(self, make: Callable[[str], tuple[Layer, ...]]) -> None:
        super().__init__()
        self.make = make

    def __missing__(self, key: str) -> tuple[Layer, ...]:
        self[key] = self.make(key)
        return self[key]
