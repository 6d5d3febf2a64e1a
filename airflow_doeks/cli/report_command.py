"""`doeks report`: the ledger's records added up, as a table, JSON, CSV or one HTML page."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import click
from rich.table import Table

from airflow_doeks.cli.bill_notes import calibration_notes
from airflow_doeks.cli.figures import console
from airflow_doeks.cli.log_streams import no_logs
from airflow_doeks.cli.report_answers import ask_report, ask_upstream, ask_waits, minutes_of, tomorrow, whole
from airflow_doeks.cli.report_tables import (
    comparison_notes,
    comparison_table,
    csv_text,
    datasets_table,
    report_table,
    sla_notes,
    sla_table,
    upstream_table,
)
from airflow_doeks.cli.tables import print_table
from airflow_doeks.ledger import Ledger
from airflow_doeks.model.noun import Noun
from airflow_doeks.report import GROUPINGS, By, report
from airflow_doeks.report.comparison import Days, compared
from airflow_doeks.report.questions import KEYS
from airflow_doeks.report.sla import Late, Sla
from airflow_doeks.report.upstream import Upstream, every_upstream

_NUMBER_OF_DAYS = re.compile(r"(\d+)d")
_STDOUT = "-"  # in place of a file's name
_ALL = "all datasets"
_NOTHING = "none/"  # below it a ledger has no object
_ONE_DAY = timedelta(days=1)
_NOT_ASKED = "deadlines are kept by Airflow: give --airflow where its database can be reached"
EXAMPLES = """
\b
Examples:
  doeks report --by dataset --since 30d
  doeks report --by pipeline --since 7d --compare previous
  doeks report --by team --since 2026-11-01 --until 2026-11-30 --compare 2026-10-01..2026-10-31 --csv
  doeks report --sla --by task --since 7d
  doeks report --upstream s3://mart/orders_daily --since 30d --json
"""


@click.command("report", epilog=EXAMPLES)
@click.option(
    "--by", type=click.Choice(GROUPINGS), default="pipeline", show_default=True, help="What a line stands for."
)
@click.option("--since", metavar="D", help="First day of submission: 2026-11-01, or 7d for the last seven days.")
@click.option("--until", metavar="D", help="Last day of submission; today if left out.")
@click.option(
    "--compare", metavar="DAYS", help="Beside other days: 2026-10-01..2026-10-31, or previous: as many days before."
)
@click.option("--sla", "is_sla", is_flag=True, help="How long jobs queued, started and ran, half and 95 of 100.")
@click.option("--airflow", "asks_airflow", is_flag=True, help="With --sla: missed deadlines from Airflow's database.")
@click.option(
    "--upstream",
    "dataset",
    is_flag=False,
    flag_value=_ALL,
    metavar="[DATASET]",
    help="What a dataset, or each, cost with everything that it was made from.",
)
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    help="Write one HTML page, all groupings; - is standard output.",
)
@click.option("--ledger", envvar="DOEKS_LEDGER", help="Folder or s3:// URL; AIRFLOW_HOME's doeks/ledger if left out.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def report_command(
    *,
    by: By,
    since: str | None,
    until: str | None,
    compare: str | None,
    is_sla: bool,
    asks_airflow: bool,
    dataset: str | None,
    html: Path | None,
    ledger: str | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """What was spent, by whom and on which data; how long jobs waited; what data cost with all upstream of it."""
    questions = {"--compare": compare, "--sla": is_sla, "--upstream": dataset, "--html": html}
    asked = [name for name, value in questions.items() if value]
    printed = {"--csv": as_csv, "--json": as_json, "--html -": str(html) == _STDOUT}
    formats = [name for name, value in printed.items() if value]
    _check(by, asked=asked, is_sla=is_sla, asks_airflow=asks_airflow, formats=formats)
    days = _days("--since and --until", day(since), day(until, "--until") or tomorrow())
    book, url = open_book(ledger)
    if html is not None:
        _page(book, by, days, html, url)
    if str(html) == _STDOUT:
        return
    if compare is not None:
        before = _days_before(compare, days)
        told = Days(since=days.since, until=min(days.until, _today()))  # what is asked goes on to tomorrow
        change = compared(ask_report(book, by, before), ask_report(book, by, days), before, told)
        _print(
            change,
            change.lines,
            partial(comparison_table, change),
            comparison_notes(change),
            url,
            as_csv=as_csv,
            as_json=as_json,
        )
    elif is_sla:
        waits = _with_deadlines(ask_waits(book, by, days), days, asks_airflow=asks_airflow)
        _print(
            waits,
            waits.lines,
            partial(sla_table, waits),
            [*sla_notes(waits), *_late(waits)],
            url,
            as_csv=as_csv,
            as_json=as_json,
        )
    elif dataset == _ALL:
        datasets = every_upstream(ask_upstream(book, days))
        answer = Datasets(datasets=tuple(datasets))
        _print(answer, answer.datasets, partial(datasets_table, datasets), (), url, as_csv=as_csv, as_json=as_json)
    elif dataset is not None:
        one = ask_upstream(book, days).upstream(dataset)
        notes = [f"Not known: {why}" for why in one.unknown]
        _print(one, one.sources, partial(upstream_table, one), notes, url, as_csv=as_csv, as_json=as_json)
    else:
        result = ask_report(book, by, days)
        lacking = f"{result.total.unpriced} of {result.total.jobs} jobs have no known cost and are not in the sum."
        notes = [*([lacking] if result.total.unpriced else []), *calibration_notes(book.store)]
        _print(result, result.lines, partial(report_table, result), notes, url, as_csv=as_csv, as_json=as_json)
    if html is not None and not (as_csv or as_json):
        console().print(f"Page: {html}", highlight=False, soft_wrap=True)


class Datasets(Noun):
    """All datasets, dearest first."""

    datasets: tuple[Upstream, ...]


def _check(by: By, *, asked: Sequence[str], is_sla: bool, asks_airflow: bool, formats: Sequence[str]) -> None:
    if len(asked) > 1:
        msg = f"{' and '.join(asked)} are different questions: give one of them"
        raise click.UsageError(msg)
    if len(formats) > 1:
        msg = f"{' and '.join(formats)}: give one of them"
        raise click.UsageError(msg)
    if is_sla and by not in KEYS:
        msg = f"--sla counts whole jobs: --by {by} splits them; give one of {', '.join(KEYS)}"
        raise click.UsageError(msg)
    if asks_airflow and not is_sla:
        msg = "--airflow belongs to --sla"
        raise click.UsageError(msg)


def _print(
    answer: Noun,
    lines: Sequence[Noun],
    table: Callable[[], Table],
    notes: Sequence[str],
    url: str,
    *,
    as_csv: bool,
    as_json: bool,
) -> None:
    if as_json:
        click.echo(answer.model_dump_json(indent=2))
    elif as_csv:
        click.echo(csv_text(lines, without=("sources",)), nl=False)
    else:
        out = console()
        print_table(out, table())
        for note in notes:
            out.print(note, highlight=False, soft_wrap=True)
        out.print(f"Ledger: {url}", highlight=False, soft_wrap=True)


def _page(book: Ledger, by: By, days: Days, html: Path, url: str) -> None:
    from airflow_doeks.cli.report_page import page

    records = [whole(book, record) for record in book.records(since=days.since, until=days.until)]
    result = report(records, by, minutes=partial(minutes_of, book))
    text = page(records, result, ledger=url, now=datetime.now(timezone.utc))
    with click.open_file(html, "w", encoding="utf-8") as file:
        file.write(text)


def _with_deadlines(waits: Sla, days: Days, *, asks_airflow: bool) -> Sla:
    """The waits with what Airflow's database says of deadlines, where that is asked for."""
    if not asks_airflow:
        return waits.model_copy(update={"why_unknown": _NOT_ASKED})
    from airflow_doeks.ui.metadata import missed_deadlines

    start, end = (
        datetime.combine(at, datetime.min.time(), timezone.utc)
        for at in (days.since or date(1970, 1, 1), days.until + _ONE_DAY)
    )
    missed = missed_deadlines(None, start, end)
    if missed is None:
        return waits.model_copy(update={"why_unknown": "this Airflow has no deadlines, they came with 3.1"})
    late = tuple(Late(dag_id=one.dag_id, run_id=one.run_id, due=one.due, ended=one.ended) for one in missed)
    return waits.model_copy(update={"missed_deadlines": late})


def _late(waits: Sla) -> list[str]:
    if waits.missed_deadlines is None:
        return [f"Missed deadlines are not known: {waits.why_unknown}."]
    lines = [f"{len(waits.missed_deadlines)} deadlines were missed."]
    for late in waits.missed_deadlines:
        ended = f"ended {late.ended:%Y-%m-%d %H:%M}" if late.ended else "has not ended"
        lines.append(f"  {late.dag_id} {late.run_id}: due {late.due:%Y-%m-%d %H:%M}, {ended}")
    return lines


def _days_before(text: str, days: Days) -> Days:
    """The days that ``--compare`` names."""
    if text == "previous":
        if days.since is None:
            msg = "--compare previous: give --since, so that it is known how many days"
            raise click.UsageError(msg)
        today = min(days.until, _today())
        return Days(since=days.since - (today - days.since) - _ONE_DAY, until=days.since - _ONE_DAY)
    first, dots, last = text.partition("..")
    if not dots:
        msg = f"--compare {text!r}: expected two days such as 2026-10-01..2026-10-31, or previous"
        raise click.UsageError(msg)
    return _days("--compare", day(first, "--compare"), day(last, "--compare") or tomorrow())


def _today() -> date:
    return datetime.now(timezone.utc).date()


def _days(option: str, since: date | None, until: date) -> Days:
    """The days; a usage error for none, of which a report would say that nothing was spent."""
    if since is not None and since > until:
        msg = f"{option}: {since} is after {until}, so there is no day to report"
        raise click.UsageError(msg)
    return Days(since=since, until=until)


def open_book(ledger: str | None) -> tuple[Ledger, str]:
    """The ledger at a folder or URL, or AIRFLOW_HOME's; and where that is. A usage error if there is none."""
    url = ledger or _default_ledger()
    return _open(url), url


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
    if "://" not in url:
        return Ledger(open_store(url))
    store = open_store(url)
    try:
        with no_logs():  # with the first call Airflow tells where its credentials for S3 come from
            next(iter(store.list(_NOTHING)), None)
    except OSError as error:
        msg = f"the ledger {url} cannot be read: {str(error).removeprefix(f'{store.url}/{_NOTHING}: ')}"
        raise click.UsageError(msg) from error
    return Ledger(store)


def day(text: str | None, option: str = "--since") -> date | None:
    """The day that an option names."""
    if text is None:
        return None
    try:
        if match := _NUMBER_OF_DAYS.fullmatch(text):
            return (datetime.now(timezone.utc) - timedelta(days=int(match[1]))).date()
        return date.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        msg = f"{option} {text!r}: expected a day such as 2026-11-01, or a number of days such as 7d"
        raise click.UsageError(msg) from error
