"""The checked result of one pipeline file in one environment: all a DAG builder needs, and nothing left to check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

BUDGETS = ("queue_timeout", "startup_timeout", "run_timeout")  # a task's time budgets; each cancels its job

FUNCTIONS = ("python", "branch", "short_circuit")  # kinds of tasks that call a function of a file of the project
# who tells somebody
NOTICED = frozenset(("on_failure", "on_success", "on_retry", "on_budget", "on_missed_deadline", "deadline"))
OWN_TASKS = (*FUNCTIONS, "trigger", "wait_for")  # kinds of tasks that are no job, no `uses` and no group


class Argument(NamedTuple):
    """An argument of every Airflow operator that the language takes under Airflow's own name.

    Attributes:
        kind: ``flag``, ``count``, ``text``, ``texts``, ``duration``, ``factor`` (true or a
            number), or the words allowed.
        of_one: it belongs to one task, ``defaults`` do not have it.
    """

    kind: str | tuple[str, ...]
    meaning: str
    example: Any = True
    of_one: bool = False


# BaseOperator of Airflow 2.10.3, 2.11.2, 3.0.6, 3.2.1 and 3.3.2, read November 2026; what the language says in words of
# its own, and what it leaves out, stands in language/operators.yaml.
ARGUMENTS: dict[str, Argument] = {
    "depends_on_past": Argument("flag", "Wait for the same task of the run before to succeed."),
    "wait_for_downstream": Argument("flag", "Wait also for what directly follows it in the run before."),
    "ignore_first_depends_on_past": Argument("flag", "Let `depends_on_past` not hold for the first run."),
    "wait_for_past_depends_before_skipping": Argument("flag", "Wait for the run before also to be skipped."),
    "retry_exponential_backoff": Argument(
        "factor", "Longer pauses after each try: true doubles them; a number is the factor, from Airflow 3.2 on."
    ),
    "max_retry_delay": Argument("duration", "Longest pause between tries.", "1h"),
    "pool_slots": Argument("count", "Slots of the pool that it takes.", 2),
    "max_active_tis_per_dag": Argument("count", "Most instances of it at one time, in all runs.", 1),
    "max_active_tis_per_dagrun": Argument("count", "Most instances of it at one time, in one run.", 4),
    "weight_rule": Argument(("downstream", "upstream", "absolute"), "Whose weights count beside its own.", "absolute"),
    "queue": Argument("text", "Queue of Airflow's executor, which a worker must serve.", "large"),
    "executor": Argument("text", "Airflow's executor for it, where there are several.", "CeleryExecutor"),
    "run_as_user": Argument("text", "User of the worker's machine that it runs as.", "airflow"),
    "do_xcom_push": Argument("flag", "Keep what it returns as XCom.", example=False),
    "multiple_outputs": Argument("flag", "Keep each key of a returned mapping as an XCom of its own."),
    "email": Argument("texts", "Who is mailed; Airflow 3 prefers a notification.", "sales@example.com"),
    "email_on_failure": Argument("flag", "Mail when it fails.", example=False),
    "email_on_retry": Argument("flag", "Mail when it is tried again.", example=False),
    "logger_name": Argument("text", "Name below `airflow.task.operators` under which it logs.", "sales"),
    "task_display_name": Argument("text", "How Airflow shows its name.", "Clean the orders", of_one=True),
}
DURATIONS = ("retry_delay", "execution_timeout", *(name for name, row in ARGUMENTS.items() if row.kind == "duration"))


Notices = tuple[tuple[str, Mapping[str, Any]], ...]


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """One task.

    Attributes:
        task_id: with its group ids, ``group.task``, as Airflow names it.
        kind: an engine's name (with ``job`` and ``platform``), else ``uses`` or one of OWN_TASKS (with ``operator``
            and ``arguments``).
        job: plain JSON of the job, defaults and presets merged, templates unrendered, paths relative to
            ``Plan.folder``.
        platform: the whole platform entry, plus ``name``; no secret in it.
        operator: import path of the class behind ``uses`` or one of OWN_TASKS.
        inputs: argument of a function -> full id of the task whose return value it gets.
        needs: full task ids, written and inferred.
        expand: a list, or ``{"task": id}`` for another task's output; None if the task is not mapped. An item is what
            ``{{ task.item }}`` gives; of ``uses`` it is a mapping of arguments, of ``trigger`` the run's ``conf``. With
            outputs also ``{"zip": {key: {"task": id}}}``, of ``uses`` ``{"cross": {argument: list or {"task": id}}}``.
        map_name: template of what Airflow calls each instance.
        budgets: name of BUDGETS -> seconds, only those that are set.
        notices: key of NOTICED -> import path and arguments of each notifier.
        options: arguments of ARGUMENTS that are set, as Airflow takes them.
        retry_on: failure categories that are worth a retry; None: all but ``user_code`` and ``cancelled``.
        source: dotted path below the task -> ``file:line:col`` that supplied the value; ``""`` is the task itself.
    """

    task_id: str
    kind: str
    job: Mapping[str, Any] | None = None
    platform: Mapping[str, Any] | None = None
    operator: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    cost_tags: Mapping[str, str] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    inlets: tuple[str, ...] = ()
    outlets: tuple[str, ...] = ()
    trigger_rule: str = "all_success"
    retries: int = 0
    retry_delay_seconds: float = 300.0
    retry_on: tuple[str, ...] | None = None
    execution_timeout_seconds: float | None = None
    budgets: Mapping[str, float] = field(default_factory=dict)
    budget_usd: str | None = None
    pool: str | None = None
    priority_weight: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    notices: Mapping[str, Notices] = field(default_factory=dict)
    expand: Any = None
    map_name: str | None = None
    role: Literal["setup", "teardown"] | None = None
    doc: str | None = None
    source: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """One pipeline.

    Attributes:
        file: path of the YAML as given to the compiler; ``folder`` is where its relative paths start.
        schedule: None, ``{"cron", "timezone", "covers"}``, ``{"preset": "@once"}`` or ``{"assets": condition}``, with
            a ``cron`` beside it as the other way to start. A condition is ``{"any" | "all": [part, ...]}``, a part a
            URI, ``{"alias": name}`` or a condition; ``partitions`` says of what each run is. Presets such as ``@daily``
            stand as their cron text.
        start_date, end_date: ISO dates or times, in ``timezone``.
        groups: group id -> tooltip, outermost first.
        notices: as of a task, of a whole run.
        deadline: seconds that a run may take, and after what: ``queued`` or ``logical_date``.
        rate_card: the ``rate_card`` entry of doeks.yaml.
        budget_usd: dollars that one run may cost.
        monthly_budgets_usd: cost tag -> value -> dollars that all jobs of it may cost in a UTC month.
        text: the file's own text with comments, the DAG's documentation.
        source: dotted path below the pipeline -> ``file:line:col``, as of a task.
    """

    dag_id: str
    file: str
    folder: str
    tasks: tuple[TaskPlan, ...]
    description: str | None = None
    schedule: Mapping[str, Any] | None = None
    start_date: str | None = None
    end_date: str | None = None
    timezone: str = "UTC"
    catchup: bool = False
    max_active_runs: int | None = None
    owner: str = "airflow"
    tags: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    dagrun_timeout_seconds: float | None = None
    notices: Mapping[str, Notices] = field(default_factory=dict)
    deadline: tuple[float, str] | None = None
    environment: str | None = None
    rate_card: Mapping[str, Any] = field(default_factory=dict)
    budget_usd: str | None = None
    monthly_budgets_usd: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    text: str = ""
    source: Mapping[str, str] = field(default_factory=dict)


def pool_of(task: TaskPlan) -> str | None:
    """The Airflow pool of a task: its own, else that of a platform with ``max_jobs``; None is Airflow's default."""
    platform = task.platform or {}
    return task.pool or (f"doeks_{platform['name']}" if platform.get("max_jobs") else None)
