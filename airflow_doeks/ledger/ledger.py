"""Records by the UTC day of their submission, one object each; a day that was compacted is one more object.

    v1/submitted=2026-11-20/<record_id>.json             the record; a later writer raises ``revision``
    v1/submitted=2026-11-20/<record_id>.actual.json      what the bill said a day later
    v1/submitted=2026-11-20/<record_id>.detail.json.zst  what is too large for the record
    v1/submitted=2026-11-20/part.jsonl.zst               records of a compacted day, a line each

A reader takes the highest revision of each record, wherever it stands. An object that cannot be read is named in a
warning and skipped: one broken file never hides the others.
"""

from __future__ import annotations

import io
import json
import logging
from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, time, timedelta, timezone
from itertools import groupby
from typing import Any, TypeVar

import zstandard

from airflow_doeks.model.errors import DoeksBug
from airflow_doeks.model.noun import keep_unknown
from airflow_doeks.model.record import JobRecord
from airflow_doeks.model.stores import ByteStore

log = logging.getLogger(__name__)
T = TypeVar("T")

_ROOT = "v1/submitted="
PART = "part.jsonl.zst"
ACTUAL = ".actual.json"
_DETAIL = ".detail.json.zst"
_YOUNG = timedelta(days=3)  # a day that ended later than this ago is not compacted yet
_READERS = 10  # objects read at a time; boto3's connection pool holds as many
_NEAR_MIDNIGHT = timedelta(hours=1)  # clocks of Airflow and a platform may disagree about the day of a submission
_ONE_DAY = timedelta(days=1)


class Ledger:
    """The records of a store; holds nothing open."""

    def __init__(self, store: ByteStore) -> None:
        self.store = store

    def write(self, record: JobRecord, detail: Mapping[str, Any] | None = None) -> JobRecord:
        """Write the record, and its detail beside it, and give it with the revision it got.

        Writing the same again changes nothing, and a record of a running job never replaces a settled one. What a newer
        version wrote into the record and this one does not know is kept. Reads the store once, beside midnight twice.
        """
        name, known = self._place(record)
        if known is not None:
            record = keep_unknown(record, known)
            same = known.model_copy(update={"revision": record.revision})
            if same == record or (known.settled_by_try is not None and record.settled_by_try is None):
                return known
            record = record.model_copy(update={"revision": known.revision + 1})
        self.store.write(name, record.model_dump_json().encode())
        if detail:
            packed = zstandard.compress(json.dumps(dict(detail), separators=(",", ":")).encode())
            self.store.write(name.removesuffix(".json") + _DETAIL, packed)
        return record

    def read_detail(self, record: JobRecord) -> dict[str, Any]:
        """The detail of a record; empty if it has none, and, with a warning, if that cannot be read."""
        for day in _days(_moment(record)):
            name = f"{_folder(day)}{record.record_id}{_DETAIL}"
            if lines := self.lines(name):
                detail = self._parse(json.loads, lines[0], name)
                return detail if isinstance(detail, dict) else {}
        return {}

    def read_bill(self, record: JobRecord) -> dict[str, str] | None:
        """What the bill said of a record's job; None until it has come, and, with a warning, if it cannot be read."""
        for day in _days(_moment(record)):
            name = f"{_folder(day)}{record.record_id}{ACTUAL}"
            if lines := self.lines(name):
                bill = self._parse(json.loads, lines[0], name)
                return bill if isinstance(bill, dict) else None
        return None

    def find(self, record_id: str, submitted: datetime) -> JobRecord | None:
        """The newest revision of one record, by when its job was submitted; midnight's other day is looked at, too.

        Reads the store once, beside midnight twice; of an old day its compacted part as well. Gives no bill.
        """
        return self._look(record_id, submitted)[1]

    def records(self, since: date | None = None, until: date | None = None) -> Iterator[JobRecord]:
        """Newest revisions of the records submitted from ``since`` to ``until`` (UTC days, both included), by day.

        With ``since``, only those days are listed, whole months and years at once.
        """
        before: dict[str, JobRecord] = {}
        for _, names in groupby(self._names(since, until), key=day_folder):
            today = self._day(list(names))
            for key in before.keys() & today.keys():  # the same record on both sides of midnight
                today[key] = max(before.pop(key), today[key], key=_rank)
            yield from before.values()
            before = today
        yield from before.values()

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
        readable = [name for name in names if name.endswith((".json", PART))]
        with ThreadPoolExecutor(_READERS) as pool:
            for name, lines in zip(readable, pool.map(self.lines, readable), strict=True):
                for number, line in enumerate(lines, 1):
                    if name.endswith(ACTUAL):
                        bills[name.rsplit("/", 1)[1].removesuffix(ACTUAL)] = line
                    elif record := self._parse(JobRecord.model_validate_json, line, f"{name}, line {number}"):
                        newest[record.record_id] = max(newest.get(record.record_id, record), record, key=_rank)
        for key in bills.keys() & newest.keys():
            actual = self._parse(json.loads, bills[key], f"the bill of {key}")
            newest[key] = newest[key].model_copy(update={"actual": actual})
        return newest

    def _place(self, record: JobRecord) -> tuple[str, JobRecord | None]:
        """Where the record stands or shall stand, and what stands there: once written, a record never moves."""
        return self._look(record.record_id, _moment(record))

    def _look(self, record_id: str, submitted: datetime) -> tuple[str, JobRecord | None]:
        days = _days(submitted)
        for day in days:
            name = f"{_folder(day)}{record_id}.json"
            for line in self.lines(name):
                if record := self._parse(JobRecord.model_validate_json, line, name):
                    return name, record
        for day in days:
            if datetime.now(timezone.utc) - datetime.combine(day + _ONE_DAY, time(), timezone.utc) < _YOUNG:
                continue
            if record := self._day([_folder(day) + PART]).get(record_id):
                return f"{_folder(day)}{record_id}.json", record
        return f"{_folder(days[0])}{record_id}.json", None

    def lines(self, name: str) -> list[bytes]:
        """The JSON values of an object, undecoded; none, with a warning, if it cannot be read."""
        try:
            with self.store.open(name) as raw:
                if not name.endswith(".zst"):
                    return [raw.read()]
                with zstandard.ZstdDecompressor().stream_reader(raw) as plain:
                    return [line for line in io.BufferedReader(plain) if line.strip()]
        except FileNotFoundError:
            return []  # compacted between the listing and now: its part is read too
        except (OSError, zstandard.ZstdError) as error:
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
    moment = submitted.astimezone(timezone.utc)
    return list(dict.fromkeys(at.date() for at in (moment, moment - _NEAR_MIDNIGHT, moment + _NEAR_MIDNIGHT)))


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
