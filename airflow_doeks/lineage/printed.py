"""Attributes, structs and lists as Spark prints them in a plan."""

from __future__ import annotations

import re

_ATTRIBUTE = re.compile(r"([^\s,\[\]()]+)#(\d+)L?")


def attributes(text: str) -> dict[int, str]:
    """``id#0L, day#3`` as {0: "id", 3: "day"}."""
    return {int(number): name for name, number in _ATTRIBUTE.findall(text)}


def parse_struct(text: str) -> tuple[tuple[str, str], ...]:
    """``struct<a:bigint,b:array<int>>`` as (name, type) pairs; empty if it is cut or none."""
    if not (text.startswith("struct<") and text.endswith(">")):
        return ()
    fields = split_list(text[7:-1], ",")
    pairs = [field.partition(":") for field in fields if field]
    return tuple((name, kind) for name, colon, kind in pairs if colon and "more fields" not in name)


_BRACKET_OR_COMMA = re.compile(r"[(\[{<]|[)\]}>]|, ?")


def split_list(text: str, separator: str = ", ") -> list[str]:
    """Items of a printed list; separators inside brackets do not split."""
    items, depth, start = [], 0, 0
    for token in _BRACKET_OR_COMMA.finditer(text):
        sign = token[0]
        if sign[0] == ",":
            if depth == 0 and sign.startswith(separator):
                items.append(text[start : token.start()])
                start = token.start() + len(separator)
        elif sign in "([{<":
            depth += 1
        else:
            depth = max(0, depth - 1)
    return [*items, text[start:]] if text else []
