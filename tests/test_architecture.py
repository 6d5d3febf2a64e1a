"""docs/architecture.md and the import contracts tell of the package that is there, and no import goes in a circle."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Mapping
from pathlib import Path

import grimp
import pytest
from importlinter import configuration
from importlinter.application.use_cases import read_user_options
from importlinter.application.user_options import UserOptions

import airflow_doeks
from airflow_doeks.platforms.registry import TYPES

PACKAGE = Path(airflow_doeks.__file__).parent
PAGE = (PACKAGE.parent / "docs" / "architecture.md").read_text("utf-8")
Edges = Mapping[str, set[str]]


@pytest.fixture(scope="module")
def contracts() -> UserOptions:
    """The contracts of pyproject.toml."""
    configuration.configure()
    return read_user_options(str(PACKAGE.parent / "pyproject.toml"))


def circle(edges: Edges) -> str | None:
    """The shortest circle of a graph as `a -> b -> a`, or None."""
    found: list[str] | None = None
    for start in sorted(edges):
        ways = deque([[start]])
        seen = set()
        while ways:
            way = ways.popleft()
            if way[-1] == start and len(way) > 1:
                found = way if found is None or len(way) < len(found) else found
                break
            for target in sorted(edges.get(way[-1], ())):
                if target == start or target not in seen:
                    seen.add(target)
                    ways.append([*way, target])
    return " -> ".join(found) if found else None


def siblings(graph: grimp.ImportGraph) -> dict[str, dict[str, set[str]]]:
    """Package -> which of its files and folders import which others of them, at every depth."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            here, there = importer.split("."), imported.split(".")
            shared = next((n for n, pair in enumerate(zip(here, there, strict=False)) if pair[0] != pair[1]), None)
            if shared is not None:  # else one is the other's package
                found[".".join(here[:shared])][here[shared]].add(there[shared])
    return found


def test_no_import_goes_in_a_circle():
    """Files and folders of every room, imports inside functions and for type checkers included."""
    graph = grimp.build_graph("airflow_doeks", cache_dir=None, exclude_type_checking_imports=False)
    drawn = {package: circle(edges) for package, edges in siblings(graph).items()}

    assert {package: picture for package, picture in drawn.items() if picture} == {}


@pytest.mark.parametrize(
    ("edges", "drawn"),
    [
        ({"a": {"b"}, "b": {"a"}}, "a -> b -> a"),
        ({"a": {"b"}, "b": {"c"}, "c": {"d", "b"}}, "b -> c -> b"),
        ({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}}, None),
    ],
)
def test_a_circle_is_drawn(edges, drawn):
    """The shortest one, from its first name on; a diamond is none."""
    assert circle(edges) == drawn


def test_every_room_is_told_and_no_other():
    """The table of rooms names the folders of the package, the text below it the files beside them."""
    rooms = set(re.findall(r"^\| `(\w+)/` \|", PAGE, re.MULTILINE))
    beside = PAGE.split("Files beside them: ")[1].split("\n")[0]

    assert rooms == {place.parent.name for place in PACKAGE.glob("*/__init__.py")}
    assert {f"{name}.py" for name in re.findall(r"`(\w+)\.py`", beside)} | {"__init__.py"} == {
        place.name for place in PACKAGE.glob("*.py")
    }


def test_the_rules_are_the_contracts(contracts):
    """Each rule of the page is a contract, or the test that reads the source for names of types and engines."""
    rules = set(re.findall(r"^\* \*\*(.+?)\*\*", PAGE, re.MULTILINE))
    named = {options["name"] for options in contracts.contracts_options}

    assert rules == {*named, "A type or an engine is named in its row only"}
    assert len(rules) == 7


def test_every_platform_type_is_a_stranger_to_the_others(contracts):
    """The row of a type without its place in the contract would let it import another."""
    contract = next(one for one in contracts.contracts_options if one["name"] == "Platform types are strangers")
    strangers = {name.strip("() ") for name in contract["layers"][0].split("|")}

    assert set(TYPES) <= strangers
