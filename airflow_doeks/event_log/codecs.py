"""Event logs that are packed otherwise than with zstd: gzip (Databricks), lz4 (Spark 2 and whoever chose it)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

_BLOCK_BYTES = 1 << 18
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_MAGIC = b"LZ4Block"
_HEAD_BYTES = 21  # of a block of lz4-java: magic, method and level, packed size, plain size, checksum
_METHOD, _RAW, _PACKED = 0xF0, 0x10, 0x20
_LARGEST = 1 << 25  # lz4-java's largest block


def unpacked(raw: BinaryIO, name: str, why: list[str], *, is_gzip: bool) -> Iterator[bytes]:
    """Blocks of plain text; what comes behind a fault is left out, with a why."""
    try:
        yield from (_gzip(raw) if is_gzip else _lz4(raw))
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
    """Blocks of lz4-java's LZ4BlockOutputStream."""
    import lz4.block

    while head := _exactly(raw, _HEAD_BYTES):
        packed, plain = (int.from_bytes(head[at : at + 4], "little") for at in (9, 13))
        method = head[8] & _METHOD
        if not head.startswith(_MAGIC) or method not in (_RAW, _PACKED) or max(packed, plain) > _LARGEST:
            msg = "it holds no lz4 block where one should be"
            raise ValueError(msg)
        body = _exactly(raw, packed)
        if plain:
            yield body if method == _RAW else lz4.block.decompress(body, uncompressed_size=plain)


def _exactly(raw: BinaryIO, size: int) -> bytes:
    """So many bytes, nothing at the end of the file; ValueError in between."""
    found = b""
    while len(found) < size:
        block = raw.read(size - len(found))
        if not block:
            break
        found += block
    if found and len(found) < size:
        msg = "it ends in the middle of an lz4 block"
        raise ValueError(msg)
    return found
