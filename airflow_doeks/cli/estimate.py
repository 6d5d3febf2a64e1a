"""`doeks estimate`: what a run of a pipeline will cost, by its requests, the rate card and its tasks' last runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from airflow_doeks.cli.estimate_tables import Estimate, Estimates, lacking_tasks, markdown_lines, print_tables
from airflow_doeks.cli.explain import plan_of
from airflow_doeks.lifecycle.estimate import Asked, estimate_task
from airflow_doeks.model.past import Past, PastRun, past_of
from airflow_doeks.model.plan import Plan, TaskPlan

_OVER_BUDGET = 3
_MONTH = timedelta(days=30)
_MOST_RUNS = 50_000  # of a month: every minute has 43,200
EXAMPLES = """
\b
Examples:
  doeks estimate pipelines/daily_orders.yaml --env prod
  doeks estimate pipelines/*.yaml --budget 50 --markdown > estimate.md
  doeks estimate pipelines/new.yaml --assume-minutes 30 --json
"""


@click.command(epilog=EXAMPLES)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--env", help="The environment.")
@click.option("--budget", metavar="USD", help="Exit code 3 if one run of all files is expected to cost more.")
@click.option("--ledger", envvar="DOEKS_LEDGER", help="Where the last runs are; AIRFLOW_HOME's if there is one.")
@click.option("--since", default="30d", show_default=True, metavar="D", help="Runs from this day on count.")
@click.option("--assume-minutes", type=click.FloatRange(0, min_open=True), help="How long a task takes that never ran.")
@click.option("--markdown", is_flag=True, help="Print a Markdown table, for a pull request.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def estimate(
    *,
    files: Sequence[str],
    env: str | None,
    budget: str | None,
    ledger: str | None,
    since: str,
    assume_minutes: float | None,
    markdown: bool,
    as_json: bool,
) -> None:
    """What one run of each pipeline will cost, and a month of them, before anything runs.

    Unknown dollars are told and are in no sum; they never exceed a budget.
    """
    if markdown and as_json:
        msg = "--markdown and --json: give one of them"
        raise click.UsageError(msg)
    most = _budget(budget)
    book = _ledger(ledger)
    found = tuple(_estimate(plan_of(file, env), file, book, since, assume_minutes) for file in files)
    whole = _sum(one.usd for one in found)
    over = most is not None and whole is not None and whole > most
    is_told = over or most is None or not lacking_tasks(found)
    result = Estimates(estimates=found, usd=whole, budget_usd=most, is_over_budget=over if is_told else None)
    if as_json:
        click.echo(result.model_dump_json(indent=2))
    elif markdown:
        click.echo("\n".join(markdown_lines(result)))
    else:
        print_tables(result)
    if over:
        raise SystemExit(_OVER_BUDGET)


def _budget(text: str | None) -> Decimal | None:
    try:
        most = None if text is None else Decimal(text)
    except InvalidOperation:
        most = Decimal(-1)
    if most is not None and (not most.is_finite() or most <= 0):
        msg = f"--budget {text!r}: expected US dollars above 0, such as 5 or 0.50"
        raise click.UsageError(msg)
    return most


def _ledger(url: str | None) -> Any:
    """The ledger that is named or stands below AIRFLOW_HOME; None without one."""
    from airflow_doeks.cli.report_command import open_book

    try:
        return open_book(url)[0]
    except click.UsageError:
        if url is not None:
            raise
        return None


def _estimate(plan: Plan, file: str, book: Any, since: str, minutes: float | None) -> Estimate:
    from airflow_doeks.cost import load_rate_card
    from airflow_doeks.ledger.calibration import read_calibration
    from airflow_doeks.model.billing import Calibration

    card = load_rate_card(plan.rate_card.get("file"), region=plan.rate_card.get("region"))
    runs = {} if book is None else _past(book, plan.dag_id, since)
    calibration = Calibration() if book is None else read_calibration(book.store)
    tasks = tuple(
        estimate_task(
            task.task_id,
            str(task.platform["name"]),
            asked,
            _past_of(runs.get(task.task_id, []), asked),
            card,
            calibration=calibration,
            instances=_instances(task),
            assumed_seconds=None if minutes is None else minutes * 60,
        )
        for task in plan.tasks
        if task.job is not None and task.platform is not None
        for asked in (_asked(plan, task),)
    )
    monthly = _runs_per_month(plan)
    unknown = [] if book is not None else ["no ledger: give --ledger, so that the last runs are known"]
    unknown += [f"{task.task_id}: its dollars are not known and not in the sum" for task in tasks if task.usd is None]
    if monthly is None:
        unknown.append("its schedule says no number of runs, so a month is not known")
    whole, most = _sum(task.usd for task in tasks), _sum(task.usd_max for task in tasks)
    return Estimate(
        pipeline=plan.dag_id,
        file=Path(file).as_posix(),
        environment=plan.environment,
        rate_card=card.name,
        tasks=tasks,
        usd=whole,
        usd_min=_sum(task.usd_min for task in tasks),
        usd_max=most,
        runs_per_month=monthly,
        usd_per_month=None if whole is None or monthly is None else whole * monthly,
        usd_per_month_max=None if most is None or monthly is None else most * monthly,
        unknown=tuple(unknown),
    )


def _past(book: Any, dag_id: str, since: str) -> dict[str, list[PastRun]]:
    """Task -> its last jobs."""
    from airflow_doeks.cli.report_answers import ask_past, tomorrow
    from airflow_doeks.cli.report_command import day
    from airflow_doeks.report.comparison import Days

    runs: defaultdict[str, list[PastRun]] = defaultdict(list)
    for task_id, run in ask_past(book, dag_id, Days(since=day(since), until=tomorrow())):
        runs[task_id].append(run)
    return runs


def _past_of(runs: Sequence[PastRun], asked: Asked | str) -> Past:
    """What the last jobs took and cost; if the newest was sent what is sent now, only of those that were."""
    past = past_of(runs)
    if isinstance(asked, str) or past.spec_hash != asked.spec_hash:
        return past
    return past_of([run for run in runs if run.spec_hash == asked.spec_hash])


def _asked(plan: Plan, task: TaskPlan) -> Asked | str:
    """What a task sends; why that is not known where it is not."""
    from airflow_doeks.cli.render import request_of
    from airflow_doeks.model.engine import ENGINES
    from airflow_doeks.model.errors import SpecError
    from airflow_doeks.platforms.protocol import AsksPods

    try:
        platform, request = request_of(plan, task)
    except (SpecError, ValueError) as error:
        return f"its request is not known before it runs: {str(error).splitlines()[0]}"
    if request.is_lasting:
        return "it has no end of its own: what it costs is a matter of time"
    if not isinstance(platform, AsksPods):
        return f"what it asks of {task.platform['name'] if task.platform else '?'} is not priced before it runs"
    pods = (task.job or {}).get(ENGINES[task.kind].counted or "") or {}
    least = pods.get("min") if isinstance(pods, Mapping) else None
    return Asked(platform.asks(request), int(str(least)) if str(least).isdigit() else None, request.spec_hash)


def _instances(task: TaskPlan) -> int | None:
    if task.expand is None:
        return 1
    return len(task.expand) if isinstance(task.expand, (list, tuple)) else None


def _runs_per_month(plan: Plan) -> int | None:
    cron = (plan.schedule or {}).get("cron")
    if cron is None:
        return None
    from croniter import croniter

    start = datetime.now(timezone.utc)
    times = croniter(cron, start)
    for number in range(_MOST_RUNS):
        if times.get_next(datetime) > start + _MONTH:
            return number
    return _MOST_RUNS


def _sum(parts: Any) -> Decimal | None:
    known = [part for part in parts if part is not None]
    return sum(known, Decimal(0)) if known else None
