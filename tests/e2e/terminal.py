"""A terminal for a command: what a person sees on its screen, and what scrolled away above it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyte

FIGURE = re.compile(r"\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True)
class Seen:
    """The lines of a session without trailing blanks, whether any had a colour, and how it ended."""

    lines: tuple[str, ...]
    is_coloured: bool
    code: int

    def plain(self) -> list[str]:
        """Lines with every figure as `#` and rows of dashes and blanks as one, so that any machine's are equal."""
        told = [re.sub(r"─+", "─", FIGURE.sub("#", line)) for line in self.lines]
        return [re.sub(r"\s{2,}", "  ", line).strip() for line in told if line.strip()]


def in_terminal(
    command: Sequence[str], *, columns: int, cwd: Path, environment: Mapping[str, str], seconds: float = 600
) -> Seen:
    """Run a command on a terminal of that many columns; raises TimeoutExpired after ``seconds``."""
    reading, writing = pty.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    screen = pyte.HistoryScreen(columns, 50, history=10_000)
    stream = pyte.ByteStream(screen)
    surroundings = {name: value for name, value in environment.items() if name not in {"COLUMNS", "LINES"}}
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**surroundings, "TERM": "xterm-256color"},
        stdin=writing,
        stdout=writing,
        stderr=writing,
        start_new_session=True,
    )
    os.close(writing)
    is_coloured = False
    try:
        while data := _read(reading):
            is_coloured = is_coloured or re.search(rb"\x1b\[[0-9;]*3[1-7]m", data) is not None
            stream.feed(data)
        code = process.wait(seconds)
    finally:
        process.kill()
        os.close(reading)
    above = ["".join(row[column].data for column in range(columns)) for row in screen.history.top]
    return Seen(tuple(line.rstrip() for line in [*above, *screen.display]), is_coloured, code)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux says so when nobody holds the other end any more
        return b""
