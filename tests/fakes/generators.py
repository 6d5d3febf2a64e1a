"""The generators of schemas and references as `make` runs them; what they write goes into a folder of the test's."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from airflow_doeks.language import rules

TOOLS = Path(__file__).parents[2] / "tools"
NAMES = ("language", "project_language", "write_schema", "write_reference")


def generators(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """Their modules by name, while the compiler reads schemas that were written to ``folder`` with the present rows."""
    monkeypatch.syspath_prepend(str(TOOLS))
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    write_schema = importlib.import_module("write_schema")
    schemas = folder / "schemas"
    schemas.mkdir()
    for name in write_schema.FILES:
        (schemas / f"{name}.schema.json").write_text(write_schema.render(name), "utf-8")
    monkeypatch.setattr(rules, "HERE", schemas)
    forget()
    yield {name: importlib.import_module(name) for name in NAMES}
    for name in NAMES:
        sys.modules.pop(name, None)
    forget()


def forget() -> None:
    """Read the schemas anew."""
    rules.schema.cache_clear()
    rules.rule_of.cache_clear()
