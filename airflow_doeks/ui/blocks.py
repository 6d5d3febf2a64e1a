"""What a page is made of, before it is HTML: facts, tables, charts, notices. Nothing here knows a framework."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

Tone = Literal["", "good", "warn", "bad", "soft"]
ChartKind = Literal["bars", "lines", "timeline", "flow"]


@dataclass(frozen=True)
class Cell:
    """One value as it is shown.

    Attributes:
        text: the value in words, in UTC where it is a time.
        sort: what it is sorted by and what CSV holds; the text where None.
        href: a link below the pages' own root, or an ``http(s)://`` one.
        bar: a share of 0 to 1, drawn as a bar.
        moment: the time that ``text`` says, which the browser shows in the reader's zone.
    """

    text: str
    sort: Decimal | float | str | None = None
    href: str = ""
    tone: Tone = ""
    bar: float | None = None
    moment: datetime | None = None
    title: str = ""


@dataclass(frozen=True)
class Column:
    """A column's head; ``hint`` is a sentence for a number that needs one."""

    name: str
    is_number: bool = False
    hint: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells under heads; also a CSV file by its ``key``."""

    key: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    total: Sequence[Cell] = ()
    hint: str = ""
    empty: str = "Nothing here."
    is_folded: bool = False


@dataclass(frozen=True)
class Fact:
    """One figure of a page with its name and, where it needs one, a sentence."""

    name: str
    cell: Cell
    hint: str = ""


@dataclass(frozen=True)
class Facts:
    """The figures one looks for first."""

    title: str
    facts: Sequence[Fact]


@dataclass(frozen=True)
class Notice:
    """Something to be told in sentences, with lines of a log where there are some."""

    tone: Tone
    title: str
    lines: Sequence[str] = ()
    log: Sequence[str] = ()


@dataclass(frozen=True)
class Series:
    """Values of one name along a chart; for a timeline ``starts`` says where each bar begins.

    Attributes:
        x: times, or names of what is compared.
        y: numbers (for a timeline: the names of its rows); None leaves a gap.
        ends: where each bar of a timeline ends.
    """

    name: str
    x: Sequence[datetime | str]
    y: Sequence[Decimal | float | str | None]
    ends: Sequence[datetime] = ()


@dataclass(frozen=True)
class Chart:
    """A drawing of numbers that a table of the same page holds, too (``table`` is its key).

    ``flow`` draws links from each of ``x`` to ``y`` of its only series, as wide as ``weights``.
    """

    key: str
    title: str
    kind: ChartKind
    series: Sequence[Series]
    unit: str
    table: str
    weights: Sequence[float] = ()


@dataclass(frozen=True)
class Choice:
    """A filter of a page: a name in the URL, what may stand there, and what stands there; a hidden one is kept."""

    name: str
    label: str
    value: str
    options: Sequence[str] = ()
    kind: Literal["text", "date", "list", "hidden"] = "list"


Block = Facts | Table | Chart | Notice


@dataclass(frozen=True)
class Page:
    """A whole page; ``reload_seconds`` where more will be known soon."""

    title: str
    subtitle: str = ""
    trail: Sequence[Cell] = ()
    choices: Sequence[Choice] = ()
    blocks: Sequence[Block] = ()
    reload_seconds: int | None = None

    def table(self, key: str) -> Table | None:
        """The table of this key."""
        return next((block for block in self.blocks if isinstance(block, Table) and block.key == key), None)
