"""Runs one job on a platform: submitted once, waited for without a worker, explained, counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_doeks.compat import BaseOperator
from airflow_doeks.model.engine import FLINK, SPARK, Engine
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.plan import pool_of
from airflow_doeks.operators.links import FLINK_LINKS, LINKS
from airflow_doeks.operators.timeouts import in_seconds

if TYPE_CHECKING:
    from airflow_doeks.attempt.attempt import TaskAttempt
    from airflow_doeks.attempt.hand import Books, JobInHand
    from airflow_doeks.hooks.settings import Settings
    from airflow_doeks.lifecycle.budget import Allowance
    from airflow_doeks.model.record import JobRecord


DEFAULT_POOL = "default_pool"  # Airflow's name of the pool of tasks that name none


class JobOperator(BaseOperator):
    """One job; its subclass names the row of its engine.

    Args:
        job: the job as plain JSON (``main`` or ``sql``, ``args``, ``conf``, ``driver``, ``executors`` ...), a template.
        platform: the name of an entry of the nearest doeks.yaml, upward from the DAG's file, or the entry itself as a
            dict with ``name`` and ``type``. By name, the job gets presets, defaults and cost tags of that file and
            obeys its policies, as a pipeline's does: SpecError with every fault, where the DAG is read.
        cost_tags: what the job is billed by.
        reads, writes: dataset URIs the task declares; merged with what the event log shows.
        timeouts: ``queue_timeout``, ``startup_timeout``, ``run_timeout`` in seconds, as timedelta or as ``"1h30m"``;
            each cancels before it fails. SpecError for another key or value.
        budget_usd, run_budget_usd: dollars that this task, and its whole run, may cost.
        monthly_budgets_usd: cost tag -> value -> dollars that all jobs of it may cost in a UTC month.
        on_budget: called with the context once 80 % of a budget of dollars may be used up, the words in its
            ``budget``: a notifier, a function, or a list.
        retry_on: failure categories worth a retry; default all but ``user_code``, ``cancelled`` and ``budget``.
        rate_card: ``region`` and ``file`` of the prices.
        folder: where relative paths of the job start; relative to the DAG file's folder unless absolute.
        source: dotted path below the task -> ``file:line:col`` in the YAML, for errors after rendering.
        deferrable: wait in the triggerer (default) or on the worker.
        item: the value of a mapped task, ``{{ task.item }}``.
        item_keys: makes a mapping of an item that is one value of each of several zipped outputs.

    The return value is the job ref; of a task that stops a job, or saves its state, the path of the savepoint. XCom
    ``doeks_job`` is written right after submit, ``doeks_record`` at the end.
    """

    engine: Engine
    template_fields: Sequence[str] = ("job", "cost_tags", "reads", "writes")
    template_fields_renderers = {"job": "json", "cost_tags": "json"}
    operator_extra_links = tuple(link() for link in LINKS)
    ui_color = "#f4e3d7"

    def __init__(
        self,
        *,
        job: Mapping[str, Any],
        platform: str | Mapping[str, Any],
        cost_tags: Mapping[str, str] | None = None,
        reads: Sequence[str] = (),
        writes: Sequence[str] = (),
        timeouts: Mapping[str, Any] | None = None,
        budget_usd: str | None = None,
        run_budget_usd: str | None = None,
        monthly_budgets_usd: Mapping[str, Mapping[str, Any]] | None = None,
        on_budget: Any = None,
        retry_on: Sequence[str] | None = None,
        rate_card: Mapping[str, Any] | None = None,
        folder: str = "",
        source: Mapping[str, str] | None = None,
        deferrable: bool | None = None,
        item: Any = None,
        item_keys: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job = job
        self._platform = platform
        self.cost_tags = cost_tags or {}
        self.reads = reads
        self.writes = writes
        self.timeouts = in_seconds(timeouts or {})
        self.budget_usd = budget_usd
        self.run_budget_usd = run_budget_usd
        self.monthly_budgets_usd = monthly_budgets_usd or {}
        self.on_budget = on_budget
        self.retry_on = retry_on
        self.rate_card = rate_card or {}
        self.folder = folder
        self.source = {} if source is None else source  # `or` would look up every place
        self.deferrable = True if deferrable is None else deferrable
        self.item = item_of(item, item_keys)
        self.job_in_hand: JobInHand | None = None
        self.savepoint = ""  # what a task that stops a job, or saves its state, returns
        self.allowances: Sequence[Allowance] = ()
        self.record: JobRecord | None = None
        if self.has_dag():
            _ = self.platform  # what is wrong is told when the DAG is read
            from airflow_doeks.hooks.aliases import with_seen_alias

            self.outlets: list[Any] = with_seen_alias(vars(self).get("outlets") or (), self.dag_id, self.task_id)

    @property
    def platform(self) -> Mapping[str, Any]:
        """The platform's entry; by name it is looked up once, with all that the job gets from there."""
        entry = self._platform
        if isinstance(entry, str):
            entry = self._platform = self._settle(entry)
        return entry

    def _settle(self, name: str) -> Mapping[str, Any]:
        """Take job, cost tags and time-outs as the nearest doeks.yaml makes them; SpecError for what it refuses."""
        from airflow_doeks.operators.by_name import settled

        said = {key: getattr(self, key) for key in ("cost_tags", "reads", "writes", "budget_usd", "retry_on")}
        said = {key: value for key, value in said.items() if value} | self.timeouts
        file = str(getattr(self.get_dag(), "fileloc", "") or "dag.py")
        try:
            task, rate_card = settled(
                {self.engine.name: self.job, "platform": name, **said},
                file=file,
                folder=self.code_folder() or ".",
                dag_id=self.dag_id if self.has_dag() else self.task_id,
            )
        except SpecError as error:
            msg = "\n".join(f"{file}: task {self.task_id!r}: {line}" for line in str(error).splitlines())
            raise SpecError(msg) from None
        self.job, self.cost_tags, self.timeouts = dict(task.job or {}), dict(task.cost_tags), dict(task.budgets)
        self.budget_usd, self.retry_on = task.budget_usd, task.retry_on and list(task.retry_on)
        self.rate_card = self.rate_card or dict(rate_card)
        if vars(self).get("pool") == DEFAULT_POOL and (pool := pool_of(task)):
            self.pool = pool
        return dict(task.platform or {})

    def render_template_fields(self, context: Any, jinja_env: Any = None) -> None:
        """As Airflow's, once the job is whole."""
        _ = self.platform
        super().render_template_fields(context, jinja_env)

    def render_template(self, content: Any, context: Any, jinja_env: Any = None, seen_oids: Any = None) -> Any:
        """As Airflow's, but what a template includes must stand in the project."""
        from airflow_doeks.attempt.templates import within_project

        searchpath = getattr(self.get_dag(), "template_searchpath", None) or ()
        closed = within_project(jinja_env or self.get_template_env(), self.code_folder(), searchpath)
        return super().render_template(content, context, closed, seen_oids)

    def code_folder(self) -> str:
        """Where relative paths of the job start."""
        return code_folder_of(self)

    def execute(self, context: Any) -> str:
        """Submit or adopt, then defer, or wait here if not deferrable; gives the job ref."""
        attempt = self.attempt(context)
        if attempt.only_saves():
            return attempt.save()
        job = self.job_in_hand = attempt.submit()
        attempt.announce(job)
        if self.deferrable and not attempt.has_ended(job):
            from airflow_doeks.attempt.budgets import carried

            self._follow(attempt, job, money=carried(self))
        return attempt.returned(attempt.wait_here(job))

    def execute_complete(
        self,
        context: Any,
        event: Mapping[str, Any],
        submission: Mapping[str, Any] | None = None,
        *,
        is_second: bool = False,
        money: dict[str, Any] | None = None,
    ) -> str:
        """Resume after the trigger fired; if it could not follow a job that lives, defer a second time, then wait here.

        ``submission`` is what the deferral carried; `DAG.test` of Airflow 3 loses it, and the XCom still has it.
        ``money`` is what the trigger carried; the task is deferred again after it was told of a budget.
        """
        attempt = self.attempt(context)
        job = attempt.resume(submission, money)
        if event.get("told"):
            self._follow(attempt, job, is_second=is_second, money=attempt.tell(job, money, event["told"]))
        if not is_second and attempt.lives_on(job, event):
            self.log.warning("%s lives, but the triggerer could not follow it: %s", job.submission.ref, event["error"])
            self._follow(attempt, job, is_second=True, money=money)
        return attempt.returned(attempt.complete(job, event))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """As Airflow's, but a deferral that Airflow itself failed ends the job first, or leaves it to this worker."""
        if next_method == "__fail__":
            attempt = self.attempt(context)
            record = attempt.take_failed_deferral(str((next_kwargs or {}).get("error", "")))
            if record is not None:
                return attempt.returned(record)
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """The task is killed on its worker: end the job."""
        if self.job_in_hand is not None:
            from airflow_doeks.attempt.attempt import end_killed

            end_killed(self.job_in_hand)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - OpenLineage's signature
        """Datasets, statistics and cost of the finished job for OpenLineage; None before the job ended."""
        from airflow_doeks.hooks.openlineage import operator_lineage

        return operator_lineage(self.record) if self.record is not None else None

    get_openlineage_facets_on_failure = get_openlineage_facets_on_complete

    def books(self, context: Any, settings: Settings) -> Books:
        """What this attempt's record is made from; the callback asks for it."""
        from airflow_doeks.attempt.hand import books_of

        return books_of(self, context, settings)

    def attempt(self, context: Any) -> TaskAttempt:
        """What this try of the task does with its job."""
        from airflow_doeks.attempt.attempt import TaskAttempt

        return TaskAttempt(self, context)

    def _follow(
        self,
        attempt: TaskAttempt,
        job: JobInHand,
        *,
        is_second: bool = False,
        money: dict[str, Any] | None = None,
    ) -> None:
        """Leave the worker and wait in the triggerer: raises TaskDeferred."""
        from airflow_doeks.triggers.job import JobTrigger

        carried = job.submission.to_json()
        where = {"ref": carried["ref"], "submitted": carried["submitted"], "platform": dict(self.platform)}
        where["owns_job"] = not job.books.may_outlive
        where["stable_for"] = attempt.stable_for()
        is_from_before = job.submission.adopted or job.submission.is_lasting
        again = is_second or bool(money and money["told"]) or is_from_before
        deferred = datetime.now(timezone.utc).isoformat() if again else None
        self.defer(
            trigger=JobTrigger(**where, budgets=attempt.budgets().to_json(), deferred=deferred, money=money),
            method_name="execute_complete",
            kwargs={"submission": carried}
            | ({"is_second": True} if is_second else {})
            | ({"money": money} if money else {}),
        )


class SparkJobOperator(JobOperator):
    """One Spark job."""

    engine = SPARK


class FlinkJobOperator(JobOperator):
    """One Flink job; refused by a platform that runs none."""

    engine = FLINK
    operator_extra_links = tuple(link() for link in FLINK_LINKS)


def code_folder_of(operator: Any) -> str:
    """Where relative paths of an operator with a ``folder`` start."""
    folder = dag_folder_of(operator)
    return str(folder / operator.folder) if folder else str(operator.folder)


def dag_folder_of(operator: Any) -> Path | None:
    """The folder of the DAG's file."""
    fileloc = getattr(operator.get_dag(), "fileloc", None)
    return Path(fileloc).parent if fileloc else None


def item_of(item: Any, keys: Sequence[str]) -> Any:
    """The item of a mapped task, zipped values by their keys."""
    return dict(zip(keys, item, strict=True)) if keys and item is not None else item
