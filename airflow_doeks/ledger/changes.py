"""What of the ledger is new: objects by day with a stamp that changes when they do, and their JSON.

For readers that keep much of the ledger in memory and read again only what changed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

from pydantic_core import from_json

from airflow_doeks.ledger.ledger import ACTUAL, PART, Ledger, day_folder, prefixes
from airflow_doeks.model.stores import ByteStore

log = logging.getLogger(__name__)
_READERS = 8  # objects read at a time
_BLOCK = 256  # names handed to the readers at once


class Changes:
    """The records' objects of a store; holds nothing open."""

    def __init__(self, store: ByteStore) -> None:
        self.store = store
        self._ledger = Ledger(store)

    def stamps(self, since: date, until: date) -> dict[str, dict[str, str]]:
        """Day -> name -> stamp of the objects that hold records, of the days from ``since`` to ``until``.

        Days without a record are left out. OSError if the store is away.
        """
        found: dict[str, dict[str, str]] = {}
        for prefix in prefixes(since, until):
            for name, stamp in self.store.stamped(prefix):
                if name.endswith((".json", PART)) and not name.endswith(ACTUAL):
                    day = day_folder(name).rpartition("=")[2]
                    found.setdefault(day, {})[name] = stamp
        return found

    def values(self, names: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name and JSON of every record in these objects; what cannot be read is named in a warning and skipped."""
        waiting = list(names)
        if len(waiting) < _READERS:  # threads would cost more than they save
            for name in waiting:
                yield from ((name, value) for line in self._ledger.lines(name) for value in self._parsed(line, name))
            return
        with ThreadPoolExecutor(_READERS) as pool:
            for start in range(0, len(waiting), _BLOCK):
                block = waiting[start : start + _BLOCK]
                for name, lines in zip(block, pool.map(self._ledger.lines, block), strict=True):
                    yield from ((name, value) for line in lines for value in self._parsed(line, name))

    def _parsed(self, line: bytes, name: str) -> Iterator[dict[str, Any]]:
        try:
            value = from_json(line)
        except ValueError as error:
            log.warning("%s/%s is skipped: %s", self.store.url, name, error)
            return
        if isinstance(value, dict):
            yield value
        else:
            log.warning("%s/%s is skipped: expected a record, found %s", self.store.url, name, json.dumps(value)[:40])
