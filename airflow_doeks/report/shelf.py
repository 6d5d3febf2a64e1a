"""Entries of the ledger kept in memory, day by day; what is new or changed is read again, the rest is not.

A reader waits only as long as it wants to: reading goes on in a thread, and what is not there yet is told. Days that
may still change are looked at for every reader, older ones every few minutes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any, Protocol

from airflow_doeks.model.errors import DoeksError
from airflow_doeks.report.entry import Entry, entry_from_json

log = logging.getLogger(__name__)
_ONE_DAY = timedelta(days=1)
_HOT_DAYS = 2  # today and yesterday: jobs are submitted and settled there
_SETTLED_SECONDS = 300.0  # an older day whose records are all settled is listed again after this
_UNSETTLED_SECONDS = 2.0  # any other day


class Source(Protocol):
    """Where records are: `ledger.Changes`."""

    def stamps(self, since: date, until: date) -> dict[str, dict[str, str]]:
        """Day -> name -> stamp of the objects that hold records."""

    def values(self, names: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name and JSON of the records in these objects."""


@dataclass(frozen=True)
class Seen:
    """What a reader got.

    Attributes:
        version: another one as soon as anything on the shelf changed.
        missing: days that are still being read.
        error: why the ledger cannot be read, in words; what was read before is given all the same.
    """

    entries: Sequence[Entry]
    version: int = 0
    missing: int = 0
    error: str = ""


@dataclass
class _Day:
    """One day as it was last seen: its objects, and the entries of each."""

    listed: float
    stamps: Mapping[str, str] = field(default_factory=dict)
    by_name: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    entries: Sequence[Entry] = ()
    is_whole: bool = True

    @property
    def is_settled(self) -> bool:
        return self.is_whole and all(entry.is_settled for entry in self.entries)


class Shelf:
    """Entries by day; may be asked from any thread."""

    def __init__(
        self,
        source: Source,
        *,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], date] = lambda: datetime.now(timezone.utc).date(),
    ) -> None:
        self._source, self._clock, self._today = source, clock, today
        self._days: dict[str, _Day] = {}
        self._reading = threading.Lock()  # one thread reads at a time
        self._error = ""
        self._version = 0

    def look(self, days: Iterable[date], *, wait_seconds: float) -> Seen:
        """Entries of some days (UTC), after waiting at most so long for what is new."""
        latest = self._today() + _ONE_DAY  # a clock may be ahead
        names = sorted({day.isoformat() for day in days if day <= latest})
        if self._due(names):
            reader = threading.Thread(target=self._read, args=(names,), daemon=True, name="doeks-shelf")
            reader.start()
            reader.join(wait_seconds)
        version = self._version  # before the days: what changes meanwhile is newer than what is given
        found = [self._days.get(name) for name in names]
        entries = _newest(entry for day in found if day is not None for entry in day.entries)  # of two days at midnight
        return Seen(entries, version, sum(day is None for day in found), self._error)

    def _due(self, days: Sequence[str]) -> list[str]:
        """Days of which a change may have been missed, newest first."""
        now, hot = self._clock(), (self._today() - _HOT_DAYS * _ONE_DAY).isoformat()
        due = []
        for name in reversed(days):
            day = self._days.get(name)
            is_quiet = day is not None and day.is_settled and name <= hot
            if day is None or now - day.listed > (_SETTLED_SECONDS if is_quiet else _UNSETTLED_SECONDS):
                due.append(name)
        return due

    def _read(self, days: Sequence[str]) -> None:
        with self._reading:
            now, due = self._clock(), self._due(days)  # another thread may have read them meanwhile
            error = "reading it broke off"
            try:
                for since, until in _stretches(due):
                    stamps = self._source.stamps(date.fromisoformat(since), date.fromisoformat(until))
                    for name in (day for day in due if since <= day <= until):
                        self._keep(name, self._updated(name, stamps.get(name, {}), now))
                error = ""
            except (OSError, DoeksError) as failure:
                log.warning("The ledger cannot be read: %s", failure)
                error = _in_words(failure)
            finally:  # what is not foreseen ends this thread, with its traceback, and its readers are told
                self._error = error

    def _keep(self, name: str, day: _Day) -> None:
        known = self._days.get(name)
        self._days[name] = day
        if known is None or known.entries is not day.entries:
            self._version += 1

    def _updated(self, name: str, stamps: Mapping[str, str], now: float) -> _Day:
        """The day with what changed read again."""
        known = self._days.get(name) or _Day(listed=now)
        if known.stamps == stamps and name in self._days:
            return _Day(now, stamps, known.by_name, known.entries)  # stamps lack what was silent, so all is there
        changed = [place for place, stamp in stamps.items() if known.stamps.get(place) != stamp]
        by_name = {place: found for place, found in known.by_name.items() if place in stamps}
        fresh: dict[str, list[Entry]] = {}
        for place, value in self._source.values(changed):
            found = fresh.setdefault(place, [])
            if entry := _entry(value, name, place):
                found.append(entry)
        by_name |= {place: tuple(found) for place, found in fresh.items()}
        silent = set(changed) - fresh.keys()  # could not be read for now: no stamp, so that it is tried again
        stamps = {place: stamp for place, stamp in stamps.items() if place not in silent}
        entries = _newest(entry for found in by_name.values() for entry in found)
        return _Day(now, stamps, by_name, entries, is_whole=not silent)  # a compaction may have moved what is silent


def _entry(value: Mapping[str, Any], day: str, place: str) -> Entry | None:
    try:
        return entry_from_json(value, day)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        log.warning("%s is skipped, it is no record: %r", place, error)
        return None


def _newest(entries: Iterable[Entry]) -> Sequence[Entry]:
    """The newest revision of each record."""
    newest: dict[str, Entry] = {}
    for entry in entries:
        other = newest.get(entry.record_id)
        if other is None or _rank(entry) > _rank(other):
            newest[entry.record_id] = entry
    return tuple(newest.values())


def _in_words(failure: Exception) -> str:
    """What a reader is told; addresses and the store's own words stand in the log."""
    if isinstance(failure, PermissionError):
        return "access to it was denied"
    return "it is not there" if isinstance(failure, FileNotFoundError) else "its store does not answer"


def _rank(entry: Entry) -> tuple[int, bool]:
    return entry.revision, entry.is_settled


def _stretches(days: Sequence[str]) -> Iterator[tuple[str, str]]:
    """First and last day of each row of neighbours among days that stand newest first; newest stretch first."""
    first = last = ""
    for day in days:
        if first and (date.fromisoformat(first) - _ONE_DAY).isoformat() == day:
            first = day
            continue
        if first:
            yield first, last
        first = last = day
    if first:
        yield first, last
