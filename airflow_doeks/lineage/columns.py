"""Column lineage from the description of a plan: which input columns each written column was computed from.

Spark numbers every expression (``revenue#29``). Scans give numbers to columns of datasets, projections, aggregates and
the like define numbers from others; a written column is followed back through them. Where a number is defined by
nothing known here the trail stops, and the column's inputs are None: unknown, not none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from airflow_doeks.lineage.printed import split_list

_NODE = re.compile(r"^([ :+-]*)(?:\* )?(\w.*?) \((\d+)\)$")
_SECTION = re.compile(r"^\((\d+)\) (\w+)(.*)$")
_FIELD = re.compile(r"^([A-Z][\w ]*?)(?: \[\d+\])?\s?: (.*)$")
_DEFINED = re.compile(r".* AS \S*?#(\d+)L?$", re.DOTALL)
_NUMBER = re.compile(r"#(\d+)L?")
_TARGETS = ("WriteFiles", "AppendData", "OverwriteByExpression", "OverwritePartitionsDynamic", "ReplaceData")
_DEFINING = ("Output", "Results", "Arguments")  # fields whose lists hold ``<expression> AS name#number``


class _Operator(NamedTuple):
    name: str
    rest: str
    fields: Mapping[str, str]
    children: list[int]

    def numbers(self, field: str) -> list[int]:
        """The number each item of a list has or is given."""
        found = (_NUMBER.findall(item) for item in _items(self.fields.get(field, "")))
        return [int(numbers[-1]) for numbers in found if numbers]


def written_columns(text: str, sources: Mapping[int, str]) -> list[tuple[str, tuple[str, ...] | None]]:
    """(name, inputs) of each column that the plan writes, in order; ``sources`` are numbers of scanned columns.

    Empty if the description does not show what is written.
    """
    operators = _parse(text)
    target = next((op for op in operators.values() if op.name in _TARGETS and op.fields.get("Input")), None)
    if target is None:
        return []
    definitions = _definitions(operators)
    memo: dict[int, frozenset[str] | None] = {}
    columns = []
    for item in _items(target.fields["Input"]):
        name, _, number = item.rpartition("#")
        found = _resolve(int(number.rstrip("L")), definitions, sources, memo) if number.rstrip("L").isdigit() else None
        columns.append((name, None if found is None else tuple(sorted(found))))
    return columns


def _items(text: str) -> list[str]:
    """Items of ``[a#1, b#2 AS c#3]``."""
    text = text.strip()
    return split_list(text[1:-1]) if text.startswith("[") and text.endswith("]") else []


def _parse(text: str) -> dict[int, _Operator]:
    """Operators by their number: the tree at the top gives children, the sections below give fields."""
    operators: dict[int, _Operator] = {}
    children: dict[int, list[int]] = {}
    trail: list[tuple[int, int]] = []
    fields: dict[str, str] = {}
    for line in text.splitlines():
        section = _SECTION.match(line)
        if section is not None:
            fields = {}
            number = int(section[1])
            operators[number] = _Operator(section[2], section[3], fields, children.setdefault(number, []))
            continue
        field = _FIELD.match(line) if operators else None
        if field is not None:
            fields[field[1]] = field[2]
            continue
        node = _NODE.match(line) if not operators else None
        if node is not None:
            depth, number = len(node[1]), int(node[3])
            while trail and trail[-1][0] >= depth:
                trail.pop()
            if trail:
                children.setdefault(trail[-1][1], []).append(number)
            trail.append((depth, number))
    return operators


def _definitions(operators: Mapping[int, _Operator]) -> dict[int, set[int]]:
    """Number -> the numbers it is computed from; computed from nothing (a constant, count(1)) is an empty set."""
    found: dict[int, set[int]] = {}

    def define(number: int, expressions: Iterable[str | int]) -> None:
        numbers = {n for e in expressions for n in ([e] if isinstance(e, int) else map(int, _NUMBER.findall(e)))}
        found.setdefault(number, set()).update(numbers - {number})

    for operator in operators.values():
        for field in _DEFINING:
            value = operator.fields.get(field, "")
            for part in split_list(value) if field == "Arguments" else [value]:
                for item in _items(part):
                    defined = _DEFINED.match(item)
                    if defined is not None:
                        define(int(defined[1]), [item.rpartition(" AS ")[0]])
        functions, given = _items(operator.fields.get("Functions", "")), operator.numbers("Aggregate Attributes")
        for number, function in zip(given, functions, strict=False):
            define(number, [function])
        _define_special(operator, operators, define)
    return found


def _define_special(
    operator: _Operator, operators: Mapping[int, _Operator], define: Callable[[int, Iterable[str | int]], None]
) -> None:
    """Operators that pair lists by position: Python functions, generators, unions, reused exchanges."""
    arguments = split_list(operator.fields.get("Arguments", ""))
    if operator.name.endswith("EvalPython") and len(arguments) > 1:
        results = [_NUMBER.findall(item)[-1:] for item in _items(arguments[1])]
        for function, result in zip(_items(arguments[0]), results, strict=False):
            if result:
                define(int(result[0]), [function.rpartition("#")[0]])
    elif operator.name == "Generate" and arguments:
        for number in map(int, _NUMBER.findall(arguments[-1])):
            define(number, [arguments[0]])
    elif operator.name == "Union":
        for first, *others in zip(*(_outputs(operators.get(child)) for child in operator.children), strict=False):
            define(first, others)
    elif operator.name == "ReusedExchange":
        reused = re.search(r"operator id: (\d+)", operator.rest)
        originals = _outputs(operators.get(int(reused[1]))) if reused else []
        for number, original in zip(operator.numbers("Output"), originals, strict=False):
            define(number, [original])


def _outputs(operator: _Operator | None) -> list[int]:
    if operator is None:
        return []
    field = next((name for name in ("Output", "Results", "Input") if operator.fields.get(name)), "")
    return operator.numbers(field)


def _resolve(
    number: int,
    definitions: Mapping[int, set[int]],
    sources: Mapping[int, str],
    memo: dict[int, frozenset[str] | None],
) -> frozenset[str] | None:
    if number in memo:
        return memo[number]
    memo[number] = frozenset()  # a circle adds nothing
    known = {sources[number]} if number in sources else set()
    if number not in sources and number not in definitions:
        memo[number] = None
        return None
    for other in definitions.get(number, ()):
        found = _resolve(other, definitions, sources, memo)
        if found is None:
            memo[number] = None
            return None
        known |= found
    memo[number] = frozenset(known)
    return memo[number]
