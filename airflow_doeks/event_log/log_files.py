"""The bytes of an event log: which files it is made of, in which order, and their lines, however they are packed.

Spark writes one file, or a rolling folder ``eventlog_v2_<app>`` of ``events_<n>_<app>``; the history server may replace
the oldest of those by one ``.compact``, without finished jobs and SQL executions and without executors that are gone
(SPARK-29779, read November 2026). Read as a stream: a block at a time, whatever the size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, cast

from airflow_doeks.event_log.codecs import codec_of, unpacked
from airflow_doeks.event_log.zstd_frames import Frames
from airflow_doeks.model.stores import ByteStore

BLOCK_BYTES = 3 << 18  # measured fastest: smaller costs calls, larger leaves a core's cache
LINE_BYTES = 1 << 25  # a longer line is dropped; Spark's longest are plans of a few MB

_EVENTS = re.compile(r"(?:.*/)?events_(\d+)_[^/]*?(\.compact)?")
_HOURLY = re.compile(r"(?:.*/)?eventlog(?:-([\d-]+))?(?:\.\w+)?")  # Databricks: packed by the hour, the last plain
_FOLDER = "eventlog_v2_"
_ZSTD = b"\x28\xb5\x2f\xfd"


class LogFiles(NamedTuple):
    """The files of one application's log in reading order; ``why`` tells what is missing."""

    names: tuple[str, ...]
    why: tuple[str, ...] = ()


def find_files(store: ByteStore, name: str) -> LogFiles:
    """The files of the log ``name``: a file, a rolling folder, or "" for the only application at the store's root.

    Raises FileNotFoundError if there is nothing of that name.
    """
    found = [entry for entry in store.list(name) if _is_log(entry)]
    folder = f"{name.rstrip('/')}/" if name else ""
    inside = [entry for entry in found if entry.startswith(folder)]
    if name and not inside and name.rstrip("/") in found:
        return LogFiles((name.rstrip("/"),))
    if not inside and name and f"{name}.inprogress" in found:
        return LogFiles((f"{name}.inprogress",))
    hourly = {entry: _HOURLY.fullmatch(entry) for entry in inside}
    if inside and all(hourly.values()):
        return LogFiles(tuple(sorted(inside, key=lambda entry: _hour(hourly[entry]))))
    applications: dict[str, list[str]] = {}
    for entry in inside:
        below = entry.removeprefix(folder)
        top = below.split("/", 1)[0]
        if "/" not in below and _EVENTS.fullmatch(below):
            top = ""  # the folder itself is the rolling folder
        elif "/" in below and not top.startswith(_FOLDER):
            continue
        applications.setdefault(top.removesuffix(".inprogress"), []).append(entry)
    if not applications:
        msg = f"no event log {name!r} in {store.url}; expected a file or a folder {_FOLDER}<application>"
        raise FileNotFoundError(msg)
    if len(applications) > 1:
        names = ", ".join(sorted(applications)[:5])
        return LogFiles((), (f"{len(applications)} applications at {store.url}/{folder}; name one of: {names}",))
    return _ordered(next(iter(applications.values())))


def _hour(match: re.Match[str] | None) -> str:
    """When a file of a log by the hour was closed; the one without a time is still written to."""
    return (match[1] if match else "") or "~"


def _is_log(entry: str) -> bool:
    base = entry.rsplit("/", 1)[-1]
    return not base.startswith((".", "_", "appstatus_")) and not base.endswith(".crc")


def _ordered(entries: list[str]) -> LogFiles:
    """Rolled files by index; what a ``.compact`` replaces is left out."""
    matches = {entry: _EVENTS.fullmatch(entry) for entry in entries}
    rolled = sorted((int(match[1]), bool(match[2]), entry) for entry, match in matches.items() if match)
    if not rolled:
        finished = [entry for entry in entries if not entry.endswith(".inprogress")]
        return LogFiles(((finished or entries)[0],))
    first = max((index for index, is_compact, _ in rolled if is_compact), default=None)
    if first is not None:
        rolled = [row for row in rolled if row[0] > first or (row[0] == first and row[1])]
    expected = range(1 if first is None else first, rolled[-1][0] + 1)
    missing = sorted(set(expected) - {index for index, _, _ in rolled})
    why = [f"part {index} of the event log is missing" for index in missing[:3]]
    if first is not None:
        why.append("older events were compacted away: cost and lineage are a lower bound")
    return LogFiles(tuple(entry for _, _, entry in rolled), tuple(why))


def whole_lines(store: ByteStore, names: tuple[str, ...], why: list[str]) -> Iterator[tuple[bytes, int, int]]:
    """Whole lines as (text, begin, end), many at a time and hardly ever copied; ``why`` takes what cannot be read.

    An OSError before the first byte is raised; later ones end the file with a why.
    """
    is_first = True
    for name in names:
        rest: list[bytes] = []  # of a line that goes on in the next block, which may be small
        held = 0
        try:
            with store.open(name) as raw:
                for block in _blocks(raw, name, why, is_last=name == names[-1]):
                    is_first = False
                    first = block.find(b"\n") + 1
                    if first:
                        last = block.rfind(b"\n") + 1
                        line = b"".join((*rest, block[:first]))
                        yield line, 0, len(line)
                        yield block, first, last
                        rest, held = [block[last:]], len(block) - last
                    else:
                        rest.append(block)
                        held += len(block)
                    if held > LINE_BYTES:
                        why.append(f"{name} holds a line of more than {LINE_BYTES >> 20} MiB, which was left out")
                        rest, held = [], 0
        except OSError as error:
            if is_first:
                raise
            why.append(f"reading {name} stopped: {error}")
        line = b"".join(rest)
        yield line, 0, len(line)


def _blocks(raw: BinaryIO, name: str, why: list[str], *, is_last: bool) -> Iterator[bytes]:
    """Blocks of plain text. That the last file has an open end is no fault of its own: a driver that died leaves it."""
    start = raw.read(8)
    codec = codec_of(start)
    if codec is not None and codec.missing:
        why.append(
            f"{name} is compressed with {codec.missing} and was not read;"
            " set spark.eventLog.compression.codec=zstd, or spark.eventLog.compress=false"
        )
        return
    if not (start or is_last):
        why.append(f"{name} is empty")
    head = _Head(start, raw)
    if codec is not None:
        yield from unpacked(cast("BinaryIO", head), name, why, codec, is_last=is_last)
        return
    if not start.startswith(_ZSTD):
        while block := head.read(BLOCK_BYTES):
            yield block
        return
    import zstandard

    head.frames = None if is_last else Frames()
    stream = zstandard.ZstdDecompressor().stream_reader(
        cast("BinaryIO", head), read_size=BLOCK_BYTES, read_across_frames=True
    )
    try:
        while block := stream.read(BLOCK_BYTES):
            yield block
    except zstandard.ZstdError as error:
        why.append(f"{name} is broken from here on: {error}")
    else:
        if head.frames is not None and not head.frames.is_whole:
            why.append(f"{name} is broken from here on: it ends in the middle of a zstd frame")


class _Head:
    """A stream whose first bytes were read already; ``frames`` is told what is read."""

    def __init__(self, start: bytes, raw: Any) -> None:
        self.start = start
        self.raw = raw
        self.frames: Frames | None = None

    def read(self, size: int = -1) -> bytes:
        if self.start:
            content, self.start = self.start, b""
        else:
            content = bytes(self.raw.read(size))
        if self.frames is not None:
            self.frames.feed(content)
        return content
