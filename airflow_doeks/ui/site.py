"""From a URL's query to a page: what the web frameworks of Airflow 2 and 3 share. Rights were checked before."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta, timezone
from typing import Protocol

from airflow_doeks.ledger import Ledger
from airflow_doeks.lifecycle.records import record_id
from airflow_doeks.model.record import JobRecord
from airflow_doeks.report.entry import Entry, entry_of
from airflow_doeks.report.shelf import Seen, Shelf
from airflow_doeks.ui.blocks import Choice, Notice, Page
from airflow_doeks.ui.csv_file import csv_text
from airflow_doeks.ui.html import HEADERS, render, whole_number
from airflow_doeks.ui.pages.airflow_facts import Announced, Missed, RunTimes, TaskTimes
from airflow_doeks.ui.pages.costs import STEPS, Filters, costs_page
from airflow_doeks.ui.pages.dag import dag_page
from airflow_doeks.ui.pages.dataset import dataset_page
from airflow_doeks.ui.pages.run import HISTORY, run_page
from airflow_doeks.ui.pages.task import TaskPlace, shown_record, task_page

Query = Mapping[str, str]
Readable = Callable[[set[str]], set[str]]  # which of some DAGs the person may read

_DEFAULT_DAYS = 30
_MOST_DAYS = 400
_LONG_RUN_DAYS = 7  # of a longer one only the days of its tries' starts and ends are read
_ONE_DAY = timedelta(days=1)
_JOB_WAIT_SECONDS = 0.25  # for what a page is about; the newest jobs of its tasks are found without waiting
_MOST_FOUND = 64  # so many of them
_READERS = 8
_HISTORY_WAIT_SECONDS = 0.2  # for what stands beside it
_COSTS_WAIT_SECONDS = 1.5
_RELOAD_SECONDS = 3
_FIRST_YEAR = 1970
_KEPT_PAGES = 16
_DAY_IN_RUN_ID = re.compile(r"\d{4}-\d\d-\d\d")


class BadQuery(ValueError):
    """A URL that no page can answer, with words for its reader."""


class Metadata(Protocol):
    """What Airflow knows: the module ``metadata``."""

    def run_times(self, dag_id: str, run_id: str) -> RunTimes | None:
        """A run; None if Airflow has none of that id."""

    def runs_before(self, dag_id: str, started: datetime, count: int) -> list[RunTimes]:
        """The newest runs of a DAG that started before a moment, oldest first."""

    def tries_of(self, dag_id: str, run_id: str) -> list[TaskTimes]:
        """Every try of every task of a run."""

    def announced(self, dag_id: str, run_id: str) -> dict[tuple[str, int], Announced]:
        """What the newest try of each task of a run said of its job, by task id and map index."""

    def missed_deadlines(self, dag_id: str, since: datetime, until: datetime) -> list[Missed] | None:
        """Deadlines that passed before their run ended; None if this Airflow knows no deadlines."""


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    body: str
    status: int = 200
    media_type: str = "text/html; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=lambda: HEADERS)


class Site:
    """The pages over one ledger; may be asked from any thread."""

    def __init__(
        self,
        ledger: Ledger,
        shelf: Shelf,
        metadata: Metadata,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        *,
        source_url: str = "",
    ) -> None:
        self._ledger, self._shelf, self._metadata, self._now = ledger, shelf, metadata, now
        self._source_url = source_url
        self._kept: dict[tuple[Filters, frozenset[str], int], Page] = {}
        self._pages: Mapping[str, Callable[[Query, Readable], Page]] = {
            "task": self._task,
            "run": self._run,
            "dag": self._dag,
            "costs": self._costs,
            "dataset": self._dataset,
        }

    def answer(self, name: str, query: Query, readable: Readable) -> Answer:
        """A page, or with ``csv`` in the query one of its tables as CSV; 400 with words for what cannot be answered.

        The caller has checked that the person may read ``query["dag_id"]`` where a page takes one.
        """
        try:
            page = self._pages[name](query, readable)
        except BadQuery as error:
            page = Page("This page cannot be shown", blocks=(Notice("bad", str(error)),))
            return Answer(render(page, query), 400)
        if key := query.get("csv"):
            table = page.table(key)
            if table is None:
                return Answer("no such table\n", 404, "text/plain; charset=utf-8")
            headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}-{table.key}.csv"'}
            return Answer(csv_text(table), 200, "text/csv; charset=utf-8", headers)
        return Answer(render(page, query))

    def _task(self, query: Query, _readable: Readable) -> Page:
        dag_id, run_id, task_id = _needed(query, "dag_id", "run_id", "task_id")
        index, chosen = whole_number(query.get("map_index", "")), whole_number(query.get("try_number", ""))
        map_index = -1 if index is None else index  # Airflow leaves {MAP_INDEX} as it is where there is none
        run, tries = self._metadata.run_times(dag_id, run_id), self._metadata.tries_of(dag_id, run_id)
        own = [one for one in tries if (one.task_id, one.map_index) == (task_id, map_index)]
        seen = self._shelf.look(_days(run_id, run, own), wait_seconds=_JOB_WAIT_SECONDS)
        place = TaskPlace(
            dag_id, run_id, task_id, map_index, max(own, key=lambda o: o.try_number).state if own else None
        )
        wanted = (dag_id, run_id, task_id, map_index)
        found = [e for e in seen.entries if (e.dag_id, e.run_id, e.task_id, e.map_index) == wanted]
        told = self._metadata.announced(dag_id, run_id).get((task_id, map_index), Announced())
        records = [record for entry in found if (record := self._record(entry))]
        records += self._found(dag_id, [told], {record.record_id for record in records})
        shown = shown_record(records, chosen)
        detail = self._ledger.read_detail(shown) if shown and shown.detail else {}
        page = task_page(place, records, detail, told, chosen=chosen, source_url=self._source_url)
        return _told(page, seen)

    def _record(self, entry: Entry) -> JobRecord | None:
        """The whole record of an entry, with what the bill said."""
        record = self._ledger.find(entry.record_id, datetime.fromisoformat(f"{entry.day}T12:00:00+00:00"))
        return record and record.model_copy(update={"actual": self._ledger.read_bill(record)})

    def _found(self, dag_id: str, announced: Iterable[Announced], known: set[str]) -> list[JobRecord]:
        """Records of announced jobs that the shelf does not hold yet: one read each, whatever else is in the ledger.

        Only those of the DAG that the person may read: what is announced is an XCom, which any task can write.
        """
        wanted = [(record_id(told.ref, ""), told.submitted) for told in announced if told.ref and told.submitted]
        wanted = [(key, submitted) for key, submitted in wanted if key not in known][:_MOST_FOUND]
        if not wanted:
            return []
        with ThreadPoolExecutor(_READERS) as pool:
            found = [record for record in pool.map(lambda one: self._ledger.find(*one), wanted) if record]
        return [record for record in found if record.attempt.dag_id == dag_id]

    def _run(self, query: Query, _readable: Readable) -> Page:
        dag_id, run_id = _needed(query, "dag_id", "run_id")
        run = self._metadata.run_times(dag_id, run_id) or RunTimes(run_id, None)
        tries = self._metadata.tries_of(dag_id, run_id)
        seen = self._shelf.look(_days(run_id, run, tries), wait_seconds=_JOB_WAIT_SECONDS)
        entries = [entry for entry in seen.entries if (entry.dag_id, entry.run_id) == (dag_id, run_id)]
        announced = self._metadata.announced(dag_id, run_id)
        if seen.missing:
            found = self._found(dag_id, announced.values(), {entry.record_id for entry in entries})
            entries += [entry_of(record) for record in found if record.attempt.run_id == run_id]
        before = self._metadata.runs_before(dag_id, run.started, HISTORY) if run.started else []
        days = {day for one in before for day in _days(one.run_id, one, ())}
        past = self._shelf.look(days, wait_seconds=_HISTORY_WAIT_SECONDS) if days else Seen(())
        by_run: dict[str, list[Entry]] = {one.run_id: [] for one in before}
        for entry in past.entries:
            if entry.dag_id == dag_id and entry.run_id in by_run:
                by_run[entry.run_id].append(entry)
        history = [*((one, by_run[one.run_id]) for one in before), (run, entries)]
        page = run_page(dag_id, run, tries, entries, history if not past.missing else (), announced=announced)
        return _told(page, Seen((), 0, seen.missing + past.missing, seen.error or past.error))

    def _dag(self, query: Query, _readable: Readable) -> Page:
        (dag_id,) = _needed(query, "dag_id")
        filters, seen = self._asked(query)
        entries = [entry for entry in seen.entries if entry.dag_id == dag_id]
        missed = self._metadata.missed_deadlines(dag_id, _midnight(filters.since), _midnight(filters.until + _ONE_DAY))
        choices = (Choice("dag_id", "", dag_id, kind="hidden"), *filters.choices(())[:2])
        return _told(dag_page(dag_id, entries, choices, missed), seen)

    def _costs(self, query: Query, readable: Readable) -> Page:
        filters, seen = self._asked(query)
        dag_ids = readable({entry.dag_id for entry in seen.entries})
        return _told(self._kept_costs(filters, frozenset(dag_ids), seen), seen)

    def _kept_costs(self, filters: Filters, dag_ids: frozenset[str], seen: Seen) -> Page:
        """The page over many records, made once for all who may read the same DAGs, until a record changes."""
        key = (filters, dag_ids, seen.version)
        page = self._kept.get(key)
        if page is None:
            page = costs_page([entry for entry in seen.entries if entry.dag_id in dag_ids], filters)
            while len(self._kept) >= _KEPT_PAGES:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[key] = page
        return page

    def _dataset(self, query: Query, readable: Readable) -> Page:
        (label,) = _needed(query, "name")
        filters, seen = self._asked(query)
        return _told(dataset_page(label, _allowed(seen.entries, readable), filters), seen)

    def _asked(self, query: Query) -> tuple[Filters, Seen]:
        today = self._now().date()
        until = _date(query, "until") or today
        since = _date(query, "since") or until - (_DEFAULT_DAYS - 1) * _ONE_DAY
        if not timedelta(0) <= until - since < _MOST_DAYS * _ONE_DAY:
            msg = f"from {since} until {until}: expected a time of 1 to {_MOST_DAYS} days, the first day first"
            raise BadQuery(msg)
        step = query.get("step", "")
        filters = Filters(
            since=since,
            until=until,
            team=query.get("team", ""),
            pipeline=query.get("pipeline", ""),
            platform=query.get("platform", ""),
            step=step if step in STEPS else "",
        )
        return filters, self._shelf.look(_range(since, until), wait_seconds=_COSTS_WAIT_SECONDS)


def _needed(query: Query, *names: str) -> list[str]:
    missing = [name for name in names if not query.get(name)]
    if missing:
        msg = f"the address lacks {' and '.join(missing)}: open the page from its tab in Airflow"
        raise BadQuery(msg)
    return [query[name] for name in names]


def _date(query: Query, name: str) -> date | None:
    text = query.get(name)
    if not text:
        return None
    day = _day(text)
    if day is None:
        msg = f"{name}={text}: expected a day such as 2026-11-20"
        raise BadQuery(msg)
    return day


def _day(text: str) -> date | None:
    """A day on which jobs may have run; None for another, whose neighbours may not be on the calendar."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if _FIRST_YEAR <= day.year < date.max.year else None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), timezone.utc)


def _range(since: date, until: date) -> Iterable[date]:
    return (since + number * _ONE_DAY for number in range((until - since).days + 1))


def _days(run_id: str, run: RunTimes | None, tries: Sequence[TaskTimes]) -> set[date]:
    """UTC days on which jobs of a run may have been submitted; of a run that is gone, those that its id names."""
    spans: list[TaskTimes | RunTimes] = [*tries, *([run] if run else [])]
    moments = [at for one in spans for at in (one.started, one.ended)]
    days = {at.astimezone(timezone.utc).date() for at in moments if at is not None}
    if not days:
        named = map(_day, _DAY_IN_RUN_ID.findall(run_id))
        days = {day + more * _ONE_DAY for day in named if day for more in (0, 1)}
    elif (max(days) - min(days)).days <= _LONG_RUN_DAYS:
        days = set(_range(min(days), max(days)))
    return {day + more * _ONE_DAY for day in days for more in (-1, 0)}  # clocks may disagree about midnight


def _allowed(entries: Sequence[Entry], readable: Readable) -> list[Entry]:
    dag_ids = readable({entry.dag_id for entry in entries})
    return [entry for entry in entries if entry.dag_id in dag_ids]


def _told(page: Page, seen: Seen) -> Page:
    """The page with a word on what of the ledger is not in it."""
    if seen.error:
        lines = (f"[doeks] ledger_path: {seen.error}. What was read before is shown; the web server's log says more.",)
        return replace(page, blocks=(Notice("bad", "The ledger cannot be read", lines), *page.blocks))
    if seen.missing:
        lines = (f"{seen.missing} days are still being read; this page loads itself again.",)
        notice = Notice("warn", "Not all of the ledger is read yet", lines)
        return replace(page, blocks=(notice, *page.blocks), reload_seconds=_RELOAD_SECONDS)
    return page
