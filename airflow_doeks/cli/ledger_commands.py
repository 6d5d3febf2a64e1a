"""`doeks ledger`: finished days as Parquet, and the statements that show them to a larger engine."""

from __future__ import annotations

from datetime import datetime, timezone

import click

from airflow_doeks.cli.figures import console
from airflow_doeks.cli.report_command import day, open_book
from airflow_doeks.ledger.ddl import ENGINES, statements

_LEDGER = click.option(
    "--ledger", "url", envvar="DOEKS_LEDGER", help="Folder or s3:// URL; AIRFLOW_HOME's doeks/ledger if left out."
)


@click.group("ledger")
def ledger() -> None:
    """Keep the ledger small, and show it to Athena, Trino or Spark."""


@ledger.command()
@_LEDGER
@click.option("--since", metavar="D", help="First day of submission: 2026-11-01, or 90d; all days if left out.")
def compact(url: str | None, since: str | None) -> None:
    """Make one object of each finished day, and Parquet of it below v2/; days younger than three days are left alone.

    Nothing is lost when it is killed: the next run goes on. Days to which a late record or a bill came are compacted
    again. Run one at a time. Exit code 1 if a day could not be compacted. Needs the extra `report`.
    """
    from airflow_doeks.ledger.compaction import compact as compacted

    book, url = open_book(url)
    out, done, left = console(), 0, 0
    today = datetime.now(timezone.utc).date()
    for one in compacted(book, today, day(since)):
        if one.why:
            left += 1
            out.print(f"{one.day}: left as it is, {one.why}", highlight=False, soft_wrap=True)
        else:
            done += 1
            out.print(f"{one.day}: {one.records} records of {one.objects} objects", highlight=False)
    out.print(f"{done} days compacted{f', {left} left as they are' if left else ''}. Ledger: {url}", soft_wrap=True)
    raise SystemExit(1 if left else 0)


@ledger.command()
@click.option("--engine", type=click.Choice(sorted(ENGINES)), required=True, help="Who shall read it.")
@_LEDGER
def ddl(engine: str, url: str | None) -> None:
    """Print the tables of the compacted ledger, and views in which each record stands once."""
    book, _ = open_book(url)
    click.echo("\n\n".join(statements(engine, book.store.url)))
