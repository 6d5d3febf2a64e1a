"""Event logs that are packed otherwise than with zstd: gzip (Databricks), and Spark's codecs lz4, snappy and lzf."""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

_BLOCK_BYTES = 1 << 18
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_LZ4 = b"LZ4Block"
_LZ4_HEAD_BYTES = 21  # of a block of lz4-java: magic, method and level, packed size, plain size, checksum
_METHOD, _RAW, _PACKED = 0xF0, 0x10, 0x20
_SNAPPY = b"\x82SNAPPY\x00"
_SNAPPY_HEAD_BYTES = 16  # of a stream of snappy-java: magic, version, the oldest version that can read it
_LARGEST = 1 << 25  # lz4-java's largest block


class Codec(NamedTuple):
    """How a log is packed: ``name`` is Spark's word, ``package`` what its reader needs; None as reader: not read."""

    name: str
    reader: Callable[[BinaryIO], Iterator[bytes]] | None
    package: str | None = None

    @property
    def missing(self) -> str:
        """Why such a log is not read here; empty if it is."""
        if self.reader is None:
            return self.name
        if self.package is None or importlib.util.find_spec(self.package) is not None:
            return ""
        return f"{self.name}, which needs the package {self.package} (pip install 'airflow-doeks[codecs]')"


def codec_of(start: bytes) -> Codec | None:
    """The codec of a log that starts with these 8 bytes; None for zstd and plain text."""
    return next((codec for magic, codec in _CODECS if start.startswith(magic)), None)


def unpacked(raw: BinaryIO, name: str, why: list[str], codec: Codec, *, is_last: bool) -> Iterator[bytes]:
    """Blocks of plain text; what comes behind a fault is left out, with a why. Only the last file may lack its end."""
    try:
        if codec.reader is not None:
            yield from codec.reader(raw)
    except EOFError as error:
        if not is_last:
            why.append(f"{name} is broken from here on: {error}")
    except (zlib.error, ValueError, RuntimeError) as error:
        why.append(f"{name} is broken from here on: {error}")


def _gzip(raw: BinaryIO) -> Iterator[bytes]:
    """One member after the other, as files that were put together have them."""
    packer, is_open = zlib.decompressobj(_GZIP_WINDOW), False
    while block := raw.read(_BLOCK_BYTES):
        while block:
            is_open = True
            plain = packer.decompress(block)
            if plain:
                yield plain
            block = packer.unused_data
            if packer.eof:
                packer, is_open = zlib.decompressobj(_GZIP_WINDOW), False
    if is_open:
        msg = "it ends in the middle of a gzip member"
        raise ValueError(msg)


def _lz4(raw: BinaryIO) -> Iterator[bytes]:
    """Blocks of lz4-java's LZ4BlockOutputStream; a closed one ends in a block of nothing. EOFError without it."""
    import lz4.block

    plain = 0
    while head := _exactly(raw, _LZ4_HEAD_BYTES):
        packed, plain = (int.from_bytes(head[at : at + 4], "little") for at in (9, 13))
        method = head[8] & _METHOD
        if not head.startswith(_LZ4) or method not in (_RAW, _PACKED) or max(packed, plain) > _LARGEST:
            msg = "it holds no lz4 block where one should be"
            raise ValueError(msg)
        body = _exactly(raw, packed)
        if plain:
            yield body if method == _RAW else lz4.block.decompress(body, uncompressed_size=plain)
    if plain:
        msg = "it ends without lz4's end mark"
        raise EOFError(msg)


def _snappy(raw: BinaryIO) -> Iterator[bytes]:
    """Blocks of snappy-java's SnappyOutputStream: a size of four bytes and a block; streams may follow each other."""
    from cramjam import DecompressionError, snappy

    _exactly(raw, _SNAPPY_HEAD_BYTES)
    while head := _exactly(raw, 4):
        if head == _SNAPPY[:4]:
            _exactly(raw, _SNAPPY_HEAD_BYTES - 4)
            continue
        size = int.from_bytes(head, "big")
        if size > _LARGEST:
            msg = "it holds no snappy block where one should be"
            raise ValueError(msg)
        try:
            yield bytes(snappy.decompress_raw(_exactly(raw, size)))
        except DecompressionError as error:
            raise ValueError(str(error)) from error


def _exactly(raw: BinaryIO, size: int) -> bytes:
    """So many bytes, nothing at the end of the file; ValueError in between."""
    found = b""
    while len(found) < size:
        block = raw.read(size - len(found))
        if not block:
            break
        found += block
    if found and len(found) < size:
        msg = "it ends in the middle of a block"
        raise ValueError(msg)
    return found


_CODECS = (  # first bytes -> codec
    (b"\x1f\x8b", Codec("gzip", _gzip)),
    (_LZ4, Codec("lz4", _lz4, "lz4")),
    (_SNAPPY, Codec("snappy", _snappy, "cramjam")),
    (b"ZV", Codec("lzf", None)),  # of Spark's codecs the one that no kept package reads
)
