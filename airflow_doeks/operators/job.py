"""Runs one job on a platform: submitted once, waited for without a worker, explained, counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_doeks.compat import BaseOperator
from airflow_doeks.model.engine import FLINK, SPARK, Engine
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.plan import BUDGETS
from airflow_doeks.model.quantities import parse_duration
from airflow_doeks.operators.links import LINKS

if TYPE_CHECKING:
    from airflow_doeks.attempt.attempt import TaskAttempt
    from airflow_doeks.attempt.hand import Books, JobInHand
    from airflow_doeks.hooks.settings import Settings
    from airflow_doeks.model.record import JobRecord


class JobOperator(BaseOperator):
    """One job; its subclass names the row of its engine.

    Args:
        job: the job as plain JSON (``main`` or ``sql``, ``args``, ``conf``, ``driver``, ``executors`` ...), a template.
        platform: an entry of doeks.yaml as a dict with ``name`` and ``type``.
        cost_tags: what the job is billed by.
        reads, writes: dataset URIs the task declares; merged with what the event log shows.
        budgets: ``queue_timeout``, ``startup_timeout``, ``run_timeout`` in seconds, as timedelta or as ``"1h30m"``;
            each cancels before it fails. SpecError for another key or value.
        retry_on: failure categories worth a retry; default all but ``user_code`` and ``cancelled``.
        rate_card: ``region`` and ``file`` of the prices.
        folder: where relative paths of the job start; relative to the DAG file's folder unless absolute.
        source: dotted path below the task -> ``file:line:col`` in the YAML, for errors after rendering.
        deferrable: wait in the triggerer (default) or on the worker.
        item: the value of a mapped task, ``{{ task.item }}``.

    The return value is the job ref. XCom ``doeks_job`` is written right after submit, ``doeks_record`` at the end.
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
        platform: Mapping[str, Any],
        cost_tags: Mapping[str, str] | None = None,
        reads: Sequence[str] = (),
        writes: Sequence[str] = (),
        budgets: Mapping[str, Any] | None = None,
        budget_usd: str | None = None,
        retry_on: Sequence[str] | None = None,
        rate_card: Mapping[str, Any] | None = None,
        folder: str = "",
        source: Mapping[str, str] | None = None,
        deferrable: bool | None = None,
        item: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.platform = platform
        self.cost_tags = cost_tags or {}
        self.reads = reads
        self.writes = writes
        self.budgets = _in_seconds(budgets or {})
        self.budget_usd = budget_usd
        self.retry_on = retry_on
        self.rate_card = rate_card or {}
        self.folder = folder
        self.source = {} if source is None else source  # `or` would look up every place
        self.deferrable = True if deferrable is None else deferrable
        self.item = item
        self.job_in_hand: JobInHand | None = None
        self.record: JobRecord | None = None

    def render_template(self, content: Any, context: Any, jinja_env: Any = None, seen_oids: Any = None) -> Any:
        """As Airflow's, but what a template includes must stand in the project."""
        from airflow_doeks.attempt.templates import within_project

        searchpath = getattr(self.get_dag(), "template_searchpath", None) or ()
        closed = within_project(jinja_env or self.get_template_env(), self.code_folder(), searchpath)
        return super().render_template(content, context, closed, seen_oids)

    def code_folder(self) -> str:
        """Where relative paths of the job start."""
        fileloc = getattr(self.get_dag(), "fileloc", None)
        return str(Path(fileloc).parent / self.folder) if fileloc else self.folder

    def execute(self, context: Any) -> str:
        """Submit or adopt, then defer, or wait here if not deferrable; gives the job ref."""
        attempt = self.attempt(context)
        job = self.job_in_hand = attempt.submit()
        attempt.announce(job)
        if self.deferrable and not attempt.has_ended(job):
            self._follow(attempt, job)
        return str(attempt.wait_here(job).job.ref)

    def execute_complete(
        self,
        context: Any,
        event: Mapping[str, Any],
        submission: Mapping[str, Any] | None = None,
        *,
        is_second: bool = False,
    ) -> str:
        """Resume after the trigger fired; if it could not follow a job that lives, defer a second time, then wait here.

        ``submission`` is what the deferral carried; `DAG.test` of Airflow 3 loses it, and the XCom still has it.
        """
        attempt = self.attempt(context)
        job = attempt.resume(submission)
        if not is_second and attempt.lives_on(job, event):
            self.log.warning("%s lives, but the triggerer could not follow it: %s", job.submission.ref, event["error"])
            self._follow(attempt, job, is_second=True)
        return str(attempt.complete(job, event).job.ref)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """As Airflow's, but a deferral that Airflow itself failed ends the job first, or leaves it to this worker."""
        if next_method == "__fail__":
            record = self.attempt(context).take_failed_deferral(str((next_kwargs or {}).get("error", "")))
            if record is not None:
                return str(record.job.ref)
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

    def _follow(self, attempt: TaskAttempt, job: JobInHand, *, is_second: bool = False) -> None:
        """Leave the worker and wait in the triggerer: raises TaskDeferred."""
        from airflow_doeks.triggers.job import JobTrigger

        carried = job.submission.to_json()
        where = {"ref": carried["ref"], "submitted": carried["submitted"], "platform": dict(self.platform)}
        where["owns_job"] = not job.books.may_outlive
        deferred = datetime.now(timezone.utc).isoformat() if is_second else None
        self.defer(
            trigger=JobTrigger(**where, budgets=attempt.budgets().to_json(), deferred=deferred),
            method_name="execute_complete",
            kwargs={"submission": carried} | ({"is_second": True} if is_second else {}),
        )


class SparkJobOperator(JobOperator):
    """One Spark job."""

    engine = SPARK


class FlinkJobOperator(JobOperator):
    """One Flink job; refused by a platform that runs none."""

    engine = FLINK


def _in_seconds(budgets: Mapping[str, Any]) -> dict[str, Any]:
    """Name -> seconds; one that is None is left out, it is no limit."""
    found: dict[str, Any] = {}
    for name, value in budgets.items():
        if name not in BUDGETS:
            msg = f"budgets: unknown key {name!r}; known are {', '.join(BUDGETS)}"
            raise SpecError(msg)
        if value is None:
            continue
        try:
            found[name] = parse_duration(f"{value.total_seconds():f}" if isinstance(value, timedelta) else value)
        except ValueError as error:
            msg = f"budgets.{name}: {error}, or a timedelta; it may not be negative"
            raise SpecError(msg) from error
        if not found[name]:
            msg = f"budgets.{name}: {value} is out of range; expected a duration above 0, or None for no limit"
            raise SpecError(msg)
    return found
