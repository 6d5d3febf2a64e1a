"""`doeks report`: the ledger's records added up, as a table, JSON or one HTML page."""

from __future__ import annotations

import logging
import os
import re
from datetime import date, datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import click
from rich.table import Table

from airflow_doeks.cli.figures import console, count, decimal, percent, usd
from airflow_doeks.ledger import Ledger
from airflow_doeks.model.minutes import Run
from airflow_doeks.model.record import JobRecord
from airflow_doeks.report import GROUPINGS, By, Report, Total, report

log = logging.getLogger(__name__)
_DAYS = re.compile(r"(\d+)d")


@click.command("report")
@click.option(
    "--by", type=click.Choice(GROUPINGS), default="pipeline", show_default=True, help="What a line stands for."
)
@click.option("--since", metavar="D", help="First day of submission: 2026-11-01, or 7d for the last seven days.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write one HTML page, all groupings.")
@click.option("--ledger", envvar="DOEKS_LEDGER", help="Folder or s3:// URL; AIRFLOW_HOME's doeks/ledger if left out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def report_command(by: By, since: str | None, html: Path | None, ledger: str | None, as_json: bool) -> None:
    """What was spent, by whom and on which data."""
    url = ledger or _default_ledger()
    book = _open(url)
    records = list(book.records(since=_day(since)))
    result = report(records, by, minutes=partial(_minutes, book))
    if html is not None:
        from airflow_doeks.cli.report_page import page

        html.write_text(page(records, result, ledger=url, now=datetime.now(timezone.utc)), encoding="utf-8")
    if as_json:
        click.echo(result.model_dump_json(indent=2))
        return
    out = console()
    out.print(_table(result))
    if result.total.unpriced:
        out.print(f"{result.total.unpriced} of {result.total.jobs} jobs have no known cost and are not in the sum.")
    out.print(f"Ledger: {url}", highlight=False, soft_wrap=True)
    if html is not None:
        out.print(f"Page: {html}", highlight=False, soft_wrap=True)


def _default_ledger() -> str:
    home = Path(os.environ.get("AIRFLOW_HOME") or ".airflow")
    folder = home / "doeks" / "ledger"
    if not folder.is_dir():
        msg = f"no ledger: there is no folder {folder}; give --ledger URL or set DOEKS_LEDGER"
        raise click.UsageError(msg)
    return str(folder)


def _open(url: str) -> Ledger:
    from airflow_doeks.hooks.stores import open_store

    if "://" not in url and not Path(url).is_dir():
        msg = f"no ledger: there is no folder {url}"
        raise click.UsageError(msg)
    return Ledger(open_store(url))


def _minutes(book: Ledger, record: JobRecord) -> tuple[Run, ...]:
    """The cost per minute of a record's detail; none, with a warning, where it cannot be read."""
    try:
        return tuple(Run.model_validate(run) for run in book.read_detail(record).get("minutes", ()))
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        log.warning("The minutes of record %s are skipped, its cost lies evenly: %s", record.record_id, reason)
        return ()


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        if match := _DAYS.fullmatch(text):
            return (datetime.now(timezone.utc) - timedelta(days=int(match[1]))).date()
        return date.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        msg = f"--since {text!r}: expected a day such as 2026-11-01, or a number of days such as 7d"
        raise click.UsageError(msg) from error


def _table(result: Report) -> Table:
    table = Table(title=f"Cost by {result.by}", title_justify="left", show_footer=True)
    table.add_column(result.by.capitalize(), footer="Total", overflow="fold")
    foot = _cells(result.total)
    for head, cell in zip(("Jobs", "Failed", "vCPU-h", "GiB-h", "USD", "Waste", "Share"), foot, strict=True):
        table.add_column(head, justify="right", footer=cell, no_wrap=True)
    for line in result.lines:
        table.add_row(line.key, *_cells(line))
    return table


def _cells(line: Total) -> tuple[str, ...]:
    share = "" if line.share is None else percent(line.share)
    spent = usd(None if line.jobs and line.unpriced == line.jobs else line.usd)
    hours = decimal(line.vcpu_hours), decimal(line.memory_gib_hours)
    return count(line.jobs), count(line.failed), *hours, spent, usd(line.usd_waste), share
