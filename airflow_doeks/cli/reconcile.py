"""`doeks reconcile`: settles what ended unheard and ends what nobody waits for, held against Airflow's task states."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airflow_doeks.cli.figures import console, count
from airflow_doeks.cli.log_streams import logs_to_stderr
from airflow_doeks.cli.report_command import day
from airflow_doeks.model.quantities import parse_duration

if TYPE_CHECKING:
    from airflow_doeks.attempt.late_runs import Told
    from airflow_doeks.attempt.reconciling import Finding, Reconciler
    from airflow_doeks.lifecycle.shared_cost import SharedDay

TOKEN = "DOEKS_AIRFLOW_TOKEN"  # noqa: S105 - the name of the variable


@click.command()
@click.argument("folder", default=".", metavar="[DIR]", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--env", "environment", help="Environment of doeks.yaml.")
@click.option("--ledger", help="Folder or s3:// URL; `[doeks] ledger_path` if left out.")
@click.option("--since", metavar="D", help="Records submitted since then: 7d if left out, with --cur 65d.")
@click.option(
    "--orphans-after", metavar="TIME", default="10m", show_default=True, help="After its task a job may go on so long."
)
@click.option("--airflow-url", envvar="DOEKS_AIRFLOW_URL", help=f"Ask this Airflow 3; its token is in {TOKEN}.")
@click.option("--cur", metavar="URL", help="Read AWS's bill instead: folder or s3:// URL of a CUR 2.0 export's data/.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def reconcile(folder: Path, *, cur: str | None, is_dry: bool, as_json: bool, **options: str | None) -> None:
    """Settle the jobs whose end nobody heard, cancel those that nobody waits for, tell of deadlines that runs missed.

    DIR is a folder of the project: its doeks.yaml names the platforms, and the pipelines below DIR say who is told of a
    deadline; Airflow 3.1 and later tells by itself. Airflow's database says which tasks are over,
    or an Airflow 3 by its REST API. May be repeated, killed and run beside itself. Exit code 1 if a job could not be
    dealt with, with --dry-run also if there is anything to do.

    With --cur no platform and no Airflow is asked: records get what the bill says of their jobs, once a day is enough.

    \b
    doeks reconcile --dry-run flows/
    doeks reconcile --cur s3://acme-billing/cur/doeks/data/ --ledger s3://acme-lake/doeks/
    """  # noqa: D301 - click's mark of text that is not wrapped
    settle_home_of(folder.absolute())
    if cur is not None:
        from airflow_doeks.cli.reconcile_bill import reconcile_bill

        return reconcile_bill(cur, options["ledger"], options["since"], is_dry=is_dry, as_json=as_json)
    findings = []
    with logs_to_stderr() as out, out.status("Asking the platforms and Airflow"):
        reconciler, monthly = _reconciler(folder, options, is_dry=is_dry)
        for finding in reconciler.run():
            findings.append(finding)
            if not as_json and (line := _line(finding, is_dry=is_dry)):
                out.print(line, highlight=False, soft_wrap=True)
        shared = list(reconciler.share())
        reconciler.add_up_month(monthly)
        reconciler.look_back()
        stale = list(reconciler.stale())
        late = []
        for told in _late_runs(folder, options, reconciler, is_dry=is_dry):
            late.append(told)
            if not as_json:
                out.print(_late_line(told, is_dry=is_dry), highlight=False, soft_wrap=True)
        from airflow_doeks.attempt.reconciling import counts

        tally = counts(findings)
        tally["trouble"] += sum(told.trouble is not None for told in late)
        tally["trouble"] += sum(one.trouble is not None for one in shared)
    if as_json:
        about = {"stale_sightings": stale, "jobs": [_plain(finding) for finding in findings]}
        about |= {"late_runs": [_plain_late(told) for told in late], "shared": [_shared_plain(one) for one in shared]}
        click.echo(json.dumps({"dry_run": is_dry, **tally, **about}, indent=1))
    else:
        for one in shared:
            console().print(_shared_line(one), highlight=False, soft_wrap=True)
        console().print(_summary(tally, len(stale), is_dry=is_dry), highlight=False)
    is_pending = is_dry and (tally["settle"] or tally["cancel"])
    raise SystemExit(1 if tally["trouble"] or is_pending else 0)


def settle_home_of(folder: Path) -> None:
    """Airflow's home, before Airflow is imported: the variable's, else that of `doeks run` beside doeks.yaml."""
    for parent in (folder, *folder.parents):
        if (parent / "doeks.yaml").is_file():
            if (parent / ".airflow").is_dir():
                os.environ.setdefault("AIRFLOW_HOME", str(parent / ".airflow"))
            return


def _reconciler(folder: Path, options: dict[str, str | None], *, is_dry: bool) -> tuple[Reconciler, Collection[str]]:
    from airflow_doeks.attempt.reconciling import Reconciler
    from airflow_doeks.hooks import task_states
    from airflow_doeks.hooks.platforms import project_of
    from airflow_doeks.hooks.settings import load_settings

    project, settings = project_of(folder, options["environment"]), load_settings()
    url = options["airflow_url"]
    reconciler = Reconciler(
        settings=replace(settings, ledger_path=options["ledger"] or settings.ledger_path),
        platforms=project.known_platforms,
        tasks=task_states.from_rest_api(url, os.environ.get(TOKEN)) if url else task_states.from_database(),
        since=day(options["since"] or "7d") or datetime.now(timezone.utc).date(),
        rate_card=project.rate_card,
        orphan_after=_duration(str(options["orphans_after"])),
        is_dry=is_dry,
    )
    return reconciler, project.monthly_budgets_usd


def _late_runs(folder: Path, options: dict[str, str | None], reconciler: Reconciler, *, is_dry: bool) -> Iterator[Told]:
    from airflow_doeks.attempt.late_runs import watch_deadlines
    from airflow_doeks.hooks import runs

    url = options["airflow_url"]
    found = runs.runs_from_rest_api(url, os.environ.get(TOKEN)) if url else runs.runs_from_database()
    return watch_deadlines(folder, options["environment"], found, reconciler.settings, is_dry=is_dry)


def _late_line(told: Told, *, is_dry: bool) -> str:
    if told.late is None:
        return f"trouble  {told.what}: {told.trouble}"
    said = f"nobody could be told: {told.trouble}" if told.trouble else "to be told" if is_dry else "told"
    return f"late     {told.what}: due {told.late.due:%Y-%m-%d %H:%M:%S}, {said}"


def _plain_late(told: Told) -> dict[str, Any]:
    late = told.late
    run = None if late is None else {"dag_id": late.run.dag_id, "run_id": late.run.run_id, "due": late.due.isoformat()}
    return {"what": told.what, "run": run, "trouble": told.trouble}


def _duration(text: str) -> timedelta:
    try:
        return timedelta(seconds=parse_duration(text))
    except ValueError as error:
        msg = f"--orphans-after: {error}"
        raise click.UsageError(msg) from error


def _line(finding: Finding, *, is_dry: bool) -> str:
    """What a reader is told of a job; empty for one that is left alone, unless that is all there is to see."""
    decision, attempt = finding.decision, finding.attempt
    whose = "" if attempt is None else f" of {attempt.dag_id}.{attempt.task_id} (run {attempt.run_id})"
    if finding.trouble is not None:
        return f"trouble  {finding.ref}{whose}: {finding.trouble}"
    if decision is None or (decision.need.value == "leave" and not is_dry):
        return ""
    record = finding.record
    price = "" if record is None else f"; {record.cost.usd_total or '?'} USD"
    return f"{decision.need.value:<8} {finding.ref}{whose}: {decision.why}{price}"


def _shared_line(day: SharedDay) -> str:
    if day.trouble is not None:
        return f"trouble  {day.platform}: its shared cost was not split: {day.trouble}"
    jobs = f"{count(day.jobs)} jobs ({count(day.changed)} changed)"
    return f"shared   {day.platform}, {day.day}: {day.usd} USD over {jobs}, {day.usd_nobody} in hours when none ran"


def _shared_plain(day: SharedDay) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "platform": day.platform,
        "day": day.day.isoformat(),
        "jobs": day.jobs,
        "changed": day.changed,
    }
    plain["trouble"] = day.trouble
    return {**plain, "usd": format(day.usd, "f"), "usd_nobody": format(day.usd_nobody, "f")}


def _summary(tally: dict[str, int], stale: int, *, is_dry: bool) -> str:
    done = "to settle, {} to cancel" if is_dry else "settled, {} cancelled"
    jobs = f"{count(tally['settle'])} {done.format(count(tally['cancel']))}, {count(tally['leave'])} left alone"
    if tally["days"]:
        jobs += f", the days of {count(tally['days'])} streaming jobs {'to write' if is_dry else 'written'}"
    swept = "to delete" if is_dry else "deleted"
    return f"{jobs}, {count(tally['trouble'])} in trouble; {count(stale)} stale sightings {swept}."


def _plain(finding: Finding) -> dict[str, Any]:
    decision, record = finding.decision, finding.record
    return {
        "ref": finding.ref,
        "attempt": finding.attempt and finding.attempt.model_dump(mode="json"),
        "do": decision and decision.need.value,
        "why": decision and decision.why,
        "record_id": record and record.record_id,
        "usd_total": record and record.model_dump(mode="json")["cost"]["usd_total"],
        "trouble": finding.trouble,
    }
