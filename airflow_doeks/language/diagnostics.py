"""One fault in a YAML file, as a value; it renders itself as text, JSON and a GitHub annotation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

WARNINGS = frozenset(
    {"DK219", "DK229", "DK230", "DK231", "DK240", "DK241", "DK242", "DK243", "DK251", "DK404", "DK405"}
)  # codes that do not stop a pipeline

MAX_FAULTS = 100  # that one look at a file tells; who has more corrects these first
_QUOTED_OR_MAPPED = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'|:\s{1,40}(?=\{\s{0,40}[\w.-]{1,80}:)""")
_LINE = re.compile(r"(\s*(?:-\s+)*)(?:([\"']?[\w.-]+[\"']?)\s*:(?:\s+|$))?(.*)")
_AFTER_MASK = re.compile(r"\*{3}[^,{}\[\]\"'#]+")  # a value without quotes, of several words
_VALUE_LINES = 100  # of one value that are looked through for its key
_EXCERPT_LEFT, _EXCERPT_WIDTH = 100, 150  # characters before the caret and in all


class Place(NamedTuple):
    """Where something stands; line and column count from 1, ``width`` is how far the caret reaches."""

    file: str
    line: int
    column: int
    width: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Finding(NamedTuple):
    """What a check says of a task or a pipeline: a diagnostic that has no place in a file yet.

    Attributes:
        path: steps below the task, or below the pipeline; empty for the task itself.
        help: the next step, or empty.
        at_key: the key is to blame, not its value.
        gives_way: left out where another check says something of the same path.
        is_warning: it stops nothing, whatever its code says.
        is_firm: no exception and no ``warn`` of the policies eases it.
    """

    code: str
    message: str
    path: tuple[Any, ...] = ()
    help: str = ""
    at_key: bool = False
    gives_way: bool = False
    is_warning: bool = False
    is_firm: bool = False


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One fault.

    Attributes:
        help: the next step, or empty.
        dag_id, task_id: which pipeline and task it concerns, where known.
        is_warning: it stops nothing, whatever its code says.
        environments: in which environments it was seen; empty means in all.
        lines: the text of the file, for the excerpt.
    """

    code: str
    message: str
    place: Place
    help: str = ""
    dag_id: str | None = None
    task_id: str | None = None
    environments: tuple[str, ...] = ()
    is_warning: bool = False
    lines: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @property
    def is_error(self) -> bool:
        """False for a warning: the pipeline is built all the same."""
        return self.code not in WARNINGS and not self.is_warning

    @property
    def severity(self) -> str:
        """``error`` or ``warning``."""
        return "error" if self.is_error else "warning"

    def __str__(self) -> str:
        return self.text()

    def line(self) -> str:
        """``file:line:col: DK104 message``, with the task and the environments where it holds."""
        about = f" (task {self.task_id})" if self.task_id else ""
        where = f" [{', '.join(self.environments)}]" if self.environments else ""
        warning = "" if self.is_error else "warning: "
        return f"{self.place}: {self.code} {warning}{self.message}{about}{where}"

    def text(self) -> str:
        """The line, two lines of source with a caret, and the help; what looks like a secret is masked."""
        parts = [self.line()]
        number = self.place.line
        if 1 <= number <= len(self.lines):
            gutter = len(str(number))
            left = max(0, self.place.column - _EXCERPT_LEFT)  # of a long line the part around the caret
            for at in (number - 1, number) if number > 1 else (1,):
                shown = _masked(self.lines, at - 1)[left : left + _EXCERPT_WIDTH]
                parts.append(f"  {at:>{gutter}} | {shown}".rstrip())
            caret = "^" * min(self.place.width, _EXCERPT_WIDTH - _EXCERPT_LEFT)
            parts.append(f"  {' ' * gutter} | {' ' * (self.place.column - 1 - left)}{caret}")
        if self.help:
            parts.append(f"  help: {self.help}")
        return "\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON of everything but the excerpt."""
        return {
            "code": self.code,
            "severity": self.severity,
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "message": self.message,
            "help": self.help or None,
            "dag_id": self.dag_id,
            "task_id": self.task_id,
            "environments": list(self.environments),
        }

    def github(self) -> str:
        """A workflow command that GitHub shows beside the line."""
        message = f"{self.message}\nhelp: {self.help}" if self.help else self.message
        for plain, escaped in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
            message = message.replace(plain, escaped)
        file = self.place.file.replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
        return (
            f"::{self.severity} file={file},line={self.place.line},col={self.place.column},title={self.code}::{message}"
        )


def _masked(lines: tuple[str, ...], at: int) -> str:
    """A line of YAML without what looks like a secret; a mapping is none, its values may be.

    A plain value goes on to the end of its line, a list or a text on lines of their own as far as they are indented.
    """
    from airflow_doeks.model.redaction import MASK, names_secret, redacted

    line = lines[at].expandtabs(1)
    before, key, value = _parts(line)
    if key is None and value and names_secret(_key_above(lines, at)):
        return before + MASK
    if key is not None and value[:1] not in ("", "{", "|", ">", "&", "#") and names_secret(key):
        return line[: len(line) - len(value)] + MASK
    ends = [found.end() for found in _QUOTED_OR_MAPPED.finditer(line) if found[0].startswith(":")]
    shown = "".join(redacted(line[start:end]) for start, end in zip([0, *ends], [*ends, len(line)], strict=True))
    return _AFTER_MASK.sub(MASK, shown)


def _parts(line: str) -> tuple[str, str | None, str]:
    """What stands before a line's key, the key if it has one, and the value."""
    found = _LINE.match(line)
    return (found[1], found[2], found[3]) if found else ("", None, line)


def _key_above(lines: tuple[str, ...], at: int) -> str:
    """The key whose value a line without one belongs to: of the nearest line above that is indented less."""
    indent = len(lines[at]) - len(lines[at].lstrip())
    for line in reversed(lines[max(0, at - _VALUE_LINES) : at]):
        before, key, _ = _parts(line)
        if key is not None and len(before) <= indent:
            return str(key)
    return ""


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """By file, line, column and code; what several tasks inherit from one place is told once, of no task."""
    seen: dict[Any, Diagnostic] = {}
    for one in diagnostics:
        slip = (one.place, one.code, one.message, one.is_warning, one.environments)
        first = seen.setdefault(slip, one)
        if first.task_id != one.task_id:
            seen[slip] = replace(first, task_id=None)
    return sorted(seen.values(), key=lambda one: (*one.place[:3], one.code, one.message))


def more_faults(file: str, lines: tuple[str, ...], count: int) -> Diagnostic:
    """The last diagnostic of a file: how many faults it has beyond those that are told."""
    return Diagnostic("DK113", f"{count:,} more faults are not shown", Place(file, max(len(lines), 1), 1))


def across(found: dict[str | None, list[Diagnostic]]) -> list[Diagnostic]:
    """Diagnostics of all environments in one list; one that holds everywhere names none."""
    seen: dict[Diagnostic, list[str]] = {}
    for environment, diagnostics in found.items():
        for diagnostic in dict.fromkeys(diagnostics):
            seen.setdefault(diagnostic, []).append(environment or "")
    merged = [
        one if len(where) == len(found) else replace(one, environments=tuple(where)) for one, where in seen.items()
    ]
    return in_order(merged)


def suggestion(word: str, known: Iterable[str]) -> str:
    """``did you mean "x"?`` for the nearest known word, or empty."""
    import difflib

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?' if near else ""
