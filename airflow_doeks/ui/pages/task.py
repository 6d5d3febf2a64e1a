"""The page of a task instance: how its job does, why it failed, what it cost, which data it read and wrote."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

from airflow_doeks.model.record import JobRecord
from airflow_doeks.ui import cells
from airflow_doeks.ui.blocks import Block, Cell, Column, Fact, Facts, Notice, Page, Table
from airflow_doeks.ui.pages.airflow_facts import Announced
from airflow_doeks.ui.pages.costs_of_job import cost_facts, cost_table, unknowns, usage_table
from airflow_doeks.ui.pages.data_of_job import column_table, data_table
from airflow_doeks.ui.pages.failures import failure_notice
from airflow_doeks.ui.pages.inner_jobs import inner_jobs
from airflow_doeks.ui.pages.minutes import minute_blocks
from airflow_doeks.ui.pages.rows import WASTE

log = logging.getLogger(__name__)
_ADDRESSES = {"http", "https"}
_NOTHING_TOLD = Announced()


@dataclass(frozen=True)
class TaskPlace:
    """Which task instance of Airflow a page is of; ``state`` is Airflow's word, None where it has no row."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    state: str | None = None

    @property
    def name(self) -> str:
        """The task with its map index."""
        return cells.task_name(self.task_id, self.map_index)


_FOLLOWS = {
    # Airflow's state of a failed try -> what happens next
    "up_for_retry": "Airflow tries it again.",
    "failed": "Airflow does not try it again.",
    "up_for_reschedule": "Airflow tries it again.",
}


def task_page(
    place: TaskPlace,
    records: Sequence[JobRecord],
    detail: Mapping[str, Any],
    told: Announced = _NOTHING_TOLD,
    *,
    chosen: int | None = None,
    source_url: str = "",
) -> Page:
    """The newest try of the task, or the ``chosen`` one, and a table of all.

    ``records`` are those of this task instance in any order, ``detail`` is that of the record ``shown_record`` picks,
    ``told`` is what the newest try said of its job, ``source_url`` where a ``{file}`` can be read at its ``{line}``.
    """
    trail = (
        Cell("Data costs", href=cells.link("costs")),
        Cell(place.dag_id, href=cells.link("dag", dag_id=place.dag_id)),
        Cell(place.run_id, href=cells.link("run", dag_id=place.dag_id, run_id=place.run_id)),
    )
    record = shown_record(records, chosen)
    if record is None:
        return Page(place.name, "No job", trail, blocks=(_no_job(place),))
    number = record.attempt.try_number
    is_newest = record is shown_record(records, None)
    blocks: list[Block] = []
    if record.failure is not None:
        follows = _FOLLOWS.get(place.state or "", "") if is_newest else "A later try followed."
        blocks.append(failure_notice(record.failure, follows, _log_tail(detail)))
    if is_newest and told.budget_told and record.settled_by_try is None:
        blocks.append(Notice("warn", "A budget is nearly used up", tuple(told.budget_told.split("; "))))
    if lines := tuple(unknowns(record)):
        blocks.append(Notice("warn", "What is not known", lines))
    blocks += [cost_facts(record, told.budget_usd, detail), data_table(record.lineage), cost_table(record)]
    blocks += [_state(record, _yaml(told.source, source_url))]
    blocks += [one for blocks_of in _OF_DETAIL for one in _told(partial(blocks_of, detail), record)]
    blocks.append(usage_table(record.usage))
    blocks += [_tries(place, records), _links(record, told.links if is_newest else {})]
    return Page(
        place.name,
        f"Try {number}, {record.job.state.value.lower()}",
        trail,
        blocks=tuple(blocks),
        reload_seconds=None if record.settled_by_try is not None else 15,
    )


def shown_record(records: Sequence[JobRecord], chosen: int | None) -> JobRecord | None:
    """The record of the chosen try, else the one submitted last."""
    tried = [record for record in records if chosen is None or record.attempt.try_number == chosen]
    return max(
        tried or records, key=lambda record: (record.attempt.try_number, str(record.times.submitted)), default=None
    )


def _no_job(place: TaskPlace) -> Notice:
    state = f" Airflow says it is {place.state}." if place.state else ""
    lines = (
        f"The ledger holds no record of this task instance.{state}",
        "A record is written when a job task submits its job; tasks of other operators have none.",
    )
    return Notice("soft", "No job of this task is known", lines)


def _yaml(source: str, source_url: str) -> Fact:
    """Where the task stands in its YAML, as a link where the settings say where that can be read."""
    if not source:
        return Fact(
            "YAML", cells.text("not said"), "The task stands in no YAML, or an older version submitted its job."
        )
    file, _, place = source.partition(":")
    line = place.partition(":")[0]
    where = source_url.replace("{file}", quote(file)).replace("{line}", quote(line))
    is_address = urlsplit(where).scheme in _ADDRESSES
    hint = "" if is_address else "From the DAG file's folder. [doeks] source_url makes it a link."
    return Fact("YAML", Cell(source, href=where if is_address else ""), hint)


def _state(record: JobRecord, yaml: Fact) -> Facts:
    times, job = record.times, record.job
    waited = cells.seconds_between(times.submitted, times.scheduled or times.started)
    started = cells.seconds_between(times.scheduled, times.started)
    facts = (
        Fact("State", cells.state(job.state)),
        Fact("Queued for", cells.duration(waited), "From submission until it was scheduled."),
        Fact("Started in", cells.duration(started), "From there until its driver ran."),
        Fact("Ran for", cells.duration(cells.seconds_between(times.started, times.ended)), "Until the job's end."),
        Fact("Submitted", cells.moment(times.submitted)),
        Fact("Ended", cells.moment(times.ended) if job.state.is_terminal else cells.text("not yet")),
        Fact("Platform", cells.text(f"{job.platform} ({job.type}, {job.engine})")),
        Fact(
            "Billed by", cells.text(", ".join(f"{key}={value}" for key, value in record.cost_tags.items()) or "nobody")
        ),
        Fact("Job", cells.text(job.ref or "no job came to be")),
        yaml,
    )
    return Facts("Job", facts)


def _advice(measures: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            Cell(str(measure.get("message", ""))),
            Cell("; ".join(map(str, measure.get("evidence", ()))), tone="soft"),
            cells.usd(cells.money(measure.get("usd"))),
        )
        for measure in measures
    ]
    heads = (
        Column("Measure"),
        Column("Evidence"),
        Column("USD", is_number=True, hint="What it alone would have saved at most; measures overlap."),
    )
    return Table("advice", "What would have made it cheaper", heads, rows, empty="Nothing to advise.")


_OF_DETAIL: Sequence[Callable[[Mapping[str, Any]], Sequence[Block | None]]] = (
    lambda detail: [column_table(detail.get("columns", {}))],
    lambda detail: [inner_jobs(detail)],
    minute_blocks,
    lambda detail: [_advice(detail.get("advice", ()))],
)


def _told(blocks_of: Callable[[], Sequence[Block | None]], record: JobRecord) -> Sequence[Block]:
    """Blocks of the detail; of a part in another shape, as another version may write it, that it cannot be shown."""
    try:
        return [one for one in blocks_of() if one]
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        log.warning("A part of the detail of record %s cannot be shown", record.record_id, exc_info=True)
        lines = ("Another version of airflow-doeks may have written it; the web server's log says more.",)
        return [Notice("warn", "A part of this job's detail cannot be shown", lines)]


def _log_tail(detail: Mapping[str, Any]) -> Sequence[str]:
    lines = detail.get("log_tail")
    return tuple(map(str, lines)) if isinstance(lines, list) else ()


def _tries(place: TaskPlace, records: Sequence[JobRecord]) -> Table:
    ordered = sorted(records, key=lambda record: (record.attempt.try_number, str(record.times.submitted)))
    rows = [
        (
            Cell(
                str(record.attempt.try_number),
                sort=record.attempt.try_number,
                href=cells.link(
                    "task",
                    dag_id=place.dag_id,
                    run_id=place.run_id,
                    task_id=place.task_id,
                    map_index=place.map_index,
                    try_number=record.attempt.try_number,
                ),
            ),
            cells.state(record.job.state),
            cells.moment(record.times.submitted),
            cells.duration(cells.seconds_between(record.times.submitted, record.times.ended)),
            cells.usd(record.cost.usd_total),
            cells.usd(record.cost.usd_waste),
            Cell(record.failure.message if record.failure else ""),
        )
        for record in ordered
    ]
    heads = (
        Column("Try"),
        Column("State"),
        Column("Submitted"),
        Column("From submission to end", is_number=True),
        Column("USD", is_number=True),
        Column("Waste, USD", is_number=True, hint=WASTE),
        Column("Root cause"),
    )
    hint = "A job that a later try adopted stands under the try that submitted it."
    total = [record.cost.usd_total for record in records]
    whole = None if None in total else sum(filter(None, total), start=cells.ZERO)
    foot = (Cell("all"), Cell(""), Cell(""), Cell(""), cells.usd(whole), Cell(""), Cell(""))
    return Table("tries", "All tries", heads, rows, total=foot, hint=hint)


def _links(record: JobRecord, links: Mapping[str, str]) -> Table:
    """Where the platform shows the job; a path on a worker is no address and is left out."""
    found = {**links, **(record.failure.links if record.failure else {})}
    rows = [(Cell(name), Cell(url, href=url)) for name, url in found.items() if urlsplit(url).scheme in _ADDRESSES]
    heads = (Column("To"), Column("Address"))
    return Table("links", "Links", heads, rows, empty="The platform gave no address of this job.")
