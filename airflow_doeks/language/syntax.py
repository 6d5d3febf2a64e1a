"""Why a text is not YAML, told where its author slipped rather than where the reader gave up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Protocol

import yaml

from airflow_doeks.language.diagnostics import Diagnostic, Place

_ENTRY = re.compile(r"\s*(- )?[\w.-]+:(\s|$)|\s*- ")  # a line of a mapping or a list
_QUOTED = '"{{ ... }}"'
_ADVICE = (  # words of libyaml -> the next step
    ("cannot start any token", "put the value in quotes"),
    ("mapping values are not allowed", "put a text with `: ` in quotes, or mend the indentation"),
    ("unknown escape character", "put the text in single quotes; there a backslash is a backslash"),
    (
        "undefined alias",
        "write &NAME at the mapping above that *NAME repeats, or put a text that starts with * in quotes",
    ),
    ("expected alphabetic or numeric character", "put a text that starts with * or & in quotes"),
    ("expected ',' or", "write a comma between the entries; inside '...' a quote is written ''"),
    ("control characters", "remove the character, or write it as an escape such as \\t in double quotes"),
    ("did not find expected key", "an entry stands further right or left than its neighbours, or a quote ends early"),
    ("expected '-' indicator", "a list's entries all start with `- `, a mapping's never do"),
)


class Text(Protocol):
    """What is known of a text before it is YAML."""

    file: str
    text: str

    @property
    def lines(self) -> tuple[str, ...]:
        """Its lines."""

    def place_at(self, mark: Any) -> Place:
        """Where a mark of PyYAML stands."""


def unquoted_template(document: Text, node: Any) -> Diagnostic | None:
    """A value such as ``{{ ds }}`` without quotes, which YAML reads as a mapping; None for another mapping."""
    mark = node.start_mark
    line = document.lines[mark.line][mark.column :]
    if not line.startswith("{{"):
        return None
    inside, closed, _ = line.partition("}}")
    return _template(document, mark, f'"{inside}{closed}"' if closed else _QUOTED)


def syntax_fault(document: Text, tokens: Iterator[Any], error: yaml.YAMLError) -> Diagnostic:
    """The one diagnostic of a text that is not YAML; ``tokens`` are those of its start that can be read."""
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error).split("\n")[0]
    place = _place(document, error)
    line = document.lines[place.line - 1] if place.line <= len(document.lines) else ""
    advice = next((text for words, text in _ADVICE if words in problem), "")
    if "\t" in line[: place.column]:
        advice = "indent with spaces; YAML allows no tabs"
    elif isinstance(error, yaml.composer.ComposerError) and "document" in problem:
        problem, advice = "a second document starts here", "one file is one pipeline; remove the ---"
    elif (found := _opened(document, tokens, error)) is not None:
        return found
    return Diagnostic("DK101", f"not YAML: {problem}", place, help=advice, lines=document.lines)


def _place(document: Text, error: yaml.YAMLError) -> Place:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return document.place_at(mark)
    position = getattr(error, "position", None) or 0  # a character that YAML does not allow has no mark
    before = document.text[:position]
    return Place(document.file, before.count("\n") + 1, position - before.rfind("\n"), 1)


def _opened(document: Text, tokens: Iterator[Any], error: yaml.YAMLError) -> Diagnostic | None:
    """The quote, bracket or template that opens before the error and is to blame for it."""
    before: Any = None
    try:
        for token in tokens:
            mark = token.start_mark
            if isinstance(token, yaml.ScalarToken) and not token.plain and _swallows(document, token):
                return _quote(document, mark, token.end_mark.line)
            if isinstance(token, yaml.FlowMappingStartToken):
                if before is not None and (before.line, before.column + 1) == (mark.line, mark.column):
                    return _template(document, before)
                before = mark
    except yaml.YAMLError as unread:
        if "quoted scalar" in str(getattr(unread, "context", "")) and "end of stream" in str(unread):
            return _quote(document, getattr(unread, "context_mark", None), None)
    return _bracket(document, error)


def _swallows(document: Text, token: Any) -> bool:
    """True for a quoted text that holds what looks like further entries of the file."""
    inside = document.lines[token.start_mark.line + 1 : token.end_mark.line + 1]
    return any(_ENTRY.match(line) for line in inside)


def _quote(document: Text, mark: Any, end: int | None) -> Diagnostic:
    place = document.place_at(mark)
    closed = "is never closed" if end is None else f"is closed only on line {end + 1}"
    message = f"not YAML: the quote that opens here {closed}"
    return Diagnostic("DK101", message, place, help="close it where its text ends", lines=document.lines)


def _bracket(document: Text, error: yaml.YAMLError) -> Diagnostic | None:
    opened, failed = getattr(error, "context_mark", None), getattr(error, "problem_mark", None)
    if "parsing a flow" not in str(getattr(error, "context", "")) or opened is None or failed is None:
        return None
    if opened.line == failed.line:
        return None  # the reader's own words, at the very place
    place = document.place_at(opened)
    end = {"[": "]", "{": "}"}[document.lines[place.line - 1][place.column - 1]]
    message = f"not YAML: the bracket that opens here is not closed before line {failed.line + 1}"
    return Diagnostic("DK101", message, place, help=f"close it with {end}, or write a comma", lines=document.lines)


def _template(document: Text, mark: Any, example: str = _QUOTED) -> Diagnostic:
    place = document.place_at(mark)._replace(width=2)
    message = "not YAML: a value that starts with {{ is read as a mapping, not as a template"
    return Diagnostic("DK101", message, place, help=f"put the value in quotes: {example}", lines=document.lines)
