"""One document in one environment: merged, checked, and made into a plan."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from airflow_doeks.language import times
from airflow_doeks.language.checks import check
from airflow_doeks.language.diagnostics import MAX_FAULTS, WARNINGS, Diagnostic, Finding, Place, more_faults
from airflow_doeks.language.graph import Entry, connect, declared_ids, entries
from airflow_doeks.language.ids import MAX_LENGTH, is_dag_id, is_misnamed_project
from airflow_doeks.language.layers import Layer, Sources
from airflow_doeks.language.merging import Facts, PipelineFacts, merge_pipeline, merge_task
from airflow_doeks.language.project import Setting
from airflow_doeks.language.structure import HARMLESS, check_structure
from airflow_doeks.language.text import Document
from airflow_doeks.model.code_path import PROJECT_FILE
from airflow_doeks.model.engine import ENGINES
from airflow_doeks.model.plan import ARGUMENTS, BUDGETS, DURATIONS, FUNCTIONS, NOTICED, Notices, Plan, TaskPlan

_RETRY_DELAY_SECONDS = 300.0  # Airflow's default

Found = tuple[Entry | None, Finding]  # None: of the pipeline itself


def compiled_document(document: Document, setting: Setting, dag_id: str) -> tuple[Plan | None, list[Diagnostic]]:
    """The plan as far as it can be made, None if nothing of it can, and everything wrong with the file."""
    diagnostics = list(document.diagnostics)
    if is_misnamed_project(document.file):
        message = f"the platform team's file is called {PROJECT_FILE}; under this name it is read as a pipeline"
        return None, [Diagnostic("DK224", message, Place(document.file, 1, 1), help="rename the file")]
    if not is_dag_id(dag_id, document.file):
        message = f'"{dag_id}" is no DAG id: file and folder names hold letters, digits, "_" and "-", no "."'
        diagnostics.append(Diagnostic("DK224", message, Place(document.file, 1, 1), help="rename the file"))
    elif len(dag_id) > MAX_LENGTH:
        message = f"a DAG id of {len(dag_id)} characters; Airflow keeps {MAX_LENGTH}"
        diagnostics.append(Diagnostic("DK224", message, Place(document.file, 1, 1), help="rename the file"))
    faults, data = check_structure(document, "pipeline", setting.variables, setting.variable_layers)
    if faults and "tasks" not in data and (other := _other_dialect(document)) is not None:
        return None, [*diagnostics, other]
    if not setting.project.is_readable:  # its own diagnostic says so; what it would have set is not missing here
        return None, [*diagnostics, *(one for one in faults if one.code != "DK213")]
    diagnostics += faults
    if not data.get("tasks") or len(faults) > MAX_FAULTS:
        return None, diagnostics
    pipeline = merge_pipeline(document, setting, dag_id, data)
    every = list(entries(data["tasks"]))
    found = _connected(pipeline, every)
    tasks = [merge_task(pipeline, entry) for entry in every if entry.kind != "tasks"]
    pipeline.tasks.update({task.entry.id: task for task in tasks})
    for task in tasks:
        found += [(task.entry, one) for one in check(task)]
    found += [(None, one) for one in check(pipeline)]
    return _plan(pipeline, every, tasks), [*diagnostics, *_placed(pipeline, found)]


def _other_dialect(document: Document) -> Diagnostic | None:
    from airflow_doeks.language.slips import other_dialect

    return other_dialect(document)


def _connected(pipeline: PipelineFacts, every: list[Entry]) -> list[Found]:
    """What keeps the tasks from being connected; the others are."""
    found: list[Found] = []

    def note(code: str, message: str, entry: Entry, path: tuple[Any, ...], **more: Any) -> None:
        found.append((entry, Finding(code, message, path, **more)))

    for entry in every:
        if len(entry.id) > MAX_LENGTH:
            message = f"an id of {len(entry.id)} characters, groups' included; Airflow keeps {MAX_LENGTH}"
            note("DK110", message, entry, (), help="write shorter names")
    written = pipeline.document.data.get("tasks")
    connect(every, lambda: declared_ids(written), pipeline.data.get("infer") is not False, note)
    return found


def _placed(pipeline: PipelineFacts, found: Iterable[Found]) -> list[Diagnostic]:
    """Findings with their places; of more than MAX_FAULTS errors the others are only counted, places cost."""
    shown: list[Diagnostic] = []
    errors = 0
    for entry, one in found:
        if HARMLESS in one.message:  # it stands where a value was refused, which is told
            continue
        is_error = one.code not in WARNINGS and not one.is_warning
        errors += is_error
        if is_error and errors > MAX_FAULTS:
            continue
        place, document = pipeline.place(entry, one)
        task_id = entry.id if entry else None
        more: dict[str, Any] = {"task_id": task_id, "is_warning": one.is_warning, "lines": document.lines}
        shown.append(Diagnostic(one.code, one.message, place, one.help, **more))
    if errors > MAX_FAULTS:
        shown.append(more_faults(pipeline.document.file, pipeline.document.lines, errors - MAX_FAULTS))
    return shown


def _plan(pipeline: PipelineFacts, every: list[Entry], tasks: list[Facts]) -> Plan:
    data, setting = pipeline.data, pipeline.setting
    active = 1 if data.get("schedule") == "@continuous" else data.get("max_active_runs")
    return Plan(
        dag_id=pipeline.dag_id,
        file=pipeline.document.file,
        folder=pipeline.folder,
        tasks=tuple(map(_task_plan, tasks)),
        description=data.get("description"),
        schedule=_schedule(data),
        start_date=data.get("start_date"),
        end_date=data.get("end_date"),
        timezone=data.get("timezone") or "UTC",
        catchup=bool(data.get("catchup")),
        max_active_runs=None if active is None else int(active),
        owner=data.get("owner") or "airflow",
        tags=tuple(data.get("tags") or ()),
        params=data.get("params") or {},
        groups={entry.id: entry.spec.get("description") or "" for entry in every if entry.kind == "tasks"},
        dagrun_timeout_seconds=_seconds(data, "dagrun_timeout"),
        notices=_notices(data, "PIPELINE_EVENTS"),
        deadline=_deadline(data.get("deadline")),
        environment=setting.environment,
        rate_card=setting.rate_card,
        budget_usd=None if data.get("budget_usd") is None else str(data["budget_usd"]),
        monthly_budgets_usd=setting.monthly_budgets_usd,
        text=pipeline.document.text,
        source=Sources(_Lazy(lambda _: (pipeline.own_layer,)), data),
    )


def _task_plan(facts: Facts) -> TaskPlan:
    entry, spec, values = facts.entry, facts.entry.spec, facts.values
    retry_on, budget, delay = values.get("retry_on"), values.get("budget_usd"), _seconds(values, "retry_delay")
    return TaskPlan(
        task_id=entry.id,
        kind=entry.kind,
        job=_job(facts),
        platform=facts.platform,
        operator=facts.operator,
        arguments=facts.arguments,
        inputs={name: entry.names.get(name, "") for name in _inputs(entry)},
        needs=tuple(entry.edges),
        cost_tags=facts.cost_tags,
        reads=tuple(spec.get("reads") or ()),
        writes=tuple(spec.get("writes") or ()),
        inlets=tuple(spec.get("inlets") or ()),
        outlets=tuple(spec.get("outlets") or ()),
        trigger_rule=spec.get("trigger_rule")
        or ("all_done_setup_success" if spec.get("role") == "teardown" else "all_success"),
        retries=int(values.get("retries") or 0),
        retry_delay_seconds=_RETRY_DELAY_SECONDS if delay is None else delay,
        retry_on=None if retry_on is None else tuple(retry_on),
        execution_timeout_seconds=_seconds(values, "execution_timeout"),
        budgets={name: found for name in BUDGETS if (found := _seconds(values, name)) is not None},
        budget_usd=None if budget is None else str(budget),
        pool=values.get("pool"),
        priority_weight=int(values.get("priority_weight") or 1),
        options=_options(values) if ARGUMENTS.keys() & values.keys() else {},
        notices=_notices(values, "TASK_EVENTS"),
        expand=_expand(entry),
        map_name=spec.get("map_name"),
        role=spec.get("role"),
        doc=spec.get("doc"),
        source=_sources(facts),
    )


def _job(facts: Facts) -> Mapping[str, Any] | None:
    """The job with other tasks by their full ids; what one returns is a template, rendered when it is known."""
    engine_keys = facts.engine.names_task if facts.job is not None else ()
    names = {key: facts.entry.names[key] for key in engine_keys if key in facts.entry.names}
    if facts.job is None or not names:
        return facts.job
    acts = facts.engine.acts
    return {
        **facts.job,
        **{key: name if key in acts else f"{{{{ ti.xcom_pull(task_ids='{name}') }}}}" for key, name in names.items()},
    }


def _options(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a task says to Airflow's operator in Airflow's own words, durations as timedelta."""
    found = {name: values[name] for name in ARGUMENTS if values.get(name) is not None}
    for name in DURATIONS:
        if name in found and (seconds := _seconds(found, name)) is not None:
            found[name] = timedelta(seconds=seconds)
    return found


def _notices(values: Mapping[str, Any], events: str) -> Mapping[str, Notices]:
    """Who is told of what; most pipelines tell nobody and do not pay for it."""
    if not values.keys() & NOTICED:
        return {}
    from airflow_doeks.language import notices

    return notices.notices_of(values, getattr(notices, events))


def _deadline(written: Any) -> tuple[float, str] | None:
    whole = written if isinstance(written, dict) else {"within": written}
    within = _seconds(whole, "within")
    return None if within is None else (within, whole.get("after") or "queued")


def _inputs(entry: Entry) -> Iterable[str]:
    return (entry.spec[entry.kind].get("inputs") or ()) if entry.kind in FUNCTIONS else ()


def _expand(entry: Entry) -> Any:
    """What a task is mapped over; another task is named by its full id."""
    over = entry.spec.get("expand")
    if not isinstance(over, dict):
        return over
    if "task" in over:
        return {"task": entry.names.get(("expand", "task"), over["task"])}
    ((way, parts),) = over.items()
    if all(isinstance(part, list) for part in parts.values()):
        rows = zip(*parts.values(), strict=False) if way == "zip" else itertools.product(*parts.values())
        return [dict(zip(parts, row, strict=True)) for row in rows]
    return {
        way: {
            key: part
            if isinstance(part, list)
            else {"task": entry.names.get(("expand", way, key, "task"), part["task"])}
            for key, part in parts.items()
        }
    }


def _schedule(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schedule in the plan's form, a preset as its cron."""
    schedule = times.schedule_of(data.get("schedule"))
    if schedule is not None and "cron" in schedule:
        try:
            schedule["cron"] = times.cron_of(schedule["cron"])
        except ValueError:  # a check tells of it
            return None
    return schedule


def _seconds(values: Mapping[str, Any], key: str) -> float | None:
    """Seconds of a duration; None without one, and for one that a check refuses."""
    try:
        return None if values.get(key) is None else times.seconds(values[key])
    except ValueError:
        return None


def _sources(facts: Facts) -> Sources:
    entry, pipeline = facts.entry, facts.pipeline
    shared = {key: value for key, value in pipeline.base.items() if key not in ENGINES}
    own: dict[str, Any] = {"cost_tags": facts.cost_tags}
    if facts.job is not None:
        own[entry.kind] = facts.job
        if pipeline.setting.forced_platform:
            own["platform"] = pipeline.setting.forced_platform
    return Sources(_Lazy(lambda key: pipeline.layers_of(entry, key)), {**shared, **entry.spec, **own})


class _Lazy(dict[str, tuple[Layer, ...]]):
    """Layers by first key, made when asked: most plans are never asked."""

    def __init__(self, make: Callable[[str], tuple[Layer, ...]]) -> None:
        super().__init__()
        self.make = make

    def __missing__(self, key: str) -> tuple[Layer, ...]:
        self[key] = self.make(key)
        return self[key]
