"""Records by the UTC day of their submission, one object each; a day that was compacted is one more object.

    v1/submitted=2026-11-20/<record_id>.json             the record; a later writer raises ``revision``
    v1/submitted=2026-11-20/<record_id>.actual.json      what the bill said a day later
    v1/submitted=2026-11-20/<record_id>.detail.json.zst  what is too large for the record
    v1/submitted=2026-11-20/part.jsonl.zst               records of a compacted day, a line each

A reader takes the highest revision of each record, wherever it stands. An object that cannot be read is named in a
warning and skipped: one broken file never hides the others.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache
from itertools import groupby
from typing import Any, TypeVar

import zstandard
from pydantic import TypeAdapter

from airflow_doeks.model.errors import DoeksBug
from airflow_doeks.model.noun import keep_unknown
from airflow_doeks.model.record import JobRecord
from airflow_doeks.model.stores import READERS, ByteStore

log = logging.getLogger(__name__)
T = TypeVar("T")

_ROOT = "v1/submitted="
_DAY_FOLDER = re.compile(r"(?:v1/submitted|v2/[a-z]+/day)=(\d{4}-\d\d-\d\d)")
PART = "part.jsonl.zst"
ACTUAL = ".actual.json"
_DETAIL = ".detail.json.zst"
_YOUNG = timedelta(days=3)  # a day that ended later than this ago is not compacted yet
NEAR_MIDNIGHT = timedelta(hours=1)  # clocks of Airflow and a platform may disagree about the day of a submission
_ONE_DAY = timedelta(days=1)
bill_of = TypeAdapter(dict[str, str]).validate_json  # ValueError for what is no bill


class Ledger:
    """The records of a store; holds nothing open."""

    def __init__(self, store: ByteStore) -> None:
        self.store = store

    def write(self, record: JobRecord, detail: Mapping[str, Any] | None = None) -> JobRecord:
        """Write the record, and its detail beside it, and give it with the revision it got.

        Writing the same again changes nothing, and a record of a running job never replaces a settled one. What a newer
        version wrote into the record and this one does not know is kept. Reads the store once, beside midnight twice.
        OSError also if what stands there cannot be read for now: what is newer would be written over.
        """
        name, known = self._place(record)
        if known is not None:
            record = keep_unknown(record, known)
            if (
                record.actual is None and known.actual is not None
            ):  # of a compacted day, whose bills stand in the record
                record = record.model_copy(update={"actual": known.actual})
            same = known.model_copy(update={"revision": record.revision})
            if same == record or (known.settled_by_try is not None and record.settled_by_try is None):
                return known
            record = record.model_copy(update={"revision": known.revision + 1})
        if detail:  # first: who is killed in between leaves a job to settle again, not a record without its detail
            packed = zstandard.compress(json.dumps(dict(detail), separators=(",", ":")).encode())
            self.store.write(name.removesuffix(".json") + _DETAIL, packed)
        self.store.write(name, record.model_dump_json().encode())
        return record

    def read_detail(self, record: JobRecord, *, is_needed: bool = False) -> dict[str, Any]:
        """The detail of a record; empty if it has none, and, with a warning, if that cannot be read.

        OSError where it is needed and cannot be read for now: who writes it anew, or concludes from what it does not
        hold, would be wrong.
        """
        read = self._lines if is_needed else self.lines
        for day in _days(_moment(record)):
            name = f"{_folder(day)}{record.record_id}{_DETAIL}"
            if lines := read(name):
                detail = self._parse(json.loads, lines[0], name)
                return detail if isinstance(detail, dict) else {}
        return {}

    def read_bill(self, record: JobRecord) -> dict[str, str] | None:
        """What the bill said of a record's job; None until it has come, and, with a warning, if it cannot be read.

        The bill of a compacted day stands in its record.
        """
        for day in _days(_moment(record)):
            name = f"{_folder(day)}{record.record_id}{ACTUAL}"
            if lines := self.lines(name):
                bill = self._parse(bill_of, lines[0], name)
                return record.actual if bill is None else bill
        return record.actual

    def write_bill(self, record: JobRecord, bill: Mapping[str, str]) -> None:
        """Write what the bill said beside a record that stands here, in the place of what it said before.

        An object of its own: whoever writes the record meanwhile loses nothing. OSError as of ``write``.
        """
        days = _days(_moment(record))
        name = f"{_folder(days[0])}{record.record_id}.json" if len(days) == 1 else self._place(record)[0]
        self.store.write(name.removesuffix(".json") + ACTUAL, json.dumps(dict(bill), sort_keys=True).encode())

    def find(self, record_id: str, submitted: datetime) -> JobRecord | None:
        """The newest revision of one record, by when its job was submitted; midnight's other day is looked at, too.

        Reads the store once, beside midnight twice; of an old day its compacted part as well. Gives no bill.
        """
        return self._look(record_id, submitted)[1]

    def withdraw(self, record_id: str, submitted: datetime) -> None:
        """Take back the record that no job came to be: one did. A record of a job is never taken back."""
        name, known = self._look(record_id, submitted)
        if known is not None and known.job.ref is None:
            self.store.delete(name)

    def records(self, since: date | None = None, until: date | None = None) -> Iterator[JobRecord]:
        """Newest revisions of the records submitted from ``since`` to ``until`` (UTC days, both included), by day.

        With ``since``, only those days are listed, whole months and years at once.
        """
        before: dict[str, JobRecord] = {}
        for _, names in groupby(filter(day_of, self._names(since, until)), key=day_folder):
            today = self._day(list(names))
            for key in before.keys() & today.keys():  # the same record on both sides of midnight
                today[key] = max(before.pop(key), today[key], key=_rank)
            yield from before.values()
            before = today
        yield from before.values()

    def read_day(self, names: list[str]) -> list[JobRecord]:
        """Newest revisions of the records in these objects of one day, each with the bill that is among them."""
        return list(self._day(names).values())

    def _names(self, since: date | None, until: date | None) -> Iterator[str]:
        if since is None:
            last = "~" if until is None else f"{_ROOT}{until.isoformat()}/~"
            yield from (name for name in self.store.list(_ROOT) if name <= last)
            return
        tomorrow = datetime.now(timezone.utc).date() + _ONE_DAY
        for prefix in prefixes(since, min(until or tomorrow, tomorrow)):
            yield from self.store.list(prefix)

    def _day(self, names: list[str]) -> dict[str, JobRecord]:
        """Newest revisions of a day by record id, each with its bill."""
        newest: dict[str, JobRecord] = {}
        bills: dict[str, bytes] = {}
        billed: dict[str, JobRecord] = {}
        readable = [name for name in names if name.endswith((".json", PART))]
        with ThreadPoolExecutor(READERS) as pool:
            found = dict(zip(readable, pool.map(self.lines, readable), strict=True))
            for folder in {day_folder(name) for name, lines in found.items() if not lines}:
                found[folder + "/" + PART] = self.lines(folder + "/" + PART)  # written after it was listed, or read
            for name, lines in found.items():
                for number, line in enumerate(lines, 1):
                    if name.endswith(ACTUAL):
                        bills[name.rsplit("/", 1)[1].removesuffix(ACTUAL)] = line
                    elif record := self._parse(JobRecord.model_validate_json, line, f"{name}, line {number}"):
                        newest[record.record_id] = max(newest.get(record.record_id, record), record, key=_rank)
                        if record.actual:
                            billed[record.record_id] = max(billed.get(record.record_id, record), record, key=_rank)
        for key, one in billed.items():  # a later revision may not know what the bill said
            newest[key] = newest[key].model_copy(update={"actual": one.actual})
        for key in bills.keys() & newest.keys():
            if (actual := self._parse(bill_of, bills[key], f"the bill of {key}")) is not None:
                newest[key] = newest[key].model_copy(update={"actual": actual})
        return newest

    def _place(self, record: JobRecord) -> tuple[str, JobRecord | None]:
        """Where the record stands or shall stand, and what stands there: once written, a record never moves."""
        return self._look(record.record_id, _moment(record), self._lines)

    def _look(
        self, record_id: str, submitted: datetime, read: Callable[[str], list[bytes]] | None = None
    ) -> tuple[str, JobRecord | None]:
        days, read = _days(submitted), read or self.lines
        for day in days:
            name = f"{_folder(day)}{record_id}.json"
            for line in read(name):
                if record := self._parse(JobRecord.model_validate_json, line, name):
                    return name, record
        for day in days:
            if datetime.now(timezone.utc) - datetime.combine(day + _ONE_DAY, time(), timezone.utc) < _YOUNG:
                continue
            part, key = _folder(day) + PART, record_id.encode()
            lines = (line for line in read(part) if key in line)  # of thousands only those are parsed
            found = [self._parse(JobRecord.model_validate_json, line, part) for line in lines]
            if own := [record for record in found if record and record.record_id == record_id]:
                return f"{_folder(day)}{record_id}.json", max(own, key=_rank)
        return f"{_folder(days[0])}{record_id}.json", None

    def lines(self, name: str) -> list[bytes]:
        """The JSON values of an object, undecoded; none, with a warning, if it cannot be read."""
        try:
            return self._lines(name)
        except OSError as error:
            log.warning("%s/%s is skipped, it cannot be read: %s", self.store.url, name, error)
            return []

    def _lines(self, name: str) -> list[bytes]:
        """The same; OSError if it may be read later."""
        try:
            with self.store.open(name) as raw:
                if not name.endswith(".zst"):
                    return [raw.read()]
                with zstandard.ZstdDecompressor().stream_reader(raw) as plain:
                    return [line for line in io.BufferedReader(plain) if line.strip()]
        except FileNotFoundError:
            return []  # compacted between the listing and now: its part is read too
        except (PermissionError, zstandard.ZstdError) as error:  # S3 denies a missing name to who may not list
            log.warning("%s/%s is skipped, it cannot be read: %s", self.store.url, name, error)
            return []

    def _parse(self, read: Callable[[bytes], T], line: bytes, where: str) -> T | None:
        try:
            return read(line)
        except ValueError as error:
            log.warning("%s/%s is skipped: %s", self.store.url, where, str(error).splitlines()[0])
            return None


def _rank(record: JobRecord) -> tuple[int, bool]:
    return record.revision, record.settled_by_try is not None


def _moment(record: JobRecord) -> datetime:
    """The moment that gives a record its day."""
    times = record.times
    moment = times.submitted or times.scheduled or times.started or times.ended
    if moment is None:
        msg = f"record {record.record_id} has no time, so it belongs to no day; report this as a bug"
        raise DoeksBug(msg)
    return moment


def _days(submitted: datetime) -> list[date]:
    """The UTC day of a submission, then, near midnight, the one beside it."""
    found: dict[date, None] = {}
    for shift in (timedelta(0), -NEAR_MIDNIGHT, NEAR_MIDNIGHT):
        with contextlib.suppress(OverflowError):  # at the ends of the calendar there is no such day
            found[(submitted.astimezone(timezone.utc) + shift).date()] = None
    return list(found) or [submitted.date()]


def _folder(day: date) -> str:
    return f"{_ROOT}{day.isoformat()}/"


def prefixes(since: date, until: date) -> Iterator[str]:
    """The fewest prefixes whose names are those of the days from ``since`` to ``until``, in their order."""
    day = since
    while day <= until:
        month_end = day.replace(day=monthrange(day.year, day.month)[1])
        if (day.month, day.day) == (1, 1) and (end := date(day.year, 12, 31)) <= until:
            yield f"{_ROOT}{day.isoformat()[:5]}"
        elif day.day == 1 and (end := month_end) <= until:
            yield f"{_ROOT}{day.isoformat()[:8]}"
        else:
            end = day
            yield _folder(day)
        day = end + _ONE_DAY


def day_folder(name: str) -> str:
    """The folder of a day that an object stands in."""
    return name.rsplit("/", 1)[0]


def day_of(name: str) -> date | None:
    """The day whose folder an object stands in, of records or of a table; None of what others put beside them."""
    return _day_of_folder(day_folder(name))


@lru_cache(1024)
def _day_of_folder(folder: str) -> date | None:
    match = _DAY_FOLDER.fullmatch(folder)
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None
