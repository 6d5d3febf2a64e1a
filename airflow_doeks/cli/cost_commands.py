"""`doeks cost` and `doeks lineage`: one job from its event log or its telemetry, without Airflow."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import click
from pydantic import ValidationError
from rich.table import Table

from airflow_doeks.cli.figures import UNKNOWN, console, count, hours, percent, size, usd
from airflow_doeks.cli.names import Name
from airflow_doeks.cli.reasons import cost_reasons, dataset_reasons, lineage_json
from airflow_doeks.cli.tables import print_table
from airflow_doeks.cost import load_rate_card, stale
from airflow_doeks.cost.price import COMPONENTS
from airflow_doeks.lifecycle.account import Account, account
from airflow_doeks.model.errors import DoeksError
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.lineage import Dataset
from airflow_doeks.model.priced_as import PricedAs, assumed
from airflow_doeks.model.record import Cost
from airflow_doeks.model.telemetry import Telemetry
from airflow_doeks.report import dataset_label
from airflow_doeks.report.rates import UNTOLD, Rates, rates

_MILLION = 10**6
_GB = 10**9
_PLACES = 6


@click.command()
@click.option("--event-log", metavar="PATH", help="Spark event log: a file, a rolling folder or an s3:// URL.")
@click.option("--telemetry", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Telemetry JSON.")
@click.option("--rate-card", type=click.Path(exists=True, dir_okay=False), help="Rate card; the newest bundled one.")
@click.option("--region", help="Region of the bundled rate card.", show_default="us-east-1")
@click.option("--split", type=click.Choice(["aws", "opencost"]), help="How a node's price falls on vCPU and memory.")
@click.option(
    "--priced-as",
    default="m7g.xlarge",
    show_default=True,
    help="Instance type for pods whose node nobody saw; driver=m7g.xlarge,executors=g5.xlarge for one a role.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def cost(
    *,
    event_log: str | None,
    telemetry: Path | None,
    rate_card: str | None,
    region: str | None,
    split: Literal["aws", "opencost"] | None,
    priced_as: str,
    as_json: bool,
) -> None:
    """Usage, cost, waste, shares of datasets and advice of one job.

    Give its event log, its telemetry, or both: then pods and nodes come from the telemetry and the shares from the
    log. Exit code 1 if the cost cannot be known.
    """
    if event_log is None and telemetry is None:
        msg = "give --event-log PATH, --telemetry FILE or both"
        raise click.UsageError(msg)
    try:
        card = load_rate_card(rate_card, region=region, split=split)
    except (DoeksError, OSError) as error:
        raise click.UsageError(str(error)) from error
    facts = _read_telemetry(telemetry) if telemetry else Telemetry()
    summary = _read_log(event_log) if event_log else EventLogSummary()
    stand_in = assumed(_priced_as(priced_as))
    if not facts.assumed_by_role:
        facts = facts.model_copy(update={"assumed_by_role": stand_in.get("assumed_by_role", {})})
    result = account(facts, summary, card, assumed_node=stand_in.get("assumed_node"))
    began, ended = facts.started or summary.started, facts.ended or summary.ended
    by = rates(result.cost.usd_total, began, ended, result.lineage)
    old = stale(card.at(began), began or datetime.now(timezone.utc))
    if as_json:
        click.echo(json.dumps(_cost_json(result, [*facts.why, *summary.why], by), indent=2))
    else:
        _print_cost(result, [*facts.why, *summary.why], by)
    if old:
        click.echo(f"Warning: {old}", err=True)
    if result.cost.usd_total is None:
        raise SystemExit(1)


@click.command()
@click.option("--event-log", metavar="PATH", required=True, help="Spark event log: a file, a rolling folder or a URL.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def lineage(event_log: str, as_json: bool) -> None:
    """Datasets that one Spark application read and wrote, as its event log tells."""
    summary = _read_log(event_log)
    if as_json:
        told = {"why": list(summary.why), "why_null": dataset_reasons(summary.lineage)}
        click.echo(json.dumps(lineage_json(summary.lineage) | told, indent=2))
        return
    out = console()
    for title, datasets in (("Read", summary.lineage.inputs), ("Written", summary.lineage.outputs)):
        table = Table(title=title, title_justify="left")
        table.add_column("Dataset")
        for head in ("Format", "Rows", "Bytes", "Files"):
            table.add_column(head, justify="right")
        for dataset in datasets:
            counts = (count(dataset.rows), size(dataset.bytes), count(dataset.files))
            table.add_row(Name(dataset_label(dataset)), dataset.format or "", *counts)
        print_table(out, table)
    columns = Table(title="Columns", title_justify="left")
    for head in ("Written column", "Computed from"):
        columns.add_column(head)
    for dataset in summary.lineage.outputs:
        for column in dataset.columns:
            sources = UNKNOWN if column.inputs is None else ", ".join(column.inputs) or "nothing that was read"
            columns.add_row(Name(f"{dataset_label(dataset)}:{column.name}"), Name(sources))
    if columns.row_count:
        print_table(out, columns)
    out.print(f"Complete: {'yes' if summary.lineage.complete else 'no'}")
    for why in summary.why:
        out.print(f"Not known: {why}")


def _cost_json(result: Account, why: list[str], by: Rates) -> dict[str, Any]:
    """The account as JSON, with the reason of every null number and of lineage that is not complete."""
    data = result.model_dump(mode="json") | {"lineage": lineage_json(result.lineage)}
    data |= {key: None if value is None else str(round(value, _PLACES)) for key, value in by._asdict().items()}
    reasons = cost_reasons(data) | dataset_reasons(result.lineage, "lineage.")
    return data | {"counts": _counts(result.cost), "why": why, "why_null": reasons}


def _counts(cost: Cost) -> str:
    """What these numbers count; the record of the same job may count more."""
    return _COUNTED.get(cost.basis or "", "Nothing could be counted.")


_COUNTED = {
    "pods": "Counted: pods as the platform saw them, as in the job's record.",
    "requests": "Counted: what the job asked for, over its whole life, as in the job's record.",
    "event_log": (
        "Counted: driver and executors as the event log saw them; the job's record also counts the time and the "
        "volumes that only the platform knows."
    ),
}


def _priced_as(text: str) -> PricedAs:
    """``m7g.xlarge``, or ``driver=m7g.xlarge,executors=g5.xlarge``."""
    if "=" not in text:
        return text
    found: dict[Literal["driver", "executors"], str] = {}
    for pods, _, kind in (part.strip().partition("=") for part in text.split(",")):
        if pods in ("driver", "executors") and kind:
            found["driver" if pods == "driver" else "executors"] = kind
    if len(found) != len(text.split(",")):
        msg = f"--priced-as {text!r}: expected an instance type, or driver=TYPE,executors=TYPE"
        raise click.UsageError(msg)
    return found


def _read_log(url: str) -> EventLogSummary:
    from airflow_doeks.hooks.stores import open_log
    from airflow_doeks.lifecycle.event_logs import read_event_log

    try:
        summary: EventLogSummary = read_event_log(*open_log(url))
    except (DoeksError, OSError, ValueError) as error:
        msg = f"{url}: {error or type(error).__name__}"
        raise click.UsageError(msg) from error
    if summary.model_copy(update={"why": ()}) == EventLogSummary():
        msg = f"{url} holds no event of Spark: {'; '.join(summary.why)}"
        raise click.UsageError(msg)
    return summary


def _read_telemetry(path: Path) -> Telemetry:
    try:
        return Telemetry.model_validate_json(path.read_bytes())
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}" for fault in error.errors()]
        msg = f"{path} is not telemetry (`doeks schema telemetry` gives its form): {'; '.join(faults[:5])}"
        raise click.UsageError(msg) from error


def _print_cost(result: Account, why: list[str], by: Rates) -> None:
    out = console()
    usage, total = result.usage, result.cost
    out.print(_title(total), highlight=False)
    table = Table(show_footer=True)
    table.add_column("Component", footer="Total")
    table.add_column("USD", justify="right", footer=usd(total.usd_total))
    for name in COMPONENTS:
        table.add_row(name, usd(getattr(total, f"usd_{name}")))
    out.print(table)
    out.print(f"of which waste {usd(total.usd_waste)}, not attributed to a dataset {usd(total.usd_unattributed)}")
    if by != UNTOLD:
        counted = f"{usd(by.usd_per_million_in)} a million records in, {usd(by.usd_per_million_out)} out"
        out.print(f"{usd(by.usd_per_hour)} an hour, {counted}")
    if total.basis == "event_log":
        out.print(_counts(total))
    out.print(
        f"Usage: {hours(usage.vcpu_seconds)} vCPU-h, {hours(usage.memory_gib_seconds)} GiB-h, "
        f"{hours(usage.gpu_seconds)} GPU-h"
    )
    if result.lineage.outputs:
        print_table(out, _dataset_table(result))
    for advice in result.advice:
        out.print(f"Advice: {advice.message}" + (f" (saves up to {usd(advice.usd)} USD)" if advice.usd else ""))
        for line in advice.evidence:
            out.print(f"  {line}")
    for text in dict.fromkeys(text for text in (total.why_unknown, *why) if text):
        out.print(f"Not known: {text}")


def _title(total: Cost) -> str:
    priced_as = f", if on {total.priced_as}" if total.priced_as else ""
    return f"Cost{priced_as} (rates of {total.rate_card}; from {total.basis}, confidence {total.confidence})"


def _dataset_table(result: Account) -> Table:
    table = Table(title="Datasets", title_justify="left")
    table.add_column("Dataset")
    for head in ("Rows", "Bytes", "Share", "USD", "USD per GB", "USD per million rows"):
        table.add_column(head, justify="right")
    for dataset in result.lineage.outputs:
        counts = (count(dataset.rows), size(dataset.bytes), percent(dataset.slot_share), usd(dataset.usd))
        table.add_row(
            Name(dataset_label(dataset)),
            *counts,
            _per(dataset, dataset.bytes, _GB),
            _per(dataset, dataset.rows, _MILLION),
        )
    return table


def _per(dataset: Dataset, amount: int | None, unit: int) -> str:
    return usd(dataset.usd * unit / Decimal(amount) if dataset.usd is not None and amount else None)
