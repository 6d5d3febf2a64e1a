"""A checked plan as Airflow's DAG: the one place where our words become Airflow's.

Nothing here may depend on the host, the day or the hash seed: an unchanged file must serialize to the same bytes
everywhere, or Airflow counts a new DAG version.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pendulum

from airflow_doeks import compat
from airflow_doeks.language.graph import stem
from airflow_doeks.language.layers import Sources
from airflow_doeks.model.engine import ENGINES
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.plan import Plan, TaskPlan, pool_of

_TIMETABLES = {  # `covers` of a schedule -> timetable; named, because Airflow 2 and 3 choose differently for a cron
    "previous_interval": "CronDataIntervalTimetable",
    "trigger_time": "CronTriggerTimetable",
}
# Without a start date Airflow 2 refuses the DAG and Airflow 3 takes its timezone from airflow.cfg.
_ALWAYS = "2000-01-01"
# Schemes whose URIs Airflow's providers leave as they are. Asking Airflow imports every provider that has a handler
# (boto3 for s3: half a second of every task's start). Read in amazon 9.39 and google 22, November 2026.
_PLAIN_SCHEMES = frozenset({"s3", "s3a", "s3n", "gs", "abfss", "hdfs"})


def build_dag(plan: Plan, caller: Path) -> Any:
    """The Airflow DAG of a plan, as if it stood in the file ``caller``.

    Raises SpecError, with the YAML's file:line:col, for whatever Airflow or an operator refuses.
    """
    try:
        dag = _dag(plan, caller)
        groups: dict[str, Any] = {}
        for group_id, tooltip in plan.groups.items():
            parent, _, name = group_id.rpartition(".")
            groups[group_id] = compat.TaskGroup(name, dag=dag, parent_group=groups.get(parent), tooltip=tooltip)
        builder = _Builder(plan, dag, groups, caller.parent)
        for task in plan.tasks:
            builder.operator(task.task_id)
        for task in plan.tasks:
            builder.connect(task)
        dag.validate()
    except SpecError:
        raise
    except Exception as error:  # one pipeline's fault must not become that of all that share its DAG file
        msg = f"{plan.file}:1:1: the DAG cannot be built: {type(error).__name__}: {error}"
        raise SpecError(msg) from error
    return dag


def _dag(plan: Plan, caller: Path) -> Any:
    dag = compat.DAG(
        dag_id=plan.dag_id,
        description=plan.description,
        schedule=_schedule(plan),
        start_date=_time(plan.start_date or _ALWAYS, plan.timezone),
        end_date=_last_moment(plan.end_date, plan.timezone),
        catchup=plan.catchup,
        tags=list(plan.tags),
        params=dict(plan.params),
        dagrun_timeout=_seconds(plan.dagrun_timeout_seconds),
        doc_md=_fenced(plan.text),
        **({} if plan.max_active_runs is None else {"max_active_runs": plan.max_active_runs}),
    )
    dag.fileloc = str(caller)
    return dag


class _Builder:
    """The tasks of one DAG while it is built; a mapped task makes the task it expands over first."""

    def __init__(self, plan: Plan, dag: Any, groups: Mapping[str, Any], home: Path) -> None:
        self.plan = plan
        self.dag = dag
        self.groups = groups
        self.home = home
        self.tasks = {task.task_id: task for task in plan.tasks}
        self.operators: dict[str, Any] = {}

    def operator(self, task_id: str) -> Any:
        """The operator of a task, made at the first call."""
        if task_id not in self.operators:
            task = self.tasks[task_id]
            try:
                self.operators[task_id] = self._make(task)
            except SpecError:
                raise
            except Exception as error:  # whatever an operator's own checks raise is the fault of this task alone
                where = task.source.get("", self.plan.file)
                msg = f"{where}: task {task_id!r} cannot be built: {type(error).__name__}: {error}"
                raise SpecError(msg) from error
        return self.operators[task_id]

    def connect(self, task: TaskPlan) -> None:
        """Edges, written and inferred, and the task's part in set-up and teardown."""
        operator = self.operators[task.task_id]
        setups = [need for need in task.needs if self.tasks[need].role == "setup"] if task.role == "teardown" else []
        drawn = {*setups, *([task.expand["task"]] if isinstance(task.expand, Mapping) else [])}
        needs = [self.operators[need] for need in task.needs if need not in drawn]
        if needs:
            operator.set_upstream(needs)
        if task.role == "setup":
            operator.as_setup()
        elif task.role == "teardown":
            operator.as_teardown(setups=[self.operators[setup] for setup in setups])

    def _make(self, task: TaskPlan) -> Any:
        operator = operator_class(task, self.plan)
        if task.kind == "uses":
            arguments = {**task.arguments, **self._common(task)}
        else:
            arguments = {**self._common(task), **self._job(task)}
        if task.expand is None:
            return operator(**arguments)
        items = task.expand
        if isinstance(items, Mapping):
            items = compat.XComArg(self.operator(items["task"]))
        partial = operator.partial(**arguments)
        return partial.expand_kwargs(items) if task.kind == "uses" else partial.expand(item=items)

    def _common(self, task: TaskPlan) -> dict[str, Any]:
        """Arguments of every operator; those that are not set stay Airflow's."""
        arguments = {
            "task_id": task.task_id.rpartition(".")[2],
            "dag": self.dag,
            "task_group": self.groups.get(task.task_id.rpartition(".")[0]),
            "owner": self.plan.owner,
            "retries": task.retries,
            "retry_delay": timedelta(seconds=task.retry_delay_seconds),
            "trigger_rule": task.trigger_rule,
            "priority_weight": task.priority_weight,
            "execution_timeout": _seconds(task.execution_timeout_seconds),
            "pool": pool_of(task),
            "inlets": _assets((*task.inlets, *task.reads)),
            "outlets": _assets((*task.outlets, *task.writes)),
            "doc_md": task.doc,
        }
        return {name: value for name, value in arguments.items() if value is not None and value != []}

    def _job(self, task: TaskPlan) -> dict[str, Any]:
        """Arguments of an operator that runs a job; paths are relative to the DAG file, so that hosts agree."""
        from airflow_doeks.callbacks import record_cost_and_lineage

        return {
            "job": dict(task.job or {}),
            "platform": dict(task.platform or {}),
            "cost_tags": dict(task.cost_tags),
            "reads": list(task.reads),
            "writes": list(task.writes),
            "budgets": dict(task.budgets),
            "budget_usd": task.budget_usd,
            "retry_on": None if task.retry_on is None else list(task.retry_on),
            "rate_card": dict(self.plan.rate_card),
            "folder": os.path.relpath(self.plan.folder, self.home),
            "source": _source(task, self.home),
            "on_success_callback": record_cost_and_lineage,
            "on_failure_callback": record_cost_and_lineage,
            "on_retry_callback": record_cost_and_lineage,
        }


def _source(task: TaskPlan, home: Path) -> Mapping[str, str]:
    """Where values stand, relative to the DAG file; looked up when asked, written out where Airflow serializes it."""
    places = task.source.relative_to(home) if isinstance(task.source, Sources) else task.source
    return places if task.expand is None else dict(places)


def operator_class(task: TaskPlan, plan: Plan) -> Any:
    """The operator of a task: the one it names, or its engine's. SpecError if the engine has none yet."""
    path = task.operator if task.kind == "uses" else ENGINES[task.kind].operator
    if path is None:
        where = task.source.get(task.kind, task.source.get("", plan.file))
        msg = f"{where}: task {task.task_id!r} is a {task.kind} job, which no platform of this version can run yet"
        raise SpecError(msg)
    return _import(path)


def _import(path: str) -> Any:
    """The class behind ``module:name`` or ``module.name``; standard operators are found on Airflow 2, too."""
    path = path.replace(":", ".").replace("airflow.providers.standard.", compat.STANDARD)
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _schedule(plan: Plan) -> Any:
    schedule = plan.schedule
    if schedule is None:
        return None
    if "assets" in schedule:
        ((quantor, uris),) = schedule["assets"].items()
        return (compat.AssetAny if quantor == "any" else compat.AssetAll)(*_assets(uris))
    timetable = getattr(compat, _TIMETABLES[schedule.get("covers") or "previous_interval"])
    return timetable(schedule["cron"], timezone=schedule.get("timezone") or plan.timezone)


def _time(text: str | None, timezone: str) -> Any:
    return None if text is None else pendulum.parse(text, tz=timezone)


def _last_moment(text: str | None, timezone: str) -> Any:
    """A last day ends at its last second: Airflow compares it with the start of what a run covers, to the second."""
    moment = _time(text, timezone)
    if text is None or len(text) > len("2026-01-31"):
        return moment
    return moment.end_of("day").replace(microsecond=0)


def _seconds(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _fenced(text: str) -> str | None:
    """The YAML as a Markdown code block: its comments are no headings, and Airflow takes it for no file name."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}yaml\n{text.rstrip()}\n{fence}" if text else None


def _assets(uris: Iterable[str]) -> list[Any]:
    """One asset a dataset: the part of its URI before the first template, where Airflow accepts that."""
    return [asset for asset in map(_asset, dict.fromkeys(map(stem, uris))) if asset is not None]


def _asset(uri: str) -> Any:
    if urlsplit(uri).scheme not in _PLAIN_SCHEMES or not urlsplit(uri).netloc:
        try:
            return compat.Asset(uri)
        except ValueError:
            return None
    asset = compat.Asset("plain")
    for attribute in {"name", "uri"} & set(dir(asset)):
        object.__setattr__(asset, attribute, uri)
    return asset
