"""Tables that a query names: its text goes nowhere, since its literals may be anybody's data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

UNKNOWN_QUERY = "(query)"  # one stable name for queries whose tables nobody here can tell
_TOKEN = re.compile(
    r"(?P<skip>'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/|\s+)"
    r"|(?P<name>(?:[A-Za-z_][\w$#]*|\"[^\"]+\"|`[^`]+`|\[[^\]]+\])(?:\.(?:[A-Za-z_][\w$#]*|\"[^\"]+\"|`[^`]+`|\[[^\]]+\]))*)"
    r"|(?P<sign>.)",
    re.DOTALL,
)
_ENDS_A_LIST = frozenset(
    {"where", "group", "order", "having", "limit", "offset", "fetch", "for", "window", "qualify", "select"}
    | {"union", "except", "intersect", "on", "using", "inner", "left", "right", "full", "cross", "natural", "lateral"}
)
_BEGINS_A_QUERY = frozenset({"select", "with", "("})


def tables_of_query(text: str) -> tuple[str, ...]:
    """The tables below FROM and JOIN of ``(select ...) alias``, or the text itself if it is no query but a table."""
    text = text.strip()
    if not text.startswith("("):
        return (text,) if re.fullmatch(r"[\w$#.\"`\[\] -]{1,200}", text) else (UNKNOWN_QUERY,)
    tokens = [match for match in _TOKEN.finditer(text) if match.lastgroup != "skip"]
    own = {t[0].lower() for i, t in enumerate(tokens) if t.lastgroup == "name" and _is_named_by_with(tokens, i)}
    tables = tuple(table for table in dict.fromkeys(_named(tokens)) if table.lower() not in own)
    return tables or (UNKNOWN_QUERY,)


def _named(tokens: Sequence[re.Match[str]]) -> Iterator[str]:
    """Names where a table is wanted: behind FROM and JOIN of a query, and on in the list of FROM."""
    opened: list[tuple[bool, str]] = []  # of the brackets that are open: whether a query began in them, and the state
    state = ""  # "table": a table comes next; "list": another may follow a comma
    for token, following in zip(tokens, [*(t[0].lower() for t in tokens[1:]), ""], strict=True):
        word = token[0].lower()
        if word == "(":
            opened.append((following in _BEGINS_A_QUERY, state))
            state = ""
        elif word == ")":
            state = "list" if opened and opened.pop()[1] else ""
        elif word in ("from", "join"):
            state = "table" if opened and opened[-1][0] else ""
        elif word == ",":
            state = "table" if state == "list" else ""
        elif word in _ENDS_A_LIST:
            state = ""
        elif token.lastgroup == "name" and state == "table":
            yield re.sub(r"[\"`\[\]]", "", token[0])
            state = "list"


def _is_named_by_with(tokens: Sequence[re.Match[str]], index: int) -> bool:
    """``name AS (``, which is a table of the query's own; a column's alias stands the other way round."""
    following = [token[0].lower() for token in tokens[index + 1 : index + 3]]
    return following == ["as", "("]
