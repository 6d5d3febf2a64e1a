"""What `doeks run` shows: a line per task while it runs, then tables of what the jobs did and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from rich.box import SIMPLE
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text
from typing_extensions import Self

from airflow_doeks.cli.figures import UNKNOWN, count, hours, percent, size
from airflow_doeks.cli.names import Name
from airflow_doeks.cli.run_records import tries_before
from airflow_doeks.cli.tables import print_table
from airflow_doeks.model.lineage import Dataset
from airflow_doeks.model.record import JobRecord
from airflow_doeks.platforms.registry import TYPES

_STYLE: dict[str, Any] = {"title_justify": "left", "box": SIMPLE, "show_edge": False, "pad_edge": False}
_FIRST_FIGURE, _FIRST_OF_DATA = 2, 6  # among the columns of the tables of tasks
_WORDS = {  # Airflow's state -> ours and its colour
    None: ("waits", "dim"),
    "scheduled": ("waits", "dim"),
    "queued": ("running", "cyan"),
    "running": ("running", "cyan"),
    "deferred": ("running", "cyan"),
    "up_for_retry": ("waits for its retry", "yellow"),
    "success": ("done", "green"),
    "failed": ("failed", "red"),
    "never started": ("never started", "yellow"),
    "upstream_failed": ("not run", "yellow"),
    "skipped": ("skipped", "dim"),
}


@dataclass(frozen=True)
class TaskView:
    """One task instance as the metadata has it."""

    name: str
    state: str | None
    started: datetime | None = None
    ended: datetime | None = None
    why: str | None = None  # of a task that failed
    log: Path | None = None

    @property
    def shown(self) -> str | None:
        """The state to show: a task is under way between deferral and resumption; one that never ran did not fail."""
        if self.state == "failed" and self.started is None:
            return "never started"
        return "deferred" if self.state == "scheduled" and self.started else self.state

    def elapsed(self, now: datetime) -> float | None:
        """Seconds since its start, up to its end; None before the start."""
        return None if self.started is None else ((self.ended or now) - self.started).total_seconds()


class Progress:
    """Task states while the run goes on: a table that changes on a terminal, a line per change elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        # Nothing of Airflow's log may run through the table, and no thread may be there when a task's process forks.
        self._live = (
            Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
            if console.is_terminal
            else None
        )
        self._told: dict[str, str] = {}

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, tasks: Sequence[TaskView], now: datetime | None = None) -> None:
        """Show the states as they are now; may be called as often as one likes."""
        moment = now or datetime.now(timezone.utc)
        if self._live:
            table = Table("Task", "State", "Elapsed", box=None, pad_edge=False)
            for task in tasks:
                word, colour = _words(task.shown)
                table.add_row(Name(task.name), Text(word, colour), _seconds(task.elapsed(moment)))
            self._live.update(table, refresh=True)
            return
        for task in tasks:
            word, _ = _words(task.shown)
            if word != self._told.get(task.name) and not (word == "waits" and task.name not in self._told):
                self._told[task.name] = word
                say(self.console, f"  {task.name:<28} {word:<10} {_seconds(task.elapsed(moment)):>8}")


def print_report(
    console: Console, tasks: Sequence[TaskView], records: Sequence[JobRecord], *, state: str, ledger: str, home: str
) -> None:
    """The tables at the end of a run."""
    by_task: dict[str, list[JobRecord]] = {}
    for record in records:
        by_task.setdefault(task_name(record), []).append(record)
    shares = _share_table(records)
    for table in (*_task_tables(console, tasks, by_task), *([shares] if shares.row_count else [])):
        console.print()
        print_table(console, table)
    _say_failures(console, tasks, by_task)
    for record in records:
        if record.cost.usd_total is None:
            say(console, f"{task_name(record)} has no price: {record.cost.why_unknown}")
    tries, wasted = tries_before(records)
    if tries:
        again = "1 failed try that was" if tries == 1 else f"{tries} failed tries that were"
        say(console, f"In these figures: {again} made again, {_usd(wasted)} USD, all waste")
    if dollars := "; ".join(_of_dollars(records)):
        say(console, f"Dollars: {dollars}")
    say(console, "Run: ", _words(state), f"\nRecords: {ledger}\nAirflow: {home}")


def _of_dollars(records: Sequence[JobRecord]) -> Iterator[str]:
    """What the dollars are where this machine ran the jobs, and what is not in them."""
    here = sorted({one.cost.priced_as for one in records if one.cost.priced_as and TYPES[one.job.type].runs_here})
    if here:
        yield f"wall time of this machine, as if on {', '.join(here)}"
    unknown = dict.fromkeys(name for record in records for name in record.cost.unknown if record.cost.usd_total)
    if unknown:
        yield f"not in them: {', '.join(unknown)} (each record says why)"


def _say_failures(console: Console, tasks: Sequence[TaskView], by_task: Mapping[str, Sequence[JobRecord]]) -> None:
    """Why tasks failed: what the record of a job says, else the task's own words and where it logged."""
    for record in (record for found in by_task.values() for record in found):
        if record.failure is not None:
            why = f" ({record.failure.category}): {record.failure.message}"
            is_retried = len(by_task[task_name(record)]) > 1
            which = f" (try {record.attempt.try_number})" if is_retried else ""
            say(console, (f"{task_name(record)}{which} failed", "red"), why)
            for name, url in record.failure.links.items():
                say(console, f"  {name}: {url}")
    for task in tasks:
        if task.why and not any(record.failure for record in by_task.get(task.name, ())):
            say(console, (f"{task.name} failed", "red"), f": {task.why}\n  Log: {task.log}")


def say(console: Console, *parts: str | tuple[str, str]) -> None:
    """Print a line of texts, or of pairs of text and style; square brackets are text, and nothing is wrapped."""
    console.print(Text.assemble(*parts), soft_wrap=True)


def task_name(record: JobRecord) -> str:
    """Task id, with the index of a mapped task."""
    attempt = record.attempt
    return attempt.task_id if attempt.map_index < 0 else f"{attempt.task_id}[{attempt.map_index}]"


def total_usd(records: Sequence[JobRecord]) -> Decimal | None:
    """Sum of the records; None if one of them is unknown."""
    total: Decimal | None = _sum([record.cost.usd_total for record in records])
    return total


def _task_tables(
    console: Console, tasks: Sequence[TaskView], by_task: Mapping[str, Sequence[JobRecord]]
) -> list[Table]:
    """A line a task; where the terminal is too narrow for that, in two tables."""
    records = [record for found in by_task.values() for record in found]
    priced_as = sorted({record.cost.priced_as for record in records if record.cost.priced_as})
    usd = f"USD if on {', '.join(priced_as)}" if priced_as else "USD"
    heads = ("Task", "State", "Duration", "vCPU-h", "GiB-h", usd, "Rows in", "Rows out", "Bytes in", "Bytes out")
    foot = ("Total", "", "", *_figures(records))
    lines: list[tuple[str | Text | Name, ...]] = []
    for task in tasks:
        seconds = _seconds(task.elapsed(task.ended or datetime.now(timezone.utc)))
        figures = _figures(by_task.get(task.name, ()))
        lines.append((Name(task.name), Text(*_words(task.shown)), seconds, *figures))

    def table(title: str, columns: Sequence[int]) -> Table:
        made = Table(title=title, **_STYLE, show_footer=True)
        for column in columns:
            justify: Literal["left", "right"] = "left" if column < _FIRST_FIGURE else "right"
            made.add_column(heads[column], foot[column], justify=justify, no_wrap=column > 0)
        for line in lines:
            made.add_row(*(line[column] for column in columns))
        return made

    whole = table("Tasks", range(len(heads)))
    if console.measure(whole, options=console.options.update(width=10 * console.width)).maximum <= console.width:
        return [whole]
    return [table("Tasks", range(_FIRST_OF_DATA)), table("Data", (0, *range(_FIRST_OF_DATA, len(heads))))]


def _figures(records: Sequence[JobRecord]) -> tuple[str, ...]:
    if not records:
        return ("",) * 7
    inputs = [dataset for record in records for dataset in record.lineage.inputs]
    outputs = [dataset for record in records for dataset in record.lineage.outputs]
    return (
        hours(_sum([record.usage.vcpu_seconds for record in records])),
        hours(_sum([record.usage.memory_gib_seconds for record in records])),
        _usd(total_usd(records)),
        count(_sum([dataset.rows for dataset in inputs])) if inputs else "",
        count(_sum([dataset.rows for dataset in outputs])) if outputs else "",
        size(_sum([dataset.bytes for dataset in inputs])) if inputs else "",
        size(_sum([dataset.bytes for dataset in outputs])) if outputs else "",
    )


def _share_table(records: Sequence[JobRecord]) -> Table:
    table = Table(title="What each dataset cost", **_STYLE)
    for head in ("Dataset", "Written by"):
        table.add_column(head)
    for head in ("Rows", "Bytes", "Files", "USD", "Share of run"):
        table.add_column(head, justify="right", no_wrap=True)
    total = total_usd(records)
    folder = _common_folder([output for record in records for output in record.lineage.outputs])
    written: dict[tuple[str, str], list[Dataset]] = {}
    for record in records:
        for output in record.lineage.outputs:
            written.setdefault((output.name, task_name(record)), []).append(output)
    for (name, task), outputs in written.items():
        rows, bytes_, files, usd = (
            _sum([getattr(d, key) for d in outputs]) for key in ("rows", "bytes", "files", "usd")
        )
        shown = name.removeprefix(folder) if folder else name
        counts = (count(rows), size(bytes_), count(files))
        table.add_row(Name(shown), Name(task), *counts, _usd(usd), _percent(usd, total))
    loose = _sum([record.cost.usd_unattributed for record in records])
    if loose:
        table.add_row("no dataset", "", "", "", "", _usd(loose), _percent(loose, total))
    if folder:
        table.caption = Text(f"below {folder}")
        table.caption_justify = "left"
    return table


def _common_folder(datasets: Sequence[Dataset]) -> str:
    parts = [dataset.name.split("/") for dataset in datasets]
    common: list[str] = []
    for column in zip(*parts, strict=False):
        if len(set(column)) > 1:
            break
        common.append(column[0])
    return "/".join(common) + "/" if len(common) > 1 and len(parts) > 1 else ""


def _words(state: str | None) -> tuple[str, str]:
    return _WORDS.get(state, (str(state), "yellow"))


def _sum(values: Sequence[Any]) -> Any:
    """None as soon as one is unknown, and of nothing."""
    return None if not values or any(value is None for value in values) else sum(values)


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s"


def _usd(amount: Decimal | None) -> str:
    """Six places in every line, so that a column of a run's small sums can be compared."""
    return UNKNOWN if amount is None else f"{amount:.6f}"


def _percent(part: Decimal | None, whole: Decimal | None) -> str:
    return percent(part / whole if part is not None and whole else None)
