"""`doeks reconcile --cur`: AWS's bill beside the records, and how far they were off."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from airflow_doeks.cli.figures import console, count, usd
from airflow_doeks.cli.report_command import day

if TYPE_CHECKING:
    from airflow_doeks.lifecycle.billing_pass import Billed
    from airflow_doeks.model.billing import Calibration

SINCE = "65d"  # AWS restates a month until two weeks after it
_SHOWN = 10


def reconcile_bill(url: str, ledger: str | None, since: str | None, *, is_dry: bool, as_json: bool) -> None:
    """Read the bill into the ledger and print what it said. A usage error without DuckDB or for no such export."""
    from airflow_doeks.hooks.settings import load_settings
    from airflow_doeks.hooks.stores import open_export, open_store
    from airflow_doeks.ledger import Ledger
    from airflow_doeks.lifecycle.billing_pass import read_bill

    first = day(since or SINCE) or datetime.now(timezone.utc).date()
    book = Ledger(open_store(ledger or os.environ.get("DOEKS_LEDGER") or load_settings().ledger_path))
    with console(sys.stderr).status("Reading the bill"):
        export, parts = open_export(url)
        result = read_bill(book, export, first, is_dry=is_dry, parts=parts)
    if as_json:
        click.echo(json.dumps(_plain(result, is_dry=is_dry), indent=1))
        return
    out = console()
    if result.calibration.factors:
        out.print(factors_table(result.calibration))
    for key, why in list(result.partly.items())[:_SHOWN]:
        out.print(f"partly   {key}: {why}", highlight=False, soft_wrap=True)
    for key in result.missing[:_SHOWN]:
        out.print(f"missing  {key}: no row names its pods, its run or its tags", highlight=False, soft_wrap=True)
    for delivery in result.deliveries:
        out.print(f"read     {delivery}", highlight=False, soft_wrap=True)
    out.print(_summary(result, is_dry=is_dry), highlight=False, soft_wrap=True)


def factors_table(calibration: Calibration) -> Table:
    """Bill divided by record, a line a family."""
    table = Table(title="Bill / record, compute", title_justify="left")
    for head in ("Family", "Capacity", "Region"):
        table.add_column(head)
    for head in ("Median", "From", "To", "Jobs"):
        table.add_column(head, justify="right")
    table.add_column("Used by estimates")
    for one in calibration.factors:
        figures = (f"{value:.4f}" for value in (one.factor, one.lowest, one.highest))
        used = "yes" if one.is_used else "no, too few jobs"
        table.add_row(one.family, one.capacity_type, one.region, *figures, count(one.jobs), used)
    return table


def _summary(result: Billed, *, is_dry: bool) -> str:
    changed = f"{count(result.changed)} {'to write' if is_dry else 'written'}"
    until = f"rows of pods until {result.until}" if result.until else "no row of a pod: is split cost data on?"
    off = ""
    if both := result.usd_billed - result.usd_unrecorded:
        off = f" ({(result.usd_recorded - both) / both:+.2%})"
    if result.unrecorded:
        off += f", {usd(result.usd_unrecorded)} of {count(result.unrecorded)} jobs whose record knows no cost"
    return (
        f"{count(result.billed)} of {count(result.jobs)} jobs on the bill, {changed}; "
        f"{usd(result.usd_billed)} USD billed, {usd(result.usd_recorded)} recorded{off}; "
        f"{count(len(result.partly))} told in part, {count(len(result.missing))} missing, "
        f"{count(result.waiting)} not due yet. {count(result.files)} files, {until}."
    )


def _plain(result: Billed, *, is_dry: bool) -> dict[str, Any]:
    return {
        "dry_run": is_dry,
        "files": result.files,
        "deliveries": result.deliveries,
        "until": result.until,
        "jobs": result.jobs,
        "billed": result.billed,
        "changed": result.changed,
        "usd_billed": format(result.usd_billed, "f"),
        "usd_recorded": format(result.usd_recorded, "f"),
        "unrecorded": result.unrecorded,
        "usd_unrecorded": format(result.usd_unrecorded, "f"),
        "partly": result.partly,
        "missing": result.missing,
        "waiting": result.waiting,
        "calibration": result.calibration.model_dump(mode="json")["factors"],
    }
