"""The budgets of dollars of one attempt: what its task, its run and its month may still cost, and who is told."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

from airflow_doeks.attempt.closing import close_refused
from airflow_doeks.attempt.delivery import RECORD_KEY
from airflow_doeks.attempt.hand import Books, JobInHand, JobTask
from airflow_doeks.compat import AirflowFailException, is_task_timeout
from airflow_doeks.hooks.settings import open_ledger
from airflow_doeks.ledger.months import read_month
from airflow_doeks.lifecycle import record_id
from airflow_doeks.lifecycle.budget import LOOK_SECONDS, NOTHING, Allowance, Meter, judge
from airflow_doeks.lifecycle.endings import MONEY, Ending
from airflow_doeks.model.errors import DoeksError, SpecError
from airflow_doeks.model.identity import PREFIX
from airflow_doeks.model.record import JobRecord
from airflow_doeks.model.status import JobRef, JobStatus
from airflow_doeks.platforms.protocol import Platform

log = logging.getLogger(__name__)


def allowances_of(
    task: JobTask, context: Mapping[str, Any], books: Books, platform: Platform, adopted: JobRef | None = None
) -> list[Allowance]:
    """What the job of this attempt may use up, ``adopted`` if it is an earlier try's; SpecError for no amount."""
    own = books.identity
    found = []
    has_earlier = own.try_number > 1 and (task.budget_usd, task.run_budget_usd) != (None, None)
    earlier = _sum(_earlier_tries(books, platform, adopted)) if has_earlier else Decimal(0)
    if task.budget_usd is not None:
        found.append(Allowance(MONEY, _amount(task.budget_usd), earlier))
    if task.run_budget_usd is not None:
        spent = _sum(_others_of_run(context, books)) + earlier
        run = f"{own.dag_id} {own.run_id}"
        found.append(Allowance(f"{MONEY} of the run", _amount(task.run_budget_usd), spent, run))
    return [*found, *_of_month(task.monthly_budgets_usd, books)]


def carried(task: JobTask) -> dict[str, Any] | None:
    """What a trigger needs to look after them; None without any."""
    if not task.allowances:
        return None
    return {
        "allowances": [one.to_json() for one in task.allowances],
        "told": [],
        "rate_card": dict(task.rate_card),
        "executors_min": _executors_min(task),
    }


def check_budgets(task: JobTask, context: Mapping[str, Any], books: Books, platform: Platform) -> None:
    """Find out what the job may use up; fails the task, for good, whose budget was used up before.

    A job without an end of its own has none: it is not its task that ends it.
    """
    if books.may_outlive:
        return
    task.allowances = allowances_of(task, context, books, platform)
    if (spent := judge(task.allowances, NOTHING).spent) is not None:
        msg = f"no job was started: the task has used up its {spent}"
        close_refused(books, task, Ending.UNAFFORDABLE, msg, context)
        raise AirflowFailException(msg)


def adopt_budgets(task: JobTask, context: Mapping[str, Any], books: Books, platform: Platform, adopted: JobRef) -> None:
    """Find out what the job of an earlier try may still use up; refuses nothing, since what it did is done."""
    if not books.may_outlive:
        task.allowances = allowances_of(task, context, books, platform, adopted)


def with_told(
    task: JobTask, context: Mapping[str, Any], job: JobInHand, money: Mapping[str, Any] | None, told: Iterable[str]
) -> dict[str, Any]:
    """What the next trigger carries: ``money``, and the names of the budgets that were told of.

    `DAG.test` of Airflow 3 loses ``money``: it is found anew.
    """
    if money is None:
        adopted = job.submission.ref if job.submission.adopted else None
        task.allowances = allowances_of(task, context, job.books, job.platform, adopted)
        money = carried(task) or {"allowances": [], "told": []}
    return {**money, "told": [*money["told"], *told]}


def tell(on_budget: Any, context: Mapping[str, Any], told: Sequence[str]) -> None:
    """Warn in the task's log, and call who wants to know, with the context and ``budget`` in it; may raise theirs."""
    for text in told:
        log.warning("This job nears its %s", text)
    listeners: Iterable[Any] = on_budget if isinstance(on_budget, (list, tuple)) else [on_budget]
    for listener in filter(None, listeners):
        listener({**context, "budget": list(told)})


class Purse:
    """The budgets of dollars of a job that its worker waits for."""

    def __init__(self, task: JobTask, context: Mapping[str, Any], job: JobInHand) -> None:
        self._task, self._context = task, context
        self._told: list[str] = []
        accounting = job.books.accounting()
        self._meter = Meter(job.platform, job.submission.ref, accounting.rate_card, _executors_min(task))
        self._next_look: datetime | None = None

    def spent(self, status: JobStatus, now: datetime) -> str | None:
        """The budget that the job used up by now; tells of those that it nears. What is not known ends nothing."""
        if not self._task.allowances or (self._next_look is not None and now < self._next_look):
            return None
        self._next_look = now + timedelta(seconds=LOOK_SECONDS)
        try:
            live = self._meter.read(status, now)
        except (DoeksError, OSError, ValueError) as error:
            log.warning("What %s costs is not known now, so no budget of dollars ends it: %s", status.ref, error)
            return None
        judged = judge(self._task.allowances, live, told=self._told)
        if judged.told:
            try:
                tell(self._task.on_budget, self._context, list(judged.told.values()))
            except Exception as error:
                if is_task_timeout(error):
                    raise
                log.exception("on_budget failed; the job goes on")
            self._told += judged.told
        return judged.spent


def _executors_min(task: JobTask) -> int | None:
    pods = task.job.get(task.engine.counted or "") or {}
    least = pods.get("min") if isinstance(pods, Mapping) else None
    return int(str(least)) if str(least).isdigit() else None


def _earlier_tries(books: Books, platform: Platform, adopted: JobRef | None) -> Iterable[JobRecord]:
    """The settled records of this task's other jobs of the same run; that of a job that ended and is adopted is not."""
    ledger, own = open_ledger(books.settings), books.identity
    for status in platform.find(own):
        is_ours = status.tags.get(f"{PREFIX}run-started") == own.run_started.isoformat()
        if is_ours and status.ref != adopted and status.submitted is not None and status.state.is_terminal:
            record = ledger.find(record_id(status.ref, ""), status.submitted)
            if record is not None:
                yield record


def _others_of_run(context: Mapping[str, Any], books: Books) -> Iterable[JobRecord]:
    """The records that tasks of the run have left in XCom: of each task its last try."""
    dag, own = context["task"].dag, books.identity
    names = [task.task_id for task in dag.tasks if hasattr(task, "books") or hasattr(task, "unmap")]
    values = context["ti"].xcom_pull(task_ids=names, key=RECORD_KEY)
    for value in values if isinstance(values, Iterable) and not isinstance(values, (str, Mapping)) else [values]:
        if isinstance(value, Mapping):
            record = JobRecord.model_validate(value)
            if (record.attempt.task_id, record.attempt.map_index) != (own.task_id, own.map_index):
                yield record


def _of_month(budgets: Mapping[str, Mapping[str, Any]], books: Books) -> list[Allowance]:
    tags = {key: value for key, value in books.identity.cost_tags.items() if value in budgets.get(key, ())}
    if not tags:
        return []
    today = datetime.now(timezone.utc).date()
    try:
        month = read_month(open_ledger(books.settings).store, today)
    except (OSError, ValueError, KeyError, InvalidOperation) as error:
        log.warning("What this month's jobs cost could not be read: %s", error)
        month = None
    if month is None:
        log.warning("What this month's jobs cost is not known, so no monthly budget holds; doeks reconcile adds it up")
        return []
    found = []
    for key, value in tags.items():
        name = f"{key}={value} in {today:%Y-%m}"
        spent = month.get(key, {}).get(value, Decimal(0))
        found.append(Allowance(f"{MONEY} of {name}", _amount(budgets[key][value]), spent, name))
    return found


def _sum(records: Iterable[JobRecord]) -> Decimal:
    """What is known of it."""
    return sum((record.cost.usd_total or Decimal(0) for record in records), Decimal(0))


def _amount(text: Any) -> Decimal:
    try:
        usd = Decimal(str(text))
    except InvalidOperation:
        usd = Decimal(-1)
    if not usd.is_finite() or usd <= 0:
        msg = f"{MONEY}: {text!r} is no amount; expected US dollars above 0, such as 5 or 0.50"
        raise SpecError(msg)
    return usd
