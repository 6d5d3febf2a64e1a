"""Data costs: what each dataset, pipeline, team and platform cost, and which part of the whole that is, over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from airflow_doeks.report.entry import Entry
from airflow_doeks.report.spending import (
    NO_TEAM,
    OverTime,
    Sum,
    Total,
    over_time,
    parts_by_dataset,
    total_by_dataset,
    totals_by,
)
from airflow_doeks.ui import cells
from airflow_doeks.ui.blocks import Block, Cell, Chart, Choice, Column, Page, Series, Table
from airflow_doeks.ui.pages.rows import VCPU_HOURS, sum_facts, sums_table

_STACKED = 8  # keys that get a colour of their own
_HOURLY_DAYS = 3  # a time so short is shown by hour
STEPS = ("day", "hour")
UNKNOWN_PROCESSOR = "unknown"


@dataclass(frozen=True)
class Filters:
    """What of the ledger is asked for; empty texts leave nothing out. Days are UTC and both included."""

    since: date
    until: date
    team: str = ""
    pipeline: str = ""
    platform: str = ""
    step: str = ""

    @property
    def hours(self) -> int:
        """Hours of one step of the charts."""
        step = self.step or ("hour" if (self.until - self.since).days < _HOURLY_DAYS else "day")
        return 1 if step == "hour" else 24

    @property
    def leave_out(self) -> bool:
        """True if an entry of the time may not be asked for."""
        return bool(self.team or self.pipeline or self.platform)

    def takes(self, entry: Entry) -> bool:
        """True if the entry is asked for."""
        asked = (self.team, self.pipeline, self.platform)
        return all(not value or value == own for value, own in zip(asked, _keys(entry), strict=True))

    def choices(self, entries: Sequence[Entry]) -> Sequence[Choice]:
        """The form of these filters; lists hold what the entries have."""
        teams, dags, platforms = (
            (set(names) for names in zip(*set(map(_keys, entries)), strict=True)) if entries else ((),) * 3
        )
        return (
            Choice("since", "From (UTC)", self.since.isoformat(), kind="date"),
            Choice("until", "Until", self.until.isoformat(), kind="date"),
            Choice("team", "Team", self.team, _options(self.team, teams)),
            Choice("pipeline", "Pipeline", self.pipeline, _options(self.pipeline, dags)),
            Choice("platform", "Platform", self.platform, _options(self.platform, platforms)),
            Choice("step", "By", "hour" if self.hours == 1 else "day", STEPS),
        )


def _keys(entry: Entry) -> tuple[str, str, str]:
    """Team, pipeline and platform of an entry: what filters and tables go by."""
    return entry.team or NO_TEAM, entry.dag_id, entry.platform


def _options(value: str, found: Iterable[str]) -> Sequence[str]:
    return ("", *sorted({*found, *([value] if value else [])}))


def costs_page(entries: Sequence[Entry], filters: Filters) -> Page:
    """``entries`` are those of the time that the reader may see, before any other filter."""
    taken = [entry for entry in entries if filters.takes(entry)] if filters.leave_out else entries
    teams, pipelines, platforms = totals_by(taken, _keys) if taken else [Total(Sum("total"))] * 3
    by_dataset = total_by_dataset(taken, teams.whole)
    step = "hour" if filters.hours == 1 else "day"
    series = over_time(taken, _dataset_parts, hours=filters.hours, most=_STACKED)
    blocks: list[Block] = [sum_facts("In this time", by_dataset.whole)]
    if series.times:
        blocks += [
            _chart("usd-datasets", f"Cost of each dataset by {step}", series),
            _share_chart(f"Share of each dataset by {step}", series),
        ]
    dated = {"since": filters.since, "until": filters.until}
    blocks += [
        sums_table(
            "datasets", "Datasets", "Dataset", by_dataset, lambda label: cells.link("dataset", name=label, **dated)
        ),
        _over_time_table(series, step),
        sums_table(
            "pipelines",
            "Pipelines",
            "Pipeline",
            pipelines,
            lambda dag_id: cells.link("dag", dag_id=dag_id, **dated),
        ),
        sums_table("teams", "Teams", "Team", teams),
        sums_table("platforms", "Platforms", "Platform", platforms),
        _capacity_table(taken),
        _processor_table(taken),
    ]
    return Page("Data costs", "What was spent, by whom, and on which data", (), filters.choices(entries), tuple(blocks))


def _dataset_parts(entry: Entry) -> Iterable[tuple[str, Decimal | None]]:
    return ((label, usd) for label, usd, _ in parts_by_dataset(entry))


def _chart(key: str, title: str, series: OverTime) -> Chart:
    drawn = [Series(name, _steps(series), usd) for name, usd in series.values.items()]
    return Chart(key, title, "bars", drawn, "USD", "over-time")


def _steps(series: OverTime) -> Sequence[datetime | str]:
    """Where bars stand: hours in the reader's zone, days as the UTC days that they are."""
    return series.times if series.hours == 1 else [str(at.date()) for at in series.times]


def _share_chart(title: str, series: OverTime) -> Chart:
    """The same in percent of each step: how the workload is made up."""
    sums = [sum(column, Decimal(0)) for column in zip(*series.values.values(), strict=True)]
    drawn = [
        Series(
            name, _steps(series), [100 * part / whole if whole else None for part, whole in zip(usd, sums, strict=True)]
        )
        for name, usd in series.values.items()
    ]
    return Chart("share-datasets", title, "bars", drawn, "%", "over-time")


def _over_time_table(series: OverTime, step: str) -> Table:
    heads = (Column(step.capitalize()), *(Column(name, is_number=True) for name in series.values))
    rows = [
        (
            cells.moment(at) if step == "hour" else Cell(str(at.date())),
            *(cells.usd(usd[number]) for usd in series.values.values()),
        )
        for number, at in enumerate(series.times)
    ]
    return Table("over-time", f"Dollars by {step}", heads, rows[::-1], is_folded=True)


def _capacity_table(entries: Sequence[Entry]) -> Table:
    """vCPU-hours by capacity type."""
    held: dict[str, Decimal] = {}
    for entry in entries:
        for name, seconds in entry.vcpu_seconds_by_capacity:
            held[name] = held.get(name, Decimal(0)) + seconds
    return _shares("capacity", "Capacity types", "Capacity type", held)


def _processor_table(entries: Sequence[Entry]) -> Table:
    """vCPU-hours on Graviton, on other processors, and where nobody knows."""
    by_types: dict[str, Decimal] = {}
    for entry in entries:
        if entry.vcpu_seconds is not None:
            by_types[entry.priced_as] = by_types.get(entry.priced_as, Decimal(0)) + entry.vcpu_seconds
    held: dict[str, Decimal] = {}
    for types, seconds in by_types.items():
        name = _processor(types)
        held[name] = held.get(name, Decimal(0)) + seconds
    hint = (
        "By the instance type that a job is priced as. Of jobs on nodes that were seen, and of jobs with several "
        "types, the record holds none: they are unknown, not other."
    )
    return _shares("processors", "Processors", "Processor", held, hint)


def _processor(priced_as: str) -> str:
    kinds = {is_graviton(one.strip()) for one in priced_as.split(",") if one.strip()}
    if len(kinds) != 1:
        return UNKNOWN_PROCESSOR
    return "Graviton (ARM)" if kinds.pop() else "other than Graviton"


def _shares(key: str, title: str, name: str, held: Mapping[str, Decimal], hint: str = "") -> Table:
    whole = sum(held.values(), Decimal(0))
    rows = [
        (Cell(one), cells.hours(seconds), cells.share(seconds / whole if whole else None))
        for one, seconds in sorted(held.items(), key=lambda pair: -pair[1])
    ]
    heads = (
        Column(name),
        Column("vCPU-hours", is_number=True, hint=VCPU_HOURS),
        Column("Share", is_number=True, hint="Of the vCPU-hours of the whole table."),
    )
    return Table(key, title, heads, rows, hint=hint, empty="No usage is known.")


def is_graviton(instance_type: str) -> bool:
    """True for AWS's ARM instances: the family's letters after its generation hold a g, as in m7g, c6gd, x2gd."""
    family = instance_type.split(".", 1)[0]
    letters = family.lstrip("abcdefghijklmnopqrstuvwxyz").lstrip("0123456789")
    return "g" in letters.partition("-")[0]
