"""Whether a stream of zstd frames was read to the end of one: the decoder itself is content with any flush.

Sizes only, nothing is decoded. RFC 8878, sections 3.1.1 (frame, its header, blocks) and 3.1.2 (skippable frames).
"""

from __future__ import annotations

_FRAME_START, _BLOCK_START = 8, 3  # bytes that must be there to tell the next size; the shortest frame has 9
_SKIPPABLE = range(0x50, 0x60)  # first byte of a skippable frame's magic number
_ID_BYTES, _SIZE_BYTES = (0, 1, 2, 4), (0, 2, 4, 8)
_RLE = 1  # a block of one byte, however often it is repeated


class Frames:
    """Takes the bytes of a file in order, in pieces of any size; never raises, whatever they are."""

    def __init__(self) -> None:
        self._rest = b""  # of what tells the next size
        self._skip = 0
        self._is_open = self._has_checksum = False

    @property
    def is_whole(self) -> bool:
        """True at the end of a frame, and before the first."""
        return not (self._rest or self._skip or self._is_open)

    def feed(self, content: bytes) -> None:
        """The next bytes of the file."""
        text, at = self._rest + content, self._skip
        while at + (_BLOCK_START if self._is_open else _FRAME_START) <= len(text):
            at += self._block(text, at) if self._is_open else self._frame(text, at)
        self._rest, self._skip = text[at:], max(0, at - len(text))

    def _frame(self, text: bytes, at: int) -> int:
        """Bytes of a frame's header, or of a whole skippable frame."""
        if text[at] in _SKIPPABLE:
            return 8 + int.from_bytes(text[at + 4 : at + 8], "little")
        says = text[at + 4]
        is_single, size = bool(says & 0x20), says >> 6
        self._is_open, self._has_checksum = True, bool(says & 0x04)
        return 5 + (not is_single) + _ID_BYTES[says & 0x03] + (_SIZE_BYTES[size] or is_single)

    def _block(self, text: bytes, at: int) -> int:
        """Bytes of a block; behind the last one, those of the checksum too."""
        head = int.from_bytes(text[at : at + 3], "little")
        is_last, kind, size = head & 1, head >> 1 & 3, head >> 3
        self._is_open = not is_last
        return 3 + (1 if kind == _RLE else size) + (4 if is_last and self._has_checksum else 0)
