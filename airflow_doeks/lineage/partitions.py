"""The one partition that a write fills, where its plan proves that there is only one.

Followed down a chain of nodes with one child each: there a number of an expression stands for one value everywhere, so
a filter on it, or a literal that it is, holds for all rows written. Beside joins and unions that would be a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from airflow_doeks.lineage.plans import Node
from airflow_doeks.lineage.printed import split_list

_COLUMN = re.compile(r"(.+)#(\d+)L?$")
_PARTITION_FILTERS = re.compile(r"PartitionFilters: \[(.*?)\](?:, \w+: |$)")
_MOST_NODES = 200


def constant_partitions(write: Node, partitions: str) -> str:
    """``day=2026-01-01``: the leading partition columns of ``[day#3, hour#4]`` that have one value in all rows."""
    lines = list(_chain(write))
    folders = []
    for column in partitions.split(", "):
        named = _COLUMN.match(column.strip())
        value = None if named is None else _value_of(int(named[2]), lines)
        if named is None or value is None:
            break
        folders.append(f"{named[1]}={value}")
    return "/".join(folders)


def _chain(node: Node) -> Iterator[str]:
    """Texts of the nodes below a write, down to where the plan branches or ends."""
    for _ in range(_MOST_NODES):
        children = node.get("children")
        if not isinstance(children, list) or len(children) != 1 or not isinstance(children[0], Mapping):
            return
        node = children[0]
        yield str(node.get("simpleString", ""))


def _value_of(number: int, lines: list[str]) -> str | None:
    equal = re.compile(rf"\w+#{number}L? = ([^()#]+)")
    literal = re.compile(rf"(?:\[|, )([^\s,()\[\]#]+) AS \w+#{number}L?(?:,|\])")
    same = re.compile(rf"(?:\[|, )empty2null\(\w+#(\d+)L?\) AS \w+#{number}L?(?:,|\])")  # Spark's own, of writes
    for index, line in enumerate(lines):
        if line.startswith("Project ") and (found := literal.search(line)):
            return found[1]
        if line.startswith("Project ") and (found := same.search(line)):
            return _value_of(int(found[1]), lines[index + 1 :])
        for condition in _conditions(line):
            if found := equal.fullmatch(condition):
                return found[1].strip()
    return None


def _conditions(line: str) -> Iterator[str]:
    """What holds of all rows that leave a filter, or a scan that reads some partitions."""
    filters = _PARTITION_FILTERS.search(line)
    if filters is not None:
        yield from (_bare(item) for item in split_list(filters[1]))
    elif line.startswith("Filter "):
        waiting = [line.removeprefix("Filter ")]
        while waiting:
            text = _bare(waiting.pop())
            parts = _split(text, " AND ")
            if len(parts) == 1:
                yield text
            else:
                waiting.extend(parts)


def _bare(text: str) -> str:
    """A text without the brackets around the whole of it."""
    text = text.strip()
    while text.startswith("(") and _closes(text) == len(text) - 1:
        text = text[1:-1].strip()
    return text


def _closes(text: str) -> int:
    """Where the bracket that a text begins with closes."""
    depth = 0
    for index, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return index
    return -1


def _split(text: str, word: str) -> list[str]:
    """Parts of a text between words that stand in no brackets."""
    parts, depth, start = [], 0, 0
    for index, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0 and text.startswith(word, index):
            parts.append(text[start:index])
            start = index + len(word)
    return [*parts, text[start:]]
