"""The one shape of a place that holds bytes by name: a folder, an S3 prefix. Rooms are given one, never open one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Protocol

READERS = 64  # objects read at a time, in threads: a store that answers after 20 ms gives some 3,000 a second


class ByteStore(Protocol):
    """Objects by name below one root. Names use ``/`` and never start with it; a missing name is FileNotFoundError."""

    url: str

    def list(self, prefix: str = "") -> Iterator[str]:
        """Names that start with ``prefix``, sorted; empty when there are none."""

    def stamped(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """The same names, in any order, each with a text that is another one when the object was written anew."""

    def open(self, name: str) -> BinaryIO:
        """The object as a stream of bytes, read forward only; the caller closes it."""

    def write(self, name: str, content: bytes) -> None:
        """Write the object whole: a reader sees the old or the new one, never a part."""

    def delete(self, name: str) -> None:
        """Remove the object; a missing one is fine."""
