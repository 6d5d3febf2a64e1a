"""Names in tables: of tasks and datasets, which are long and hold no blanks."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from airflow_doeks.report.figures import pieces


@dataclass(frozen=True)
class Name:
    """A name that goes on in the next line behind its separators; a word is broken only if no line holds it."""

    text: str

    def lines(self, width: int) -> list[str]:
        """The name in lines of at most ``width`` characters."""
        found = [""]
        for piece in pieces(self.text):
            if found[-1] and len(found[-1] + piece.rstrip()) > width:
                found.append("")
            found[-1] += piece
            while len(found[-1].rstrip()) > width:
                found[-1:] = [found[-1][:width], found[-1][width:]]
        return found

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.lines(max(1, options.max_width)):
            yield Text(line, no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        longest = max(map(len, pieces(self.text)), default=0)
        return Measurement(min(longest, options.max_width), min(len(self.text), options.max_width))
