"""A byte store whose reads end when nobody waits for them any more: a thread that reads from it ends by itself."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

from airflow_doeks.model.stores import ByteStore

_READ_BYTES = 1 << 20


class StoppableStore:
    """A store, its next read after ``is_over`` is set an OSError; what is under way goes on to its end."""

    def __init__(self, store: ByteStore, is_over: threading.Event) -> None:
        self.url = store.url
        self._store, self._is_over = store, is_over

    def list(self, prefix: str = "") -> Iterator[str]:
        """As the store's."""
        for name in self._store.list(prefix):
            check(self._is_over)
            yield name

    def stamped(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """As the store's."""
        for entry in self._store.stamped(prefix):
            check(self._is_over)
            yield entry

    def open(self, name: str) -> BinaryIO:
        """As the store's."""
        check(self._is_over)
        return io.BufferedReader(_Stream(self._store.open(name), self._is_over), _READ_BYTES)

    def write(self, name: str, content: bytes) -> None:
        """As the store's."""
        self._store.write(name, content)

    def delete(self, name: str) -> None:
        """As the store's."""
        self._store.delete(name)


class _Stream(io.RawIOBase):
    def __init__(self, raw: BinaryIO, is_over: threading.Event) -> None:
        self._raw, self._is_over = raw, is_over

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        check(self._is_over)
        block = self._raw.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._raw.close()
        super().close()


def check(is_over: threading.Event) -> None:
    """Raises OSError once nobody waits any more."""
    if is_over.is_set():
        msg = "nobody waits for this read any more"
        raise OSError(msg)
