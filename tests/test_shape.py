"""The shape of the house, read from its source: who may name an engine or a platform type."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_doeks
from airflow_doeks.model.engine import ENGINES
from airflow_doeks.platforms.registry import TYPES

PACKAGE = Path(airflow_doeks.__file__).parent
NAMES = {*ENGINES, *TYPES}
ROWS = ("model/engine.py", "platforms/registry.py", *(f"platforms/{name}" for name in NAMES))
SAID_ELSEWHERE = {  # file -> the literal, and what it means there
    "lineage/names.py": "spark: the OpenLineage namespace of tables in a catalog without an address",
    "event_log/stages.py": "local: bytes that a shuffle read on its own host, Spark's word",
    "dialects/dag_factory/project.py": "emr_on_eks: what the source's EmrContainerOperator ran on",
    "provider_info.py": "emr_on_eks: Airflow's connection type, whose name outlives ours",
    "cost/card_file.py": "emr_on_eks: the block of a rate card with EMR's own prices",
    "ledger/ddl.py": "spark: what somebody reads the ledger's tables with",
    "hooks/aws.py": "emr_on_eks: the same",
}


def literals(file: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every string of a file that is an engine's or a platform type's name."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and node.value in NAMES:
            yield node.lineno, node.value


SOURCES = [file.relative_to(PACKAGE).as_posix() for file in sorted(PACKAGE.rglob("*.py"))]


@pytest.mark.parametrize("name", [name for name in SOURCES if not name.startswith(ROWS)])
def test_a_type_or_an_engine_is_named_in_its_row_only(name):
    """No other file tells platform types or engines apart by name; it asks the row."""
    if name in SAID_ELSEWHERE:
        return
    assert list(literals(PACKAGE / name)) == []


@pytest.mark.parametrize("name", SAID_ELSEWHERE)
def test_every_exception_is_needed(name):
    """An exception goes when its literal went."""
    assert list(literals(PACKAGE / name))


def test_no_file_holds_two_ideas():
    """A file of the package has at most 300 lines."""
    lengths = {name: len((PACKAGE / name).read_text("utf-8").splitlines()) for name in SOURCES}
    assert {name: lines for name, lines in lengths.items() if lines > 300} == {}


def imports() -> dict[str, set[str]]:
    """Module -> modules of the package that it imports, also inside functions and for type checkers."""
    files = {
        ".".join((PACKAGE.name, *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): file
        for file in PACKAGE.rglob("*.py")
    }
    found: dict[str, set[str]] = {}
    for name, file in files.items():
        found[name] = set()
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                below = {f"{node.module}.{alias.name}" for alias in node.names} & files.keys()
                found[name] |= below or {node.module} & files.keys()
            elif isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names} & files.keys()
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that no order could read one after the other; empty if there are none."""
    left = dict(graph)
    while left:
        leaves = [name for name, below in left.items() if not below & left.keys()]
        if not leaves:
            return sorted(left)
        for name in leaves:
            del left[name]
    return []


def test_no_import_goes_in_a_circle():
    """Every module can be read before those that import it; imports for type checkers count."""
    assert circle(imports()) == []


def test_a_circle_would_be_seen():
    """Three modules that need each other are one, whoever else needs them."""
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}) == ["a", "b", "c", "d"]
