"""A checked plan as Airflow's DAG: the one place where our words become Airflow's.

Nothing here may depend on the host, the day or the hash seed: an unchanged file must serialize to the same bytes
everywhere, or Airflow counts a new DAG version.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum

from airflow_doeks import compat
from airflow_doeks.language.layers import Sources
from airflow_doeks.model.engine import ENGINES
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.plan import FUNCTIONS, Plan, TaskPlan, pool_of

_TIMETABLES = {  # `covers` of a schedule -> timetable; named, because Airflow 2 and 3 choose differently for a cron
    "previous_interval": "CronDataIntervalTimetable",
    "trigger_time": "CronTriggerTimetable",
}
# Without a start date Airflow 2 refuses the DAG and Airflow 3 takes its timezone from airflow.cfg.
_ALWAYS = "2000-01-01"


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
        _validate(plan, dag)
    except SpecError:
        raise
    except Exception as error:  # one pipeline's fault must not become that of all that share its DAG file
        msg = f"{plan.file}:1:1: the DAG cannot be built: {type(error).__name__}: {error}"
        raise SpecError(msg) from error
    return dag


def _validate(plan: Plan, dag: Any) -> None:
    """Airflow's own checks: of schedule, params, set-ups and executors, which it asks again when it bags the DAG.

    Most pipelines have a cron alone, and parsing the same cron for each is a twelfth of what loading costs.
    """
    schedule = plan.schedule or {}
    has_more = plan.params or any(task.role or "executor" in task.options for task in plan.tasks)
    if has_more or schedule.keys() - {"cron", "timezone", "covers"} or schedule.get("covers") == "partition":
        dag.validate()
    elif schedule:
        _accept_cron(schedule["cron"], schedule.get("timezone") or plan.timezone, schedule.get("covers"))


@functools.lru_cache(maxsize=256)
def _accept_cron(cron: str, timezone: str, covers: str | None) -> None:
    """Raise what Airflow has against a cron; what it takes is asked once."""
    _clock(cron, timezone, covers).validate()


def _clock(cron: str, timezone: str, covers: str | None) -> Any:
    return getattr(compat, _TIMETABLES[covers or "previous_interval"])(cron, timezone=timezone)


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
        **_notices(plan),
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
        drawn = {*setups, *task.inputs.values()}
        if isinstance(task.expand, Mapping):
            from airflow_doeks.dag_mapping import outputs

            drawn |= outputs(task.expand)
        needs = [self.operators[need] for need in task.needs if need not in drawn]
        if needs:
            operator.set_upstream(needs)
        if task.role == "setup":
            operator.as_setup()
        elif task.role == "teardown":
            operator.as_teardown(setups=[self.operators[setup] for setup in setups])

    def _make(self, task: TaskPlan) -> Any:
        operator = operator_class(task)
        if task.kind in ENGINES:
            arguments = {**self._common(task), **self._job(task)}
        else:
            arguments = {**task.arguments, **self._common(task)}
        if task.kind in FUNCTIONS:
            given = {name: self._output(of) for name, of in task.inputs.items()}
            arguments["op_kwargs"] = {**arguments["op_kwargs"], **given}
            arguments |= {"folder": os.path.relpath(self.plan.folder, self.home), "source": _source(task, self.home)}
        if task.expand is None:
            return operator(**arguments)
        from airflow_doeks.dag_mapping import mapped

        return mapped(task, operator, arguments, self._output, self.plan.dag_id)

    def _output(self, task_id: str) -> Any:
        """What another task returns."""
        return compat.XComArg(self.operator(task_id))

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
            "map_index_template": task.map_name,
            **({} if task.kind in ENGINES else _callbacks(task.notices)),
            **task.options,
        }
        if factor := task.options.get("retry_exponential_backoff"):
            doubled = 2.0 if factor is True else float(factor)
            arguments["retry_exponential_backoff"] = doubled if compat.BACKOFF_IS_A_FACTOR else True
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
            "timeouts": dict(task.budgets),
            "budget_usd": task.budget_usd,
            "run_budget_usd": self.plan.budget_usd,
            "monthly_budgets_usd": dict(self.plan.monthly_budgets_usd),
            "retry_on": None if task.retry_on is None else list(task.retry_on),
            "rate_card": dict(self.plan.rate_card),
            "folder": os.path.relpath(self.plan.folder, self.home),
            "source": _source(task, self.home),
            **_callbacks(task.notices, beside=record_cost_and_lineage),
            **_of_budget(task.notices),
        }


def _source(task: TaskPlan, home: Path) -> Mapping[str, str]:
    """Where values stand, relative to the DAG file; looked up when asked, written out where Airflow serializes it."""
    places = task.source.relative_to(home) if isinstance(task.source, Sources) else task.source
    return places if task.expand is None else dict(places)


def operator_class(task: TaskPlan) -> Any:
    """The operator of a task: the one it names, or its engine's."""
    return _import(task.operator or ENGINES[task.kind].operator)


def _import(path: str) -> Any:
    """The class behind ``module:name`` or ``module.name``; standard operators are found on Airflow 2, too."""
    path = path.replace(":", ".").replace("airflow.providers.standard.", compat.STANDARD)
    module, _, name = path.rpartition(".")
    return getattr(sys.modules.get(module) or importlib.import_module(module), name)


def _schedule(plan: Plan) -> Any:
    schedule = plan.schedule
    if schedule is None or "preset" in schedule:
        return schedule and schedule["preset"]
    if schedule.get("covers") == "partition" or "partitions" in schedule:
        from airflow_doeks.dag_schedule import by_partition

        return by_partition(plan, schedule)
    timetable = None
    if "cron" in schedule:
        timetable = _clock(schedule["cron"], schedule.get("timezone") or plan.timezone, schedule.get("covers"))
    if "assets" not in schedule:
        return timetable
    from airflow_doeks.dag_schedule import by_data

    return by_data(schedule["assets"], timetable)


def _assets(uris: tuple[str, ...]) -> list[Any]:
    if not uris:
        return []
    from airflow_doeks.hooks.assets import assets_of

    return assets_of(uris)


def _callbacks(notices: Mapping[str, Any], beside: Any = None) -> dict[str, Any]:
    if not notices:
        return {} if beside is None else {f"on_{event}_callback": beside for event in ("success", "failure", "retry")}
    from airflow_doeks.dag_notices import callbacks_of

    return callbacks_of(notices, beside)


def _of_budget(notices: Mapping[str, Any]) -> dict[str, Any]:
    if "on_budget" not in notices:
        return {}
    from airflow_doeks.dag_notices import told

    return {"on_budget": told(notices["on_budget"])}


def _notices(plan: Plan) -> dict[str, Any]:
    if not plan.notices:
        return {}
    from airflow_doeks.dag_notices import notice_arguments

    return notice_arguments(plan)


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
